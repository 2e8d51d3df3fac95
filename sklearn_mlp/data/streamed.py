"""`StreamedRows`: samples that stay in a file; each block is read while the last is computed."""

from collections.abc import Generator, Hashable, Iterator, Sequence
from itertools import accumulate, zip_longest
from typing import Any, Self, final

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.data.reading import ReadingAhead
from sklearn_mlp.data.rows import Gather, Rows
from sklearn_mlp.data.stored import StoredArray
from sklearn_mlp.data.tensors import NUMPY_TYPES, as_tensor, check_overflow


@final
class StreamedRows(Rows):
    """Samples in a file, checked, in random access.

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

    def batch(self, rows: Any, *, copy: bool = False) -> Tensor:
        """Return some rows as a tensor of its own memory; see `Rows.batch`.

        After a stretch that neighbours follow, these are read ahead.
        """
        ahead, self._next = self._next, None
        is_stretch = isinstance(rows, slice) and rows.step is None and rows.stop is not None
        if not is_stretch:
            return self.on_device(self.read(rows))
        is_ahead = ahead is not None and ahead[0] == rows
        numbers = ahead[1].result() if ahead is not None and is_ahead else self.read(rows)
        following = slice(rows.stop, 2 * rows.stop - (rows.start or 0))
        if following.start < len(self):
            self._next = following, ReadingAhead(lambda: self.read(following))
        return self.on_device(numbers)

    def read(self, rows: Any) -> np.ndarray:
        """Read some rows in the type of the batches, where NumPy has it."""
        return self.source.read(rows, self.read_dtype)

    @property
    def read_dtype(self) -> Any:
        """The type of the batches, or of the source where NumPy does not have it."""
        # What is read in a thread is converted by NumPy: torch would begin threads of its own.
        return NUMPY_TYPES.get(self.dtype, self.source.dtype)

    def on_device(self, numbers: np.ndarray) -> Tensor:
        """Return what was read as a tensor."""
        return as_tensor(numbers, self.dtype, self.device)

    def take(self, rows: np.ndarray) -> Self:
        """Return some rows, which stay in the file."""
        return type(self)(self.source.take(rows), self.dtype, self.device)

    def to(self, device: torch.device) -> Self:
        """Return the same samples with their batches on another device."""
        return type(self)(self.source, self.dtype, device)

    def made_dense(self) -> Self:
        """Return the same samples."""
        return self

    @property
    def identity(self) -> Hashable:
        """A value that is equal for two that are the same samples, in the same memory."""
        rows = self.source.rows
        return id(self.source.source), None if rows is None else rows.tobytes(), self.dtype

    def gather(self, n_train: int, batch_size: int, *, is_moved: bool) -> Gather:
        """Return what reads ahead."""
        return ReadAhead(self, is_moved=is_moved)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_next": None}


@final
class ReadAhead(Gather):
    """Reads blocks of several batches, the next one in a thread, into two buffers by turns.

    Parameters
    ----------
    samples : StreamedRows
        The samples.
    is_moved : bool
        As in `Rows.gather`.
    """

    has_fixed_memory = False
    is_filled_at_once = False

    def __init__(self, samples: StreamedRows, *, is_moved: bool) -> None:
        self._samples = samples
        self._is_moved = is_moved
        self._order = np.arange(0)
        self._buffers: list[np.ndarray] = []

    def begin_epoch(self, rows: np.ndarray, places: Tensor) -> None:
        """Take note of the order."""
        self._order = rows

    def batches(self, sizes: Sequence[int]) -> Iterator[Tensor]:
        """Go through the batches of the epoch."""
        for (first, last), inputs in self.blocks(sizes):
            yield from inputs.split(list(sizes[first:last]))

    def blocks(
        self, sizes: Sequence[int]
    ) -> Generator[tuple[tuple[int, int], Tensor], None, None]:
        """Go through the epoch in blocks of batches that are there at once."""
        bounds = [0, *accumulate(sizes)]
        blocks = list(self._blocks(bounds))
        if not self._buffers:
            self._buffers = self._make_buffers(bounds, blocks)
        reading = self._begin_reading(bounds, blocks[0])
        try:
            for block, following in zip_longest(blocks, blocks[1:]):
                numbers = reading.result()
                if following is not None:
                    reading = self._begin_reading(bounds, following)
                yield block, self._samples.on_device(numbers)
        finally:
            # The user may close the file as soon as the fit has ended.
            reading.wait()

    def _blocks(self, bounds: list[int]) -> Iterator[tuple[int, int]]:
        """Go through the blocks: the first batch of each, and the first of the next one."""
        most, first = self._samples.source.block_rows, 0
        for place in range(1, len(bounds)):
            if place > first + 1 and bounds[place] - bounds[first] > most:
                yield first, place - 1
                first = place - 1
        yield first, len(bounds) - 1

    def _make_buffers(self, bounds: list[int], blocks: list[tuple[int, int]]) -> list[np.ndarray]:
        """Return memory for two blocks, or for one if there are no more: an epoch's are alike."""
        most = max(bounds[last] - bounds[first] for first, last in blocks)
        shape, dtype = (most, self._samples.shape[1]), self._samples.read_dtype
        return [np.empty(shape, dtype) for _ in blocks[:2]]

    def _begin_reading(self, bounds: list[int], block: tuple[int, int]) -> "ReadingAhead":
        """Begin to read the rows of a block, into the memory of the last but one."""
        stretch = slice(bounds[block[0]], bounds[block[1]])
        rows = self._order[stretch] if self._is_moved else stretch
        numbers = self._buffers[0][: stretch.stop - stretch.start]
        self._buffers.reverse()

        def read() -> np.ndarray:
            self._samples.source.read_into(rows, numbers)
            return numbers

        return ReadingAhead(read)
