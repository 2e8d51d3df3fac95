"""Methods that take a source of rows in the place of ``X``: fits, predictions and scores."""

import copy
from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from sklearn_mlp.data.first_pass import read_once, read_targets
from sklearn_mlp.data.parts import check_numbers, names_of, numbers_of
from sklearn_mlp.data.source_kinds import source_of
from sklearn_mlp.data.sources import RowSource
from sklearn_mlp.data.streamed import _Reading


def fits_sources(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method ``(self, X, y, sample_weight, ...)`` train on sources, too."""

    @wraps(method)
    def fit(
        self: Any, X: Any, y: Any = None, sample_weight: Any = None, *args: Any, **more: Any
    ) -> Any:
        source = source_of(X, y, sample_weight)
        names = None
        if source is not None:
            names = source.feature_names
            X, y, sample_weight = read_once(source)
        X_val = more.get("X_val")
        if X_val is not None:
            source = source_of(X_val, more.get("y_val"), more.get("sample_weight_val"), names)
            if source is not None:
                more["X_val"], more["y_val"], more["sample_weight_val"] = read_once(source)
        return method(self, X, y, sample_weight, *args, **more)

    return fit


def scores_sources(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method ``(self, X, y, sample_weight)`` take its targets from a source."""

    @wraps(method)
    def score(self: Any, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        source = source_of(X, y, sample_weight, vars(self).get("feature_names_in_"))
        if source is not None:
            X, (y, sample_weight) = source, read_targets(source)
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

    reading = _Reading(read)
    try:
        while True:
            part = reading.result()
            if part is None:
                return
            reading = _Reading(read)
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
