"""From arrays to tensors and back: types, and numbers that are too large for them."""

from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from sklearn_mlp.arrays.readable import readable_array, readable_tensor
from sklearn_mlp.machine.shared_memory import tensor_to_read

# Below so many numbers torch does not divide a conversion among threads.
_FEW_NUMBERS = 32768

# Types that torch reads straight into a floating type; the rest goes through float64.
_READABLE = frozenset("?bBhHiIlLqQfde")

# The types that NumPy has, too.
NUMPY_TYPES = {
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.int64: np.int64,
}


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
    if is_few and dtype in NUMPY_TYPES:
        # NumPy notices an overflow at no cost, but has no threads.
        try:
            with np.errstate(over="raise"):
                converted = torch.from_numpy(array.astype(NUMPY_TYPES[dtype], "C"))
            return converted.to(device=device, dtype=dtype), False
        except FloatingPointError:
            pass
    return as_tensor(array, dtype, device), True


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
    if shared.dtype == dtype or dtype not in NUMPY_TYPES or device.type != "cpu":
        return shared.to(device=device, dtype=dtype)
    # A copy is made anyway: one whose rows are contiguous, which is what batches are gathered by,
    # in memory of NumPy's, which comes in large pages and so in a third of the time.
    return torch.from_numpy(np.empty(array.shape, NUMPY_TYPES[dtype])).copy_(shared)


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


def on_host(values: Any, name: str = "y") -> Any:
    """Return what a tensor holds as an array, anything else as it is; checked, by its name."""
    if not isinstance(values, Tensor):
        return readable_array(values, name)
    values = readable_tensor(values.detach(), name).cpu()
    # NumPy has no bfloat16.
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
