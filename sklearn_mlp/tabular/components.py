"""Principal components of the columns of numbers, each brought to a variance of one.

Columns that say nearly the same are told apart by their small differences, which a network on the
columns themselves is slow to find. Components are these differences, and the sums, on one scale.
They are found without the targets.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from sklearn_mlp.tabular.numbers import CLIP, beside

# Of more columns there are none: finding them takes the cube of their number. Of more numbers in
# all, rows are taken evenly spaced.
_MOST_COLUMNS, _MOST_NUMBERS = 1000, 10_000_000

# What is added to each component's share of a column's variance, so that directions in which
# there is next to nothing do not become as loud as the others; and shares that are rounding.
_FLOOR, _LEAST_SHARE = 0.01, 1e-6


@dataclass(frozen=True)
class Components:
    """Whitened principal components of scaled numbers.

    Attributes
    ----------
    center : ndarray of shape (n_columns,), of float32
        What is subtracted from each column.
    matrix : ndarray of shape (n_columns, n_components), of float32
        By what columns are then multiplied.
    """

    center: np.ndarray
    matrix: np.ndarray

    @classmethod
    def fit(cls, scaled: np.ndarray, weights: np.ndarray | None, n_most: int) -> "Components":
        """Find the components of the correlation of columns, those of most variance first.

        Parameters
        ----------
        scaled : ndarray of shape (n_rows, n_columns)
            Float32.
        weights : ndarray of shape (n_rows,) or None
            What each row counts.
        n_most : int
            How many there may be.
        """
        n_columns = scaled.shape[1]
        if not n_most or not 1 < n_columns <= _MOST_COLUMNS:
            return cls(np.zeros(n_columns, np.float32), np.zeros((n_columns, 0), np.float32))
        some = slice(None, None, 1 + len(scaled) * n_columns // _MOST_NUMBERS)
        values = scaled[some].astype(np.float64)
        counts = np.ones(len(values)) if weights is None else weights[some]
        share = counts / counts.sum()
        center = share @ values
        values -= center
        covariance = (values * share[:, None]).T @ values
        spread = np.sqrt(np.diag(covariance))
        # Constant where all that counts is the same, up to rounding.
        factor = np.divide(1.0, spread, out=np.zeros(n_columns), where=spread > 1e-6)
        variances, directions = np.linalg.eigh(covariance * np.outer(factor, factor))
        chosen = np.flatnonzero(variances > _LEAST_SHARE)[::-1][:n_most]
        directions = _signed(directions[:, chosen])
        matrix = factor[:, None] * directions / np.sqrt(variances[chosen] + _FLOOR)
        # In float32, so that the order of a sum decides nothing.
        return cls(center.astype(np.float32), matrix.astype(np.float32))

    @property
    def n_columns(self) -> int:
        """How many columns the code has."""
        return self.matrix.shape[1]

    def apply(self, scaled: Tensor) -> Tensor:
        """Return (n_rows, n_components), from ``scaled``, (n_rows, n_columns)."""
        center, matrix = (
            beside(scaled, array).to(scaled.dtype) for array in (self.center, self.matrix)
        )
        values = (scaled - center) @ matrix
        return values / (values / CLIP).square_().add_(1).sqrt_()


def _signed(directions: np.ndarray) -> np.ndarray:
    """Return directions of which the largest part, the first of such, is positive."""
    parts = np.abs(directions)
    largest = np.argmax(parts >= parts.max(axis=0, initial=0) * (1 - 1e-6), axis=0)
    return directions * np.sign(np.take_along_axis(directions, largest[None], axis=0))
