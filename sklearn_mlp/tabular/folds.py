"""Which rows each network learns from, and which it is judged on."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, check_cv

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


def split_rows(
    cv: Any,
    n_rows: int,
    labels: np.ndarray | None,
    weights: np.ndarray | None,
    groups: Any,
    random_state: np.random.RandomState,
) -> Folds:
    """Split rows for one group of networks.

    Parameters
    ----------
    cv : int, splitter or iterable
        The parameter. An integer holds out each row once, classes spread evenly, and the rows of
        one of ``groups`` together; other splits are as they come.
    n_rows : int
        How many rows there are.
    labels : ndarray of shape (n_rows,) or None
        Class codes, if there are such.
    weights : ndarray of shape (n_rows,) or None
        What each row counts.
    groups : array-like of shape (n_rows,) or None
        Which rows belong together.
    random_state : RandomState
        Draws the split.

    Raises
    ------
    ValueError
        If there are too few rows, or a fold leaves a network nothing to learn.
    """
    if isinstance(cv, Integral):
        n_splits = min(int(cv), n_rows)
        if n_splits < 2:
            raise ValueError(
                f"at least 2 rows are needed, to learn from one and look at another: "
                f"n_samples={n_rows}."
            )
        if groups is None:
            splits = _even_splits(n_splits, n_rows, labels, random_state)
        else:
            splits = _splits_of_groups(n_splits, labels, groups, n_rows, random_state)
    else:
        splitter = check_cv(cv, labels, classifier=labels is not None)
        y = np.zeros(n_rows) if labels is None else labels
        splits = list(splitter.split(np.zeros((n_rows, 1)), y, groups))
    try:
        learned, held = ([np.arange(n_rows)[split[part]] for split in splits] for part in range(2))
    except IndexError as error:
        raise ValueError(f"cv={cv!r} has rows that are none of the {n_rows}: {error}.") from error
    is_apart = not all(
        _are_all(np.concatenate(each), n_rows) for each in zip(learned, held, strict=True)
    )
    if weights is not None:
        learned = [rows[weights[rows] > 0] for rows in learned]
    if not learned or not all(map(len, learned)) or not any(map(len, held)):
        raise ValueError(
            f"cv={cv!r} leaves a network no rows to learn from, or none to be judged on, of "
            f"{n_rows} rows."
        )
    return Folds(learned, held, is_apart)


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
    n_splits: int, n_rows: int, labels: np.ndarray | None, random_state: np.random.RandomState
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Hold out every row once, those of a class spread evenly over the folds."""
    order = random_state.permutation(n_rows)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    held = [np.sort(order[place::n_splits]) for place in range(n_splits)]
    return [(np.setdiff1d(order, rows, assume_unique=True), rows) for rows in held]


def _splits_of_groups(
    n_splits: int,
    labels: np.ndarray | None,
    groups: Any,
    n_rows: int,
    random_state: np.random.RandomState,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Hold out every group once."""
    n_splits = min(n_splits, len(np.unique(np.asarray(groups))))
    if n_splits < 2:
        raise ValueError("groups must have at least 2 different values, got 1.")
    kind = GroupKFold if labels is None else StratifiedGroupKFold
    splitter = kind(n_splits, shuffle=True, random_state=random_state)
    y = np.zeros(n_rows) if labels is None else labels
    return list(splitter.split(np.zeros((n_rows, 1)), y, groups))


def rows_judged(groups: Sequence[Sequence[np.ndarray]], n_rows: int) -> np.ndarray:
    """Return which rows are held out in every group, (n_rows,), by the rows of its networks."""
    judged = np.ones(n_rows, dtype=bool)
    for held in groups:
        own = np.zeros(n_rows, dtype=bool)
        for rows in held:
            own[rows] = True
        judged &= own
    return judged
