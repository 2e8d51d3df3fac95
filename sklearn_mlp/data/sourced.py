"""`SourceRows`: samples that are read anew in each epoch, block by block, and shuffled so."""

from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import accumulate
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.arrays.stored import BLOCK_SIZE, StoredArray
from sklearn_mlp.data.block_order import shuffle_in_blocks
from sklearn_mlp.data.reading import ReadingAhead
from sklearn_mlp.data.rows import Gather
from sklearn_mlp.data.stored_rows import StoredRows
from sklearn_mlp.sources.blocks import BlockArray, BlockReader


@final
class SourceRows(StoredRows):
    """Samples of a source, checked, or some of its rows: a `StoredArray` of a `BlockArray`."""

    def __init__(self, source: StoredArray, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__(source, dtype, device)
        self.array: BlockArray = source.source
        self._reader = BlockReader(self.array, self.read_dtype)

    def places_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the numbers that rows have in the whole source."""
        return rows if self.source.rows is None else self.source.rows[rows]

    def read_stretch(self, rows: slice) -> np.ndarray:
        """Read neighbours, going on from the last ones."""
        return self._reader.read(self.places_of(np.arange(*rows.indices(len(self)))))

    def end_reading(self) -> None:
        """Close the block that is open."""
        self._reader.close()

    def shuffle(self, rows: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
        """Return the order of the coming epoch: blocks, and within a buffer rows.

        Where all rows fit into the buffer, it is the order of samples in memory.
        """
        array, places = self.array, self.places_of(rows)
        return shuffle_in_blocks(rows, places, array.bounds, array.buffer_rows, random_state)

    def gather(self, n_train: int, batch_size: int, *, is_moved: bool) -> Gather:
        """Return what reads a buffer of rows after the other."""
        return BufferedGather(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_reader": None}

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
        # Two are written to by turns.
        self._memory: list[np.ndarray] = []

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
        bounds, first, start = [0, *accumulate(sizes)], 0, 0
        # What came before of a batch that goes on in the next buffer.
        begun: list[np.ndarray] = []
        with closing(self._buffers()) as buffers:
            for buffer in buffers:
                stop = start + len(buffer)
                while first < len(sizes) and bounds[first + 1] <= stop:
                    last = first + 1 if begun else self._last_of_block(bounds, first, stop)
                    numbers = buffer[max(0, bounds[first] - start) : bounds[last] - start]
                    numbers = np.concatenate([*begun, numbers]) if begun else numbers
                    begun = []
                    yield (first, last), self._samples.on_device(numbers)
                    first = last
                if bounds[first] < stop:
                    begun.append(buffer[max(0, bounds[first] - start) :].copy())
                start = stop

    def _last_of_block(self, bounds: list[int], first: int, stop: int) -> int:
        """Return the first batch after a block, which has some MiB, and at least one batch."""
        most = max(1, BLOCK_SIZE // max(1, self._samples.shape[1]))
        return max(first + 1, bisect_right(bounds, min(stop, bounds[first] + most)) - 1)

    def _buffers(self) -> Generator[np.ndarray, None, None]:
        """Go through the rows in their order, so many as are shuffled at a time."""
        samples, order, n_rows = self._samples, self._order, self._samples.array.buffer_rows
        starts = range(0, len(order), n_rows)
        parts = [samples.places_of(order[start : start + n_rows]) for start in starts]
        if not self._memory:
            shape = len(parts[0]), samples.shape[1]
            self._memory = [np.empty(shape, samples.read_dtype) for _ in parts[:2]]
        reader = BlockReader(samples.array, samples.read_dtype)
        reading = self._begin_reading(reader, parts, 0)
        try:
            for number in range(len(parts)):
                numbers = reading.result()
                if number + 1 < len(parts):
                    reading = self._begin_reading(reader, parts, number + 1)
                yield numbers
        finally:
            # The user may close the files as soon as the fit has ended.
            reading.wait()
            reader.close()

    def _begin_reading(
        self, reader: BlockReader, parts: Sequence[np.ndarray], number: int
    ) -> ReadingAhead:
        """Begin to read what comes next, into the memory of the last but one."""
        rows, following = parts[number], parts[number + 1] if number + 1 < len(parts) else None
        numbers = self._memory[number % 2][: len(rows)]
        return ReadingAhead(lambda: reader.read(rows, numbers, following))
