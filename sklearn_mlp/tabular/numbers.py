"""Columns of numbers: brought to one scale, then as waves and as piecewise linear codes.

The codes are those of Gorishniy, Rubachev and Babenko (2022), "On embeddings for numerical
features in tabular deep learning", the piecewise linear one with the bins' edges at quantiles and
the periodic one with frequencies that stay as they are. The scale is that of RealMLP (Holzmüller,
Grinsztajn and Steinwart, 2024, "Better by default"): robust, and clipped smoothly.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# Where values go that are far away, or infinite. At RealMLP's 3, what tells the large from the
# very large, such as an ill person's hormones, is lost between its bins.
CLIP = 12.0

# What bins and waves are multiplied by, beside the number itself.
_GAIN = 0.5

# Rows that are scaled at once.
_ROWS = 1 << 16

# Quantiles of more rows than this are those of so many, evenly spaced.
MOST_SORTED = 200_000


def quantiles(values: np.ndarray, weights: np.ndarray | None, levels: np.ndarray) -> np.ndarray:
    """Return the smallest values that reach these shares of the weight.

    A weight of 2 is the value twice, exactly.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Numbers, at least one.
    weights : ndarray of shape (n_values,) or None
        What each counts.
    levels : ndarray of shape (n_levels,)
        Between 0 and 1.
    """
    step = max(1, len(values) // MOST_SORTED)
    if weights is None:
        ordered = np.sort(values[::step])
        counts = np.arange(1.0, len(ordered) + 1)
    else:
        order = np.argsort(values[::step], kind="stable")
        ordered, counts = values[::step][order], np.cumsum(weights[::step][order])
    # Less by a rounding error, so that it decides nothing.
    places = np.searchsorted(counts, levels * counts[-1] * (1 - 1e-12))
    return ordered[np.minimum(places, len(ordered) - 1)]


@dataclass(frozen=True)
class Scale:
    """Median and spread of each column, of which those that say nothing are left out.

    Attributes
    ----------
    kept : ndarray of shape (n_columns,), of bool
        Which columns have two different finite values.
    has_missing : ndarray of shape (n_columns,), of bool
        Which had missing values in fit, though not only such.
    center, factor : ndarray of shape (n_kept,)
        What is subtracted, and then multiplied by.
    is_two_valued : ndarray of shape (n_kept,), of bool
        Which of the kept columns have no third value.
    """

    kept: np.ndarray
    has_missing: np.ndarray
    center: np.ndarray
    factor: np.ndarray
    is_two_valued: np.ndarray

    @classmethod
    def fit(cls, numbers: np.ndarray, weights: np.ndarray | None) -> "Scale":
        """Read the scale off numbers of shape (n_rows, n_columns), NaN where one is missing."""
        n_columns = numbers.shape[1]
        kept, has_missing = np.zeros(n_columns, bool), np.zeros(n_columns, bool)
        center, factor, is_two_valued = [], [], []
        levels = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
        for place in range(n_columns):
            values = numbers[:, place]
            is_finite = np.isfinite(values)
            finite = values[is_finite]
            if not is_finite.any():
                continue
            has_missing[place] = np.isnan(values).any()
            own_weights = None if weights is None else weights[is_finite]
            least, low, median, high, most = quantiles(finite, own_weights, levels)
            kept[place] = most > least
            if kept[place]:
                center.append(median)
                factor.append(_factor(most - least, high - low))
                is_two_valued.append(bool(((finite == least) | (finite == most)).all()))
        two_valued = np.array(is_two_valued, dtype=bool)
        return cls(kept, has_missing, np.array(center), np.array(factor), two_valued)

    def apply(self, numbers: np.ndarray) -> np.ndarray:
        """Return the kept columns as float32, between -12 and 12; a missing number is the median.

        Parameters
        ----------
        numbers : ndarray of shape (n_rows, n_columns)
            Float64.
        """
        scaled = np.empty((len(numbers), self.kept.sum()), np.float32)
        for start in range(0, len(numbers), _ROWS):
            rows = slice(start, start + _ROWS)
            scaled[rows] = self._apply(numbers[rows])
        return scaled

    def _apply(self, numbers: np.ndarray) -> np.ndarray:
        """Return the kept columns of some rows."""
        values = numbers if self.kept.all() else numbers[:, self.kept]
        with np.errstate(over="ignore", invalid="ignore"):
            values = (values - self.center) * self.factor
            # The square of what is far away may overflow: its root is what counts.
            clipped = values / np.hypot(1.0, values / CLIP)
        is_infinite = np.isinf(values)
        if is_infinite.any():
            clipped[is_infinite] = np.sign(values[is_infinite]) * CLIP
        np.nan_to_num(clipped, copy=False, nan=0.0)
        return clipped


def _factor(span: float, middle: float) -> float:
    """Return one over the spread: that of the middle half, or half of all where it has none."""
    largest = np.finfo(np.float64).max
    span, middle = min(span, largest), min(middle, largest)
    # Tiny spreads have no reciprocal.
    return min(1 / middle if middle > 1e-9 * span else 2 / span, largest)


def beside(tensor: Tensor, array: np.ndarray) -> Tensor:
    """Return an array as a tensor where another one is."""
    made = torch.from_numpy(array)
    return made if tensor.is_cpu else made.to(tensor.device)


@dataclass(frozen=True)
class Waves:
    """Sines and cosines of numbers, of wavelengths 4, 2, 1, and so on.

    Attributes
    ----------
    n_octaves : int
        How many wavelengths there are.
    columns : ndarray of shape (n_waved,), of int64
        Which columns have them: of two values they would say what the number says.
    """

    n_octaves: int
    columns: np.ndarray

    @property
    def n_columns(self) -> int:
        """How many columns the code has."""
        return 2 * self.n_octaves * len(self.columns)

    def apply(self, scaled: Tensor) -> Tensor:
        """Return (n_rows, n_columns), a block for each function."""
        if not self.n_octaves:
            return scaled[:, :0]
        angle = scaled.index_select(1, beside(scaled, self.columns)) * (math.pi / 2)
        sine, cosine = torch.sin(angle), torch.cos(angle)
        blocks = [sine, cosine]
        for _ in range(1, self.n_octaves):
            sine, cosine = 2 * sine * cosine, 1 - 2 * sine * sine
            blocks += [sine, cosine]
        return torch.cat(blocks, dim=1).mul_(_GAIN)


@dataclass(frozen=True)
class Bins:
    """Piecewise linear codes: how far a number has come through each of its column's bins.

    Attributes
    ----------
    column : ndarray of shape (n_bins,), of int64
        Which column of the scaled numbers a bin is of.
    low, width : ndarray of shape (n_bins,), of float32
        Where it begins, and how wide it is.
    """

    column: np.ndarray
    low: np.ndarray
    width: np.ndarray

    @classmethod
    def fit(cls, scaled: np.ndarray, weights: np.ndarray | None, n_bins: int) -> "Bins":
        """Place the edges at quantiles of scaled numbers, (n_rows, n_columns)."""
        column, low, width = [], [], []
        levels = np.linspace(0, 1, n_bins + 1)
        for place in range(scaled.shape[1] if n_bins else 0):
            edges = np.unique(quantiles(scaled[:, place], weights, levels))
            if len(edges) > 2:
                # One bin is the number itself.
                column += [place] * (len(edges) - 1)
                low += edges[:-1].tolist()
                width += np.diff(edges).tolist()
        return cls(
            np.array(column, np.int64), np.array(low, np.float32), np.array(width, np.float32)
        )

    def apply(self, scaled: Tensor) -> Tensor:
        """Return (n_rows, n_bins), from ``scaled``, (n_rows, n_columns)."""
        chosen = scaled.index_select(1, beside(scaled, self.column))
        share = chosen.sub_(beside(scaled, self.low)).div_(beside(scaled, self.width))
        return share.clamp_(0, 1).sub_(0.5).mul_(_GAIN)
