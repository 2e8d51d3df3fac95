"""`ConvertedRows`: samples that stay as the user has them, converted a block at a time."""

from collections.abc import Hashable
from typing import Any, Self, final

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.arrays.tensors import check_overflow, convert
from sklearn_mlp.data.rows import Gather, GatherByBatch, Rows


@final
class ConvertedRows(Rows):
    """An array or a tensor of any type and place, of which no copy is made as a whole.

    Parameters
    ----------
    source : ndarray or Tensor of shape (n_samples, n_features)
        The samples.
    dtype : torch.dtype
        The type of the batches.
    device : torch.device
        Where they go.
    """

    def __init__(self, source: Any, dtype: torch.dtype, device: torch.device) -> None:
        self.source = source
        self.shape = source.shape
        self.dtype = dtype
        self.device = device

    def batch(self, rows: Any, *, copy: bool = False) -> Tensor:
        """Return some rows as a tensor; see `Rows.batch`."""
        part = self.source[rows]
        batch, self.may_overflow = convert(part, self.dtype, self.device)
        return batch.clone() if copy else batch

    def check_range(self, rows: slice) -> None:
        """Check that finite numbers are finite in the type of the batches; see `Rows`."""
        check_overflow(self.source[rows], self.dtype, "X")

    def take(self, rows: np.ndarray) -> Self:
        """Return some rows as samples of their own."""
        return type(self)(self.source[rows], self.dtype, self.device)

    def to(self, device: torch.device) -> Self:
        """Return the same samples with their batches on another device."""
        return type(self)(self.source, self.dtype, device)

    def made_dense(self) -> Self:
        """Return the same samples."""
        return self

    @property
    def identity(self) -> Hashable:
        """A value that is equal for two that are the same samples, in the same memory."""
        return id(self.source), self.dtype

    def gather(self, n_train: int, batch_size: int, *, is_moved: bool) -> Gather:
        """Return what converts batches, one at a time."""
        return GatherByBatch(self, is_moved=is_moved)
