"""The arguments of `fit_many`: checked before anything is trained, with errors that name them."""

from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from numbers import Integral, Real
from typing import Any

import numpy as np

from sklearn_mlp.arrays.readable import check_readable
from sklearn_mlp.estimators.base import BaseTorchMLP
from sklearn_mlp.machine.sklearn_internals import validate_parameter_constraints
from sklearn_mlp.many.planning import MAX_MEMORY

_CONSTRAINTS: dict[str, list[Any]] = {
    "X": ["array-like", "sparse matrix"],
    "y": ["array-like", "sparse matrix"],
    "indices": ["array-like", None],
    "sample_weight": ["array-like", Real, None],
    "n_jobs": [Integral, None],
    "max_memory": MAX_MEMORY,
    "verbose": ["verbose"],
}


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Check arguments by the table, with scikit-learn's sentence."""
    validate_parameter_constraints(_CONSTRAINTS, arguments, "fit_many")


def check_estimators(estimators: Any) -> list[BaseTorchMLP]:
    """Return estimators as a list, if all are of this package and none is there twice."""
    try:
        listed = list(estimators)
    except TypeError:
        raise TypeError(
            "estimators must be a list of TorchMLPClassifier and TorchMLPRegressor, got "
            f"{estimators!r}."
        ) from None
    for estimator in listed:
        if not isinstance(estimator, BaseTorchMLP):
            raise TypeError(
                "estimators: fit_many fits TorchMLPClassifier and TorchMLPRegressor, got "
                f"{estimator!r}; fit other estimators one by one."
            )
    if len(set(map(id, listed))) < len(listed):
        raise ValueError("estimators has the same object twice; use sklearn.base.clone.")
    return listed


def with_shape(X: Any) -> Any:
    """Return samples as they are if they have a shape, else as an array."""
    check_readable(X, "X")
    if _length(X) is not None and hasattr(X, "shape"):
        return X
    try:
        array = np.asarray(X)
    except Exception as error:
        raise ValueError(
            "X must be samples of shape (n_samples, n_features), got "
            f"a {type(X).__name__} that makes no array: {error}"
        ) from error
    if array.ndim == 0:
        raise ValueError(
            "X must be samples of shape (n_samples, n_features), got "
            f"a {type(X).__name__} of no length."
        )
    return array


def check_lengths(n_samples: int, y: Any, sample_weight: Any) -> None:
    """Check that there is a target for each sample, and a weight, if there are weights."""
    check_readable(y, "y")
    check_readable(sample_weight, "sample_weight")
    n_targets = _length(y)
    if n_targets is None:
        raise ValueError(f"y must be targets of {n_samples} samples, got a {type(y).__name__}.")
    if n_targets != n_samples:
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"X has {n_samples}, y has {n_targets}."
        )
    if sample_weight is None or isinstance(sample_weight, Real):
        return
    n_weights = _length(sample_weight)
    if n_weights != n_samples:
        got = f"a {type(sample_weight).__name__}" if n_weights is None else str(n_weights)
        raise ValueError(f"sample_weight must have a weight for {n_samples} samples, got {got}.")


def number_index_sets(indices: Any, n_fits: int, n_samples: int) -> tuple[list[Any], list[int]]:
    """Return the different sets of rows, and the place of each estimator's among them."""
    if indices is None:
        return [None], [0] * n_fits
    places: dict[Hashable, int] = {}
    sets: list[Any] = []
    samples = []
    for place, rows in enumerate(_entries(indices, n_fits)):
        array = _row_numbers(f"indices[{place}]", rows, n_samples)
        key = (array.dtype.str, array.tobytes())
        if key not in places:
            places[key] = len(sets)
            sets.append(array)
        samples.append(places[key])
    return sets, samples


def _entries(indices: Any, n_fits: int) -> Sequence[Any]:
    """Return the rows of each estimator, as the user has named them."""
    try:
        entries = None if isinstance(indices, Mapping | AbstractSet) else list(indices)
    except TypeError:
        entries = None
    if entries is None:
        raise ValueError(
            "indices must be a list with the rows of each estimator, got "
            f"a {type(indices).__name__}."
        )
    if len(entries) != n_fits:
        raise ValueError(f"indices has {len(entries)} entries for {n_fits} estimators.")
    return entries


def _row_numbers(name: str, rows: Any, n_samples: int) -> np.ndarray:
    """Return one estimator's rows as an array, if they are some of those that there are."""
    try:
        array = np.asarray(rows)
    except Exception as error:
        raise ValueError(
            f"{name} must be numbers of rows of X, got what makes no array: {error}"
        ) from error
    is_fine = array.ndim == 1
    if array.dtype.kind == "b":
        is_fine = is_fine and len(array) == n_samples and bool(array.any())
    else:
        is_fine = is_fine and array.dtype.kind in "iu" and array.size > 0
        is_fine = is_fine and -n_samples <= array.min() and array.max() < n_samples
    if not is_fine:
        raise ValueError(
            f"{name} must be numbers of rows of X, 0 to {n_samples - 1}, or a mask of its "
            f"{n_samples} rows, and name at least one, got an array of shape {array.shape} and "
            f"type {array.dtype}: {np.array2string(array, threshold=10)}."
        )
    return array


def _length(values: Any) -> int | None:
    """Return how many rows there are; None if that is not known."""
    shape = getattr(values, "shape", None)
    try:
        return int(shape[0]) if shape is not None else len(values)
    except Exception:
        return None
