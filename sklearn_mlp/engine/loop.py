"""The epochs of a first-order solver: batches, steps, the loss of an epoch."""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sklearn_mlp.batches import Batches
from sklearn_mlp.engine.step import Step
from sklearn_mlp.monitor import EpochMonitor
from sklearn_mlp.solvers import Solver
from sklearn_mlp.threads import rebalance_threads


def run_epochs(
    run_epoch: Callable[[Sequence[float]], None],
    epoch_loss: "EpochLoss",
    batches: Batches,
    monitor: EpochMonitor,
) -> None:
    """Train until the monitor says stop, or the user interrupts.

    Parameters
    ----------
    run_epoch : callable
        Takes the steps of one epoch, each at its learning rate: `take_steps` of everything else
        it needs, or an `EpochGraph`.
    epoch_loss : EpochLoss
        What they leave behind.
    batches : Batches
        An epoch's samples.
    monitor : EpochMonitor
        Records each epoch and decides whether it was the last.
    """
    try:
        is_last = False
        while not is_last:
            rebalance_threads()
            batches.begin_epoch()
            # torch refuses a factor beyond its type's range; the largest diverges just the same.
            rates = monitor.schedule.rates(len(batches))
            run_epoch([min(rate, epoch_loss.largest) for rate in rates])
            is_last = monitor.epoch_ended(epoch_loss.value(), batches.n_samples)
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    monitor.restore_best()


def take_steps(
    step: Step,
    solver: Solver,
    batches: Batches,
    epoch_loss: "EpochLoss",
    rates: Sequence[float],
) -> None:
    """Take a step per batch, each at its rate; nothing here waits for the device."""
    alpha = epoch_loss.alpha
    places = zip(batches, epoch_loss.logits, epoch_loss.squares, rates, strict=True)
    for batch, logits, square, rate in places:
        # A batch whose weights are all 0 is as if it were not there.
        if batch.weight_sum == 0:
            logits.zero_()
            continue
        if alpha:
            epoch_loss.keep_square(square)
        step.gradient(batch, logits)
        solver.update(rate, alpha / batch.weight_sum)


class EpochLoss:
    """An epoch's loss, from what its steps leave behind: logits, and squared norms of weights.

    The loss is evaluated once, when the epoch has ended, in a few large calls instead of several
    small ones per step, and is the only number that the host waits for.

    Attributes
    ----------
    logits : list of Tensor of shape (n_outputs, size)
        One per batch, for the step to write to.
    squares : list of scalar Tensor
        One per batch, for the squared norm of the weights before the step.
    alpha : float
        The penalty on the weights.
    largest : float
        The largest number of the weights' type.
    """

    def __init__(self, step: Step, batches: Batches, alpha: float) -> None:
        weights, n_outputs = step.flat_weights, step.n_outputs
        sizes, n_samples = batches.sizes, batches.n_samples
        self.largest = torch.finfo(weights.dtype).max
        self.alpha = min(alpha, self.largest)
        self._loss = step.loss
        self._batches = batches
        self._weights = weights
        # A block per batch, so that each is contiguous: a softmax over the columns of a slice
        # takes twice as long.
        all_logits = weights.new_empty(n_samples * n_outputs)
        blocks = all_logits.split([size * n_outputs for size in sizes])
        self.logits = [
            block.view(n_outputs, size) for block, size in zip(blocks, sizes, strict=True)
        ]
        self._squares = weights.new_zeros(len(sizes))
        self.squares = list(self._squares.unbind())
        # The batches of full size make one block for the loss, the last one another.
        n_even = n_samples - n_samples % sizes[0]
        self._parts = [
            (
                all_logits[start * n_outputs : stop * n_outputs].view(-1, n_outputs, size),
                start,
                stop,
            )
            for start, stop, size in ((0, n_even, sizes[0]), (n_even, n_samples, sizes[-1]))
            if start < stop
        ]
        self._targets: Tensor | None = None
        self._targets_in_parts: list[Tensor] = []
        self._sum_dtype = torch.float32 if weights.device.type == "mps" else torch.float64

    def keep_square(self, square: Tensor) -> None:
        """Keep the squared norm of the weights as they are before a step."""
        torch.dot(self._weights, self._weights, out=square)

    def value(self) -> float:
        """Return the epoch's loss: the batches' losses, averaged by their sizes."""
        data_term, squares = self._data_term(), self._squares
        if self.alpha:
            if self._batches.epoch_shares() is not None:
                sizes = squares.new_tensor(self._batches.sizes)
                weight_sums = squares.new_tensor(self._batches.weight_sums)
                squares = torch.where(weight_sums == 0, 0.0, squares * sizes / weight_sums)
            total = squares.sum(dtype=self._sum_dtype)
            data_term = torch.add(data_term, total, alpha=0.5 * self.alpha)
        return data_term.item() / self._batches.n_samples

    def _data_term(self) -> Tensor:
        """Return the sum of the samples' losses, each by its share times its batch's size."""
        shares = self._batches.epoch_shares()
        terms = []
        for (logits, start, stop), targets in zip(self._parts, self._target_parts(), strict=True):
            losses = self._loss.per_sample(logits, targets)
            if shares is not None:
                size = logits.shape[-1]
                losses = losses * shares[start:stop].view(-1, size) * size
            terms.append(losses.sum(dtype=self._sum_dtype))
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]

    def _target_parts(self) -> list[Tensor]:
        """Return the epoch's targets in the shape of the logits' parts."""
        targets = self._batches.epoch_targets()
        # Mostly the same memory in every epoch, and three views take as long as the sum.
        if targets is not self._targets:
            self._targets = targets
            self._targets_in_parts = [
                targets[start:stop].view(-1, logits.shape[-1], targets.shape[1]).mT
                for logits, start, stop in self._parts
            ]
        return self._targets_in_parts
