"""The checks of ``y`` before it is labels or numbers, and of the numbers of a regression."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_array, column_or_1d

from sklearn_mlp.arrays.plain import plain_array

# What NumPy says of what it makes no array of numbers of.
_CONVERSION = re.compile(
    "could not convert|argument must be a|array element with a sequence|Cannot cast|must be real"
)


def validate_targets(estimator: BaseEstimator, y: Any) -> Any:
    """Check targets as scikit-learn does, in messages that name ``y``.

    Parameters
    ----------
    estimator : BaseEstimator
        For messages.
    y : array-like or sparse matrix of shape (n_samples,) or (n_samples, n_columns)
        On the host.

    Returns
    -------
    y : ndarray or CSR matrix
        Of any type but complex ones.
    """
    numbers = plain_array(y)
    if numbers is not None:
        return numbers
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None."
        )
    if getattr(getattr(y, "dtype", None), "na_value", None) is pd.NA and y.isna().any():
        # scikit-learn would ask whether pandas' missing value is true.
        raise ValueError("Input y contains NaN.")
    with naming("y"):
        return check_array(
            y,
            accept_sparse="csr",
            ensure_2d=False,
            dtype=None,
            input_name="y",
            estimator=estimator,
        )


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Say of errors that do not say so that they are about an argument."""
    try:
        yield
    except (TypeError, ValueError) as error:
        # scikit-learn speaks of sample weights.
        words = name.replace("_", "[_ ]")
        if re.search(rf"(?i)\b{words}(s|\b)", str(error)):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"In {name}: {error}") from error


@contextmanager
def naming_conversions(name: str) -> Iterator[None]:
    """Say of NumPy's errors that they are about an argument; scikit-learn's stay as they are."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if not _CONVERSION.search(str(error)):
            raise
        with naming(name):
            raise


def as_numbers(y: Any) -> np.ndarray:
    """Return the checked targets of a regression as an array of finite numbers.

    Sparse ones become dense: the network's outputs are.

    Raises
    ------
    TypeError
        If they are no numbers, or strings that look like some; scikit-learn's is of the same kind.
    ValueError
        If one is missing, or no number.
    """
    if scipy.sparse.issparse(y):
        return y.toarray(order="C")
    if y.dtype == object:
        with naming("y"):
            y = y.astype(np.float64)
        # What was None.
        assert_all_finite(y, input_name="y")
    if y.dtype.kind not in "biuf":
        raise TypeError(
            f"y must be numbers, got {y.dtype}; convert it, such as by y.astype(float)."
        )
    return y


def as_column(y: np.ndarray) -> np.ndarray:
    """Flatten a target of shape (n_samples, 1), with scikit-learn's warning."""
    if y.ndim == 2 and y.shape[1] == 1:
        return column_or_1d(y, warn=True)
    return y
