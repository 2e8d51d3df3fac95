"""CUDA graphs: an epoch's steps launched as one.

A step of a small network is some thirty kernels of a few microseconds; launching them one by one
from Python takes longer than running them. All that a step reads and writes lies in memory that
is the same in every epoch (`Batches` with fixed views), so an epoch can be captured once and then
replayed. What changes from step to step, learning rate, penalty and Adam's count, is read from
the device. Of k networks that are trained as one the same holds, with a number for each.
"""

import os
import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from sklearn_mlp.data.batches import Batches
from sklearn_mlp.data.stacked_batches import StackedBatches
from sklearn_mlp.machine.devices import exact_dtype_of, traits_of
from sklearn_mlp.solvers.base import Solver
from sklearn_mlp.solvers.stacked import StackedSolver
from sklearn_mlp.steps.base import Step
from sklearn_mlp.training.loop import EpochLoss, take_steps

Capture = Callable[[Callable[[], None], torch.device], Callable[[], None]]

# Epochs launched kernel by kernel before one is captured. They warm up what is captured; and of a
# stack, which is captured anew when a network has left it, they see whether one leaves at once.
_EPOCHS_BEFORE = 2

# Epochs to come from which on capturing pays: it takes the time of two, and a replay half of one.
# On an H100, 469 steps of a 784-128-4 network took 170 ms to capture, 39 ms to replay, and 75 to
# 95 ms uncaptured.
_EPOCHS_TO_PAY = 5


# Where one thread begins to capture it waits for the device, which fails while another captures.
_capturing = threading.Lock()


@cache
def _stream_of(device: torch.device) -> torch.cuda.Stream:
    """Return a device's stream for capturing, always the same: each has memory for its products.

    torch's own is on the device that was the current one the first time.
    """
    return torch.cuda.Stream(device)


def capture_cuda(body: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Capture what ``body`` launches on a device, without running it; return what runs it.

    Other threads may go on meanwhile (``"thread_local"``): what they allocate is no part of it.
    """
    graph = torch.cuda.CUDAGraph()
    with _capturing, torch.cuda.device(device):
        stream = _stream_of(device)
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            body()

    def replay() -> None:
        """Launch the graph where its device's tensors are worked on."""
        with torch.cuda.device(device):
            graph.replay()

    return replay


def can_capture(
    batches: Batches | StackedBatches, solver: Solver | StackedSolver, device: torch.device
) -> bool:
    """Tell whether an epoch can be captured.

    Setting the environment variable ``SKLEARN_MLP_CUDA_GRAPHS`` to 0 turns capturing off.
    """
    is_on = os.environ.get("SKLEARN_MLP_CUDA_GRAPHS", "1") != "0"
    has_graphs = is_on and traits_of(device).has_graphs
    return has_graphs and solver.can_be_captured and batches.has_fixed_views


class EpochGraph:
    """Runs the epochs of a fit: the first ones step by step, the others as a captured graph.

    Parameters
    ----------
    step, solver, batches, epoch_loss
        As `sklearn_mlp.training.loop.take_steps` gets them.
    n_epochs : int
        The most that there will be.
    capture : callable
        Turns a function into what replays it.
    """

    def __init__(
        self,
        step: Step,
        solver: Solver | StackedSolver,
        batches: Batches | StackedBatches,
        epoch_loss: EpochLoss,
        n_epochs: int,
        capture: Capture = capture_cuda,
    ) -> None:
        self._step = step
        self._solver = solver
        self._batches = batches
        self._epoch_loss = epoch_loss
        self._capture = capture
        self._replay: Callable[[], None] | None = None
        self._n_epochs = n_epochs
        self._n_taken = 0
        self._like = like = solver.parameters.values
        self._rates, self._penalties = like, like
        # float64: in float32 1 - beta_2**count would lose half its digits while count is small.
        self._count = like.new_zeros((), dtype=exact_dtype_of(like))

    def __call__(self, rates: Sequence[Any]) -> None:
        """Run one epoch, each step at its rate, or rates; the batches have begun it."""
        self._n_taken += 1
        if not self._is_captured() or self._batches.has_empty:
            take_steps(self._step, self._solver, self._batches, self._epoch_loss, rates)
            return
        rates_now, penalties = self._in_type(rates), self._in_type(self._epoch_loss.penalties())
        self._count.fill_(self._solver.steps_taken)
        if self._replay is None:
            self._rates, self._penalties = (
                one.to(self._like.device, copy=True) for one in (rates_now, penalties)
            )
            self._replay = self._capture(self._body, self._like.device)
        else:
            self._rates.copy_(rates_now)
            self._penalties.copy_(penalties)
        self._replay()
        self._solver.steps_taken += len(rates)

    def _is_captured(self) -> bool:
        """Tell whether epochs are replayed from now on."""
        is_warm = self._n_taken > _EPOCHS_BEFORE
        n_to_come = self._n_epochs - self._n_taken
        return self._replay is not None or (is_warm and n_to_come >= _EPOCHS_TO_PAY)

    def _in_type(self, numbers: Sequence[Any]) -> Tensor:
        """Return what there is for each step, numbers or tensors, as one tensor."""
        if isinstance(numbers[0], Tensor):
            return torch.stack(list(numbers))
        if numbers[0] is None:
            return self._like.new_zeros(len(numbers))
        return torch.tensor(numbers, dtype=self._like.dtype, device="cpu")

    def _body(self) -> None:
        """Launch the steps of an epoch, with all that changes on the device."""
        loss = self._epoch_loss
        penalties = self._penalties if loss.is_penalised else [None] * len(self._rates)
        scalars = zip(self._rates, penalties, strict=True)
        places = zip(self._batches, loss.logits, loss.squares, scalars, strict=True)
        for batch, logits, square, (rate, penalty) in places:
            if loss.is_penalised:
                loss.keep_square(square)
            self._step.gradient(batch, logits)
            self._solver.update_captured(rate, penalty, self._count.add_(1))
