"""Which objects are read as a `RowSource`: the one place that tells them apart."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from torch.utils.data import DataLoader, Dataset

from sklearn_mlp.sources.arrow import ArrowSource, is_path
from sklearn_mlp.sources.base import IteratedSource, RowSource
from sklearn_mlp.sources.dask import DaskSource
from sklearn_mlp.sources.torch import torch_source

# What makes an object an array, or a table, which is read at once.
_AT_ONCE = ("__array__", "__array_interface__", "__dataframe__", "__len__", "shape", "toarray")


def source_of(
    X: Any, y: Any = None, sample_weight: Any = None, names: Sequence[str] | None = None
) -> RowSource | None:
    """Return what reads the rows of an object that is no array; None of what is one.

    Parameters
    ----------
    X : object
        A `RowSource`, or what can be read as one.
    y, sample_weight : object
        Names of columns, of what has columns; None of what brings its own targets.
    names : sequence of str or None
        Those of the features, of what has other columns, too; None is all that are not named.

    Raises
    ------
    TypeError, ValueError
        If it is a source, but its targets are not to be had so; or if it can be read only once.
    """
    if isinstance(X, RowSource):
        _check_own_targets(X, y, sample_weight)
        return X
    if _is_arrow(X, y):
        return ArrowSource.of(X, y, sample_weight, names)
    if _is_dask(X) and (y is None or _is_dask(y) or _is_named(X, y)):
        return DaskSource.of(X, y, sample_weight, names)
    if y is not None:
        return None
    if isinstance(X, DataLoader | Dataset):
        return torch_source(X)
    if _is_iterated(X):
        _check_own_targets(X, y, sample_weight)
        return IteratedSource(X)
    return None


def check_has_targets(X: Any, y: Any) -> None:
    """Check that there are targets, for a fit on what does not bring its own.

    Raises
    ------
    ValueError
        If there are none; nothing has been read then.
    """
    if y is None and (_is_arrow(X, None) or _is_dask(X)):
        raise ValueError(
            "fit requires y to be passed where X is a "
            f"{type(X).__name__}: the name of a column, for example, got none."
        )


def check_in_memory(X: Any, y: Any, whose: str) -> None:
    """Check that samples are not to be read as a source, where that is not done.

    Parameters
    ----------
    X, y : object
        What the user passed.
    whose : str
        Who takes them.

    Raises
    ------
    TypeError
        If they are.
    """
    is_source = isinstance(X, RowSource | DataLoader | Dataset) or _is_arrow(X, y)
    if is_source or (y is None and _is_iterated(X)):
        raise TypeError(
            f"{whose} takes rows that are in memory, got a {type(X).__name__} as X; read it "
            "first, or fit one TorchMLPClassifier or TorchMLPRegressor, which trains on it as it "
            "is."
        )


def _check_own_targets(X: Any, y: Any, sample_weight: Any) -> None:
    """Check that there are no targets beside those that a source brings."""
    for name, given in (("y", y), ("sample_weight", sample_weight)):
        if given is not None:
            raise ValueError(
                f"{name} must not be passed beside X where X is a {type(X).__name__}, which "
                f"yields (X, y, sample_weight) itself, got a {type(given).__name__}."
            )


def _is_named(X: Any, y: Any) -> bool:
    """Tell whether targets are names of columns, and no list of labels."""
    if isinstance(y, str):
        return True
    if not isinstance(y, list) or not y or not all(isinstance(name, str) for name in y):
        return False
    columns = getattr(X, "column_names", getattr(X, "columns", y))
    return any(name in columns for name in y)


def _is_dask(values: Any) -> bool:
    """Tell whether an object is a DataFrame, a Series or an array of Dask's."""
    module = type(values).__module__
    return module.startswith(("dask.dataframe", "dask.array")) and hasattr(values, "npartitions")


def _is_arrow(X: Any, y: Any) -> bool:
    """Tell whether X is Arrow's, or a path of Parquet files, or a list of such."""
    package = type(X).__module__.partition(".")[0]
    if package == "pyarrow":
        # A table is read as an array where the targets come beside it.
        is_dataset = type(X).__module__.startswith("pyarrow._dataset")
        return (y is None and is_dataset) or _is_named(X, y)
    paths = X if isinstance(X, list) and X else [X]
    if not all(isinstance(path, str | os.PathLike) for path in paths):
        return False
    return (y is None and all(map(is_path, paths))) or _is_named(X, y)


def _is_iterated(X: Any) -> bool:
    """Tell whether X can only be iterated over, each time anew."""
    if not isinstance(X, Iterable) or isinstance(X, str | bytes | Mapping | Set | Sequence):
        return False
    if isinstance(X, Iterator):
        return False
    return not any(hasattr(X, name) for name in _AT_ONCE)
