"""The scores that early stopping watches, as scikit-learn computes them, without its checks.

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
    return _weighted_mean(is_right, sample_weight)


def accuracy_of_columns(
    predictions: Tensor, targets: Tensor, sample_weight: Tensor | None, *, sizes: list[int]
) -> float:
    """Return the share of samples whose labels are right in every column.

    Parameters
    ----------
    predictions : Tensor of shape (n_samples, n_outputs)
        Probabilities, a block of outputs for each column.
    targets : Tensor of shape (n_samples, n_columns)
        int64 class codes.
    sample_weight : Tensor of shape (n_samples,) or None
        Weights in float64 on the CPU.
    sizes : list of int
        How many outputs each block has.
    """
    codes = torch.stack([block.argmax(1) for block in predictions.split(sizes, 1)], 1)
    return _weighted_mean((codes == targets.to(codes.device)).all(1), sample_weight)


def _weighted_mean(is_right: Tensor, sample_weight: Tensor | None) -> float:
    """Return the share of what is right."""
    if sample_weight is None:
        return is_right.count_nonzero().item() / len(is_right)
    return (sample_weight @ is_right.cpu().double() / sample_weight.sum()).item()


def d2_pinball(
    predictions: Tensor,
    targets: Tensor,
    sample_weight: Tensor | None,
    *,
    levels: tuple[float, ...],
) -> float:
    """Return the share of the pinball loss that the predictions explain, averaged over levels.

    What R² is to the squared error: 1 is perfect, 0 as good as the quantiles of the targets, as
    `sklearn.metrics.d2_pinball_score`.

    Parameters
    ----------
    predictions : Tensor of shape (n_samples, n_targets * n_levels)
        A target's quantiles next to each other.
    targets : Tensor of shape (n_samples, n_targets)
        In any floating type, on any device.
    sample_weight : Tensor of shape (n_samples,) or None
        Weights in float64 on the CPU.
    levels : tuple of float
        Of the quantiles.
    """
    outputs = predictions.cpu().double().unflatten(1, (-1, len(levels)))
    if not torch.isfinite(outputs).all():
        return math.nan
    values = targets.cpu().double().unsqueeze(2)
    level = torch.tensor(levels, dtype=torch.float64)
    weights = torch.ones(len(values), dtype=torch.float64)
    weights = (weights if sample_weight is None else sample_weight).view(-1, 1, 1)
    best = _quantiles(values[..., 0], weights[:, 0, 0], level)
    loss, least = (
        (torch.maximum(level * above, (level - 1) * above) * weights).sum(0)
        for above in (values - outputs, values - best)
    )
    constant = (loss == 0).double()
    return torch.where(least == 0, constant, 1 - loss / least).mean().item()


def _quantiles(values: Tensor, weights: Tensor, levels: Tensor) -> Tensor:
    """Return weighted quantiles, (n_targets, n_levels), of values (n_samples, n_targets)."""
    ordered, order = values.sort(0)
    shares = weights[order].cumsum(0) / weights.sum()
    places = torch.searchsorted(shares.t().contiguous(), levels.repeat(values.shape[1], 1))
    return ordered.t().gather(1, places.clamp_(max=len(values) - 1))


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
