"""The losses: their values per sample, and their gradients with respect to the logits.

A loss knows the output activation that it goes with. Logits are feature-major,
``(..., n_outputs, n_samples)``, as the engine keeps them; targets are class codes,
``(..., 1, n_samples)``, for `MulticlassLogLoss`, and values, ``(..., n_outputs, n_samples)``, for
the rest. Leading dimensions, where there are any, count blocks of samples or stacked networks.

The values are scikit-learn's (`sklearn.neural_network`, version 1.9), its clipping included, so
that ``loss_curve_`` can be compared number by number.
"""

import math
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import ClassVar, final

import torch
from torch import Tensor

# scikit-learn clips probabilities to [eps, 1 - eps] of float64 before it takes their logarithm.
_EPSILON = torch.finfo(torch.float64).eps
_LARGEST_LOG_LOSS = -math.log(_EPSILON)


class Loss(ABC):
    """A loss together with its output activation."""

    out_activation: ClassVar[str]

    @abstractmethod
    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Write each sample's gradient with respect to its logits into ``out``, same shape."""

    @abstractmethod
    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return each sample's loss, ``(..., n_samples)``."""

    @abstractmethod
    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Apply the output activation in place; ``dim`` counts the outputs."""


@final
class MulticlassLogLoss(Loss):
    """Cross-entropy of a softmax over the classes."""

    out_activation = "softmax"

    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Return ``softmax(logits) - one_hot(targets)``."""
        torch.softmax(logits, -2, out=out)
        # Scattering -1 takes as long as subtracting a one-hot matrix, which need not be made.
        return out.scatter_add_(-2, targets, _minus_ones(targets.shape, out))

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the negative log-probability of each sample's class."""
        log_probability = torch.log_softmax(logits, -2)
        picked = log_probability.gather(-2, targets).squeeze(-2)
        return picked.neg_().clamp_(-math.log1p(-_EPSILON), _LARGEST_LOG_LOSS)

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Apply the softmax over the classes."""
        return torch.softmax(logits, dim, out=logits)


@final
class BinaryLogLoss(Loss):
    """Cross-entropy of independent logistic outputs: two classes, or many labels at once."""

    out_activation = "logistic"

    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Return ``sigmoid(logits) - targets``."""
        return torch.sigmoid(logits, out=out).sub_(targets)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the negative log-likelihood of each sample's labels, summed over the labels."""
        if logits.dtype == torch.float64:
            # scikit-learn's own formula: where a probability is within rounding of 1, the
            # rounding of 1 - p decides the value, and it has to be the same rounding.
            probability = torch.sigmoid(logits).clamp_(_EPSILON, 1 - _EPSILON)
            positive = torch.special.xlogy(targets, probability)
            return positive.add_(torch.special.xlogy(1 - targets, 1 - probability)).sum(-2).neg_()
        # In float32 that rounding would swamp the value; the logits keep it.
        positive = torch.nn.functional.softplus(-logits).clamp_(max=_LARGEST_LOG_LOSS)
        negative = torch.nn.functional.softplus(logits).clamp_(max=_LARGEST_LOG_LOSS)
        return torch.lerp(negative, positive, targets).sum(-2)

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Apply the logistic function."""
        return torch.sigmoid_(logits)


@final
class SquaredError(Loss):
    """Half the squared error, its value averaged over the outputs.

    The gradient is that of the sum over the outputs, as scikit-learn has it: with m outputs, m
    times the gradient of the value. For one output the two agree.
    """

    out_activation = "identity"

    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Return ``logits - targets``."""
        return torch.sub(logits, targets, out=out)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return half the squared error of each sample, averaged over the outputs."""
        return (logits - targets).square_().mean(-2).mul_(0.5)

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Leave the logits as they are."""
        return logits


@final
class Poisson(Loss):
    """Half the Poisson deviance with a log link."""

    out_activation = "exp"

    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Return ``exp(logits) - targets``."""
        return torch.exp(logits, out=out).sub_(targets)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return half the deviance of each sample, summed over the outputs."""
        prediction = torch.exp(logits)
        ratio = torch.special.xlogy(targets, targets / prediction)
        return ratio.sub_(targets).add_(prediction).sum(-2)

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Apply the exponential function."""
        return torch.exp_(logits)


@lru_cache(maxsize=64)
def _constant(value: float, shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a tensor of one value, stored once."""
    with torch.inference_mode(False):
        return torch.full((), value, dtype=dtype, device=device).expand(shape)


def _minus_ones(shape: torch.Size, like: Tensor) -> Tensor:
    """Return -1 in a shape, in the type and on the device of ``like``."""
    return _constant(-1.0, shape, like.dtype, like.device)
