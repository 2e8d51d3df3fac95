"""Sparse samples: multiplied as they are, or made dense a batch at a time."""

from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.machine.devices import traits_of
from sklearn_mlp.machine.shared_memory import tensor_to_read

# Above this share of stored values, a dense batch and a dense product are faster.
_DENSEST = 0.1


class SparseRows:
    """Samples in compressed sparse rows.

    Parameters
    ----------
    matrix : scipy sparse array or matrix in CSR format
        The samples.
    dtype : torch.dtype
        The type of the batches.
    device : torch.device
        Where the batches go.
    """

    def __init__(self, matrix: Any, dtype: torch.dtype, device: torch.device) -> None:
        self.matrix = matrix
        self.dtype = dtype
        self.device = device
        n_values = max(1, matrix.shape[0] * matrix.shape[1])
        can_multiply = traits_of(device).has_sparse_products
        self.is_multiplied_sparse = can_multiply and matrix.nnz / n_values < _DENSEST

    def __len__(self) -> int:
        return self.matrix.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Samples and features."""
        return self.matrix.shape

    def batch(self, rows: np.ndarray | slice) -> "Tensor | SparseBatch":
        """Return some rows as what multiplies fastest."""
        return SparseBatch(self, rows) if self.is_multiplied_sparse else self.dense(rows)

    def dense(self, rows: np.ndarray | slice) -> Tensor:
        """Return some rows as a dense tensor of shape (n_rows, n_features)."""
        return torch.from_numpy(self.matrix[rows].toarray()).to(self.device, self.dtype)

    def made_dense(self) -> Self:
        """Return the same samples with dense batches, for what cannot multiply sparse ones."""
        rows = type(self)(self.matrix, self.dtype, self.device)
        rows.is_multiplied_sparse = False
        return rows

    def take(self, rows: np.ndarray) -> Self:
        """Return some rows, still sparse."""
        return type(self)(self.matrix[rows], self.dtype, self.device)


class SparseBatch:
    """A few sparse samples that can be multiplied by a layer's weights, and by a gradient.

    It takes the place of a dense batch and of that batch transposed, too.

    Parameters
    ----------
    samples : SparseRows
        All samples.
    rows : ndarray of int or slice
        Which of them.
    """

    def __init__(self, samples: SparseRows, rows: np.ndarray | slice) -> None:
        part = samples.matrix[rows]
        device = samples.device
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
