"""`StoredRows`: what samples that are read from elsewhere have in common."""

from abc import abstractmethod
from collections.abc import Hashable
from typing import Any, Self, final

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.arrays.stored import StoredArray
from sklearn_mlp.arrays.tensors import NUMPY_TYPES, as_tensor, check_overflow
from sklearn_mlp.data.reading import ReadingAhead
from sklearn_mlp.data.rows import Rows


class StoredRows(Rows):
    """Samples that are read some rows at a time, checked, or some of them.

    Parameters
    ----------
    source : StoredArray
        The samples.
    dtype : torch.dtype
        The type of the batches.
    device : torch.device
        Where they go.
    """

    def __init__(self, source: StoredArray, dtype: torch.dtype, device: torch.device) -> None:
        self.source = source
        self.shape = source.shape
        self.dtype = dtype
        self.device = device
        self._next: tuple[slice, ReadingAhead] | None = None

    @classmethod
    def of(cls, source: StoredArray, dtype: torch.dtype, device: torch.device) -> Self:
        """Take samples that were checked, of which only the least and the largest are looked at.

        Raises
        ------
        ValueError
            If a number is too large for the type.
        """
        check_overflow(np.array(source.bounds), dtype, "X")
        return cls(source, dtype, device)

    @abstractmethod
    def read_stretch(self, rows: slice) -> np.ndarray:
        """Read neighbours, in `read_dtype`; never two stretches at once."""

    def end_reading(self) -> None:
        """Close what `read_stretch` has opened: the last row has been read."""

    @final
    def batch(self, rows: Any, *, copy: bool = False) -> Tensor:
        """Return some rows as a tensor of its own memory; see `Rows.batch`.

        After a stretch that neighbours follow, these are read ahead.
        """
        ahead, self._next = self._next, None
        is_stretch = isinstance(rows, slice) and rows.step is None and rows.stop is not None
        if not is_stretch:
            return self.on_device(self.source.read(rows, self.read_dtype))
        if ahead is not None:
            ahead[1].wait()
        is_ahead = ahead is not None and ahead[0] == rows
        numbers = ahead[1].result() if ahead is not None and is_ahead else self.read_stretch(rows)
        following = slice(rows.stop, 2 * rows.stop - (rows.start or 0))
        if following.start < len(self):
            self._next = following, ReadingAhead(lambda: self.read_stretch(following))
        else:
            self.end_reading()
        return self.on_device(numbers)

    @final
    @property
    def read_dtype(self) -> Any:
        """The type of the batches, or of the source where NumPy does not have it."""
        # What is read in a thread is converted by NumPy: torch would begin threads of its own.
        return NUMPY_TYPES.get(self.dtype, self.source.dtype)

    @final
    def on_device(self, numbers: np.ndarray) -> Tensor:
        """Return what was read as a tensor."""
        return as_tensor(numbers, self.dtype, self.device)

    @final
    def take(self, rows: np.ndarray) -> Self:
        """Return some rows, which stay where they are."""
        return type(self)(self.source.take(rows), self.dtype, self.device)

    @final
    def to(self, device: torch.device) -> Self:
        """Return the same samples with their batches on another device."""
        return type(self)(self.source, self.dtype, device)

    @final
    def made_dense(self) -> Self:
        """Return the same samples."""
        return self

    @final
    @property
    def identity(self) -> Hashable:
        """A value that is equal for two that are the same samples, in the same memory."""
        rows = self.source.rows
        return id(self.source.source), None if rows is None else rows.tobytes(), self.dtype

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_next": None}
