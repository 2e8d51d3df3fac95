"""Tensors and sparse matrices that are no numbers to compute with: refused before they are read.

What NumPy cannot be given fails with a bare error of torch's, and a sparse matrix whose indices
lead out of it ends the process.
"""

from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from sklearn_mlp.arrays.array_likes import check_array_like

# Complex ones are refused by scikit-learn's sentence, later.
_READABLE = frozenset(
    {
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.uint16, torch.uint32, torch.uint64),
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
        *(torch.complex32, torch.complex64, torch.complex128),
    }
)


def check_readable(values: Any, name: str) -> None:
    """Check whatever may be a tensor, or none, before anything is asked of it.

    Raises
    ------
    TypeError, ValueError
        As `readable_tensor` and `readable_array`.
    """
    if isinstance(values, Tensor):
        readable_tensor(values.detach(), name)
    else:
        readable_array(values, name)


def readable_array(values: Any, name: str) -> Any:
    """Return what is no tensor as it is: a sparse matrix checked, nothing masked.

    Raises
    ------
    TypeError
        If it is nothing like an array.
    ValueError
        If a number is masked, which scikit-learn would take no notice of; as `readable_sparse`.
    """
    if scipy.sparse.issparse(values):
        return readable_sparse(values, name)
    check_array_like(values, name)
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(
            f"{name} must not be masked, but {np.ma.count_masked(values)} of its {values.size} "
            f"values are; leave these samples out, or fill in values by {name}.filled()."
        )
    return values


def readable_tensor(tensor: Tensor, name: str) -> Tensor:
    """Return a dense tensor of numbers, as itself unless it is a negated view.

    Parameters
    ----------
    tensor : Tensor
        What the user passed.
    name : str
        As which argument.

    Raises
    ------
    TypeError
        If there are no numbers in it, or none of a type that NumPy has.
    """
    if tensor.layout != torch.strided or tensor.is_nested:
        raise TypeError(
            f"A sparse or nested torch tensor was passed as {name}, but a dense one is required; "
            "pass sparse samples as a scipy CSR or CSC matrix."
        )
    if tensor.is_meta:
        raise TypeError(
            f"{name} must be a tensor with numbers in it, got one on the device 'meta', which has "
            f"only a shape, {tuple(tensor.shape)}."
        )
    if tensor.dtype not in _READABLE:
        kind = "a quantised tensor" if tensor.is_quantized else "a tensor"
        method = "dequantize" if tensor.is_quantized else "float"
        raise TypeError(
            f"{name} must be a tensor of integers, or of numbers in 16 to 64 bits, got {kind} of "
            f"{tensor.dtype}; convert it, such as by {name}.{method}()."
        )
    return tensor.resolve_conj().resolve_neg()


def readable_sparse(matrix: Any, name: str) -> Any:
    """Return a sparse matrix whose indices are within it, in a compressed format.

    scipy's own ``check_format`` would shorten the user's arrays.

    Parameters
    ----------
    matrix : sparse matrix or array of scipy's
        What the user passed.
    name : str
        As which argument.

    Raises
    ------
    ValueError
        If they are not.
    """
    if matrix.ndim != 2:
        raise ValueError(f"{name} must be a sparse matrix of 2 axes, got {matrix.ndim}.")
    if matrix.format == "coo":
        for axis, (places, size) in enumerate(zip(matrix.coords, matrix.shape, strict=True)):
            _check_indices(places, size, f"{name} has indices along axis {axis}")
    if matrix.format not in ("csr", "csc", "bsr"):
        matrix = matrix.tocsr()
    _check_compressed(matrix, name)
    return matrix


def _check_compressed(matrix: Any, name: str) -> None:
    """Check the arrays of a compressed matrix."""
    starts, indices = matrix.indptr, matrix.indices
    blocks = getattr(matrix, "blocksize", (1, 1))
    sizes = [size // block for size, block in zip(matrix.shape, blocks, strict=True)]
    n_lines, n_places = sizes[::-1] if matrix.format == "csc" else sizes
    n_stored = len(indices)
    if n_stored != len(matrix.data):
        raise ValueError(
            f"{name} must be a sparse matrix with an index for each value, got {n_stored} indices "
            f"and {len(matrix.data)} values."
        )
    if len(starts) != n_lines + 1 or starts[0] != 0 or starts[-1] > n_stored:
        raise ValueError(
            f"{name} must be a {matrix.format.upper()} matrix whose indptr has {n_lines + 1} "
            f"numbers, from 0 to at most its {n_stored} stored values, got {len(starts)} numbers "
            f"from {starts[0] if len(starts) else None} to {starts[-1] if len(starts) else None}."
        )
    if (starts[1:] < starts[:-1]).any():
        raise ValueError(
            f"{name} must be a {matrix.format.upper()} matrix whose indptr never falls, got "
            f"{np.array2string(np.asarray(starts), threshold=10)}."
        )
    _check_indices(indices[: starts[-1]], n_places, f"{name} has indices")


def _check_indices(indices: np.ndarray, size: int, what: str) -> None:
    """Check that all are places along an axis."""
    if len(indices) == 0:
        return
    least, largest = indices.min(), indices.max()
    if indices.dtype.kind not in "iu" or least < 0 or largest >= size:
        raise ValueError(
            f"{what} from {least} to {largest}, which must be whole numbers from 0 to {size - 1}."
        )
