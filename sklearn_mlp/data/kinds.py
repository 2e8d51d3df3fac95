"""Which kind of rows checked samples become: the one place that tells them apart.

Dense samples become one tensor on the fit's device, sharing the user's memory where type and
device already agree. Sparse samples become `SparseRows`, which are made dense a batch at a time.
"""

from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from sklearn_mlp.data.sparse import SparseRows
from sklearn_mlp.data.tensors import as_finite_tensor, check_overflow
from sklearn_mlp.machine.shared_memory import tensor_to_read


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
