"""The parameter ``categorical_features``: which columns hold categories."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_mlp.tabular.columns import Column


def named_categories(
    categorical_features: Any, n_columns: int, names: Sequence[Any] | np.ndarray | None
) -> np.ndarray | None:
    """Return which columns the user has named, (n_columns,), or None where types decide.

    Parameters
    ----------
    categorical_features : 'from_dtype', array-like of str, int or bool, or None
        The parameter.
    n_columns : int
        Columns of the table.
    names : sequence of shape (n_columns,) or None
        Their names, if they have any; tuples where these have several levels.

    Raises
    ------
    ValueError
        If it names no column of the table.
    """
    if isinstance(categorical_features, str):
        return None
    is_named = np.zeros(n_columns, dtype=bool)
    if categorical_features is None:
        return is_named
    given = _as_array(categorical_features)
    if given.size == 0:
        return is_named
    if given.ndim != 1 or given.dtype.kind not in "biuUOT":
        raise ValueError(
            "categorical_features must be 'from_dtype', None, or names, numbers or a mask of "
            f"columns, got {categorical_features!r}."
        )
    if given.dtype.kind == "b":
        if len(given) != n_columns:
            raise ValueError(
                f"categorical_features, a mask, must have an entry for each of the {n_columns} "
                f"columns, got {len(given)}."
            )
        return given
    if given.dtype.kind in "iu":
        if given.min() < -n_columns or given.max() >= n_columns:
            raise ValueError(
                f"categorical_features must be numbers of columns, of which there are "
                f"{n_columns}, got {given.tolist()}."
            )
        is_named[given] = True
        return is_named
    if names is None:
        raise ValueError(
            "categorical_features has names, but the columns of X have none: pass their numbers, "
            f"got {given.tolist()}."
        )
    chosen, known = given.tolist(), list(names)
    unknown = [each for each in chosen if each not in known]
    if unknown:
        raise ValueError(f"categorical_features has {unknown}, which are no columns of X.")
    return np.array([name in chosen for name in known])


def _as_array(categorical_features: Any) -> np.ndarray:
    """Return the parameter as an array; names that are tuples, or beside numbers, stay so."""
    given = list(categorical_features) if np.ndim(categorical_features) else []
    kinds = {type(each) for each in given}
    if tuple in kinds or (str in kinds and len(kinds) > 1):
        names = np.empty(len(given), dtype=object)
        names[:] = given
        return names
    return np.asarray(categorical_features)


def is_category(column: Column, is_named: np.ndarray | None, place: int) -> bool:
    """Tell whether a column is to be taken as categories.

    Raises
    ------
    ValueError
        If it holds words, and the user says that it holds no categories.
    """
    if is_named is None:
        return column.kind == "words"
    if not is_named[place] and column.kind == "words":
        raise ValueError(
            f"column {column.name} holds words, such as {column.example()}, which are no numbers; "
            "name it in categorical_features, or set that to 'from_dtype'."
        )
    return bool(is_named[place])
