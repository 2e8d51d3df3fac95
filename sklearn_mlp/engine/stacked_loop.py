"""The epochs of k networks at once: steps, losses, validation scores."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sklearn_mlp import metrics
from sklearn_mlp.engine.stacked_batches import StackedBatches
from sklearn_mlp.engine.stacked_solvers import StackedSolver
from sklearn_mlp.engine.step import ClosedFormStep
from sklearn_mlp.losses import Loss
from sklearn_mlp.prediction import chunk_rows, widened
from sklearn_mlp.training_data import ValidationData


def take_stacked_steps(
    step: ClosedFormStep,
    solver: StackedSolver,
    batches: StackedBatches,
    epoch_loss: "StackedEpochLoss",
    rates: Sequence[tuple[float, ...]],
) -> None:
    """Take a step per batch, all networks at once, each at its rate; nothing waits here."""
    penalties = epoch_loss.penalties()
    places = zip(batches, epoch_loss.logits, epoch_loss.squares, penalties, rates, strict=True)
    for batch, logits, squares, penalty, step_rates in places:
        # A batch whose weights are all 0 is as if it were not there.
        if batch.weight_sum == 0:
            logits.zero_()
            continue
        if penalty is not None:
            epoch_loss.keep_squares(squares)
        step.gradient(batch, logits)
        solver.update(step_rates, penalty)


class StackedEpochLoss:
    """The losses of an epoch, one per network; see `sklearn_mlp.engine.loop.EpochLoss`.

    Parameters
    ----------
    step : ClosedFormStep
        Whose logits these are.
    batches : StackedBatches
        The samples.
    alphas : sequence of float
        The penalties, one per network.
    losses : sequence of Loss
        Those of each stream's networks.

    Attributes
    ----------
    logits : list of Tensor of shape (k, n_outputs, size)
        One per batch, for the step to write to.
    squares : list of Tensor of shape (k,)
        One per batch, for the squared norms of the weights before the step.
    alphas : Tensor of shape (k, 1, 1) or None
        The penalties on the weights, if there are any.
    largest : float
        The largest number of the weights' type.
    """

    def __init__(
        self,
        step: ClosedFormStep,
        batches: StackedBatches,
        alphas: Sequence[float],
        losses: Sequence[Loss],
    ) -> None:
        like, n_outputs, k = step.layers.flat_weights, step.layers.n_outputs, len(alphas)
        self._losses = losses
        self._batches = batches
        self._weights = [weight.view(k, -1) for weight in step.layers.weights]
        sizes, n_samples = batches.sizes, batches.n_samples
        self.largest = torch.finfo(like.dtype).max
        self.alphas: Tensor | None = None
        if any(alphas):
            clipped = [min(alpha, self.largest) for alpha in alphas]
            self.alphas = like.new_tensor(clipped).view(-1, 1, 1)
        all_logits = like.new_empty(n_samples * n_outputs * k)
        blocks = all_logits.split([size * n_outputs * k for size in sizes])
        self.logits = [
            block.view(k, n_outputs, size) for block, size in zip(blocks, sizes, strict=True)
        ]
        self._squares = like.new_zeros((len(sizes), k))
        self.squares = list(self._squares.unbind())
        # The batches of full size make one block for the loss, the last one another.
        n_even, width = n_samples - n_samples % sizes[0], n_outputs * k
        self._parts = [
            (all_logits[start * width : stop * width].view(-1, k, n_outputs, size), start, stop)
            for start, stop, size in ((0, n_even, sizes[0]), (n_even, n_samples, sizes[-1]))
            if start < stop
        ]
        self._sum_dtype = torch.float32 if like.device.type == "mps" else torch.float64

    def penalties(self) -> Sequence[Tensor | None]:
        """Return for each batch the factors of the weights in the gradient, (k, 1, 1)."""
        if self.alphas is None:
            return [None] * len(self.squares)
        return (
            (self.alphas.view(-1) / self._weight_sums()).view(len(self.squares), -1, 1, 1).unbind()
        )

    def _weight_sums(self) -> Tensor:
        """Return the sums of weights, (n_batches, k)."""
        return self._squares.new_tensor(self._batches.weight_sums)

    def keep_squares(self, squares: Tensor) -> None:
        """Keep the squared norms of the weights as they are before a step."""
        norms = [torch.linalg.vector_norm(weight, dim=1) for weight in self._weights]
        torch.sum(torch.stack(norms).square_(), 0, out=squares)

    def values(self) -> list[float]:
        """Return the epoch's losses: the batches' losses, averaged by their sizes."""
        totals = self._data_terms()
        if self.alphas is not None:
            sizes = self._squares.new_tensor(self._batches.sizes).unsqueeze(1)
            weight_sums = self._weight_sums()
            factors = torch.where(weight_sums == 0, 0.0, sizes / weight_sums)
            penalties = (self._squares * factors).sum(0, dtype=self._sum_dtype)
            totals += penalties.mul_(self.alphas.view(-1)).mul_(0.5)
        values: list[float] = totals.div_(self._batches.n_samples).tolist()
        return values

    def _data_terms(self) -> Tensor:
        """Return the sums of the samples' losses, each by its share times its batch's size."""
        totals = self._squares.new_zeros(self._squares.shape[1], dtype=self._sum_dtype)
        for logits, start, stop in self._parts:
            size, first = logits.shape[-1], 0
            streams = self._batches.epoch_parts(start, stop, size)
            for loss, (count, targets, shares) in zip(self._losses, streams, strict=True):
                rows = slice(first, first + count)
                losses = loss.per_sample(logits[:, rows], targets)
                if shares is not None:
                    losses = losses * shares * size
                totals[rows] += losses.sum((0, 2), dtype=self._sum_dtype)
                first += count
        return totals


class StackedValidator:
    """Evaluates k networks on the validation sets of their streams.

    Parameters
    ----------
    step : ClosedFormStep
        Runs the networks forward, without dropout.
    validations : sequence of (ValidationData, int)
        A validation set, all of one size, and how many neighbours share it, for each stream.
    losses : sequence of Loss
        Those of each stream's networks.
    """

    def __init__(
        self,
        step: ClosedFormStep,
        validations: Sequence[tuple[ValidationData, int]],
        losses: Sequence[Loss],
    ) -> None:
        self._step = step
        self._losses = losses
        self._validations = validations
        self._inputs: list[Any] = [validation.inputs for validation, _ in validations]

    def evaluate(self) -> list[tuple[float, float]]:
        """Return loss and score of each network; NaN for a score that a scorer has to find."""
        logits, first, results = self._logits(), 0, []
        for loss, (validation, count) in zip(self._losses, self._validations, strict=True):
            results += self._evaluate(loss, logits[first : first + count], validation)
            first += count
        return results

    def _logits(self) -> Tensor:
        """Return the logits, (k, n_outputs, n_samples), on the CPU."""
        layers, chunks = self._step.layers, []
        device = layers.flat_weights.device
        size = chunk_rows(self._inputs[0], device)
        for start in range(0, len(self._inputs[0]), size):
            inputs = [part[start : start + size].to(device).t() for part in self._inputs]
            n = inputs[0].shape[1]
            out = layers.new_buffer(layers.n_outputs, n)
            chunks.append(self._step.forward(inputs, n, out).cpu())
        return chunks[0] if len(chunks) == 1 else torch.cat(chunks, 2)

    def _evaluate(
        self, loss: Loss, logits: Tensor, data: ValidationData
    ) -> list[tuple[float, float]]:
        """Evaluate networks that share a validation set; ``logits`` may change."""
        targets, weights = data.targets, data.sample_weight
        k = len(logits)
        losses = loss.per_sample(logits, targets.t().expand(k, -1, -1)).double()
        means = losses.mean(1) if weights is None else (losses @ weights) / weights.sum()
        values: list[float] = means.tolist()
        if data.rescore is not None:
            return [(value, math.nan) for value in values]
        if data.score is None:
            return [(value, -value) for value in values]
        predictions = loss.activate_(widened(logits, data.output_dtype), dim=-2)
        is_codes = not targets.is_floating_point()
        if data.score is metrics.accuracy and weights is None and is_codes:
            counts = (predictions.argmax(1) == targets[:, 0]).count_nonzero(1).tolist()
            scores = [count / len(targets) for count in counts]
        else:
            scores = [data.score(one.t(), targets, weights) for one in predictions]
        return list(zip(values, scores, strict=True))
