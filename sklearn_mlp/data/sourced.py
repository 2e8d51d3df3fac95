"""`SourceRows`: samples that are read anew in each epoch, block by block, and shuffled so."""

from collections.abc import Generator, Hashable, Iterator, Sequence
from typing import Any, Self, final

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.data.blocks import BlockArray, BlockReader
from sklearn_mlp.data.reading import ReadingAhead
from sklearn_mlp.data.rows import Gather, Rows
from sklearn_mlp.data.stored import StoredArray
from sklearn_mlp.data.tensors import NUMPY_TYPES, as_tensor, check_overflow


@final
class SourceRows(Rows):
    """Samples of a source, checked, or some of its rows.

    Parameters
    ----------
    source : StoredArray
        Of a `BlockArray`.
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
        self.array: BlockArray = source.source
        self._reader = BlockReader(self.array, self.read_dtype)
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

    @property
    def read_dtype(self) -> Any:
        """The type of NumPy's to read in: that of the batches, where there is such a one."""
        return NUMPY_TYPES.get(self.dtype, self.array.dtype)

    def places_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the numbers that rows have in the whole source."""
        return rows if self.source.rows is None else self.source.rows[rows]

    def batch(self, rows: Any, *, copy: bool = False) -> Tensor:
        """Return some rows as a tensor of its own memory; see `Rows.batch`.

        Stretches are best asked for one after the other: the next one is read ahead.
        """
        ahead, self._next = self._next, None
        is_stretch = isinstance(rows, slice) and rows.step is None and rows.stop is not None
        if not is_stretch:
            return self.on_device(self.source.read(rows, self.read_dtype))
        if ahead is not None:
            # There is one reader.
            ahead[1].wait()
        is_ahead = ahead is not None and ahead[0] == rows
        numbers = ahead[1].result() if ahead is not None and is_ahead else self._read(rows)
        following = slice(rows.stop, 2 * rows.stop - (rows.start or 0))
        if following.start < len(self):
            self._next = following, ReadingAhead(lambda: self._read(following))
        else:
            self._reader.close()
        return self.on_device(numbers)

    def _read(self, rows: slice) -> np.ndarray:
        """Read a stretch, going on from the last one."""
        places = self.places_of(np.arange(*rows.indices(len(self))))
        order = np.argsort(places)
        numbers = np.empty((len(places), self.shape[1]), self.read_dtype)
        numbers[order] = self._reader.read(places[order])
        return numbers

    def on_device(self, numbers: np.ndarray) -> Tensor:
        """Return what was read as a tensor."""
        return as_tensor(numbers, self.dtype, self.device)

    def shuffle(self, rows: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
        """Return the order of the coming epoch: blocks, and within a buffer rows.

        Where all rows fit into the buffer, it is the order of samples in memory.
        """
        buffer_rows = self.array.buffer_rows
        if len(rows) <= buffer_rows:
            return super().shuffle(rows, random_state)
        places = self.places_of(rows)
        by_place = np.argsort(places, kind="stable")
        edges = np.searchsorted(places[by_place], self.array.bounds)
        blocks = random_state.permutation(len(edges) - 1)
        order = rows[
            np.concatenate([by_place[edges[block] : edges[block + 1]] for block in blocks])
        ]
        for start in range(0, len(order), buffer_rows):
            random_state.shuffle(order[start : start + buffer_rows])
        return order

    def take(self, rows: np.ndarray) -> Self:
        """Return some rows, which stay where they are."""
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
        return id(self.array), None if rows is None else rows.tobytes(), self.dtype

    def gather(self, n_train: int, batch_size: int, *, is_moved: bool) -> Gather:
        """Return what reads a buffer of rows after the other."""
        return BufferedGather(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_next": None, "_reader": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._reader = BlockReader(self.array, self.read_dtype)


@final
class BufferedGather(Gather):
    """Reads as many rows as are shuffled at a time; those that come next in a thread, meanwhile.

    Parameters
    ----------
    samples : SourceRows
        The samples.
    """

    has_fixed_memory = False
    is_filled_at_once = False

    def __init__(self, samples: SourceRows) -> None:
        self._samples = samples
        self._order = np.arange(0)

    def begin_epoch(self, rows: np.ndarray, places: Tensor) -> None:
        """Take note of the order."""
        self._order = rows

    def batches(self, sizes: Sequence[int]) -> Iterator[Tensor]:
        """Go through the batches of the epoch."""
        buffers = self._buffers()
        try:
            buffer, places = next(buffers)
            for size in sizes:
                found: list[Tensor] = []
                while size:
                    if not len(places):
                        # Two buffers are enough: this one makes room for the one after the next.
                        del buffer
                        buffer, places = next(buffers)
                    found.append(buffer.index_select(0, places[:size]))
                    size, places = size - len(found[-1]), places[size:]
                inputs = found[0] if len(found) == 1 else torch.cat(found)
                yield inputs.to(self._samples.device)
        finally:
            buffers.close()

    def _buffers(self) -> Generator[tuple[Tensor, Tensor], None, None]:
        """Go through the rows as they were read, with the place there of each that is to come."""
        samples, n_rows = self._samples, self._samples.array.buffer_rows
        starts = range(0, len(self._order), n_rows)
        parts = [samples.places_of(self._order[start : start + n_rows]) for start in starts]
        reader = BlockReader(samples.array, samples.read_dtype)
        reading = self._begin_reading(reader, parts, 0)
        try:
            for number, part in enumerate(parts):
                numbers = reading.result()
                if number + 1 < len(parts):
                    reading = self._begin_reading(reader, parts, number + 1)
                buffer = as_tensor(numbers, samples.dtype, torch.device("cpu"))
                del numbers
                places = np.empty(len(part), np.int64)
                places[np.argsort(part)] = np.arange(len(part))
                yield buffer, torch.from_numpy(places)
                del buffer
        finally:
            # The user may close the files as soon as the fit has ended.
            reading.wait()
            reader.close()

    def _begin_reading(
        self, reader: BlockReader, parts: Sequence[np.ndarray], number: int
    ) -> ReadingAhead:
        """Begin to read what comes next, in the order of the blocks."""
        following = parts[number + 1] if number + 1 < len(parts) else None
        return ReadingAhead(lambda: reader.read(np.sort(parts[number]), following))
