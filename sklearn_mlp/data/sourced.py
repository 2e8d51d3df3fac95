"""`SourceRows`: samples that are read anew in each epoch, block by block, and shuffled so."""

from collections.abc import Generator, Iterator, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.arrays.stored import StoredArray
from sklearn_mlp.arrays.tensors import as_tensor
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
        places = self.places_of(np.arange(*rows.indices(len(self))))
        order = np.argsort(places)
        numbers = np.empty((len(places), self.shape[1]), self.read_dtype)
        numbers[order] = self._reader.read(places[order])
        return numbers

    def end_reading(self) -> None:
        """Close the block that is open."""
        self._reader.close()

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
