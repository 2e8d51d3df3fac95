"""Losses of numbers, fused with their output activation or with outputs of their own."""

from functools import lru_cache, partial
from typing import Any, final

import torch
from torch import Tensor

from sklearn_mlp.losses.base import Loss, Metric
from sklearn_mlp.losses.metrics import d2_pinball
from sklearn_mlp.losses.outputs import OUTPUT_ACTIVATIONS
from sklearn_mlp.machine.kernels import inference_mode

# What a variance is never below, as in torch.nn.GaussianNLLLoss: the logarithm stays finite.
LEAST_VARIANCE = 1e-6


@final
class SquaredError(Loss):
    """Half the squared error, its value averaged over the outputs.

    The gradient is that of the sum over the outputs, as scikit-learn has it: with m outputs, m
    times the gradient of the value. For one output the two agree.
    """

    out_activation = "identity"
    squares_targets = True

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


@final
class Gamma(Loss):
    """Half the gamma deviance with a log link."""

    out_activation = "exp"

    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Return ``1 - targets * exp(-logits)``."""
        return torch.neg(logits, out=out).exp_().mul_(targets).neg_().add_(1)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return half the deviance of each sample, summed over the outputs."""
        log_ratio = logits - targets.log()
        return torch.exp(-log_ratio).add_(log_ratio).sub_(1).sum(-2)

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Apply the exponential function."""
        return torch.exp_(logits)


@final
class Quantiles(Loss):
    """The pinball loss at one level or at several, summed over levels and targets.

    The network has an output for every level of every target; a target's outputs, in rising order,
    are its quantiles, which therefore never cross: the rearrangement of Chernozhukov,
    Fernández-Val and Galichon (2010), "Quantile and probability curves without crossing", which is
    never worse than the outputs as they come. Unlike increments that are made positive it does not
    depend on the unit of the targets.

    Parameters
    ----------
    levels : tuple of float
        Rising, between 0 and 1.
    out_activation : str
        Any that works on each output by itself: all of these rise.
    is_several : bool
        Whether predictions get an axis for the levels.
    """

    levels: tuple[float, ...]
    is_several: bool

    def __init__(self, levels: tuple[float, ...], out_activation: str, is_several: bool) -> None:
        self.levels = levels
        self.out_activation = out_activation
        self.is_several = is_several

    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Return the loss's slope, brought back to the outputs' own order."""
        ordered, order = self._by_target(logits).sort(-2)
        activation = OUTPUT_ACTIVATIONS[self.out_activation]
        outputs = activation.function(ordered, -2)
        # Below the target the slope is -level, above it 1 - level.
        slope = (outputs >= targets.unsqueeze(-2)).to(outputs.dtype).sub_(self._column(outputs))
        by_target = torch.empty_like(ordered).scatter_(
            -2, order, activation.backward(slope, outputs)
        )
        return out.copy_(by_target.flatten(-3, -2))

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the pinball losses of each sample, summed."""
        outputs = OUTPUT_ACTIVATIONS[self.out_activation].function(
            self._by_target(logits).sort(-2).values, -2
        )
        above, levels = targets.unsqueeze(-2) - outputs, self._column(outputs)
        return torch.maximum(levels * above, (levels - 1) * above).sum((-3, -2))

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Return each target's quantiles, rising."""
        dim %= logits.ndim
        by_target = logits.unflatten(dim, (-1, len(self.levels))).sort(dim + 1).values
        outputs = by_target.flatten(dim, dim + 1)
        return OUTPUT_ACTIVATIONS[self.out_activation].function(outputs, dim)

    def activate(self, logits: Tensor, dim: int) -> Tensor:
        """Return each target's quantiles, rising, for autograd."""
        return self.activate_(logits, dim)

    def count_logits(self, n_targets: int) -> int:
        """Return the number of targets times that of levels."""
        return n_targets * len(self.levels)

    def predictions(self, outputs: Any) -> Any:
        """Return the quantiles, with an axis for the levels if there may be several."""
        if not self.is_several:
            return outputs
        return outputs.reshape(*outputs.shape[:-1], -1, len(self.levels))

    @property
    def metric(self) -> Metric:
        """The share of the pinball loss that is explained, averaged over the levels."""
        return partial(d2_pinball, levels=self.levels)

    def _by_target(self, logits: Tensor) -> Tensor:
        """Return the logits as (..., n_targets, n_levels, n_samples)."""
        return logits.unflatten(-2, (-1, len(self.levels)))

    def _column(self, like: Tensor) -> Tensor:
        """Return the levels as (n_levels, 1)."""
        return _column_of(self.levels, like.dtype, like.device)


@final
class GaussianNLL(Loss):
    """The negative log-likelihood of a normal distribution, without its constant.

    Nix and Weigend (1994), "Estimating the mean and variance of the target probability
    distribution". The first half of the outputs are the means, the second the logarithms of the
    variances, to which `LEAST_VARIANCE` comes.
    """

    out_activation = "identity"
    squares_targets = True

    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Return the derivatives with respect to means and log-variances."""
        mean, log_variance = logits.chunk(2, -2)
        of_mean, of_log_variance = out.chunk(2, -2)
        variance = log_variance.exp()
        precision = (variance + LEAST_VARIANCE).reciprocal_()
        torch.sub(mean, targets, out=of_mean)
        relative = of_mean.square().mul_(precision)
        of_mean.mul_(precision)
        torch.sub(1, relative, out=of_log_variance).mul_(variance).mul_(precision).mul_(0.5)
        return out

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return half the log-variance and the squared error over the variance, summed."""
        mean, log_variance = logits.chunk(2, -2)
        variance = log_variance.exp() + LEAST_VARIANCE
        error = (mean - targets).square_().div_(variance)
        return variance.log_().add_(error).sum(-2).mul_(0.5)

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Turn the log-variances into standard deviations."""
        logits.chunk(2, dim)[1].exp_().add_(LEAST_VARIANCE).sqrt_()
        return logits

    def activate(self, logits: Tensor, dim: int) -> Tensor:
        """Turn the log-variances into standard deviations, for autograd."""
        mean, log_variance = logits.chunk(2, dim)
        return torch.cat([mean, (log_variance.exp() + LEAST_VARIANCE).sqrt()], dim)

    def count_logits(self, n_targets: int) -> int:
        """Return two outputs for every target."""
        return 2 * n_targets

    def predictions(self, outputs: Any) -> Any:
        """Return the means."""
        return outputs[..., : outputs.shape[-1] // 2]

    def deviations(self, outputs: Any) -> Any:
        """Return the standard deviations, (n_samples, n_targets)."""
        return outputs[..., outputs.shape[-1] // 2 :]


@lru_cache(maxsize=64)
def _column_of(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return numbers as a column on a device, made once: a copy there would be waited for."""
    with inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device).unsqueeze(1)
