"""Which kind of `Rows` checked samples become: the one place that tells the kinds apart."""

from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from sklearn_mlp.arrays.stored import StoredArray, is_read_by_block
from sklearn_mlp.arrays.tensors import NUMPY_TYPES, check_overflow
from sklearn_mlp.data.converted import ConvertedRows
from sklearn_mlp.data.dense import DenseRows
from sklearn_mlp.data.rows import Rows
from sklearn_mlp.data.sourced import SourceRows
from sklearn_mlp.data.sparse import SparseRows
from sklearn_mlp.data.streamed import StreamedRows
from sklearn_mlp.sources import blocks


def rows_to_train_on(X: Any, dtype: torch.dtype, device: torch.device) -> Rows:
    """Return checked samples for many passes: in the training type, on the device if they fit.

    Dense ones share the user's memory where type and device already agree.

    Raises
    ------
    ValueError
        If a number is too large for the type.
    """
    if isinstance(X, StoredArray):
        return _kept(X, dtype, device) if X.is_kept else _rows_of_stored(X, dtype, device)
    kind = SparseRows if scipy.sparse.issparse(X) else DenseRows
    return kind.of(X, dtype, device)


def rows_to_predict(X: Any, dtype: torch.dtype, device: torch.device) -> Rows:
    """Return checked samples for a single pass: nothing dense is converted as a whole.

    Raises
    ------
    ValueError
        If a number of a sparse matrix is too large for the type.
    """
    if scipy.sparse.issparse(X):
        return SparseRows.of(X, dtype, device)
    if isinstance(X, StoredArray):
        return _rows_of_stored(X, dtype, device)
    return ConvertedRows(X, dtype, device)


def _kept(X: StoredArray, dtype: torch.dtype, device: torch.device) -> Rows:
    """Return what is read once, in the type to compute in, and stays in memory."""
    check_overflow(np.array(X.bounds), dtype, "X")
    numbers = X.read(np.arange(len(X)), NUMPY_TYPES.get(dtype, X.dtype))
    return DenseRows.of(numbers, dtype, device)


def is_read_anew(X: Any) -> bool:
    """Tell whether samples are read block by block, from the beginning of each, in every epoch."""
    if not isinstance(X, StoredArray) or not isinstance(X.source, blocks.BlockArray):
        return False
    return not X.source.source.has_random_access


def _rows_of_stored(X: StoredArray, dtype: torch.dtype, device: torch.device) -> Rows:
    """Return what is read some rows at a time, in random access or block by block."""
    if not is_read_anew(X):
        return StreamedRows.of(X, dtype, device)
    if X.rows is not None and X.shape[0] * X.shape[1] * X.dtype.itemsize <= blocks.BUFFER_BYTES:
        # A part held out: gone through all blocks for once, not in every epoch.
        return DenseRows.of(X[:], dtype, device)
    return SourceRows.of(X, dtype, device)


def copied_features(X: Any) -> int:
    """Return how many numbers of a sample an epoch may hold a copy of; of sparse ones none."""
    if scipy.sparse.issparse(X) or is_read_by_block(X):
        return 0
    return int(X.shape[1]) if len(X.shape) > 1 else 1


def first_rows(X: Any, dtype: torch.dtype, device: torch.device, n_rows: int = 2) -> Tensor:
    """Return the first of some checked samples as a dense tensor."""
    first: Tensor = rows_to_train_on(X[:n_rows], dtype, device).made_dense().batch(slice(None))
    return first
