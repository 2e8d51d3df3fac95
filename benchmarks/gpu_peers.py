"""Who takes part on a GPU: ours with and without graphs, skorch, plain loops, scikit-learn."""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks.peers import REFERENCE, Ours, Peer, Result, ScikitLearn
from benchmarks.skorch_peer import Skorch
from benchmarks.torch_peers import PlainLoop
from benchmarks.workloads import Problem, Workload

GRAPHS = "SKLEARN_MLP_CUDA_GRAPHS"

FLOAT64_MARGIN = 1e-6
"""Largest relative difference of a float64 loss curve on a GPU: its sums come in another order."""

BFLOAT16_MARGIN = 0.1
"""The same in bfloat16, which has eight bits."""


class OnGpu(Ours):
    """This project's estimators on the GPU, held in float64 to what other sums leave."""

    def in_float64(self) -> "Ours | None":
        """The same estimator with ``dtype="float64"``, and the margin for it."""
        exact = super().in_float64()
        if exact is not None:
            exact.curve_margin = FLOAT64_MARGIN
        return exact


class WithoutGraphs(OnGpu):
    """The same, every kernel launched by itself."""

    def prepare(self, workload: Workload, problem: Problem, device: str) -> Callable[[], Result]:
        """The call, with capturing turned off for its time."""
        work = super().prepare(workload, problem, device)

        def call() -> Result:
            before = os.environ.get(GRAPHS)
            os.environ[GRAPHS] = "0"
            try:
                return work()
            finally:
                del os.environ[GRAPHS]
                if before is not None:
                    os.environ[GRAPHS] = before

        return call


class GpuLoop(PlainLoop):
    """The hand-written loop; its predictions come in chunks that fill a GPU."""

    predict_rows = 1 << 18


class CompiledLoop(GpuLoop):
    """The same loop around `torch.compile`; it compiles in the untimed round."""

    name = "torch-compile"
    title = "PyTorch loop, torch.compile"

    def network(self, workload: Workload, problem: Problem, device: str) -> nn.Module:
        """The compiled network, whose code torch finds again for the same shapes."""
        compiled: Any = torch.compile(super().network(workload, problem, device))
        network: nn.Module = compiled
        return network


OURS = OnGpu("ours", "sklearn_mlp")
WITHOUT_GRAPHS = WithoutGraphs("ours-no-graphs", "sklearn_mlp, no CUDA graphs")
BFLOAT16 = OnGpu("ours-bfloat16", "sklearn_mlp, bfloat16", BFLOAT16_MARGIN, dtype="bfloat16")
LOOP = GpuLoop()
COMPILED = CompiledLoop()


def gpu_peers(*more: Peer) -> dict[str, Peer]:
    """Those who take part in every part, by name, with some more."""
    peers: list[Peer] = [OURS, *more, Skorch(), LOOP, REFERENCE, ScikitLearn("float32")]
    return {peer.name: peer for peer in peers}
