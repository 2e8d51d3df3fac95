"""CUDA graphs: an epoch's steps launched as one.

A step of a small network is some thirty kernels of a few microseconds; launching them one by one
from Python takes longer than running them. All that a step reads and writes lies in memory that
is the same in every epoch (`Batches` with fixed views), so an epoch can be recorded once and then
replayed. What changes from step to step, learning rate, penalty and Adam's count, is read from
the device.
"""

import os
import threading
from collections.abc import Callable, Sequence
from functools import cache

import torch

from sklearn_mlp.data.batches import Batches
from sklearn_mlp.machine.devices import exact_dtype_of, traits_of
from sklearn_mlp.solvers.base import Solver
from sklearn_mlp.steps.base import Step
from sklearn_mlp.training.loop import EpochLoss, take_steps

Capture = Callable[[Callable[[], None], torch.device], Callable[[], None]]


# Where one thread begins to record it waits for the device, which fails while another records.
_recording = threading.Lock()


@cache
def _stream_of(device: torch.device) -> torch.cuda.Stream:
    """Return a device's stream for recording, always the same: each has memory for its products.

    torch's own is on the device that was the current one the first time.
    """
    return torch.cuda.Stream(device)


def capture_cuda(body: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Record what ``body`` launches on a device, without running it; return what runs it.

    Other threads may go on meanwhile (``"thread_local"``): what they allocate is no part of it.
    """
    graph = torch.cuda.CUDAGraph()
    with _recording, torch.cuda.device(device):
        stream = _stream_of(device)
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            body()

    def replay() -> None:
        """Launch the graph where its device's tensors are worked on."""
        with torch.cuda.device(device):
            graph.replay()

    return replay


def can_capture(batches: Batches, solver: Solver, device: torch.device) -> bool:
    """Tell whether an epoch can be recorded.

    Setting the environment variable ``SKLEARN_MLP_CUDA_GRAPHS`` to 0 turns recording off.
    """
    is_on = os.environ.get("SKLEARN_MLP_CUDA_GRAPHS", "1") != "0"
    can_record = is_on and traits_of(device).has_graphs
    return can_record and solver.can_be_captured and batches.has_fixed_views


class EpochGraph:
    """Runs the epochs of a fit: the first step by step, the others as a recorded graph.

    Parameters
    ----------
    step, solver, batches, epoch_loss
        As `sklearn_mlp.training.loop.take_steps` gets them.
    capture : callable
        Turns a function into what replays it. The first epoch, run before, is its warm-up.
    """

    def __init__(
        self,
        step: Step,
        solver: Solver,
        batches: Batches,
        epoch_loss: EpochLoss,
        capture: Capture = capture_cuda,
    ) -> None:
        self._step = step
        self._solver = solver
        self._batches = batches
        self._epoch_loss = epoch_loss
        self._capture = capture
        self._replay: Callable[[], None] | None = None
        self._is_warm = False
        like = solver.parameters.values
        self._rates = like.new_zeros(len(batches))
        self._penalties = like.new_zeros(len(batches))
        # float64: in float32 1 - beta_2**count would lose half its digits while count is small.
        self._count = like.new_zeros((), dtype=exact_dtype_of(like))

    def __call__(self, rates: Sequence[float]) -> None:
        """Run one epoch, each step at its learning rate; the batches have begun it."""
        if not self._is_warm or 0 in self._batches.weight_sums:
            take_steps(self._step, self._solver, self._batches, self._epoch_loss, rates)
            self._is_warm = True
            return
        self._rates.copy_(torch.tensor(rates, dtype=self._rates.dtype, device="cpu"))
        penalties = self._epoch_loss.penalties()
        self._penalties.copy_(torch.tensor(penalties, dtype=self._penalties.dtype, device="cpu"))
        self._count.fill_(self._solver.state.step)
        if self._replay is None:
            self._replay = self._capture(self._body, self._rates.device)
        self._replay()
        self._solver.state.step += len(self._batches)

    def _body(self) -> None:
        """Launch the steps of an epoch, with all that changes on the device."""
        loss = self._epoch_loss
        scalars = zip(self._rates, self._penalties, strict=True)
        places = zip(self._batches, loss.logits, loss.squares, scalars, strict=True)
        for batch, logits, square, (rate, penalty) in places:
            if loss.is_penalised:
                loss.keep_square(square)
            self._step.gradient(batch, logits)
            self._solver.update_captured(rate, penalty, self._count.add_(1))
