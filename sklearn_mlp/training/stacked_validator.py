"""Losses and scores of k networks at once, on their validation sets."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sklearn_mlp.data.samples import ValidationData
from sklearn_mlp.losses import Loss
from sklearn_mlp.steps.closed_form import ClosedFormStep
from sklearn_mlp.training.validator import evaluate


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
    is_sparse : bool
        Whether the step takes sparse batches, as all of the sets then have them.
    """

    def __init__(
        self,
        step: ClosedFormStep[Any],
        validations: Sequence[tuple[ValidationData, int]],
        losses: Sequence[Loss],
        *,
        is_sparse: bool,
    ) -> None:
        self._step = step
        self._losses = losses
        self._validations = validations
        inputs = [validation.inputs for validation, _ in validations]
        self._inputs = inputs if is_sparse else [rows.made_dense() for rows in inputs]

    def evaluate(self) -> list[tuple[float, float]]:
        """Return loss and score of each network; NaN for a score that a scorer has to find."""
        logits, first, results = self._logits(), 0, []
        for loss, (validation, count) in zip(self._losses, self._validations, strict=True):
            results += evaluate(logits[first : first + count], validation, loss)
            first += count
        return results

    def _logits(self) -> Tensor:
        """Return the logits, (k, n_outputs, n_samples), on the CPU."""
        layers, chunks = self._step.layers, []
        n_samples, size = len(self._inputs[0]), self._inputs[0].chunk_rows
        for start in range(0, n_samples, size):
            n = min(size, n_samples - start)
            inputs = [part.batch(slice(start, start + n)).t() for part in self._inputs]
            out = layers.new_buffer(layers.n_outputs, n)
            chunks.append(self._step.forward(inputs, n, out).cpu())
        return chunks[0] if len(chunks) == 1 else torch.cat(chunks, 2)
