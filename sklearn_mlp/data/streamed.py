"""`StreamedRows`: samples that stay in a file; each block is read while the last is computed."""

import os
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Self, final

import numpy as np
import torch
from torch import Tensor

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
        self._next: tuple[slice, _Reading] | None = None

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
            self._next = following, _Reading(lambda: self.read(following))
        return self.on_device(numbers)

    def read(self, rows: Any) -> np.ndarray:
        """Read some rows in the type of the batches, where NumPy has it."""
        # What is read in a thread is converted by NumPy: torch would begin threads of its own.
        return self.source.read(rows, NUMPY_TYPES.get(self.dtype, self.source.dtype))

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
        """What is equal for two that are the same samples, and lie in the same memory."""
        rows = self.source.rows
        return id(self.source.source), None if rows is None else rows.tobytes(), self.dtype

    def gather(self, n_train: int, batch_size: int, *, is_moved: bool) -> Gather:
        """Return what reads ahead."""
        return ReadAhead(self, is_moved=is_moved)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_next": None}


@final
class ReadAhead(Gather):
    """Reads blocks of several batches, the next one in a thread.

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

    def begin_epoch(self, rows: np.ndarray, places: Tensor) -> None:
        """Take note of the order."""
        self._order = rows

    def batches(self, sizes: Sequence[int]) -> Iterator[Tensor]:
        """Go through the batches of the epoch."""
        blocks = list(self._blocks(sizes))
        reading = self._begin_reading(blocks[0])
        try:
            for place, block in enumerate(blocks):
                numbers = reading.result()
                if place + 1 < len(blocks):
                    reading = self._begin_reading(blocks[place + 1])
                inputs = self._samples.on_device(numbers)
                del numbers
                yield from inputs.split([stop - start for start, stop in pairwise(block)])
        finally:
            # The user may close the file as soon as the fit has ended.
            reading.wait()

    def _blocks(self, sizes: Sequence[int]) -> Iterator[list[int]]:
        """Go through the blocks: the bounds of the batches of each."""
        most, block = self._samples.source.block_rows, [0]
        for stop in accumulate(sizes):
            if len(block) > 1 and stop - block[0] > most:
                yield block
                block = [block[-1]]
            block.append(stop)
        yield block

    def _begin_reading(self, block: list[int]) -> "_Reading":
        """Begin to read the rows of a block."""
        stretch = slice(block[0], block[-1])
        rows = self._order[stretch] if self._is_moved else stretch
        return _Reading(lambda: self._samples.read(rows))


@final
class _Reading:
    """A block that a thread of its own reads.

    In a process that is forked meanwhile there is no such thread, and nothing waits for it.
    """

    def __init__(self, read: Callable[[], np.ndarray]) -> None:
        self._read = read
        self._process = os.getpid()
        self._numbers: np.ndarray | None = None
        self._error: BaseException | None = None
        # A daemon: the end of the process does not wait for a disk.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        """Read; what goes wrong is told to who asks for the block."""
        try:
            self._numbers = self._read()
        except BaseException as error:
            self._error = error

    def wait(self) -> None:
        """Wait until the thread has ended."""
        if os.getpid() == self._process:
            self._thread.join()

    def result(self) -> np.ndarray:
        """Return the block.

        Raises
        ------
        OSError
            If it could not be read.
        """
        self.wait()
        if self._error is not None:
            raise self._error
        numbers, self._numbers = self._numbers, None
        # None in a process forked before the thread had ended.
        return self._read() if numbers is None else numbers
