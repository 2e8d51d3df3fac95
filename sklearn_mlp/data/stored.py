"""`StoredArray`: numbers that stay in a file, and are read some rows at a time.

Which arrays are read so is decided here, by `is_read_by_block`: a mapped array of NumPy's
(`numpy.memmap`), and anything else with ``shape``, ``dtype`` and an index for rows that is no
array in memory (a dataset of h5py's, an array of zarr's), of more than `LARGEST_WHOLE` bytes. What
is smaller is read as a whole once, as NumPy would.
"""

import math
import os
from typing import Any, Self, final

import numpy as np
import scipy.sparse
from torch import Tensor

# Up to so many bytes an array is read as a whole: 256 MiB.
LARGEST_WHOLE = 1 << 28
# How many numbers are gone through, and read ahead, at a time: 32 MiB of float64.
BLOCK_SIZE = 1 << 22
# How many of these are copied at a time: what is converted comes from the cache of a core.
_PIECE_SIZE = 1 << 15

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
        self.rows = rows
        self.bounds = bounds
        self.dtype = np.dtype(source.dtype).newbyteorder("=")
        self.shape = source.shape[0] if rows is None else len(rows), source.shape[1]

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
        """How many rows are a block."""
        return max(1, BLOCK_SIZE // max(1, self.shape[1]))

    def check(self) -> None:
        """Go through all numbers once, block by block.

        Raises
        ------
        OSError
            If they cannot be read: the file is shorter than it should be, for example.
        ValueError
            If one is not finite.
        """
        self._check_length()
        least, largest = math.inf, -math.inf
        for start in range(0, len(self), self.block_rows):
            block = self[start : start + self.block_rows]
            low, high = float(block.min()), float(block.max())
            if not (math.isfinite(low) and math.isfinite(high)):
                self._refuse(block, start)
            least, largest = min(least, low), max(largest, high)
        self.bounds = least, largest

    def _refuse(self, block: np.ndarray, start: int) -> None:
        """Say where a block has a number that is not finite."""
        is_bad = ~np.isfinite(block.astype(np.float64, copy=False))
        what = (
            "NaN" if np.isnan(block).any() else f"infinity or a value too large for {self.dtype}"
        )
        row, column = (int(places[0]) for places in np.nonzero(is_bad))
        raise ValueError(
            f"Input X contains {what}: in row {start + row}, column {column} of "
            f"{name_of(self.source)}."
        )

    def _check_length(self) -> None:
        """Check that a mapped file is as long as it was: reading on would end the process."""
        source = self.source
        path = getattr(source, "filename", None) if isinstance(source, np.memmap) else None
        if path is None or not os.path.exists(path):
            return
        # Views of a map keep its offset, not their own.
        first = source.__array_interface__["data"][0]
        base = source
        while isinstance(base.base, np.ndarray):
            base = base.base
        end = base.offset + first - base.__array_interface__["data"][0]
        steps = zip(source.shape, source.strides, strict=True)
        end += sum((n - 1) * step for n, step in steps if step > 0) + source.itemsize
        if os.path.getsize(path) < end:
            raise OSError(
                f"X could not be read: {path} has {os.path.getsize(path)} bytes, but X reaches to "
                f"byte {end}; the file has been cut short since it was opened."
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
        return np.where(rows < 0, rows + self.source.shape[0], rows)

    def _read_into(self, rows: slice | np.ndarray, numbers: np.ndarray) -> None:
        """Write rows of the source to an array."""
        if not len(numbers):
            return
        try:
            if isinstance(self.source, np.memmap):
                _copy_rows(self.source.view(np.ndarray), rows, numbers)
            elif isinstance(rows, slice):
                numbers[...] = self._part(rows, len(numbers))
            else:
                self._read_ascending(rows, numbers)
        except Exception as error:
            first, last = (
                (rows.start, rows.stop - 1)
                if isinstance(rows, slice)
                else (rows.min(), rows.max())
            )
            raise OSError(
                f"X could not be read: {len(numbers)} rows from {first} to {last} of "
                f"{name_of(self.source)}: {error}"
            ) from error

    def _read_ascending(self, rows: np.ndarray, numbers: np.ndarray) -> None:
        """Write rows to an array, read in the order of the file and each once.

        h5py knows no other way.
        """
        places = np.argsort(rows)
        ascending = rows[places]
        if (ascending[1:] == ascending[:-1]).any():
            unique, places = np.unique(rows, return_inverse=True)
            numbers[...] = self._part(unique, len(unique))[places]
        else:
            # Converted and brought into order in one go.
            numbers[places] = self._part(ascending, len(rows))

    def _part(self, rows: slice | np.ndarray, n_rows: int) -> np.ndarray:
        """Return what the source gives for rows that ascend, each once."""
        part = np.asarray(self.source[rows])
        if part.shape != (n_rows, self.shape[1]):
            raise ValueError(f"it gave an array of shape {part.shape}")
        return part


def _copy_rows(array: np.ndarray, rows: slice | np.ndarray, numbers: np.ndarray) -> None:
    """Write rows of an array to another, whose type may be another."""
    if isinstance(rows, slice):
        numbers[...] = array[rows]
        return
    # Rows that do not lie in one piece `numpy.take` would bring together: all there are.
    is_taken = array.flags.c_contiguous and array.flags.aligned
    at_once = max(1, _PIECE_SIZE // max(1, array.shape[1]))
    piece = np.empty((min(at_once, len(rows)), array.shape[1]), array.dtype)
    for start in range(0, len(rows), at_once):
        some, into = rows[start : start + at_once], numbers[start : start + at_once]
        if not is_taken:
            into[...] = array[some]
        elif array.dtype == numbers.dtype:
            np.take(array, some, axis=0, out=into, mode="clip")
        else:
            # Twice as fast as a whole block taken, and then converted.
            into[...] = np.take(array, some, axis=0, out=piece[: len(some)], mode="clip")


def is_read_by_block(X: Any) -> bool:
    """Tell whether samples are read some rows at a time, because they are many and in a file."""
    if isinstance(X, StoredArray):
        return True
    if isinstance(X, np.ndarray) and not isinstance(X, np.memmap):
        return False
    if not _is_array_elsewhere(X):
        return False
    is_large = math.prod(X.shape) * np.dtype(X.dtype).itemsize > LARGEST_WHOLE
    # What NumPy cannot read at once is read in blocks of any size.
    return is_large or not hasattr(X, "__array__")


def _is_array_elsewhere(X: Any) -> bool:
    """Tell whether there are shape, type and an index, and no other way is known to read it."""
    if isinstance(X, np.memmap):
        return True
    if isinstance(X, Tensor | np.ndarray | list | tuple) or scipy.sparse.issparse(X):
        return False
    if any(hasattr(X, name) for name in _OTHERS):
        return False
    shape, dtype = getattr(X, "shape", None), getattr(X, "dtype", None)
    is_shape = isinstance(shape, tuple) and all(isinstance(n, int) for n in shape)
    return is_shape and isinstance(dtype, np.dtype) and hasattr(X, "__getitem__")


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
