"""Which rows each network learns from, and which it is judged on."""

import reprlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from sklearn_mlp.arrays.target_checks import naming
from sklearn_mlp.arrays.tensors import on_host

# Rows below which what is estimated on them says little.
_FEW_ROWS = 20


@dataclass(frozen=True)
class Folds:
    """The rows of each of k networks.

    Attributes
    ----------
    learned : list of ndarray of int
        What each learns from; rows without weight are left out.
    held : list of ndarray of int
        What it is judged on.
    is_apart : bool
        Whether some rows are neither learned nor held, as those of a later time: of these nothing
        may be known.
    """

    learned: list[np.ndarray]
    held: list[np.ndarray]
    is_apart: bool = False

    @property
    def n_seen(self) -> float:
        """How many networks, in the mean, are judged by a row that any of them is judged by."""
        held = np.concatenate(self.held)
        return len(held) / len(np.unique(held))

    def joined(self, other: "Folds") -> "Folds":
        """Return these folds, and then others."""
        return replace(self, learned=self.learned + other.learned, held=self.held + other.held)

    def repeated(self, k: int) -> "Folds":
        """Return so many folds: the first ones, or these again and again."""
        places = [place % len(self.learned) for place in range(k)]
        learned, held = ([part[one] for one in places] for part in (self.learned, self.held))
        return replace(self, learned=learned, held=held)

    def stacks(self) -> list["Folds"]:
        """Return the rows of networks that are trained together: all, or each by itself."""
        if not self.is_apart:
            return [self]
        pairs = zip(self.learned, self.held, strict=True)
        return [replace(self, learned=[learned], held=[held]) for learned, held in pairs]


@dataclass(frozen=True)
class RowsToSplit:
    """The rows of which networks learn from some.

    Attributes
    ----------
    X, y : table of shape (n_rows, n_columns), ndarray of shape (n_rows, ...)
        As the user has them, for splitters of the user's.
    labels : ndarray of shape (n_rows,) or None
        Class codes, if there are such.
    weights : ndarray of shape (n_rows,) or None
        What each row counts.
    groups : ndarray of shape (n_rows,) or None
        Which rows belong together, see `check_groups`.
    """

    X: Any
    y: Any
    labels: np.ndarray | None = None
    weights: np.ndarray | None = None
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        n_counted = self.n_rows if self.weights is None else np.count_nonzero(self.weights)
        if n_counted < min(2, self.n_rows):
            raise ValueError(
                "at least 2 rows with a weight above 0 are needed, to learn from one and look at "
                f"another: sample_weight has {n_counted} of {self.n_rows}."
            )

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return int(self.y.shape[0])


def check_groups(groups: Any, n_rows: int) -> np.ndarray | None:
    """Return which rows belong together, (n_rows,), in values that can be sorted.

    Raises
    ------
    TypeError, ValueError
        If it does not say so of every row.
    """
    if groups is None:
        return None
    with naming("groups"):
        values = np.asarray(on_host(groups, "groups"))
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (n_rows,):
        raise ValueError(
            f"groups must have one value for each of the {n_rows} rows of X, got the shape "
            f"{values.shape}."
        )
    is_missing = np.asarray(pd.isna(values), dtype=bool)
    if is_missing.any():
        raise ValueError(
            f"groups must tell of every row where it belongs, but {is_missing.sum()} of {n_rows} "
            f"are missing, the first in row {is_missing.argmax()}."
        )
    if values.dtype == object and pd.api.types.infer_dtype(values) != "string":
        # Numbers beside strings, or whatever else there may be, cannot be sorted.
        with naming("groups"):
            return pd.factorize(values)[0]
    return values


def split_for_groups(n_groups: int, cv: Any, n_members: int | None, *args: Any) -> list[Folds]:
    """Split rows for each group of networks by itself; splits of the user's are all groups'.

    Parameters
    ----------
    n_groups : int
        Groups; of fewer networks than groups some have none, and are left out.
    cv, n_members
        The parameters. Without the latter there is a network for each fold in each group.
    *args
        Those of `split_rows` after ``cv``.
    """
    if n_members is None:
        if isinstance(cv, Integral):
            return [split_rows(cv, *args) for _ in range(n_groups)]
        return [split_rows(cv, *args)] * n_groups
    sizes = [n_members // n_groups + (place < n_members % n_groups) for place in range(n_groups)]
    first = split_rows(cv, *args)
    if first.is_apart:
        # Those of few are the last ones, which know most.
        most = max(sizes)
        first = replace(first, learned=first.learned[-most:], held=first.held[-most:])
    if not isinstance(cv, Integral) or max(sizes) < len(first.learned):
        # Of few networks all groups have the same rows, for these to be judged together.
        return [first.repeated(size) for size in sizes if size]
    found: list[Folds] = []
    for size in sizes:
        folds = split_rows(cv, *args) if found else first
        while len(folds.learned) < size:
            folds = folds.joined(split_rows(cv, *args))
        found.append(folds.repeated(size))
    return found


def split_rows(cv: Any, rows: RowsToSplit, random_state: np.random.RandomState) -> Folds:
    """Split rows for one group of networks.

    Parameters
    ----------
    cv : int, splitter or iterable
        The parameter. An integer holds out each row once, classes spread evenly, and the rows of
        one group together; other splits are as they come.
    rows : RowsToSplit
        The rows.
    random_state : RandomState
        Draws the split.

    Raises
    ------
    ValueError
        If there are too few rows, or a fold leaves a network nothing to learn.
    """
    n_rows, weights = rows.n_rows, rows.weights
    if isinstance(cv, Integral):
        n_splits = min(int(cv), n_rows)
        if n_splits < 2:
            raise ValueError(
                f"at least 2 rows are needed, to learn from one and look at another: "
                f"n_samples={n_rows}."
            )
        if rows.groups is None:
            splits = _even_splits(n_splits, rows, random_state)
        else:
            splits = _splits_of_groups(n_splits, rows, random_state)
    else:
        splits = _splits_of_the_user(cv, rows)
    learned, held = ([split[part] for split in splits] for part in range(2))
    is_apart = not all(
        _are_all(np.concatenate(each), n_rows) for each in zip(learned, held, strict=True)
    )
    if weights is not None:
        learned = [part[weights[part] > 0] for part in learned]
    if not learned or not all(map(len, learned)) or not any(map(len, held)):
        spent = (
            " An iterator is spent after one fit: pass a list." if hasattr(cv, "__next__") else ""
        )
        raise ValueError(
            f"cv={_show(cv)} leaves a network no rows to learn from, or none to be judged on, of "
            f"{n_rows} rows.{spent}"
        )
    return Folds(learned, held, is_apart)


def _splits_of_the_user(cv: Any, rows: RowsToSplit) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the splits of a splitter, which is given what the user has, or of an iterable."""
    found = list(cv.split(rows.X, rows.y, rows.groups) if hasattr(cv, "split") else cv)
    places = np.arange(rows.n_rows)
    try:
        return [(places[_chosen(learned)], places[_chosen(held)]) for learned, held in found]
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"cv={_show(cv)} must have pairs of rows to learn from and rows to hold out, numbers "
            f"or masks, but has rows that are none of the {rows.n_rows}: {error}."
        ) from error


def _chosen(rows: Any) -> np.ndarray:
    """Return numbers of rows, or a mask, as an array."""
    chosen = np.asarray(rows)
    return chosen if chosen.size else chosen.astype(np.intp)


def _show(cv: Any) -> str:
    """Return the parameter for a message: not all rows of a list of splits."""
    return repr(cv) if hasattr(cv, "split") else reprlib.repr(cv)


def _are_all(rows: np.ndarray, n_rows: int) -> bool:
    """Tell whether every row is among some."""
    return bool((np.bincount(rows, minlength=n_rows) > 0).all())


def warn_of_few_rows(n_rows: int) -> None:
    """Say where what is estimated on held-out rows is worth little."""
    if n_rows < _FEW_ROWS:
        warnings.warn(
            f"{n_rows} rows are too few to choose and to judge networks by: scores, intervals "
            "and probabilities of this fit say little.",
            stacklevel=5,
        )


def _even_splits(
    n_splits: int, rows: RowsToSplit, random_state: np.random.RandomState
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Hold out every row once, those of a class spread evenly over the folds.

    Rows without weight come last, so that there are others in as many folds as can be.
    """
    order = random_state.permutation(rows.n_rows)
    if rows.labels is not None:
        order = order[np.argsort(rows.labels[order], kind="stable")]
    if rows.weights is not None:
        order = order[np.argsort(rows.weights[order] == 0, kind="stable")]
    held = [np.sort(order[place::n_splits]) for place in range(n_splits)]
    return [(np.setdiff1d(order, part, assume_unique=True), part) for part in held]


def _splits_of_groups(
    n_splits: int, rows: RowsToSplit, random_state: np.random.RandomState
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Hold out every group once; classes are spread evenly, as far as they have rows."""
    assert rows.groups is not None
    n_splits = min(n_splits, len(np.unique(rows.groups)))
    if n_splits < 2:
        raise ValueError("groups must have at least 2 different values, got 1.")
    labels, options = rows.labels, {"shuffle": True, "random_state": random_state}
    largest = 0 if labels is None else int(np.bincount(labels).max())
    splitter = GroupKFold(n_splits, **options)
    if largest >= 2:
        # There cannot be more folds than the largest class has rows.
        splitter = StratifiedGroupKFold(min(n_splits, largest), **options)
    with warnings.catch_warnings():
        # Other splits do not say either that a class is in some folds only.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return list(splitter.split(np.zeros((rows.n_rows, 1)), labels, rows.groups))


def rows_judged(groups: Sequence[Sequence[np.ndarray]], n_rows: int) -> np.ndarray:
    """Return which rows are held out in every group, (n_rows,), by the rows of its networks."""
    judged = np.ones(n_rows, dtype=bool)
    for held in groups:
        own = np.zeros(n_rows, dtype=bool)
        for rows in held:
            own[rows] = True
        judged &= own
    return judged
