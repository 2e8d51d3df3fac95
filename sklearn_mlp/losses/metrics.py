"""The scores that early stopping watches, as scikit-learn computes them, without its checks.

`sklearn.metrics` validates its input on every call, which would cost more than an epoch of a
small network. Each takes the predictions of k networks, and returns a score for each.
"""

import torch
from torch import Tensor


def accuracy(predictions: Tensor, targets: Tensor, sample_weight: Tensor | None) -> list[float]:
    """Return the share of samples whose labels are all right.

    Parameters
    ----------
    predictions : Tensor of shape (k, n_samples, n_outputs)
        Probabilities.
    targets : Tensor of shape (n_samples, 1) or (n_samples, n_outputs)
        int64 class codes, or 0 and 1 for each output in a floating type.
    sample_weight : Tensor of shape (n_samples,) or None
        Weights in float64 on the CPU.
    """
    if not targets.is_floating_point():
        is_right = predictions.argmax(-1) == targets[:, 0]
    else:
        is_right = ((predictions > 0.5) == (targets > 0.5)).all(-1)
    return _weighted_mean(is_right, sample_weight)


def accuracy_of_columns(
    predictions: Tensor, targets: Tensor, sample_weight: Tensor | None, *, sizes: list[int]
) -> list[float]:
    """Return the share of samples whose labels are right in every column.

    Parameters
    ----------
    predictions : Tensor of shape (k, n_samples, n_outputs)
        Probabilities, a block of outputs for each column.
    targets : Tensor of shape (n_samples, n_columns)
        int64 class codes.
    sample_weight : Tensor of shape (n_samples,) or None
        Weights in float64 on the CPU.
    sizes : list of int
        How many outputs each block has.
    """
    codes = torch.stack([block.argmax(-1) for block in predictions.split(sizes, -1)], -1)
    return _weighted_mean((codes == targets.to(codes.device)).all(-1), sample_weight)


def _weighted_mean(is_right: Tensor, sample_weight: Tensor | None) -> list[float]:
    """Return the share of what is right, of (k, n_samples)."""
    if sample_weight is None:
        return [count / is_right.shape[-1] for count in is_right.count_nonzero(-1).tolist()]
    means: list[float] = (is_right.cpu().double() @ sample_weight / sample_weight.sum()).tolist()
    return means


def d2_pinball(
    predictions: Tensor,
    targets: Tensor,
    sample_weight: Tensor | None,
    *,
    levels: tuple[float, ...],
) -> list[float]:
    """Return the share of the pinball loss that the predictions explain, averaged over levels.

    What R² is to the squared error: 1 is perfect, 0 as good as the quantiles of the targets, as
    `sklearn.metrics.d2_pinball_score`.

    Parameters
    ----------
    predictions : Tensor of shape (k, n_samples, n_targets * n_levels)
        A target's quantiles next to each other.
    targets : Tensor of shape (n_samples, n_targets)
        In any floating type, on any device.
    sample_weight : Tensor of shape (n_samples,) or None
        Weights in float64 on the CPU.
    levels : tuple of float
        Of the quantiles.
    """
    outputs = predictions.cpu().double().unflatten(-1, (-1, len(levels)))
    values = targets.cpu().double().unsqueeze(2)
    level = torch.tensor(levels, dtype=torch.float64, device="cpu")
    weights = torch.ones(len(values), dtype=torch.float64, device="cpu")
    weights = (weights if sample_weight is None else sample_weight).view(-1, 1, 1)
    best = _quantiles(values[..., 0], weights[:, 0, 0], level)
    loss, least = (
        (torch.maximum(level * above, (level - 1) * above) * weights).sum(-3)
        for above in (values - outputs, values - best)
    )
    return _explained(loss, least, predictions)


def _explained(loss: Tensor, least: Tensor, predictions: Tensor) -> list[float]:
    """Return the mean share of what a constant loses that is gained; NaN where not finite.

    Parameters
    ----------
    loss : Tensor of shape (k, ...)
        What the predictions lose.
    least : Tensor of shape (...)
        What the best constant does.
    predictions : Tensor of shape (k, ...)
        To be finite.
    """
    # A constant target scores 1 if it is met and 0 if not, as in `r2_score(force_finite=True)`.
    constant = (loss == 0).double()
    scores = torch.where(least == 0, constant, 1 - loss / least).flatten(1).mean(1)
    is_finite = predictions.cpu().flatten(1).isfinite().all(1)
    values: list[float] = torch.where(is_finite, scores, torch.nan).tolist()
    return values


def _quantiles(values: Tensor, weights: Tensor, levels: Tensor) -> Tensor:
    """Return weighted quantiles, (n_targets, n_levels), of values (n_samples, n_targets)."""
    ordered, order = values.sort(0)
    shares = weights[order].cumsum(0) / weights.sum()
    places = torch.searchsorted(shares.t().contiguous(), levels.repeat(values.shape[1], 1))
    return ordered.t().gather(1, places.clamp_(max=len(values) - 1))


def r2(predictions: Tensor, targets: Tensor, sample_weight: Tensor | None) -> list[float]:
    """Return the coefficient of determination, averaged over the outputs; NaN if not finite.

    Parameters
    ----------
    predictions : Tensor of shape (k, n_samples, n_outputs)
        In any floating type, on any device.
    targets : Tensor of shape (n_samples, n_outputs)
        In any floating type, on any device.
    sample_weight : Tensor of shape (n_samples,) or None
        Weights in float64 on the CPU.
    """
    outputs, targets = predictions.cpu().double(), targets.cpu().double()
    if sample_weight is None:
        weights = torch.full((len(targets), 1), 1.0, dtype=torch.float64, device="cpu")
    else:
        weights = sample_weight.unsqueeze(1)
    mean = (weights * targets).sum(0) / weights.sum()
    residual = (weights * (targets - outputs).square()).sum(-2)
    total = (weights * (targets - mean).square()).sum(0)
    return _explained(residual, total, outputs)
