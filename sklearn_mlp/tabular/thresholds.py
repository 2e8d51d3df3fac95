"""Where columns of numbers are cut in two, because classes change there all at once.

A network follows bends easily and jumps with difficulty; a tree finds jumps at once. So a small
tree is grown on each column alone, and its cuts become inputs. All rows grow it, those by which a
network is to be judged among them. Therefore a cut must be one that chance would hardly bring
forth: then it says next to nothing of single rows. It is tested by the fall of the log-likelihood,
twice of which is chi-squared, over all places where all columns could be cut (Bonferroni). Rows
that come again, or have a weight, are no more evidence than one: no scale of weights, such as that
of a survey, makes cuts of chance.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor

from sklearn_mlp.tabular.numbers import MOST_SORTED, beside

# How many a column may have.
_MOST = 8

# How likely it may be that there is any cut in columns that have nothing to do with the targets.
_CHANCE = 1e-3

# What is on each side of a cut, in rows of mean weight.
_LEAST_SIDE = 5.0

# Rows of a class, in the mean, from which on twice a log-likelihood is chi-squared well enough: of
# 300 classes of 3 rows each, every third table of noise had a cut.
_LEAST_OF_CLASS = 20


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
        cls, scaled: np.ndarray, weights: np.ndarray | None, labels: np.ndarray | None
    ) -> "Thresholds":
        """Find the thresholds of each column of scaled numbers.

        Parameters
        ----------
        scaled : ndarray of shape (n_rows, n_columns)
            Float32.
        weights : ndarray of shape (n_rows,) or None
            What each row counts.
        labels : ndarray of shape (n_rows, n_targets) or None
            Class codes; without them there are no thresholds.
        """
        column: list[int] = []
        value: list[np.ndarray] = []
        if labels is not None and scaled.shape[1]:
            some = slice(None, None, max(1, len(scaled) // MOST_SORTED))
            scaled, weights = scaled[some], None if weights is None else weights[some]
            search = _Search(labels[some], weights, scaled)
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

    def __init__(self, labels: np.ndarray, weights: np.ndarray | None, scaled: np.ndarray) -> None:
        self._labels, self._weights = labels, weights
        self._n_columns = scaled.shape[1]
        rows = pd.DataFrame(np.column_stack([scaled, labels.astype(np.float32)]))
        n_distinct = len(rows) - int(rows.duplicated().sum())
        self._tree = DecisionTreeClassifier(
            criterion="entropy",
            max_leaf_nodes=_MOST + 1,
            min_weight_fraction_leaf=min(_LEAST_SIDE / n_distinct, 0.5),
            random_state=0,
        )
        # By what a fall of the tree's entropy, which is in bits and in the mean over the targets,
        # is multiplied to be twice one of the log-likelihood, and how many more numbers it takes.
        self._factor = 2 * math.log(2) * n_distinct * labels.shape[1]
        self._n_free = sum(len(np.unique(each)) - 1 for each in labels.T)
        self._is_sparse = n_distinct * labels.shape[1] < _LEAST_OF_CLASS * self._n_free

    def thresholds_of(self, values: np.ndarray) -> np.ndarray:
        """Return the thresholds of one column, float32, ascending."""
        n_cuts = len(np.unique(values)) - 1
        if n_cuts < 2 or not self._n_free or self._is_sparse:
            # One cut is the number itself; one class, or many of few rows each, tell nothing.
            return np.empty(0, np.float32)
        least = chi2.isf(_CHANCE / (n_cuts * self._n_columns), self._n_free)
        self._tree.set_params(min_impurity_decrease=least / self._factor)
        tree = self._tree.fit(values[:, None], self._labels, sample_weight=self._weights).tree_
        exact = np.sort(tree.threshold[tree.feature >= 0])
        # Rounded down: what is above one stays above it.
        rounded = exact.astype(np.float32)
        return np.where(rounded > exact, np.nextafter(rounded, np.float32(-np.inf)), rounded)
