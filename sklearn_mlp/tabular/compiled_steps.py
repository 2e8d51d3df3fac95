"""Steps of k networks in compiled code, one network after the other.

All numbers of a network and of its Adam then stay in the cache for many steps, and nothing is
called between the products. Where this cannot be, `torch_steps` does the same.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, wait

import numpy as np
import torch

from sklearn_mlp.compiled.forms import (
    ACTIVATIONS,
    SOLVERS,
    NetworkForm,
    SolverForm,
    form_of_loss,
)
from sklearn_mlp.compiled.library import why_not_here
from sklearn_mlp.compiled.plan import CompiledPlan, EpochMemory
from sklearn_mlp.losses import Loss
from sklearn_mlp.machine.threads import single_blas
from sklearn_mlp.tabular.batches import Stretch
from sklearn_mlp.tabular.coded_rows import CodedRows, Part
from sklearn_mlp.tabular.judging import Task
from sklearn_mlp.tabular.masks import Masks
from sklearn_mlp.tabular.members import DECAY, EPSILON, RATE_OF_BIASES, RATE_OF_SCALES, Members


def are_here(loss: Loss, n_inputs: int, device: torch.device) -> bool:
    """Tell whether networks of so many inputs can take compiled steps."""
    is_plain = device.type == "cpu" and n_inputs > 0 and form_of_loss(loss) is not None
    return is_plain and why_not_here() is None


class CompiledSteps:
    """Takes steps of k networks.

    Parameters
    ----------
    members : Members
        The networks, changed by the steps; apart.
    coded : CodedRows
        All rows, on the CPU.
    part : Part
        Of the code, that the networks take.
    task : Task
        What they learn; `are_here` knows whether they can.
    betas : tuple of float
        Of Adam.
    masks : Masks
        Draws dropout's, one for all k.
    batch_size : int
        Rows of a step.
    """

    def __init__(
        self,
        members: Members,
        coded: CodedRows,
        part: Part,
        task: Task,
        betas: tuple[float, float],
        masks: Masks,
        batch_size: int,
    ) -> None:
        assert members.is_apart
        self._coded, self._part, self._masks = coded, part, masks
        self._kept = coded.kept(part)
        # A row's codes, or numbers, lie together.
        self._targets = task.targets.t().contiguous()
        n_hidden = len(members.units) - 2
        activations = [ACTIVATIONS.index("silu")] * n_hidden
        dropped = [False] + [masks.is_needed] * n_hidden
        network = NetworkForm(
            members.units, activations, dropped, members.factors, batch_size, has_scales=True
        )
        solver = SolverForm(
            SOLVERS.index("adamw"),
            *betas,
            EPSILON,
            DECAY,
            bias_rate=RATE_OF_BIASES,
            scale_rate=RATE_OF_SCALES,
        )
        loss = form_of_loss(task.loss)
        assert loss is not None
        values = members.values.view(members.k, -1)
        moments = torch.zeros(2, *values.shape, dtype=values.dtype)
        self._plans = [
            CompiledPlan(network, loss, solver, own, [first, second])
            for own, first, second in zip(values, *moments, strict=True)
        ]
        self._step = 0

    def take(
        self, stretch: Stretch, rates: Sequence[float], workers: Executor | None = None
    ) -> None:
        """Take steps one after the other, each at its learning rate.

        Networks are shared out among the threads of ``workers``.
        """
        masks = self._masks.for_each_row(self._masks.draw(self._step, stretch.n_steps))
        memories = [self._memory(stretch, rates, member) for member in range(len(self._plans))]

        def run(member: int) -> None:
            """Take the steps of one network."""
            memory, rows = memories[member]
            n_steps, size = stretch.rows.shape[1:]
            with single_blas():
                self._plans[member].run(
                    memory,
                    rows,
                    (0, n_steps),
                    n_samples=n_steps * size,
                    step=self._step,
                    averaged=0,
                    masks=masks,
                    n_threads=1,
                )

        if workers is None:
            for member in range(len(self._plans)):
                run(member)
        else:
            _run_all(workers, run, len(self._plans))
        self._step += stretch.n_steps

    def _memory(
        self, stretch: Stretch, rates: Sequence[float], member: int
    ) -> tuple[EpochMemory, np.ndarray | None]:
        """Return what a network's steps read, and which rows; None for all as they lie."""
        rows = stretch.rows[member].reshape(-1)
        shares = None if stretch.weights is None else stretch.weights[member].reshape(-1)
        inputs, targets = self._kept, self._targets
        if inputs is None:
            inputs, targets = self._coded.pick(rows, self._part), targets[rows]
        memory = EpochMemory(inputs, targets, shares, stretch.n_steps)
        memory.weight_sums[:] = stretch.rows.shape[2]
        memory.rates[:] = rates
        return memory, None if self._kept is None else rows.numpy()


def _run_all(workers: Executor, run: Callable[[int], None], n: int) -> None:
    """Call a function with each number below n, and return when no call is going on any more."""
    futures = [workers.submit(run, number) for number in range(n)]
    try:
        for future in futures:
            future.result()
    finally:
        # An interrupt comes while others are still at work on what is about to be read.
        for future in futures:
            future.cancel()
        wait(futures)
