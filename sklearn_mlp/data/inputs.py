"""From what the user passes as ``X`` to what the engine reads: checked, then taken over.

Dense samples become one tensor on the fit's device, sharing the user's memory where type and
device already agree. Sparse samples become `SparseRows`, which are made dense a batch at a time.
"""

from typing import Any

import numpy as np
import scipy.sparse
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data
from torch import Tensor

from sklearn_mlp.data.readable import readable_array, readable_tensor
from sklearn_mlp.data.sparse import SparseRows
from sklearn_mlp.data.target_checks import naming_conversions, validate_targets
from sklearn_mlp.machine.shared_memory import tensor_to_read

# Below so many numbers torch does not divide a conversion among threads.
_FEW_NUMBERS = 32768

# Types that torch reads straight into a floating type; the rest goes through float64.
_READABLE = frozenset("?bBhHiIlLqQfde")

_NUMPY_TYPES = {
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.int64: np.int64,
}


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
    X : ndarray, CSR or CSC matrix, or Tensor
        Integers stay integers: they are converted once, straight into the training type.
    y : ndarray or CSR matrix
        The targets.
    """
    X = readable_array(X, "X")
    if isinstance(X, Tensor):
        X = _validate_tensor(estimator, X, reset=reset)
    else:
        with naming_conversions("X"):
            X = validate_data(
                estimator,
                X,
                accept_sparse=["csr", "csc"],
                dtype=_accepted_dtypes(X),
                reset=reset,
            )
    y = validate_targets(estimator, on_host(y))
    check_consistent_length(X, y)
    return X, y


def features_of(estimator: BaseEstimator) -> dict[str, Any]:
    """Return the attributes that `validate_training_data` has left on an estimator."""
    names = ("n_features_in_", "feature_names_in_")
    return {name: vars(estimator)[name] for name in names if name in vars(estimator)}


def validate_samples(estimator: BaseEstimator, X: Any) -> Any:
    """Check ``X`` of a prediction against what the estimator was fitted on."""
    if isinstance(X, Tensor):
        return _validate_tensor(estimator, X, reset=False)
    is_array = type(X) is np.ndarray and X.dtype.kind in "fiub"
    if is_array and not hasattr(estimator, "feature_names_in_"):
        # An array among arrays has no names to compare, the search for which would take a sixth
        # of a prediction for one row.
        checked = check_array(X, input_name="X", estimator=estimator)
        if checked.shape[1] == estimator.n_features_in_:
            return checked
    X = readable_array(X, "X")
    with naming_conversions("X"):
        return validate_data(estimator, X, accept_sparse=["csr", "csc"], reset=False)


def fitted_dtype(X: Any) -> np.dtype:
    """Return the type that scikit-learn would train in on this (checked) ``X``."""
    if isinstance(X, Tensor):
        single = (torch.float32, torch.bfloat16)
        return np.dtype(np.float32 if X.dtype in single else np.float64)
    return np.dtype(np.float32 if X.dtype == np.float32 else np.float64)


def prediction_dtype(X: Any, fitted: np.dtype) -> np.dtype:
    """Return the type of scikit-learn's predictions for this (checked) ``X``.

    Its product of ``X``, whose type prediction leaves as it is, with the weights.
    """
    if not isinstance(X, Tensor):
        return np.result_type(X.dtype, fitted)
    return np.result_type(on_host(X[:0]).dtype, fitted)


def exact_dtype(dtype: np.dtype) -> torch.dtype:
    """Return the type of torch that predictions of a type are computed in."""
    return torch.float32 if dtype == np.float32 else torch.float64


def take_over(X: Any, dtype: torch.dtype, device: torch.device) -> "Tensor | SparseRows":
    """Bring checked samples into the training type and onto the device, copying only if needed.

    Raises
    ------
    ValueError
        If a number is too large for the type.
    """
    if scipy.sparse.issparse(X):
        values = np.dtype(np.float64 if dtype == torch.float64 else np.float32)
        # NumPy would warn.
        with np.errstate(over="ignore"):
            rows = SparseRows(X.tocsr().astype(values, copy=False), dtype, device)
        is_narrower = X.dtype.itemsize > values.itemsize
        if is_narrower and not tensor_to_read(rows.matrix.data).sum().isfinite():
            check_overflow(X, dtype, "X")
        return rows
    return as_finite_tensor(X, dtype, device, "X")


def first_rows(X: Any, dtype: torch.dtype, device: torch.device, n_rows: int = 2) -> Tensor:
    """Return the first of some checked samples as a dense tensor."""
    taken = take_over(X[:n_rows], dtype, device)
    return taken.dense(slice(None)) if isinstance(taken, SparseRows) else taken


def as_finite_tensor(array: Any, dtype: torch.dtype, device: torch.device, name: str) -> Tensor:
    """Return finite numbers as `as_tensor` does, if they are finite in the type, too.

    Parameters
    ----------
    array : ndarray or Tensor
        The numbers.
    dtype, device : torch.dtype, torch.device
        As for `as_tensor`.
    name : str
        What the user calls the numbers.

    Raises
    ------
    ValueError
        If one is too large for the type.
    """
    converted, may_overflow = convert(array, dtype, device)
    # One pass over the narrower type: about a hundredth of an epoch.
    if may_overflow and not converted.sum().isfinite():
        check_overflow(array, dtype, name)
    return converted


def convert(array: Any, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, bool]:
    """Return an array or tensor as `as_tensor` does, and whether it may have become infinite."""
    kind = array.dtype
    is_floating = kind.is_floating_point if isinstance(kind, torch.dtype) else kind.kind == "f"
    if not is_floating or kind.itemsize <= dtype.itemsize:
        return as_tensor(array, dtype, device), False
    is_few = isinstance(array, np.ndarray) and array.size < _FEW_NUMBERS
    if is_few and dtype in _NUMPY_TYPES:
        # NumPy notices an overflow at no cost, but has no threads.
        try:
            with np.errstate(over="raise"):
                converted = torch.from_numpy(array.astype(_NUMPY_TYPES[dtype], "C"))
            return converted.to(device=device, dtype=dtype), False
        except FloatingPointError:
            pass
    return as_tensor(array, dtype, device), True


def check_overflow(values: Any, dtype: torch.dtype, name: str) -> None:
    """Check that finite numbers are finite in a type of torch, too.

    Parameters
    ----------
    values : ndarray, sparse matrix or Tensor
        The numbers.
    dtype : torch.dtype
        The type.
    name : str
        What the user calls the numbers.

    Raises
    ------
    ValueError
        If they are not.
    """
    if isinstance(values, Tensor):
        values = values.detach()
    elif scipy.sparse.issparse(values):
        # Its own maximum would first sort it, in place.
        values = values.data
    largest = max(values.max(), -values.min())
    if torch.tensor(float(largest), dtype=dtype, device="cpu").isinf():
        kind = str(dtype).removeprefix("torch.")
        way_out = "" if dtype == torch.float64 else ", or set dtype='float64'"
        # A long double may be more than a float can show.
        shown = f"{float(largest):.3g}" if np.isfinite(float(largest)) else str(largest)
        raise ValueError(
            f"{name} must fit into {kind}, which the network computes in and whose largest number "
            f"is {torch.finfo(dtype).max:.3g}, but {name} has {shown}. Scale {name} "
            f"first{way_out}."
        )


def check_squares(targets: Tensor, name: str) -> None:
    """Check that a loss can hold the squares of targets, without which nothing is learned.

    Parameters
    ----------
    targets : Tensor
        In the type that is trained in.
    name : str
        What the user calls them.

    Raises
    ------
    ValueError
        If it cannot.
    """
    # Of the largest in the type itself: where that is infinite, so is the loss.
    if targets.abs().max().square().isfinite():
        return
    kind = str(targets.dtype).removeprefix("torch.")
    way_out = "" if targets.dtype == torch.float64 else ", or set dtype='float64'"
    raise ValueError(
        f"the squares of {name}, which the loss is made of, must fit into {kind}, whose largest "
        f"number is {torch.finfo(targets.dtype).max:.3g}, but {name} has "
        f"{targets.abs().max().item():.3g}. Scale {name} first, such as by "
        f"scale_target='standard'{way_out}."
    )


def narrowed(predictions: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return predictions in the type of scikit-learn's, which may be narrower than the targets'.

    Raises
    ------
    ValueError
        If one is too large for it.
    """
    with np.errstate(over="ignore"):
        result = predictions.astype(dtype, copy=False)
    if dtype.itemsize < predictions.dtype.itemsize and not np.isfinite(result).all():
        largest = np.abs(predictions).max()
        raise ValueError(
            f"predictions for an X of {dtype} must fit into that type, but there is "
            f"{largest:.3g}; pass X as float64."
        )
    return result


def as_tensor(array: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return an array or tensor as a tensor, sharing its memory where type and device allow."""
    if isinstance(array, Tensor):
        converted = array.detach().to(device=device, dtype=dtype)
        # Autograd takes none of inference mode's.
        return converted.clone() if converted.is_inference() else converted
    if array.dtype.char not in _READABLE or not array.dtype.isnative:
        # What becomes infinite is found by who asks for finite numbers.
        with np.errstate(over="ignore"):
            array = array.astype(np.float64)
    flags = array.flags
    if not flags.c_contiguous and any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array)
    shared = tensor_to_read(array)
    if shared.dtype == dtype or dtype not in _NUMPY_TYPES or device.type != "cpu":
        return shared.to(device=device, dtype=dtype)
    # A copy is made anyway: one whose rows are contiguous, which is what batches are gathered by,
    # in memory of NumPy's, which comes in large pages and so in a third of the time.
    return torch.from_numpy(np.empty(array.shape, _NUMPY_TYPES[dtype])).copy_(shared)


def on_host(values: Any, name: str = "y") -> Any:
    """Return what a tensor holds as an array, anything else as it is; checked, by its name."""
    if not isinstance(values, Tensor):
        return readable_array(values, name)
    values = readable_tensor(values.detach(), name).cpu()
    # NumPy has no bfloat16.
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def _accepted_dtypes(X: Any) -> Any:
    """Return the ``dtype`` argument for scikit-learn's checks.

    Integer arrays keep their type, where scikit-learn would make a float64 copy first.
    """
    kind = getattr(getattr(X, "dtype", None), "kind", None)
    if isinstance(X, np.ndarray) and kind in ("b", "i", "u"):
        return None
    return (np.float64, np.float32)


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
