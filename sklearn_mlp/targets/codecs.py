"""From labels and numbers to the tensors that the losses compare with, and back."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


class TargetCodec(ABC):
    """The two forms of a fit's targets: the user's, and the network's."""

    @property
    def is_coded(self) -> bool:
        """Whether the network's targets are class codes, int64, instead of values."""
        return False

    @abstractmethod
    def encode(self, y: Any) -> np.ndarray:
        """Return the targets as the losses take them, (n_samples, 1) or (n_samples, n_outputs)."""

    @abstractmethod
    def restore(self, targets: np.ndarray) -> np.ndarray:
        """Return what the user passed for encoded targets."""

    @abstractmethod
    def decode(self, outputs: np.ndarray) -> Any:
        """Return the predictions that outputs of shape (n_samples, n_outputs) stand for."""


@dataclass(frozen=True)
class NumberCodec(TargetCodec):
    """The targets of a regression, standardised or as they are.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_targets,) or None
        What is subtracted, and what is then divided by.
    """

    mean: np.ndarray | None = None
    scale: np.ndarray | None = None

    @classmethod
    def from_targets(cls, y: np.ndarray, weights: np.ndarray | None) -> "NumberCodec":
        """Return a codec that gives targets (n_samples, n_targets) mean 0 and deviation 1."""
        return Moments.of(y, weights).codec()

    def encode(self, y: Any) -> np.ndarray:
        """Return the numbers, standardised, as (n_samples, n_targets)."""
        y = np.asarray(y)
        y = y.reshape(len(y), -1)
        if self.mean is not None and self.scale is not None:
            if y.shape[1] != len(self.mean):
                raise ValueError(
                    f"y has {y.shape[1]} columns, but the network was fitted with "
                    f"{len(self.mean)}."
                )
            # As there: a difference of two huge numbers need not be one.
            exponent = np.frexp(self.scale)[1]
            mean, scale = np.ldexp(self.mean, -exponent), np.ldexp(self.scale, -exponent)
            return (np.ldexp(y, -exponent) - mean) / scale
        return y if y.dtype.kind == "f" else y.astype(np.float64)

    def restore(self, targets: np.ndarray) -> np.ndarray:
        """Return the numbers as the user has them, (n_samples,) if there is one a sample."""
        return self.decode(targets)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Undo the standardisation of predictions.

        Parameters
        ----------
        outputs : ndarray of shape (n_samples, n_targets) or (n_samples, n_targets, n_quantiles)
            In the network's scale.

        Returns
        -------
        y : ndarray of shape (n_samples,), or with the axes that have more than one target
            In the user's.
        """
        if self.mean is not None and self.scale is not None:
            axes = (slice(None),) + (np.newaxis,) * (outputs.ndim - 2)
            outputs = outputs * self.scale[axes] + self.mean[axes]
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def decode_deviations(self, outputs: np.ndarray) -> np.ndarray:
        """Undo the standardisation of standard deviations, (n_samples, n_targets)."""
        if self.scale is not None:
            outputs = outputs * self.scale
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of targets, in units of a power of 2.

    These change no digit, and squares neither overflow nor vanish in them.

    Attributes
    ----------
    weight_sum : float
        How much the targets count.
    mean, deviation : ndarray of shape (n_targets,)
        In the unit.
    exponent : ndarray of shape (n_targets,)
        The power.
    """

    weight_sum: float
    mean: np.ndarray
    deviation: np.ndarray
    exponent: np.ndarray

    @classmethod
    def of(cls, y: np.ndarray, weights: np.ndarray | None) -> "Moments":
        """Return those of targets (n_samples, n_targets)."""
        total = float(len(y) if weights is None else weights.sum())
        if weights is not None and not weights.any():
            weights = None
        y = y.astype(np.float64, copy=False)
        exponent = np.frexp(np.abs(y).max(axis=0))[1]
        y = np.ldexp(y, -exponent)
        mean = np.average(y, axis=0, weights=weights)
        deviation = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weights))
        return cls(total, mean, deviation, exponent)

    @classmethod
    def joined(cls, parts: Sequence["Moments"]) -> "Moments":
        """Return those of all targets, from those of their parts (Chan et al., 1979)."""
        exponent = np.max([part.exponent for part in parts], axis=0)
        weights = [part.weight_sum for part in parts]
        means = np.array([np.ldexp(part.mean, part.exponent - exponent) for part in parts])
        spreads = [np.ldexp(part.deviation, part.exponent - exponent) for part in parts]
        # Where none counts, that is an error later on.
        counts = weights if any(weights) else None
        mean = np.average(means, axis=0, weights=counts)
        squares = np.square(spreads) + (means - mean) ** 2
        deviation = np.sqrt(np.average(squares, axis=0, weights=counts))
        return cls(sum(weights), mean, deviation, exponent)

    def codec(self) -> NumberCodec:
        """Return the codec that brings them to 0 and 1."""
        # A constant target, to rounding, is only shifted.
        is_constant = self.deviation <= 10 * np.finfo(np.float64).eps * np.abs(self.mean)
        mean, scale = np.ldexp(self.mean, self.exponent), np.ldexp(self.deviation, self.exponent)
        return NumberCodec(mean, np.where(is_constant, 1.0, scale))
