"""Some rows of a source as arrays: numbers of samples, names, targets, weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from torch import Tensor

from sklearn_mlp.arrays.readable import readable_array
from sklearn_mlp.arrays.tensors import on_host


def length_of(samples: Any) -> int:
    """Return how many rows some samples are."""
    shape = getattr(samples, "shape", None)
    return len(samples) if shape is None else int(shape[0])


def names_of(samples: Any) -> list[str] | None:
    """Return the names of the columns of a table, if all are strings; None of what is no table."""
    names = getattr(samples, "column_names", None)  # of Arrow's
    if names is None:
        names = getattr(samples, "columns", None)
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    return list(names)


def numbers_of(samples: Any, where: str, dtype: Any = None) -> np.ndarray:
    """Return samples of any form as an array of real numbers, (n_rows, n_features).

    Parameters
    ----------
    samples : array-like, Tensor, sparse matrix, DataFrame or table of Arrow's
        What a source has given.
    where : str
        Which rows, for messages.
    dtype : dtype or None
        A type that a table's numbers may be returned in, if they are to be converted to it.

    Raises
    ------
    ValueError
        If there are no numbers in it, or not two axes.
    """
    if hasattr(samples, "column_names"):
        return _of_arrow(samples, dtype)
    if isinstance(samples, Tensor):
        array = on_host(samples, "X")
    elif scipy.sparse.issparse(samples):
        array = readable_array(samples, "X").toarray()
    else:
        array = np.asarray(readable_array(samples, "X"))
    if array.dtype == object:
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            column = _column_without_numbers(samples)
            raise ValueError(f"X must be numbers in {where}{column}: {error}") from error
    if array.dtype.kind not in "fiub":
        raise ValueError(f"X must be real numbers in {where}, got {array.dtype}.")
    if array.ndim != 2:
        raise ValueError(
            f"X must have two axes, (n_samples, n_features), in {where}, got the shape "
            f"{array.shape}."
        )
    return array


def _column_without_numbers(samples: Any) -> str:
    """Return what an error calls the first column of a DataFrame that is no numbers."""
    for name in names_of(samples) or ():
        try:
            np.asarray(samples[name], dtype=np.float64)
        except (TypeError, ValueError):
            return f", column {name!r}"
    return ""


def _of_arrow(table: Any, dtype: Any) -> np.ndarray:
    """Return a table, or a batch, of Arrow's as an array; what is missing is NaN."""
    arrays = [table.column(place).to_numpy() for place in range(table.num_columns)]
    arrays = [array.astype(np.float64) if array.dtype == object else array for array in arrays]
    if dtype is None:
        is_single = all(array.dtype == np.float32 for array in arrays)
        dtype = np.float32 if is_single else np.float64
    # What becomes infinite has been looked for before a narrower type is asked for.
    with np.errstate(over="ignore"):
        columns = np.stack(arrays, dtype=dtype, casting="unsafe")
    # Converted column by column, and then turned, takes two thirds of the time of both at once.
    return np.ascontiguousarray(columns.T)


def column_of(values: Any, name: str, where: str, first: int) -> np.ndarray:
    """Return targets or weights of some rows as an array.

    Parameters
    ----------
    values : array-like, Tensor or table of Arrow's
        What a source has given.
    name : str
        What they are to the user.
    where, first : str, int
        Which block they are of, and from which of its rows on.

    Raises
    ------
    ValueError
        If one is missing.
    """
    if hasattr(values, "column_names"):
        columns = [_of_arrow_column(values.column(n)) for n in range(values.num_columns)]
        array = columns[0] if len(columns) == 1 else np.column_stack(columns)
    else:
        array = np.asarray(on_host(values, name))
    is_missing = _is_missing(array)
    if is_missing is not None and is_missing.any():
        row = int(np.flatnonzero(is_missing.reshape(len(array), -1).any(axis=1))[0])
        raise ValueError(
            f"{name} must not be missing, and finite, got {array[row]} in row {first + row} of "
            f"{where}."
        )
    return array


def _is_missing(array: np.ndarray) -> np.ndarray | None:
    """Tell which entries are None, or not finite; None where no entry can be."""
    if array.dtype == object:
        marks = [value is None or value != value for value in array.flat]
        return np.array(marks, dtype=bool).reshape(array.shape)
    return ~np.isfinite(array) if array.dtype.kind == "f" else None


def _of_arrow_column(column: Any) -> np.ndarray:
    """Return a column of Arrow's as an array; where labels are missing, there is None."""
    if column.null_count or "dictionary" in str(column.type):
        return np.array(column.to_pylist(), dtype=object if column.null_count else None)
    if "string" not in str(column.type):
        return np.asarray(column.to_numpy())
    # Of each label one object of Python's.
    column = column.combine_chunks().dictionary_encode()
    labels = np.array(column.dictionary.to_pylist(), dtype=object)
    values: np.ndarray = labels[column.indices.to_numpy()]
    return values


def check_numbers(
    numbers: np.ndarray, names: Sequence[str] | None, where: str, first: int
) -> None:
    """Check that the numbers of a part are finite.

    Parameters
    ----------
    numbers : ndarray of shape (n_rows, n_features)
        The part.
    names : sequence of str or None
        Those of the features.
    where, first : str, int
        Which block they are of, and from which of its rows on.

    Raises
    ------
    ValueError
        If one is not; the sentence names row and column.
    """
    if numbers.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(numbers.sum()):
            return
    is_bad = ~np.isfinite(numbers)
    if not is_bad.any():
        return
    row, column = (int(places[0]) for places in np.nonzero(is_bad))
    what = "NaN" if np.isnan(numbers[row, column]) else "infinity"
    named = f"column {column}" if names is None else f"column {names[column]!r}"
    raise ValueError(
        f"Input X contains {what}: in row {first + row}, {named} of {where}; all numbers must be "
        "finite. Fill in what is missing, or leave these rows out."
    )
