"""Methods that take a source of rows in the place of ``X``: fits, predictions and scores."""

import copy
from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from sklearn_mlp.data.reading import ReadingAhead
from sklearn_mlp.ranks.context import joined_group
from sklearn_mlp.sources.base import RowSource
from sklearn_mlp.sources.choice import check_has_targets, source_of
from sklearn_mlp.sources.first_pass import ReadSource, read_once, read_targets
from sklearn_mlp.sources.parts import check_numbers, names_of, numbers_of

# What has more different targets is no classification, whose labels could be new.
_MOST_CLASSES = 10_000


def fits_sources(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method ``(self, X, y, sample_weight, ...)`` train on sources, too."""

    @wraps(method)
    def fit(
        self: Any, X: Any, y: Any = None, sample_weight: Any = None, *args: Any, **more: Any
    ) -> Any:
        source = None
        if type(X) is not np.ndarray:
            check_has_targets(X, y)
            source = source_of(X, y, sample_weight)
        watched_source = _source_to_watch(source, more)
        if source is None and watched_source is None:
            return method(self, X, y, sample_weight, *args, **more)
        # Of several processes the others shall know at once if this one cannot read.
        with joined_group():
            read = None if source is None else read_once(source)
            if read is not None:
                X, y, sample_weight = read.X, read.y, read.sample_weight
            watched = None if watched_source is None else read_once(watched_source)
            if watched is not None:
                beside = {"y_val": watched.y, "sample_weight_val": watched.sample_weight}
                more = {**more, "X_val": watched.X, **beside}
            known = more.get("classes", vars(self).get("classes_"))
            try:
                return method(self, X, y, sample_weight, *args, **more)
            except ValueError as error:
                place = method.__name__ == "partial_fit" and _unknown_label(read, known)
                place = place or _unknown_label(watched, y)
                if not place:
                    raise
                raise ValueError(f"{error} {place}") from error

    return fit


def _source_to_watch(source: RowSource | None, more: dict[str, Any]) -> RowSource | None:
    """Return what reads the validation set, if there is one and it is a source."""
    X_val = more.get("X_val")
    if X_val is None:
        return None
    names = None if source is None else source.feature_names
    return source_of(X_val, more.get("y_val"), more.get("sample_weight_val"), names)


def _unknown_label(read: ReadSource | None, known: Any) -> str:
    """Say where the first label is that is not among those that are known, if there is one."""
    if read is None or read.y is None or read.y.ndim != 1 or np.ndim(known) != 1:
        return ""
    known = set(np.asarray(known).tolist())
    if read.y.dtype.kind == "f" or len(known) > _MOST_CLASSES:
        return ""
    for row, label in enumerate(read.y.tolist()):
        if label not in known:
            return f"The first such label is {label!r}, in {read.place_of(row)}."
    return ""


def scores_sources(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method ``(self, X, y, sample_weight)`` take its targets from a source."""

    @wraps(method)
    def score(self: Any, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        source = source_of(X, y, sample_weight, vars(self).get("feature_names_in_"))
        if source is not None:
            X, (y, sample_weight) = source, read_targets(source)
            if y is None:
                raise ValueError(
                    "y must be passed, or be in X, for a score, got none: name its column, or let "
                    "X yield (X, y)."
                )
        return method(self, X, y, sample_weight)

    return score


def predict_source(
    method: Callable[..., Any],
    self: Any,
    source: RowSource,
    args: tuple[Any, ...],
    more: dict[str, Any],
    *,
    is_lazy: bool,
) -> Any:
    """Return what a method ``(self, X, ...)`` says of all rows of a source, part by part."""
    self._check_is_fitted()
    if is_lazy:
        # Later calls of fit do not change what is computed then.
        fitted = copy.deepcopy(self)
        return source.lazily(partial(_call, method.__name__, fitted, args, more))
    results = [method(self, part, *args, **more) for part in _read_ahead(_samples_of(source))]
    if not results:
        raise ValueError("X must have a row at least, got a source without any.")
    return _joined(results)


def _call(name: str, estimator: Any, args: tuple[Any, ...], more: dict[str, Any], X: Any) -> Any:
    """Call a method by its name: a function that is decorated has no pickle."""
    return getattr(estimator, name)(X, *args, **more)


def _samples_of(source: RowSource) -> Iterator[Any]:
    """Go through the samples of a source, checked, with the names of the features."""
    for block in range(source.n_blocks):
        first, where = 0, source.describe(block)
        for part in source.read_samples(block):
            samples = part[0]
            numbers, names = numbers_of(samples, where), names_of(samples)
            check_numbers(numbers, names, where, first)
            first += len(numbers)
            yield numbers if names is None else pd.DataFrame(numbers, columns=names, copy=False)


def _read_ahead(parts: Iterator[Any]) -> Iterator[Any]:
    """Go through parts, of which the next one is read in a thread."""

    def read() -> Any:
        """Return the next part, or None at the end."""
        return next(parts, None)

    reading = ReadingAhead(read)
    try:
        while True:
            part = reading.result()
            if part is None:
                return
            reading = ReadingAhead(read)
            yield part
    finally:
        reading.wait()


def _joined(results: list[Any]) -> Any:
    """Return the results for parts of the samples as one."""
    first = results[0]
    if isinstance(first, list | tuple):
        return type(first)(_joined(list(each)) for each in zip(*results, strict=True))
    if scipy.sparse.issparse(first):
        return scipy.sparse.vstack(results, format=first.format)
    return np.concatenate(results)
