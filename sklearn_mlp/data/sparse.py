"""Sparse samples: multiplied as they are, or made dense a batch at a time."""

from collections.abc import Hashable
from typing import Any, Self, final

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.arrays.tensors import check_overflow
from sklearn_mlp.data.rows import Gather, GatherByBatch, Rows
from sklearn_mlp.machine.devices import traits_of
from sklearn_mlp.machine.shared_memory import tensor_to_read

# Above this share of stored values, a dense batch and a dense product are faster.
_DENSEST = 0.1


@final
class SparseRows(Rows):
    """Samples in compressed sparse rows.

    Parameters
    ----------
    source : scipy sparse array or matrix in CSR format
        The samples.
    dtype : torch.dtype
        The type of the batches.
    device : torch.device
        Where the batches go.
    is_dense : bool or None
        Whether batches are made dense; None asks whether few numbers are stored.
    """

    def __init__(
        self, source: Any, dtype: torch.dtype, device: torch.device, is_dense: bool | None = None
    ) -> None:
        self.source = source
        self.shape = source.shape
        self.dtype = dtype
        self.device = device
        if is_dense is None:
            n_values = max(1, source.shape[0] * source.shape[1])
            can_multiply = traits_of(device).has_sparse_products
            is_dense = not can_multiply or source.nnz / n_values >= _DENSEST
        self.has_sparse_batches = not is_dense

    @classmethod
    def of(cls, X: Any, dtype: torch.dtype, device: torch.device) -> Self:
        """Bring a sparse matrix into a type, sharing what memory can be shared.

        Raises
        ------
        ValueError
            If a number is too large for the type.
        """
        values = np.dtype(np.float64 if dtype == torch.float64 else np.float32)
        # NumPy would warn.
        with np.errstate(over="ignore"):
            rows = cls(X.tocsr().astype(values, copy=False), dtype, device)
        is_narrower = X.dtype.itemsize > values.itemsize
        if is_narrower and not tensor_to_read(rows.source.data).sum().isfinite():
            check_overflow(X, dtype, "X")
        return rows

    def batch(self, rows: Any, *, copy: bool = False) -> "Tensor | SparseBatch":
        """Return some rows as what multiplies fastest; see `Rows.batch`."""
        part = self.source[rows]
        if self.has_sparse_batches:
            return SparseBatch(part, self.device)
        return torch.from_numpy(part.toarray()).to(self.device, self.dtype)

    def take(self, rows: np.ndarray) -> Self:
        """Return some rows, still sparse."""
        return type(self)(self.source[rows], self.dtype, self.device, not self.has_sparse_batches)

    def to(self, device: torch.device) -> Self:
        """Return the same samples with their batches on another device."""
        is_dense = None if self.has_sparse_batches else True
        return type(self)(self.source, self.dtype, device, is_dense)

    def made_dense(self) -> Self:
        """Return the same samples with dense batches, for what cannot multiply sparse ones."""
        return type(self)(self.source, self.dtype, self.device, True)

    @property
    def identity(self) -> Hashable:
        """A value that is equal for two that are the same samples, in the same memory."""
        places = (self.source.data, self.source.indices, self.source.indptr)
        return *(part.ctypes.data for part in places), self.shape, self.dtype

    def gather(self, n_train: int, batch_size: int, *, is_moved: bool) -> Gather:
        """Return what cuts batches out, one at a time."""
        return GatherByBatch(self, is_moved=is_moved)


@final
class SparseBatch:
    """A few sparse samples that can be multiplied by a layer's weights, and by a gradient.

    It takes the place of a dense batch and of that batch transposed, too.

    Parameters
    ----------
    part : scipy sparse array or matrix in CSR format
        The samples.
    device : torch.device
        Where they go.
    """

    def __init__(self, part: Any, device: torch.device) -> None:
        self.n_features = part.shape[1]
        self.values = tensor_to_read(part.data).to(device)
        self.columns = tensor_to_read(part.indices.astype(np.int64, copy=False)).to(device)
        self.starts = tensor_to_read(part.indptr.astype(np.int64, copy=False)).to(device)

    def t(self) -> Self:
        """Return itself: there is one form for both."""
        return self

    def tensor(self, *, is_transposed: bool = False) -> Tensor:
        """Return the samples as a sparse tensor, which autograd can multiply by weights."""
        counts = self.starts.diff()
        places = [torch.repeat_interleave(counts), self.columns]
        shape = (len(counts), self.n_features)
        if is_transposed:
            places, shape = places[::-1], shape[::-1]
        return torch.sparse_coo_tensor(
            torch.stack(places), self.values, shape, check_invariants=False
        )

    def times(self, weight_t: Tensor) -> Tensor:
        """Return the product with a weight: (n, n_in) by (n_in, n_out) to (n, n_out).

        A sum of the weight's rows, for which ``weight_t`` should be contiguous.
        """
        return torch.nn.functional.embedding_bag(
            self.columns,
            weight_t,
            self.starts,
            mode="sum",
            per_sample_weights=self.values,
            include_last_offset=True,
        )

    def add_transposed_times(self, delta_t: Tensor, out: Tensor, *, beta: float) -> Tensor:
        """Write ``beta * out + batch.T @ delta_t``: (n, n_out) to (n_in, n_out)."""
        if not len(self.values):
            # torch would multiply what is in out by 0, which a NaN there survives.
            return out.zero_() if beta == 0 else out
        transposed = self.tensor(is_transposed=True)
        return torch.addmm(out, transposed, delta_t.contiguous(), beta=beta, out=out)
