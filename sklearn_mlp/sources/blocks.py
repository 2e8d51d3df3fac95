"""`BlockArray`: the numbers of a source as an array, which is read block by block.

It has a shape, a type and an index for rows, as an array in a file has, and so is taken as one
(`StoredArray`); but each stretch of its rows is found by going through the blocks that it is in.
"""

from collections.abc import Iterator, Sequence
from typing import Any, final

import numpy as np

from sklearn_mlp.sources.base import RowSource
from sklearn_mlp.sources.parts import column_of, length_of, names_of, numbers_of

# So many bytes of samples are shuffled at a time, and what has no more is read at once: 256 MiB.
BUFFER_BYTES = 1 << 28


@final
class BlockArray:
    """The samples of a source that has been gone through once.

    Parameters
    ----------
    source : RowSource
        What is read.
    bounds : ndarray of shape (n_blocks + 1,)
        Where the blocks begin among all rows, and where the last one ends.
    n_features : int
        How many numbers a row has.
    dtype : dtype
        float32 if all are, else float64.
    targets : ndarray or None
        Those of the first time, of all rows.
    feature_names : sequence of str or None
        Those of the first time.
    head : ndarray of shape (n_first, n_features)
        The first rows, which a network is tried out with.
    """

    def __init__(
        self,
        source: RowSource,
        bounds: np.ndarray,
        n_features: int,
        dtype: np.dtype,
        targets: np.ndarray | None,
        feature_names: Sequence[str] | None,
        head: np.ndarray,
    ) -> None:
        self.source = source
        self.bounds = bounds
        self.shape = int(bounds[-1]), n_features
        self.dtype = dtype
        self.targets = targets
        self.feature_names = feature_names
        self.filename = type(source).__name__  # what an error calls it
        self.head = head

    @property
    def buffer_rows(self) -> int:
        """How many rows are shuffled at a time."""
        return max(1, BUFFER_BYTES // (max(1, self.shape[1]) * self.dtype.itemsize))

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return some rows: a slice, or numbers that ascend, each once."""
        if isinstance(rows, slice):
            rows = np.arange(len(self))[rows]
        if len(rows) and rows[-1] < len(self.head):
            return self.head[rows]
        if self.source.has_random_access:
            return self._read_rows(rows)
        reader = BlockReader(self, self.dtype)
        try:
            return reader.read(rows)
        finally:
            reader.close()

    def _read_rows(self, rows: np.ndarray) -> np.ndarray:
        """Read some rows of a source that has random access."""
        numbers, start = np.empty((len(rows), self.shape[1]), self.dtype), 0
        where = self.source.describe(0)
        for part in self.source.read_rows(rows):
            stop = start + length_of(part[0])
            numbers[start:stop] = numbers_of(part[0], where)
            start = stop
        if start != len(rows):
            raise ValueError(
                f"{where} must give an item for each of {len(rows)} rows, got {start}."
            )
        return numbers

    def __len__(self) -> int:
        return self.shape[0]


@final
class BlockReader:
    """Reads rows of a `BlockArray`; a block that has been begun is gone on with.

    Parameters
    ----------
    array : BlockArray
        What is read.
    dtype : dtype
        The type of what is returned; what is too large for it becomes infinite.
    """

    def __init__(self, array: BlockArray, dtype: Any) -> None:
        self._array = array
        self._dtype = np.dtype(dtype)
        self._block = -1
        self._parts: Iterator[tuple[Any, ...]] = iter(())
        self._next_row = 0
        # The part that was read last, and where it begins among all rows.
        self._part = np.empty((0, array.shape[1]), dtype)
        self._start = 0

    def read(
        self,
        rows: np.ndarray,
        numbers: np.ndarray | None = None,
        following: np.ndarray | None = None,
    ) -> np.ndarray:
        """Read some rows.

        Parameters
        ----------
        rows : ndarray of int
            Which, in any order, each once.
        numbers : ndarray of shape (n_rows, n_features) or None
            The memory to write them to, in their order; None is new.
        following : ndarray of int or None
            What is to be read next: a block that both are in is left where it is to go on.

        Returns
        -------
        numbers : ndarray of shape (n_rows, n_features)
            The rows.

        Raises
        ------
        OSError, ValueError
            If a block cannot be read, or is not what it was.
        """
        if numbers is None:
            numbers = np.empty((len(rows), self._array.shape[1]), self._dtype)
        places = np.argsort(rows)
        ascending = rows[places]
        edges = np.searchsorted(ascending, self._array.bounds)
        for block in self._visits(edges, following):
            some = slice(int(edges[block]), int(edges[block + 1]))
            self._fill(block, ascending[some], places[some], numbers)
        return numbers

    def _visits(self, edges: np.ndarray, following: np.ndarray | None) -> list[int]:
        """Return the blocks to read: first the one that is open, last the one to go on with."""
        blocks = np.flatnonzero(np.diff(edges)).tolist()
        after: set[int] = set()
        if following is not None:
            found = np.searchsorted(self._array.bounds, following, side="right") - 1
            after = set(np.unique(found).tolist())
        return sorted(blocks, key=lambda block: (block != self._block, block in after))

    def _fill(self, block: int, rows: np.ndarray, places: np.ndarray, numbers: np.ndarray) -> None:
        """Read some rows of one block, which ascend, into their places in an array."""
        if block != self._block or rows[0] < self._start:
            self._open(block)
        done = 0
        while done < len(rows):
            upto = int(np.searchsorted(rows, self._start + len(self._part)))
            if upto > done:
                found = rows[done:upto] - self._start
                is_all = len(found) == len(self._part)
                # A conversion to a narrower type is checked by the bounds of all numbers.
                with np.errstate(over="ignore"):
                    numbers[places[done:upto]] = self._part if is_all else self._part[found]
                done = upto
            if done < len(rows):
                self._read_part(rows[done])

    def _open(self, block: int) -> None:
        """Begin a block."""
        self.close()
        self._block = block
        self._start = self._next_row = int(self._array.bounds[block])
        self._parts = iter(self._array.source.read_samples(block))

    def _read_part(self, row: int) -> None:
        """Read the next part of the block, which must come to a row."""
        array, where = self._array, self._array.source.describe(self._block)
        part = next(self._parts, None)
        first, stop = array.bounds[self._block], array.bounds[self._block + 1]
        if part is None:
            raise ValueError(
                f"{where} must have the {stop - first} rows that it had when it was read first, "
                f"got {self._next_row - first}: each time the same rows must come."
            )
        self._part = numbers_of(part[0], where, self._dtype)
        self._start, self._next_row = self._next_row, self._next_row + len(self._part)
        if self._part.shape[1] != array.shape[1] or names_of(part[0]) not in (
            None,
            array.feature_names,
        ):
            raise ValueError(
                f"{where} must have the {array.shape[1]} features that it had when it was read "
                f"first, got {names_of(part[0]) or self._part.shape[1]}."
            )
        if len(part) > 1 and array.targets is not None:
            self._compare(part[1], array.targets, where, int(first))

    def _compare(self, given: Any, known: np.ndarray, where: str, first: int) -> None:
        """Check that the targets of a part are those of the first time."""
        targets = column_of(given, "y", where, self._start - first)
        if not np.array_equal(targets, known[self._start : self._next_row]):
            raise ValueError(
                f"{where} must have the targets that it had when it was read first: each time the "
                "same rows must come in the same order. Leave shuffling to fit (shuffle=True), "
                "which does it by random_state."
            )

    def close(self) -> None:
        """Leave the block that is open, and its file."""
        close = getattr(self._parts, "close", None)
        if close is not None:
            close()
        self._block, self._parts = -1, iter(())
        self._part = self._part[:0].copy()
