"""From class codes to values, from outputs to probabilities, and blocks of outputs."""

import copy
from collections.abc import Sequence
from functools import partial
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from sklearn_mlp.losses.base import Loss, Metric
from sklearn_mlp.losses.metrics import accuracy, accuracy_of_columns
from sklearn_mlp.losses.outputs import OUTPUT_ACTIVATIONS


@final
class LabelLoss(Loss):
    """A loss that wants a value for every output, on class codes, or on 0 and 1.

    Parameters
    ----------
    inner : Loss
        Compares outputs with such values.
    is_exclusive : bool
        Whether an output is a class and a sample has one class; else each output is a yes or no.
    n_classes : int
        How many; 2 where each output is a yes or no.
    label_smoothing : float
        The share of a target that is spread over all classes.
    """

    inner: Loss
    is_exclusive: bool
    # The targets of an output whose class it is not, and whose class it is.
    off: float | Tensor
    on: float | Tensor

    def __init__(
        self, inner: Loss, is_exclusive: bool, n_classes: int, label_smoothing: float
    ) -> None:
        self.inner = inner
        self.is_exclusive = is_exclusive
        self.out_activation = inner.out_activation
        self.can_be_captured = inner.can_be_captured
        activation = OUTPUT_ACTIVATIONS[inner.out_activation]
        width = activation.high - activation.low
        self.off = activation.low + width * label_smoothing / n_classes
        self.on = self.off + width * (1 - label_smoothing)

    @classmethod
    def stacked(cls, losses: Sequence["LabelLoss"], like: Tensor) -> "LabelLoss":
        """Return the losses of stacked networks, which differ in smoothing only, as one."""
        stack = copy.copy(losses[0])
        stack.off = like.new_tensor([loss.off for loss in losses]).view(-1, 1, 1)
        stack.on = like.new_tensor([loss.on for loss in losses]).view(-1, 1, 1)
        return stack

    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Return the inner loss's gradient."""
        return self.inner.gradient(logits, self._values(logits, targets), out)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the inner loss of each sample."""
        return self.inner.per_sample(logits, self._values(logits, targets))

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Return probabilities."""
        return _probabilities(logits, self.out_activation, self.is_exclusive, dim)

    def activate(self, logits: Tensor, dim: int) -> Tensor:
        """Return probabilities, for autograd."""
        return _probabilities(logits, self.out_activation, self.is_exclusive, dim)

    @property
    def metric(self) -> Metric:
        """The share of samples whose labels are all right."""
        return accuracy

    def _values(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the targets as what the outputs should be."""
        if self.is_exclusive and isinstance(self.off, float) and isinstance(self.on, float):
            return torch.full_like(logits, self.off).scatter_(-2, targets, self.on)
        if self.is_exclusive:
            targets = torch.zeros_like(logits).scatter_(-2, targets, 1.0)
        return targets * (self.on - self.off) + self.off


def _probabilities(logits: Tensor, out_activation: str, is_exclusive: bool, dim: int) -> Tensor:
    """Return the probabilities that outputs stand for.

    Outputs of exclusive classes are normalised to sum to 1: logistic ones and ``(1 + tanh) / 2``
    by dividing by their sum, unbounded ones by the nearest point of the probability simplex, which
    keeps their order. Single outputs are clipped.
    """
    if out_activation == "tanh":
        # (1 + tanh(x)) / 2 is the logistic function of 2 x.
        logits, out_activation = 2 * logits, "logistic"
    if out_activation == "softmax" or (out_activation == "exp" and is_exclusive):
        return torch.softmax(logits, dim)
    if out_activation == "logistic":
        # In logarithms the sum cannot be 0.
        return (
            torch.softmax(functional.logsigmoid(logits), dim)
            if is_exclusive
            else torch.sigmoid(logits)
        )
    outputs = OUTPUT_ACTIVATIONS[out_activation].function(logits, dim)
    return _nearest_on_simplex(outputs, dim) if is_exclusive else outputs.clamp(0, 1)


def both_classes(loss: Loss, logits: Tensor, *, is_rounded: bool) -> Tensor:
    """Return the probabilities of two classes that a single output tells apart.

    Parameters
    ----------
    loss : Loss
        For the output activation.
    logits : Tensor of shape (n_samples, 1)
        In the type of the result; may be used up.
    is_rounded : bool
        Whether they come from a network with less precision than float64.

    Returns
    -------
    probabilities : Tensor of shape (n_samples, 2)
        Those of the first class and of the second.
    """
    is_symmetric = OUTPUT_ACTIVATIONS[loss.out_activation].is_symmetric
    # Where p is within rounding of 1, 1 - p is 0; the logit knows better. In float64 it has to be
    # scikit-learn's formula, whose rounding is then part of the number.
    opposite = -logits if is_rounded and is_symmetric else None
    second = loss.activate_(logits, dim=1)
    first = 1 - second if opposite is None else loss.activate_(opposite, dim=1)
    return torch.cat([first, second], 1)


def _nearest_on_simplex(values: Tensor, dim: int) -> Tensor:
    """Return the nearest points with coordinates that are not negative and sum to 1.

    Held, Wolfe and Crowder (1974): subtract what makes the positive parts sum to 1.
    """
    falling = values.movedim(dim, -1).sort(-1, descending=True).values
    counts = torch.arange(1, falling.shape[-1] + 1, dtype=values.dtype, device=values.device)
    shifts = (falling.cumsum(-1) - 1) / counts
    # The shift that belongs to the largest number of coordinates that it leaves positive.
    n_positive = (falling > shifts).sum(-1, keepdim=True).clamp_(min=1)
    shift = shifts.gather(-1, n_positive - 1)
    return (values.movedim(dim, -1) - shift).clamp_(min=0).movedim(-1, dim)


@final
class ColumnsLoss(Loss):
    """The sum of a loss per column of labels, each with a block of outputs of its own.

    Parameters
    ----------
    losses : sequence of Loss
        One per column, on class codes.
    sizes : sequence of int
        The outputs of each.
    """

    losses: list[Loss]
    sizes: list[int]

    def __init__(self, losses: Sequence[Loss], sizes: Sequence[int]) -> None:
        self.losses = list(losses)
        self.sizes = list(sizes)
        self.out_activation = self.losses[0].out_activation
        self.can_be_captured = self.losses[0].can_be_captured

    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Return the gradients, block by block."""
        blocks = zip(self.losses, *self._split(logits, targets, out), strict=True)
        for loss, block, codes, out_block in blocks:
            loss.gradient(block, codes, out_block)
        return out

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the sum of the columns' losses."""
        blocks = zip(self.losses, *self._split(logits, targets), strict=True)
        return torch.stack([loss.per_sample(block, codes) for loss, block, codes in blocks]).sum(0)

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Return probabilities, block by block."""
        blocks = zip(self.losses, logits.split(self.sizes, dim), strict=True)
        return torch.cat([loss.activate_(block, dim) for loss, block in blocks], dim)

    def activate(self, logits: Tensor, dim: int) -> Tensor:
        """Return probabilities, block by block, for autograd."""
        blocks = zip(self.losses, logits.split(self.sizes, dim), strict=True)
        return torch.cat([loss.activate(block, dim) for loss, block in blocks], dim)

    @property
    def metric(self) -> Metric:
        """The share of samples whose labels are right in every column."""
        return partial(accuracy_of_columns, sizes=self.sizes)

    def _split(self, logits: Tensor, targets: Tensor, *more: Tensor) -> list[Sequence[Tensor]]:
        """Return each column's logits, its codes, and its part of what else has such a form."""
        return [
            logits.split(self.sizes, -2),
            targets.split(1, -2),
            *(tensor.split(self.sizes, -2) for tensor in more),
        ]
