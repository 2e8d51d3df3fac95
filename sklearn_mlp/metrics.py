"""The two scores that early stopping watches, as scikit-learn computes them, without its checks.

`sklearn.metrics` validates its input on every call, which would cost more than an epoch of a
small network.
"""

import math

import torch
from torch import Tensor


def accuracy(predictions: Tensor, targets: Tensor, sample_weight: Tensor | None) -> float:
    """Return the share of samples whose labels are all right.

    Parameters
    ----------
    predictions : Tensor of shape (n_samples, n_outputs)
        Probabilities.
    targets : Tensor of shape (n_samples, 1) or (n_samples, n_outputs)
        int64 class codes, or 0 and 1 for each output in a floating type.
    sample_weight : Tensor of shape (n_samples,) or None
        Weights in float64 on the CPU.
    """
    if not targets.is_floating_point():
        is_right = predictions.argmax(1) == targets[:, 0]
    else:
        is_right = ((predictions > 0.5) == (targets > 0.5)).all(1)
    if sample_weight is None:
        return is_right.count_nonzero().item() / len(is_right)
    return (sample_weight @ is_right.cpu().double() / sample_weight.sum()).item()


def r2(predictions: Tensor, targets: Tensor, sample_weight: Tensor | None) -> float:
    """Return the coefficient of determination, averaged over the outputs; NaN if not finite.

    Parameters
    ----------
    predictions, targets : Tensor of shape (n_samples, n_outputs)
        In any floating type, on any device.
    sample_weight : Tensor of shape (n_samples,) or None
        Weights in float64 on the CPU.
    """
    predictions, targets = predictions.cpu().double(), targets.cpu().double()
    if not math.isfinite(predictions.sum()) and not torch.isfinite(predictions).all():
        return math.nan
    if sample_weight is None:
        weights = torch.full((len(targets), 1), 1.0, dtype=torch.float64)
    else:
        weights = sample_weight.unsqueeze(1)
    mean = (weights * targets).sum(0) / weights.sum()
    residual = (weights * (targets - predictions).square()).sum(0)
    total = (weights * (targets - mean).square()).sum(0)
    # A constant target scores 1 if it is met and 0 if not, as in `r2_score(force_finite=True)`.
    constant = (residual == 0).double()
    return torch.where(total == 0, constant, 1 - residual / total).mean().item()
