"""The epochs of a first-order solver, of one network or of k: batches, steps, an epoch's loss."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import groupby
from types import EllipsisType
from typing import Any, Protocol, final

import torch
from torch import Tensor

from sklearn_mlp.data.batches import Batches
from sklearn_mlp.data.stacked_batches import StackedBatches
from sklearn_mlp.losses import Loss
from sklearn_mlp.machine.devices import exact_dtype_of
from sklearn_mlp.machine.interrupts import end_training
from sklearn_mlp.machine.subnormals import subnormals_are_zero
from sklearn_mlp.machine.threads import rebalance_threads
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.network.stacked_parameters import StackedParameters
from sklearn_mlp.steps.base import Step
from sklearn_mlp.training.monitor import EpochMonitor

# Which networks see a stream of samples, their targets and their shares.
_Stream = tuple[slice | EllipsisType, Tensor, Tensor | None]


class LossOfEpoch(Protocol):
    """The losses of an epoch, however its steps are run.

    Attributes
    ----------
    largest : float
        What rates and penalties are cut to: a solver may make more of them, which must still be
        in the range of the weights' type.
    """

    largest: float

    def values(self) -> list[float]:
        """Return the losses, one per network: the batches', averaged by their sizes."""


class Run(ABC):
    """Fits that are trained as one, until none is left.

    Attributes
    ----------
    monitors : list of EpochMonitor
        One per network that is still being trained.
    batches : Batches or StackedBatches
        An epoch's samples.
    epoch_loss : LossOfEpoch
        Tells the loss of the epoch whose steps have been taken.
    """

    monitors: list[EpochMonitor]
    batches: Batches | StackedBatches
    epoch_loss: LossOfEpoch

    @abstractmethod
    def take_epoch(self, rates: Sequence[Sequence[float]]) -> None:
        """Take the steps of one epoch, each at its learning rate: a list of them per network."""

    @abstractmethod
    def evaluate(self) -> None:
        """Evaluate together the networks whose monitors will ask for it."""

    @abstractmethod
    def drop(self, finished: Sequence[int]) -> None:
        """Hand networks over as they are, or at their best, and go on with the others."""

    @final
    def epoch(self) -> list[int]:
        """Train for one epoch; return the places of those for whom it was the last."""
        rebalance_threads()
        self.batches.begin_epoch()
        n_steps, largest = len(self.batches.sizes), self.epoch_loss.largest
        # torch refuses a factor beyond its type's range; one far within diverges just the same.
        rates = [
            [min(rate, largest) for rate in monitor.schedule.rates(n_steps)]
            for monitor in self.monitors
        ]
        with subnormals_are_zero():
            self.take_epoch(rates)
        losses, n_samples = self.epoch_loss.values(), self.batches.n_samples
        self.evaluate()
        return [
            place
            for place, (monitor, loss) in enumerate(zip(self.monitors, losses, strict=True))
            if monitor.epoch_ended(loss, n_samples)
        ]


def run_epochs(run: Run) -> None:
    """Train until the monitors have said stop, or the user interrupts."""
    try:
        while run.monitors:
            finished = run.epoch()
            if finished:
                run.drop(finished)
    except KeyboardInterrupt as interrupt:
        end_training(interrupt)
        run.drop(range(len(run.monitors)))


def take_steps(
    step: Step,
    solver: Any,
    batches: Batches | StackedBatches,
    epoch_loss: "EpochLoss",
    rates: Sequence[Any],
) -> None:
    """Take a step per batch, each at its rate; nothing here waits for the device.

    Parameters
    ----------
    step : Step
        Computes gradients.
    solver : Solver or StackedSolver
        Changes the weights.
    batches : Batches or StackedBatches
        The samples, of an epoch that has begun.
    epoch_loss : EpochLoss
        Takes what the loss is computed from.
    rates : sequence
        A learning rate for each batch; of k networks a tuple of theirs.
    """
    is_penalised, penalties = epoch_loss.is_penalised, epoch_loss.penalties()
    places = zip(batches, epoch_loss.logits, epoch_loss.squares, penalties, rates, strict=True)
    for batch, logits, square, penalty, rate in places:
        # A batch whose weights are all 0 is as if it were not there.
        if batch.weight_sum == 0:
            logits.zero_()
            continue
        if is_penalised:
            epoch_loss.keep_square(square)
        step.gradient(batch, logits)
        solver.update(rate, penalty)


class EpochLoss:
    """The losses of an epoch, from what its steps leave behind: logits, and norms of weights.

    A loss is evaluated once, when the epoch has ended, in a few large calls instead of several
    small ones per step, and is the only number that the host waits for. Everything here has the
    networks as a leading dimension, ``lead``: none for one network, (k,) for k of them.

    Parameters
    ----------
    parameters : ParameterVector or StackedParameters
        Of the network, or of all k.
    n_outputs : int
        Each network's outputs.
    batches : Batches or StackedBatches
        The samples.
    alphas : sequence of float
        The penalties on the weights, one per network.
    losses : sequence of Loss
        Those of the networks that see the first stream of samples, the second, and so on.

    Attributes
    ----------
    logits : list of Tensor of shape (*lead, n_outputs, size)
        One per batch, for the step to write to.
    squares : list of Tensor of shape lead
        One per batch, for the squared norms of the weights before the step.
    keep_square : callable
        Writes the squared norms, as they are now, to one of these.
    is_penalised : bool
        Whether there is a penalty.
    largest : float
        What rates and penalties are cut to: a solver may make more of them, which must still be
        in the range of the weights' type.
    """

    def __init__(
        self,
        parameters: ParameterVector | StackedParameters,
        n_outputs: int,
        batches: Batches | StackedBatches,
        alphas: Sequence[float],
        losses: Sequence[Loss],
    ) -> None:
        like, lead, sizes = parameters.values, parameters.lead, batches.sizes
        self.keep_square = parameters.keep_square
        self.largest = torch.finfo(like.dtype).max ** 0.75
        self.alphas = [min(alpha, self.largest) for alpha in alphas]
        self.is_penalised = any(self.alphas)
        self._batches = batches
        self._counted_sizes: Sequence[int] = sizes
        # A block per batch, so that each is contiguous: a softmax over the columns of a slice
        # takes twice as long.
        width = n_outputs * len(self.alphas)
        memory = like.new_empty(sum(sizes) * width)
        blocks = memory.split([size * width for size in sizes])
        self.logits = [
            block.view(*lead, n_outputs, size) for block, size in zip(blocks, sizes, strict=True)
        ]
        self._squares = like.new_zeros((len(sizes), *lead))
        self.squares = list(self._squares.unbind())
        self._alphas = like.new_tensor(self.alphas).view(lead)
        self._sum_dtype = dtype = exact_dtype_of(like)
        halves = [alpha / 2 for alpha in self.alphas]
        self._half_alphas = like.new_tensor(halves, dtype=dtype).view(lead)
        self._blocks = list(self._make_blocks(memory, losses, lead, n_outputs))

    def _make_blocks(
        self, memory: Tensor, losses: Sequence[Loss], lead: tuple[int, ...], n_outputs: int
    ) -> Iterator[list["_Part"]]:
        """Go through the logits in batches of one size: a part for each stream of samples."""
        batches, start = self._batches, 0
        width = n_outputs * len(self.alphas)
        # The batches of full size make one block, the last one another.
        for size, alike in groupby(batches.sizes):
            stop = start + size * len(list(alike))
            logits = memory[start * width : stop * width].view(-1, *lead, n_outputs, size)
            streams: Iterable[_Stream] = batches.epoch_parts(start, stop, size)
            yield [
                _Part(loss, logits[:, rows], targets, shares)
                for loss, (rows, targets, shares) in zip(losses, streams, strict=True)
            ]
            start = stop

    def penalties(self) -> Sequence[Any]:
        """Return for each batch what the weights count in its gradient.

        Numbers of the host for one network; for k tensors of shape (k, 1, 1), or None.
        """
        sums: Sequence[Any] = self._batches.weight_sums
        if not self._alphas.ndim:
            (alpha,) = self.alphas
            return [alpha / one if one else 0.0 for one in sums]
        if not self.is_penalised:
            return [None] * len(sums)
        return (self._alphas / self._squares.new_tensor(sums)).view(len(sums), -1, 1, 1).unbind()

    def values(self) -> list[float]:
        """Return the epoch's losses: the batches' losses, averaged by their sizes."""
        dtype, totals = self._sum_dtype, self._totals()
        if self.is_penalised:
            totals.addcmul_(self._weighted_squares().sum(0, dtype=dtype), self._half_alphas)
        n_samples = self._batches.n_samples
        return [total / n_samples for total in totals.view(-1).tolist()]

    def _totals(self) -> Tensor:
        """Return the sums of the losses, one per network."""
        dtype = self._sum_dtype
        blocks = (_joined([part.total(dtype) for part in parts]) for parts in self._blocks)
        return reduce(Tensor.add, blocks)

    def _weighted_squares(self) -> Tensor:
        """Return the squared norms, each times its batch's size over the sum of its weights."""
        batches, squares = self._batches, self._squares
        if not batches.is_weighted:
            return squares
        sizes = squares.new_tensor(self._counted_sizes).view(-1, *(1,) * self._alphas.ndim)
        weight_sums = squares.new_tensor(batches.weight_sums)
        return torch.where(weight_sums == 0, 0.0, squares * sizes / weight_sums)


@dataclass(frozen=True)
class _Part:
    """Logits of batches of one size, and what they are compared with, in the same memory always.

    Attributes
    ----------
    loss : Loss
        The loss.
    logits : Tensor of shape (n_batches, ..., n_outputs, size)
        The logits of the networks that see these samples.
    targets : Tensor of shape (n_batches, ..., 1 or n_outputs, size)
        The targets.
    shares : Tensor of shape (n_batches, ..., size) or None
        The samples' shares in their batches' weights.
    """

    loss: Loss
    logits: Tensor
    targets: Tensor
    shares: Tensor | None

    def total(self, dtype: torch.dtype) -> Tensor:
        """Return the sums of the samples' losses, each by its share times its batch's size."""
        losses = self.loss.per_sample(self.logits, self.targets)
        if self.shares is not None:
            losses = losses * self.shares * losses.shape[-1]
        # A sum over all takes two thirds of the time of one over two of the dimensions.
        return losses.sum((0, -1), dtype=dtype) if losses.ndim > 2 else losses.sum(dtype=dtype)


def _joined(totals: Sequence[Tensor]) -> Tensor:
    """Return the sums of all streams' networks, in the order of these."""
    return totals[0] if len(totals) == 1 else torch.cat(list(totals))
