"""`StreamedRows`: samples that stay in a file; each block is read while the last is computed."""

from collections.abc import Generator, Iterator, Sequence
from itertools import accumulate, zip_longest
from typing import final

import numpy as np
from torch import Tensor

from sklearn_mlp.data.reading import ReadingAhead
from sklearn_mlp.data.rows import Gather
from sklearn_mlp.data.stored_rows import StoredRows


@final
class StreamedRows(StoredRows):
    """Samples in a file, checked, in random access."""

    def read_stretch(self, rows: slice) -> np.ndarray:
        """Read neighbours."""
        return self.source.read(rows, self.read_dtype)

    def gather(self, n_train: int, batch_size: int, *, is_moved: bool) -> Gather:
        """Return what reads ahead."""
        return ReadAhead(self, is_moved=is_moved)


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
        self._make_room(bounds, blocks)
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

    def _make_room(self, bounds: list[int], blocks: list[tuple[int, int]]) -> None:
        """Have memory for two blocks, or for one if there are no more."""
        most, there = max(bounds[last] - bounds[first] for first, last in blocks), self._buffers
        if len(there) < len(blocks[:2]) or len(there[0]) < most:
            shape, dtype = (most, self._samples.shape[1]), self._samples.read_dtype
            self._buffers = [np.empty(shape, dtype) for _ in blocks[:2]]

    def _begin_reading(self, bounds: list[int], block: tuple[int, int]) -> "ReadingAhead":
        """Begin to read the rows of a block, into the memory of the last but one."""
        stretch = slice(bounds[block[0]], bounds[block[1]])
        rows = self._order[stretch] if self._is_moved else stretch
        numbers = self._buffers[0][: stretch.stop - stretch.start]
        self._buffers.reverse()

        def read() -> np.ndarray:
            """Read the blocks of these rows."""
            self._samples.source.read_into(rows, numbers)
            return numbers

        return ReadingAhead(read)
