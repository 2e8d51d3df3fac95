"""Objects that are nothing like an array, and what to do instead."""

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from numbers import Number
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

# What NumPy, or scikit-learn, reads an array from.
_PROTOCOLS = ("__array__", "__array_interface__", "__array_struct__", "__array_namespace__")
_TABLES = ("__dataframe__", "__arrow_c_stream__", "iloc", "toarray")


def check_array_like(values: Any, name: str) -> None:
    """Refuse what NumPy would take for a single object, or read in another way than is meant.

    Parameters
    ----------
    values : object
        What the user passed.
    name : str
        As which argument.

    Raises
    ------
    TypeError
        If it is neither an array nor like one; the sentence says what to pass instead.
    """
    if isinstance(values, list | tuple | np.ndarray | Number) or values is None:
        return
    advice = _advice(values, name)
    if advice is not None:
        raise TypeError(
            f"{name} must be an array, a tensor, a DataFrame, a sparse matrix or a list, got "
            f"{_article(type(values).__name__)}; {advice}."
        )


def _article(noun: str) -> str:
    """Return a name with its article."""
    return f"an {noun}" if noun[0] in "aeiouAEIOU" else f"a {noun}"


def _advice(values: Any, name: str) -> str | None:
    """Say what to do with an object, or return None if it is read as it is."""
    if isinstance(values, DataLoader | Dataset):
        return "pass it in the place of X, without y, to the fit of one estimator"
    if isinstance(values, str | bytes | os.PathLike):
        advice = "read the file, and pass what is in it"
        if name == "X" and not os.path.exists(values):
            return f"{advice} (there is no file or folder {os.fspath(values)!r})"
        own = "" if name == "X" else ", or the column itself"
        return (
            f"{advice}{own} (names of columns as y go with Parquet files, pyarrow's data sets and "
            "Dask's DataFrames)"
        )
    if type(values).__module__.startswith("pyarrow._dataset"):
        return "pass the name of a column as y"
    if isinstance(values, Iterator):
        return (
            "an iterator can be read only once: pass what begins anew whenever it is iterated "
            f"over (sklearn_mlp.RowSource, for example), or list({name}), or call partial_fit "
            "with each batch"
        )
    if isinstance(values, Mapping):
        return "make a DataFrame, or an array, of it"
    if isinstance(values, Set):
        return "a set has no order"
    if any(hasattr(values, protocol) for protocol in (*_PROTOCOLS, *_TABLES)):
        return None
    for method in ("compute", "collect"):
        if callable(getattr(values, method, None)):
            return f"call its method {method} first"
    is_sequence = hasattr(values, "__len__") and hasattr(values, "__getitem__")
    if is_sequence or isinstance(values, Sequence):
        return None
    return "make an array of it"
