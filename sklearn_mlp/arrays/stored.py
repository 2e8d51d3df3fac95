"""`StoredArray`: numbers that stay in a file, and are read some rows at a time.

Which arrays are read so is decided here, by `is_read_by_block`: a mapped array of NumPy's
(`numpy.memmap`), and anything else with ``shape``, ``dtype`` and an index for rows that is no
array in memory (a dataset of h5py's, an array of zarr's), of more than `LARGEST_WHOLE` bytes. What
is smaller is read as a whole once, as NumPy would.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Self, final

import numpy as np
import scipy.sparse
from torch import Tensor

from sklearn_mlp.arrays.mapped import MappedArray

# Up to so many bytes an array is read as a whole: 256 MiB.
LARGEST_WHOLE = 1 << 28
# How many numbers are gone through, and read ahead, at a time: 32 MiB of float64.
BLOCK_SIZE = 1 << 22
# A block of what is not mapped has so many times as many: most of a file in chunks is gone through
# for each.
_LARGER_BLOCKS = 8
# Chunks are read in stretches of about so many numbers, of which the rows are picked; from one row
# in so many on, of the chunks that have any. Fewer are read by row number, which takes h5py and
# zarr fifty times as long a row. What has no chunks would be read as a whole.
_STRETCH_SIZE = 1 << 18
_FEWEST_OF_CHUNKS = 1 / 32
_FEWEST_OF_STRETCH = 1 / 8
# How many are looked at where they are at a time: as many as the cache of a core holds.
_LOOKED_AT = 1 << 17

# Arrays in some memory, a device's too, or that compute what they are asked for.
_OTHERS = ("__array_namespace__", "__cuda_array_interface__", "compute", "__dataframe__", "iloc")


@final
class StoredArray:
    """Numbers in a file, or some rows of them; an index reads rows of it as an array.

    Parameters
    ----------
    source : object
        What the user passed.
    rows : ndarray of int or None
        Which of its rows; None is all.
    bounds : tuple of float
        The least and the largest number, once `check` has gone through them.
    """

    ndim = 2

    def __init__(
        self,
        source: Any,
        rows: np.ndarray | None = None,
        bounds: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.source = source
        self.name = name_of(source)
        self.rows = rows
        self.bounds = bounds
        self.dtype = np.dtype(source.dtype).newbyteorder("=")
        # Asked once: a file may be closed.
        self._n_all, n_features = source.shape
        self.shape = self._n_all if rows is None else len(rows), n_features
        self._mapped = MappedArray.of(source, self.name)
        chunks = getattr(source, "chunks", None)
        self._chunk_rows: int | None = int(chunks[0]) if isinstance(chunks, tuple) else None

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all of it as an array in memory."""
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return some rows as an array of its own memory."""
        if isinstance(rows, int | np.integer):
            one: np.ndarray = self.read(np.array([rows]), self.dtype)[0]
            return one
        return self.read(rows, self.dtype)

    def read(self, rows: Any, dtype: Any) -> np.ndarray:
        """Return some rows as an array of its own memory, in a type of NumPy's.

        Parameters
        ----------
        rows : slice or ndarray
            Of numbers, in any order, or of truth values; the step of a slice is positive.
        dtype : dtype
            The type. What is too large for it becomes infinite.

        Raises
        ------
        OSError
            If they cannot be read.
        """
        rows = self._rows_of_source(rows)
        n_rows = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        numbers = np.empty((n_rows, self.shape[1]), dtype)
        self._read_into(rows, numbers)
        return numbers

    def read_into(self, rows: slice | np.ndarray, numbers: np.ndarray) -> None:
        """Write some rows, as many as there is room for, to an array; see `read`."""
        self._read_into(self._rows_of_source(rows), numbers)

    def take(self, rows: np.ndarray) -> Self:
        """Return some rows, without reading them."""
        rows = rows if self.rows is None else self.rows[rows]
        return type(self)(self.source, rows, self.bounds)

    @property
    def block_rows(self) -> int:
        """How many rows to bring into an order at once."""
        size = BLOCK_SIZE if self._mapped is not None else _LARGER_BLOCKS * BLOCK_SIZE
        return max(1, size // max(1, self.shape[1]))

    @property
    def is_kept(self) -> bool:
        """Whether these rows of a file in chunks are no more than two blocks, read by turns."""
        return self._chunk_rows is not None and len(self) <= 2 * self.block_rows

    @property
    def _stretch_rows(self) -> int:
        """How many neighbours to read at once: of what has chunks whole ones, each once."""
        size = BLOCK_SIZE if self._chunk_rows is None else _STRETCH_SIZE
        n_rows, unit = max(1, size // max(1, self.shape[1])), self._chunk_rows or 1
        return max(unit, n_rows // unit * unit)

    def check(self) -> None:
        """Go through all numbers once, block by block.

        Raises
        ------
        OSError
            If they cannot be read: the file is shorter than it should be, for example.
        ValueError
            If one is not finite.
        """
        least, largest = math.inf, -math.inf
        for start, block in self._blocks():
            low, high = float(block.min()), float(block.max())
            if not (math.isfinite(low) and math.isfinite(high)):
                self._refuse(block, start)
            least, largest = min(least, low), max(largest, high)
        self.bounds = least, largest

    def _blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Go through all rows, a block at a time, with the first one's number; only to look at."""
        if self._mapped is None or self.rows is not None:
            for start in range(0, len(self), self._stretch_rows):
                yield start, self[start : start + self._stretch_rows]
            return
        at_once = max(1, _LOOKED_AT // max(1, self.shape[1]))
        for start in range(0, len(self), at_once):
            self._mapped.check_length()
            yield start, self._mapped.array[start : start + at_once]

    def _refuse(self, block: np.ndarray, start: int) -> None:
        """Say where a block has a number that is not finite."""
        is_bad = ~np.isfinite(block.astype(np.float64, copy=False))
        what = (
            "NaN" if np.isnan(block).any() else f"infinity or a value too large for {self.dtype}"
        )
        row, column = (int(places[0]) for places in np.nonzero(is_bad))
        raise ValueError(
            f"Input X contains {what}: in row {start + row}, column {column} of {self.name}."
        )

    def _rows_of_source(self, rows: Any) -> slice | np.ndarray:
        """Return which of the source's rows some rows are: a stretch, or their numbers."""
        if self.rows is not None:
            rows = self.rows[rows]
        elif isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return slice(start, max(start, stop))
            rows = np.arange(start, stop, step)
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return np.where(rows < 0, rows + self._n_all, rows)

    def _read_into(self, rows: slice | np.ndarray, numbers: np.ndarray) -> None:
        """Write rows of the source to an array."""
        if not len(numbers):
            return
        if self._mapped is not None:
            self._mapped.check_length()
            self._mapped.copy_rows(rows, numbers)
            return
        try:
            if isinstance(rows, slice):
                numbers[...] = self._part(rows, len(numbers))
            else:
                self._read_ascending(rows, numbers)
        except Exception as error:
            if isinstance(rows, slice):
                first, last = rows.start, rows.stop - 1
            else:
                first, last = rows.min(), rows.max()
            why = "the file has been closed" if is_closed(self.source) else error
            raise OSError(
                f"X could not be read: {len(numbers)} rows from {first} to {last} of "
                f"{self.name}: {why}"
            ) from error

    def _read_ascending(self, rows: np.ndarray, numbers: np.ndarray) -> None:
        """Write rows to an array, read in the order of the file and each once.

        h5py knows no other way.
        """
        places = np.argsort(rows)
        ascending = rows[places]
        if (ascending[1:] == ascending[:-1]).any():
            unique, places = np.unique(rows, return_inverse=True)
            read = np.empty((len(unique), self.shape[1]), numbers.dtype)
            self._read_ascending(unique, read)
            numbers[...] = read[places]
            return
        for stretch, part in self._parts(ascending):
            # Converted and brought into order in one go.
            numbers[places[stretch]] = part

    def _parts(self, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Go through rows that ascend, each once: which of them, and what they are."""
        unit, stretch = self._chunk_rows or self._stretch_rows, self._stretch_rows
        if self._chunk_rows is None:
            fewest = _FEWEST_OF_STRETCH * (int(rows[-1]) + 1 - int(rows[0]))
        else:
            fewest = _FEWEST_OF_CHUNKS * unit * len(np.unique(rows // unit))
        if len(rows) < fewest:
            yield slice(0, len(rows)), self._part(rows, len(rows))
            return
        # Chunks without any of the rows are left out.
        is_first = (np.diff(rows // unit) > 1) | (np.diff(rows // stretch) > 0)
        bounds = [0, *(np.flatnonzero(is_first) + 1).tolist(), len(rows)]
        for begin, end in pairwise(bounds):
            start = int(rows[begin]) // unit * unit
            stop = min((int(rows[end - 1]) // unit + 1) * unit, self._n_all)
            part = self._part(slice(start, stop), stop - start)
            yield slice(begin, end), part[rows[begin:end] - start]

    def _part(self, rows: slice | np.ndarray, n_rows: int) -> np.ndarray:
        """Return what the source gives for rows that ascend, each once."""
        part = np.asarray(self.source[rows])
        if part.shape != (n_rows, self.shape[1]):
            raise ValueError(f"it gave an array of shape {part.shape}")
        return part


def is_read_by_block(X: Any) -> bool:
    """Tell whether samples are read some rows at a time, because they are many and in a file."""
    if isinstance(X, StoredArray):
        return True
    if isinstance(X, np.ndarray) and not isinstance(X, np.memmap):
        return False
    if not _is_array_elsewhere(X):
        return False
    is_large = math.prod(X.shape) * np.dtype(X.dtype).itemsize > LARGEST_WHOLE
    # What NumPy cannot read at once is read in blocks of any size; what is no numbers is refused.
    return is_large or not hasattr(X, "__array__") or X.dtype.kind not in "fiub"


def _is_array_elsewhere(X: Any) -> bool:
    """Tell whether there are shape, type and an index, and no other way is known to read it."""
    if isinstance(X, np.memmap):
        return True
    if isinstance(X, Tensor | np.ndarray | list | tuple) or scipy.sparse.issparse(X):
        return False
    if any(hasattr(X, name) for name in _OTHERS):
        return False
    if is_closed(X):
        raise OSError(
            f"X could not be read: it lies in a file that has been closed ({X!r}); files must be "
            "open until the call has returned."
        )
    shape, dtype = getattr(X, "shape", None), getattr(X, "dtype", None)
    is_shape = isinstance(shape, tuple) and all(isinstance(n, int | np.integer) for n in shape)
    return is_shape and isinstance(dtype, np.dtype) and hasattr(X, "__getitem__")


def is_closed(source: Any) -> bool:
    """Tell whether an array of h5py's lies in a file that has been closed."""
    return not getattr(getattr(source, "id", None), "valid", True)


def name_of(source: Any) -> str:
    """Return what a user would call it: the file, and the array in it."""
    path = getattr(source, "filename", None)
    if path is None:
        path = getattr(getattr(source, "file", None), "filename", None)
    if path is None:
        path = getattr(source, "store", None)
    name = getattr(source, "name", None) if not isinstance(source, np.memmap) else None
    if path is None:
        return type(source).__name__
    return f"{path}, {name}" if isinstance(name, str) and name else str(path)
