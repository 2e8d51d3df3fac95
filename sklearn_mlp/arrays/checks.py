"""The checks of ``X``, in scikit-learn's sentences, before it becomes rows of numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data
from torch import Tensor

from sklearn_mlp.arrays.plain import is_plain_array, is_plain_sparse, plain_array
from sklearn_mlp.arrays.readable import readable_array, readable_sparse, readable_tensor
from sklearn_mlp.arrays.stored import StoredArray, is_read_by_block, name_of
from sklearn_mlp.arrays.target_checks import naming_conversions, validate_targets
from sklearn_mlp.arrays.tensors import on_host


def validate_training_data(
    estimator: BaseEstimator, X: Any, y: Any, *, reset: bool
) -> tuple[Any, Any]:
    """Check ``X`` and ``y`` as scikit-learn's MLP does; return them, converted only where needed.

    Parameters
    ----------
    estimator : BaseEstimator
        Gets ``n_features_in_`` and ``feature_names_in_`` if ``reset``, is compared with if not.
    X, y : array-like, sparse matrix, DataFrame or Tensor
        What the user passed.
    reset : bool
        Whether this is a first fit.

    Returns
    -------
    X : ndarray, CSR or CSC matrix, Tensor or StoredArray
        Integers stay integers: they are converted once, straight into the training type.
    y : ndarray or CSR matrix
        The targets.
    """
    X = _validate_samples_to_train_on(estimator, X, reset=reset)
    y = validate_targets(estimator, on_host(y))
    check_consistent_length(X, y)
    return X, y


def _validate_samples_to_train_on(estimator: BaseEstimator, X: Any, *, reset: bool) -> Any:
    """Check ``X`` of a fit."""
    if isinstance(X, Tensor):
        return _validate_tensor(estimator, X, reset=reset)
    if is_read_by_block(X):
        return _validate_stored(estimator, X, reset=reset)
    dtypes = _accepted_dtypes(X)
    numbers = None if reset else _as_expected(estimator, X)
    if numbers is not None and (dtypes is None or numbers.dtype in dtypes):
        return numbers
    X = readable_array(X, "X")
    with _naming_columns(X), naming_conversions("X"):
        return validate_data(estimator, X, accept_sparse=["csr", "csc"], dtype=dtypes, reset=reset)


def features_of(estimator: BaseEstimator) -> dict[str, Any]:
    """Return the attributes that `validate_training_data` has left on an estimator."""
    names = ("n_features_in_", "feature_names_in_")
    return {name: vars(estimator)[name] for name in names if name in vars(estimator)}


def validate_samples(estimator: BaseEstimator, X: Any) -> Any:
    """Check ``X`` of a prediction against what the estimator was fitted on."""
    numbers = _as_expected(estimator, X)
    if numbers is not None:
        return numbers
    if isinstance(X, Tensor):
        return _validate_tensor(estimator, X, reset=False)
    if is_read_by_block(X):
        return _validate_stored(estimator, X, reset=False)
    X = readable_array(X, "X")
    with _naming_columns(X), naming_conversions("X"):
        return validate_data(estimator, X, accept_sparse=["csr", "csc"], reset=False)


@contextmanager
def _naming_columns(X: Any) -> Iterator[None]:
    """Name the columns of a DataFrame that are no numbers, where an error says that some are not.

    What the error said stays its beginning. Missing values have a sentence of scikit-learn's.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        if not isinstance(X, pd.DataFrame) or "contains" in str(error):
            raise
        columns = [name for name in X.columns if not _has_numbers(X[[name]])]
        if not columns:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"{error}\nX has columns that are not numeric ({len(columns)} in all, the first "
            f"{columns[:5]}); encode them, or use TabularMLPClassifier or TabularMLPRegressor, "
            "which take tables as they come."
        ) from error


def _has_numbers(column: pd.DataFrame) -> bool:
    """Tell whether a DataFrame's one column can be read as numbers."""
    dtypes = column.dtypes
    if dtypes.map(lambda dtype: isinstance(dtype, np.dtype) and dtype.kind in "mM").any():
        return False
    try:
        column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        return False
    return True


def _as_expected(estimator: BaseEstimator, X: Any) -> Any:
    """Return samples as scikit-learn's checks would, or None if they might find something."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        numbers = plain_array(X) if type(X) is pd.DataFrame and _has_names(X, names) else None
    elif is_plain_array(X):
        numbers = X
    elif type(X) is list:
        numbers = plain_array(X)
    else:
        numbers = readable_sparse(X, "X") if is_plain_sparse(X) else None
    if numbers is None or numbers.ndim != 2 or numbers.shape[1] != estimator.n_features_in_:
        return None
    return numbers


def _has_names(frame: pd.DataFrame, names: np.ndarray) -> bool:
    """Tell whether the columns of a frame are those that an estimator was fitted on."""
    columns = frame.columns.to_numpy(dtype=object)
    return len(columns) == len(names) and bool((columns == names).all())


def _accepted_dtypes(X: Any) -> Any:
    """Return the ``dtype`` argument for scikit-learn's checks.

    Integer arrays keep their type, where scikit-learn would make a float64 copy first.
    """
    kind = getattr(getattr(X, "dtype", None), "kind", None)
    if isinstance(X, np.ndarray) and kind in ("b", "i", "u"):
        return None
    return (np.float64, np.float32)


def _validate_stored(estimator: BaseEstimator, X: Any, *, reset: bool) -> StoredArray:
    """Check an array in a file, which is gone through once, block by block."""
    if isinstance(X, StoredArray):
        # One that was checked, or a part of it.
        names = getattr(X.source, "feature_names", None)
        like = X if names is None else pd.DataFrame(columns=names)
        validate_data(estimator, like, skip_check_array=True, reset=reset)
        return X
    if np.dtype(X.dtype).kind not in "fiub":
        raise ValueError(
            f"X must be an array of real numbers, got {X.dtype} in {name_of(X)}; only arrays of "
            "numbers are read from a file some rows at a time."
        )
    if len(X.shape) != 2:
        raise ValueError(
            f"Expected 2D array, got {len(X.shape)}D array instead: {name_of(X)} has the shape "
            f"{X.shape}, and must have one of (n_samples, n_features)."
        )
    stored = StoredArray(X)
    # What differs in its features is told before all of it is read.
    checked = validate_data(estimator, stored, skip_check_array=True, reset=reset)
    stored.check()
    return checked


def _validate_tensor(estimator: BaseEstimator, X: Tensor, *, reset: bool) -> Tensor:
    """Check a tensor where it is, with scikit-learn's sentences."""
    X = readable_tensor(X, "X")
    if X.is_complex():
        raise ValueError(f"Complex data not supported\n{X}\n")
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead:\narray={X}.\n"
            "Reshape your data either using array.reshape(-1, 1) if your data has a single "
            "feature or array.reshape(1, -1) if it contains a single sample."
        )
    if 0 in X.shape:
        # An empty array of the same shape: let scikit-learn say it.
        check_array(np.empty(X.shape), estimator=estimator, input_name="X")
    # The sum is finite unless something in it is not, or it overflows: cheap, and mostly enough.
    if X.is_floating_point() and not X.sum().isfinite() and not X.isfinite().all():
        what = "NaN" if X.isnan().any() else f"infinity or a value too large for {X.dtype}"
        raise ValueError(f"Input X contains {what}.")
    return validate_data(estimator, X, skip_check_array=True, reset=reset)
