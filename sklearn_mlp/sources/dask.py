"""`DaskSource`: collections of Dask's, by partition; predictions of them are as lazy."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Self, final

import numpy as np
import pandas as pd

from sklearn_mlp.machine.optional_packages import import_optional
from sklearn_mlp.sources.base import Part, RowSource, features_among
from sklearn_mlp.sources.parts import length_of, names_of


@final
class DaskSource(RowSource):
    """A DataFrame or an array of Dask's, with targets and weights in partitions of the same rows.

    Parameters
    ----------
    samples : dask.dataframe.DataFrame or dask.array.Array
        The samples.
    beside : list of collections
        Targets and weights, as far as there are any.
    """

    may_have_empty_blocks = True
    is_lazy = True

    def __init__(self, samples: Any, beside: Sequence[Any]) -> None:
        self._samples = samples
        for name, values in zip(("y", "sample_weight"), beside, strict=False):
            if not hasattr(values, "npartitions"):
                raise TypeError(
                    f"{name} must be a collection of Dask's, or the name of a column, where X and "
                    f"y are, got a {type(values).__name__}."
                )
            if values.npartitions != samples.npartitions:
                raise ValueError(
                    f"{name} must have the partitions of X, {samples.npartitions}, got "
                    f"{values.npartitions}; repartition, or rechunk, one of them."
                )
        # Their graphs are made, and optimised, once.
        self._parts, *self._parts_beside = map(_partitions, (samples, *beside))

    @classmethod
    def of(cls, X: Any, y: Any, sample_weight: Any, names: Sequence[str] | None) -> Self:
        """Take collections, or a DataFrame with the names of its columns for the others.

        Raises
        ------
        TypeError, ValueError
            If a column that is named is not there, or the partitions are not those of X.
        """
        if not hasattr(X, "columns"):
            # All features of a row together.
            X = X.rechunk({1: -1}) if X.ndim == 2 else X
            return cls(
                X, [_like(X, values) for values in (y, sample_weight) if values is not None]
            )
        used: list[str] = []
        beside = []
        for argument, given in (("y", y), ("sample_weight", sample_weight)):
            if isinstance(given, str | list):
                used += [given] if isinstance(given, str) else given
                _check_columns(argument, used, X)
                given = X[given]
            if given is not None:
                beside.append(given)
        return cls(X[features_among(list(X.columns), used, names)], beside)

    @property
    def n_blocks(self) -> int:
        """How many partitions there are."""
        return int(self._samples.npartitions)

    @property
    def partitions(self) -> list[tuple[Any, ...]]:
        """What computes each partition: samples, targets and weights, if there are any."""
        return list(zip(self._parts, *self._parts_beside, strict=True))

    @property
    def feature_names(self) -> list[str] | None:
        """The columns of a DataFrame, where all have names."""
        return names_of(self._samples)

    def describe(self, block: int) -> str:
        """Return what an error calls a partition."""
        return f"partition {block} of X"

    def read(self, block: int) -> Iterator[Part]:
        """Compute a partition of all."""
        return self._compute(block, [self._parts, *self._parts_beside])

    def read_samples(self, block: int) -> Iterator[Part]:
        """Compute a partition of the samples."""
        return self._compute(block, [self._parts])

    def read_targets(self, block: int) -> Iterator[Part]:
        """Compute a partition of targets and weights."""
        return ((None, *part) for part in self._compute(block, self._parts_beside))

    def _compute(self, block: int, parts: list[Any]) -> Iterator[Part]:
        """Compute a partition of one or several collections."""
        dask = import_optional("dask", extra="streams", purpose="Reading a collection of Dask's")
        part = dask.compute(*(each[block] for each in parts))
        if not part or length_of(part[0]):
            yield part

    def lazily(self, predict: Callable[[Any], Any]) -> Any:
        """Return what a function says of the samples, as arrays of Dask's that are not computed.

        Parameters
        ----------
        predict : callable
            Takes an array or a DataFrame; returns an array, or a list or tuple of them.
        """
        names = self.feature_names
        row = np.zeros((1, *self._samples.shape[1:]))
        # What is wrong with the features is told now, and not when it is computed.
        like = predict(row if names is None else pd.DataFrame(row, columns=names))
        if isinstance(like, list | tuple):
            parts = [self._lazy(predict, each, place) for place, each in enumerate(like)]
            return type(like)(parts)
        return self._lazy(predict, like, None)

    def _lazy(self, predict: Callable[[Any], Any], like: np.ndarray, place: int | None) -> Any:
        """Return one array of predictions."""
        function = partial(_predict_part, predict=predict, like=like[:0], place=place)
        if hasattr(self._samples, "columns"):
            return self._samples.map_partitions(function, meta=like[:0])
        axes: dict[str, Any] = {"drop_axis": 1}
        if like.ndim > 1:
            chunks = (self._samples.chunks[0], *((size,) for size in like.shape[1:]))
            axes = {"chunks": chunks, "new_axis": list(range(2, like.ndim))}
        return self._samples.map_blocks(function, dtype=like.dtype, meta=like[:0], **axes)


def _predict_part(
    part: Any, *, predict: Callable[[Any], Any], like: np.ndarray, place: int | None
) -> Any:
    """Return the predictions for a partition, of which there may be none."""
    if not len(part):
        return like
    predictions = predict(part)
    return predictions if place is None else predictions[place]


def _like(X: Any, values: Any) -> Any:
    """Return targets or weights in the chunks of an array, where both are known."""
    is_known = all(n == n for n in (*X.chunks[0], *getattr(values, "chunks", [[]])[0]))
    if not hasattr(values, "rechunk") or not is_known or X.shape[0] != values.shape[0]:
        return values
    return values.rechunk((X.chunks[0], *(-1,) * (values.ndim - 1)))


def _partitions(collection: Any) -> list[Any]:
    """Return what computes each partition."""
    return list(np.ravel(collection.to_delayed()))


def _check_columns(argument: str, columns: Sequence[str], X: Any) -> None:
    """Check that columns are there."""
    for column in columns:
        if column not in X.columns:
            raise ValueError(
                f"{argument} must be a column of X, which has {list(X.columns)}, got {column!r}."
            )
