"""Where columns of numbers are cut in two, because the targets change there all at once.

A network follows bends easily and jumps with difficulty; a tree finds jumps at once. So a small
tree is grown on each column alone, and its cuts become inputs. All rows grow it, those by which a
network is to be judged among them. Therefore a cut must be one that chance would hardly bring
forth: then it says next to nothing of single rows. It is tested by the fall of the log-likelihood,
twice of which is chi-squared, over all places where all columns could be cut (Bonferroni).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from torch import Tensor

from sklearn_mlp.tabular.numbers import MOST_SORTED, beside

# How many a column may have.
_MOST = 8

# How likely it may be that there is any cut in columns that have nothing to do with the targets.
_CHANCE = 1e-3

# What is on each side of a cut, in rows of a weight of 1.
_LEAST_SIDE = 5.0


@dataclass(frozen=True)
class Taught:
    """The targets by which thresholds are found.

    Attributes
    ----------
    targets : ndarray of shape (n_rows, n_targets)
        Class codes, or numbers of comparable spread.
    has_classes : bool
        Whether they are class codes.
    """

    targets: np.ndarray
    has_classes: bool

    def of_rows(self, rows: np.ndarray | slice) -> "Taught":
        """Return the targets of some rows, given by a mask or a slice."""
        return Taught(self.targets[rows], self.has_classes)


@dataclass(frozen=True)
class Thresholds:
    """Whether a number is above each of its column's thresholds, 1 or -1.

    Attributes
    ----------
    column : ndarray of shape (n_thresholds,), of int64
        Which column of the scaled numbers each is of.
    value : ndarray of shape (n_thresholds,), of float32
        What is above it.
    """

    column: np.ndarray
    value: np.ndarray

    @classmethod
    def fit(
        cls, scaled: np.ndarray, weights: np.ndarray | None, taught: Taught | None
    ) -> "Thresholds":
        """Find the thresholds of each column of scaled numbers.

        Parameters
        ----------
        scaled : ndarray of shape (n_rows, n_columns)
            Float32.
        weights : ndarray of shape (n_rows,) or None
            What each row counts.
        taught : Taught or None
            The targets; without them there are no thresholds.
        """
        column: list[int] = []
        value: list[np.ndarray] = []
        if taught is not None:
            some = slice(None, None, max(1, len(scaled) // MOST_SORTED))
            scaled, weights = scaled[some], None if weights is None else weights[some]
            search = _Search(taught.of_rows(some), weights, scaled.shape[1])
            for place in range(scaled.shape[1]):
                found = search.thresholds_of(scaled[:, place])
                column += [place] * len(found)
                value.append(found)
        values = np.concatenate([np.empty(0, np.float32), *value])
        return cls(np.array(column, np.int64), values)

    def apply(self, scaled: Tensor) -> Tensor:
        """Return (n_rows, n_thresholds), from ``scaled``, (n_rows, n_columns)."""
        chosen = scaled.index_select(1, beside(scaled, self.column))
        is_above = chosen > beside(scaled, self.value)
        return is_above.to(scaled.dtype).mul_(2).sub_(1)


class _Search:
    """Looks for thresholds, column by column."""

    def __init__(self, taught: Taught, weights: np.ndarray | None, n_columns: int) -> None:
        self._targets, self._weights = taught.targets, weights
        self._has_classes, self._n_columns = taught.has_classes, n_columns
        total = float(len(self._targets) if weights is None else weights.sum())
        kind = DecisionTreeClassifier if taught.has_classes else DecisionTreeRegressor
        self._tree = kind(
            criterion="entropy" if taught.has_classes else "squared_error",
            max_leaf_nodes=_MOST + 1,
            min_weight_fraction_leaf=min(_LEAST_SIDE / total, 0.5),
            random_state=0,
        )
        # By what a fall of the impurity is multiplied to be twice one of the log-likelihood, and
        # how many more numbers the model on two sides has.
        n_targets = self._targets.shape[1]
        if taught.has_classes:
            self._factor = 2 * math.log(2) * total * n_targets
            self._n_free = sum(len(np.unique(each)) - 1 for each in self._targets.T)
        else:
            from_mean = self._targets - np.average(self._targets, axis=0, weights=weights)
            spread = float(np.average(from_mean**2, axis=0, weights=weights).mean())
            self._factor, self._n_free = total * n_targets / max(spread, 1e-300), n_targets

    def thresholds_of(self, values: np.ndarray) -> np.ndarray:
        """Return the thresholds of one column, float32, ascending."""
        n_cuts = len(np.unique(values)) - 1
        if n_cuts < 2 or not self._n_free:
            # One cut is the number itself.
            return np.empty(0, np.float32)
        least = chi2.isf(_CHANCE / (n_cuts * self._n_columns), self._n_free)
        self._tree.set_params(min_impurity_decrease=least / self._factor)
        tree = self._tree.fit(values[:, None], self._targets, sample_weight=self._weights).tree_
        exact = np.sort(tree.threshold[tree.feature >= 0])
        # Rounded down: what is above one stays above it.
        rounded = exact.astype(np.float32)
        return np.where(rounded > exact, np.nextafter(rounded, np.float32(-np.inf)), rounded)
