"""The log losses and the focal losses, fused with the softmax or the logistic function."""

import math
from functools import lru_cache
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from sklearn_mlp.losses.base import Loss, Metric
from sklearn_mlp.losses.metrics import accuracy
from sklearn_mlp.machine.kernels import inference_mode

# scikit-learn clips probabilities to [eps, 1 - eps] of float64 before it takes their logarithm.
_EPSILON = torch.finfo(torch.float64).eps
_LARGEST_LOG_LOSS = -math.log(_EPSILON)


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

    @property
    def metric(self) -> Metric:
        """The share of samples whose labels are all right."""
        return accuracy


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
        positive = functional.softplus(-logits).clamp_(max=_LARGEST_LOG_LOSS)
        negative = functional.softplus(logits).clamp_(max=_LARGEST_LOG_LOSS)
        return torch.lerp(negative, positive, targets).sum(-2)

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Apply the logistic function."""
        return torch.sigmoid_(logits)

    @property
    def metric(self) -> Metric:
        """The share of samples whose labels are all right."""
        return accuracy


@final
class SoftTargetLogLoss(Loss):
    """Cross-entropy of a softmax with a target probability for every class."""

    out_activation = "softmax"

    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Return ``softmax(logits) - targets``; the targets sum to 1."""
        return torch.softmax(logits, -2, out=out).sub_(targets)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the log-probabilities, weighted by the targets."""
        return torch.log_softmax(logits, -2).mul_(targets).sum(-2).neg_()

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Apply the softmax over the classes."""
        return torch.softmax(logits, dim, out=logits)


@final
class SoftmaxFocal(Loss):
    """The log loss with easy samples weighted down, over a softmax.

    ``-sum(targets * (1 - p) ** gamma * log(p))``: Lin et al. (2017), "Focal loss for dense object
    detection". With ``gamma=0`` the log loss.
    """

    out_activation = "softmax"
    gamma: float

    def __init__(self, gamma: float) -> None:
        self.gamma = float(gamma)

    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Return the derivative by way of ``p * d/dp`` of each class's term."""
        log_p = torch.log_softmax(logits, -2)
        p = log_p.exp()
        # A negative power of 0 would be infinite, and its product with log(1) NaN.
        rest = (1 - p).clamp_(min=torch.finfo(p.dtype).tiny)
        term = self.gamma * p * log_p * rest.pow(self.gamma - 1) - rest.pow(self.gamma)
        term.mul_(targets)
        return out.copy_(term).sub_(p.mul_(term.sum(-2, keepdim=True)))

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the terms' sum over the classes."""
        log_p = torch.log_softmax(logits, -2)
        return (1 - log_p.exp()).pow_(self.gamma).mul_(log_p).mul_(targets).sum(-2).neg_()

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Apply the softmax over the classes."""
        return torch.softmax(logits, dim, out=logits)


@final
class LogisticFocal(Loss):
    """The log loss with easy samples weighted down, over independent logistic outputs."""

    out_activation = "logistic"

    gamma: float

    def __init__(self, gamma: float) -> None:
        self.gamma = float(gamma)

    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Return the derivatives of the terms for yes and for no."""
        p, q = torch.sigmoid(logits), torch.sigmoid(-logits)
        log_p, log_q = functional.logsigmoid(logits), functional.logsigmoid(-logits)
        yes = q.pow(self.gamma) * (self.gamma * p * log_p - q)
        no = p.pow(self.gamma) * (p - self.gamma * q * log_q)
        return torch.lerp(no, yes, targets, out=out)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the terms' sum over the outputs."""
        yes = torch.sigmoid(-logits).pow_(self.gamma) * functional.logsigmoid(logits)
        no = torch.sigmoid(logits).pow_(self.gamma) * functional.logsigmoid(-logits)
        return torch.lerp(no, yes, targets).sum(-2).neg_()

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Apply the logistic function."""
        return torch.sigmoid_(logits)


@lru_cache(maxsize=64)
def _constant(value: float, shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a tensor of one value, stored once."""
    with inference_mode(False):
        return torch.full((), value, dtype=dtype, device=device).expand(shape)


def _minus_ones(shape: torch.Size, like: Tensor) -> Tensor:
    """Return -1 in a shape, in the type and on the device of ``like``."""
    return _constant(-1.0, shape, like.dtype, like.device)
