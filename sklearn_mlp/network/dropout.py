"""Dropout from a generator of its own: every engine draws the same masks from the same seed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn


class MaskSource:
    """Draws a network's dropout masks, in the order of its layers.

    Attributes
    ----------
    generator : torch.Generator or None
        On the device of the masks, while a fit lasts; None is torch's global generator, which
        serves a network that is taken out of its estimator.
    columns : (int, slice or Tensor) or None
        Where the samples are a part of a batch, whose whole mask is drawn: the batch's size, and
        which of its samples they are.
    """

    def __init__(self) -> None:
        self.generator: torch.Generator | None = None
        self.columns: tuple[int, slice | Tensor] | None = None

    def fill(self, mask: Tensor, rate: float) -> Tensor:
        """Fill a mask, feature-major (units, n_samples): 0 at a rate, else ``1 / (1 - rate)``."""
        if self.columns is not None:
            size, columns = self.columns
            whole = mask.new_empty((mask.shape[0], size))
            whole.bernoulli_(1 - rate, generator=self.generator)
            return mask.copy_(whole[:, columns]).div_(1 - rate)
        return mask.bernoulli_(1 - rate, generator=self.generator).div_(1 - rate)

    @contextmanager
    def seeded(self, seed: int, device: torch.device) -> Iterator[None]:
        """Draw from a generator of our own within the body."""
        try:
            self.generator = torch.Generator(device).manual_seed(seed)
            yield
        finally:
            # A generator cannot be copied or pickled.
            self.generator = None


class StackedMasks(MaskSource):
    """The masks of stacked networks, each drawn from its own generator, as it would be alone.

    Parameters
    ----------
    generators : sequence of torch.Generator or None
        One per network; None where it drops nothing.
    """

    def __init__(self, generators: Sequence[torch.Generator | None]) -> None:
        super().__init__()
        self._generators = generators

    def fill(self, mask: Tensor, rate: Any) -> Tensor:
        """Fill masks (k, units, n_samples); ``rate`` is a tuple of a rate per network."""
        for one, one_rate, generator in zip(mask, rate, self._generators, strict=True):
            if one_rate:
                one.bernoulli_(1 - one_rate, generator=generator).div_(1 - one_rate)
            else:
                one.fill_(1)
        return mask


class Dropout(nn.Module):
    """Sets each value to 0 at a rate in training and scales the others up; does nothing else.

    As `torch.nn.Dropout`, but for where its random numbers come from (Srivastava et al., 2014).

    Parameters
    ----------
    rate : float
        The share of values to drop, in [0, 1).
    source : MaskSource
        Of the network.
    """

    def __init__(self, rate: float, source: MaskSource) -> None:
        super().__init__()
        self.rate = rate
        self.source = source

    def forward(self, inputs: Tensor) -> Tensor:
        """Drop values of (n_samples, units)."""
        if not self.training or not self.rate:
            return inputs
        # Drawn feature-major, as the closed form does.
        mask = inputs.new_empty(inputs.shape[::-1])
        return inputs * self.source.fill(mask, self.rate).t()

    def extra_repr(self) -> str:
        """Name the rate in the printed form."""
        return f"rate={self.rate}"


def dropout_per_layer(dropout: float | Sequence[float], n_hidden: int) -> tuple[float, ...]:
    """Return the rate of each hidden layer.

    Raises
    ------
    ValueError
        If a list has another length, or an entry is no rate.
    """
    if not isinstance(dropout, Sequence):
        return (float(dropout),) * n_hidden
    for index, rate in enumerate(dropout):
        if not isinstance(rate, Real) or not 0 <= rate < 1:
            raise ValueError(
                f"dropout[{index}] must be a float in the range [0.0, 1.0). Got {rate!r} instead."
            )
    if len(dropout) != n_hidden:
        raise ValueError(
            f"dropout has {len(dropout)} entries, but hidden_layer_sizes has {n_hidden}; give one "
            "rate per hidden layer, or one for all of them."
        )
    return tuple(float(rate) for rate in dropout)
