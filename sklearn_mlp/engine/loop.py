"""The epochs of a first-order solver: batches, steps, the loss of an epoch."""

import warnings

import torch
from torch import Tensor

from sklearn_mlp.engine.batches import Batches
from sklearn_mlp.engine.solvers import Solver
from sklearn_mlp.engine.step import ClosedFormStep
from sklearn_mlp.monitor import EpochMonitor
from sklearn_mlp.threads import rebalance_threads


def run_epochs(
    step: ClosedFormStep, solver: Solver, batches: Batches, monitor: EpochMonitor
) -> None:
    """Train until the monitor says stop, or the user interrupts.

    Parameters
    ----------
    step : ClosedFormStep
        Computes a batch's gradient.
    solver : Solver
        Applies it.
    batches : Batches
        An epoch's samples.
    monitor : EpochMonitor
        Records each epoch and decides whether it was the last.
    """
    epoch_loss = EpochLoss(step, batches)
    try:
        is_last = False
        while not is_last:
            rebalance_threads()
            run_epoch(step, solver, batches, epoch_loss, monitor.state.learning_rate)
            is_last = monitor.epoch_ended(epoch_loss.value(), batches.n_samples)
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    monitor.restore_best()


def run_epoch(
    step: ClosedFormStep,
    solver: Solver,
    batches: Batches,
    epoch_loss: "EpochLoss",
    learning_rate: float,
) -> None:
    """Take a step per batch; nothing here waits for the device."""
    batches.begin_epoch()
    for batch, logits, square in zip(batches, epoch_loss.logits, epoch_loss.squares, strict=True):
        # A batch whose weights are all 0 is as if it were not there.
        if batch.weight_sum == 0:
            logits.zero_()
            continue
        epoch_loss.keep_penalty(square)
        step.gradient(batch, logits)
        solver.update(learning_rate)


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
    """

    def __init__(self, step: ClosedFormStep, batches: Batches) -> None:
        weights = step.layers.flat_weights
        n_outputs = step.layers.n_outputs
        sizes = batches.sizes
        self._loss = step.loss
        self._alpha = step.alpha
        self._batches = batches
        self._weights = weights
        self._n_outputs = n_outputs
        self._sizes = torch.tensor(sizes)
        # A block per batch, so that each is contiguous: a softmax over the columns of a slice
        # takes twice as long.
        self._all_logits = weights.new_empty(batches.n_samples * n_outputs)
        blocks = self._all_logits.split([size * n_outputs for size in sizes])
        self.logits = [
            block.view(n_outputs, size) for block, size in zip(blocks, sizes, strict=True)
        ]
        self._all_squares = weights.new_zeros(len(batches))
        self.squares = list(self._all_squares.unbind())

    def keep_penalty(self, square: Tensor) -> None:
        """Keep the squared norm of the weights as they are before a step."""
        if self._alpha:
            torch.dot(self._weights, self._weights, out=square)

    def value(self) -> float:
        """Return the epoch's loss: the batches' losses, averaged by their sizes."""
        losses, squares = self._per_sample(), self._all_squares
        shares = self._batches.epoch_shares()
        if shares is not None:
            sizes = self._sizes.to(losses.device)
            weight_sums = squares.new_tensor(self._batches.weight_sums)
            losses = losses * shares * sizes.repeat_interleave(sizes)
            squares = torch.where(weight_sums == 0, 0.0, squares * sizes / weight_sums)
        total = losses.sum(dtype=_accumulator(losses)).item()
        if self._alpha:
            total += 0.5 * self._alpha * squares.sum(dtype=_accumulator(squares)).item()
        return total / self._batches.n_samples

    def _per_sample(self) -> Tensor:
        """Return each sample's loss in the epoch's order, (n_samples,)."""
        n_samples, sizes = self._batches.n_samples, self._batches.sizes
        n_even = n_samples - n_samples % sizes[0]
        parts = []
        for start, stop, size in ((0, n_even, sizes[0]), (n_even, n_samples, sizes[-1])):
            if start == stop:
                continue
            logits = self._all_logits[start * self._n_outputs : stop * self._n_outputs]
            targets = self._batches.epoch_targets()[start:stop].unflatten(0, (-1, size))
            blocks = logits.view(-1, self._n_outputs, size)
            targets = targets if targets.ndim == 2 else targets.mT
            parts.append(self._loss.per_sample(blocks, targets).view(-1))
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def _accumulator(values: Tensor) -> torch.dtype:
    """Return the type to sum in: float64 where the device has it."""
    return torch.float32 if values.device.type == "mps" else torch.float64
