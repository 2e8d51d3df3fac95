"""`MappedArray`: numbers in a file that is mapped into memory; how long it is, and rows of it."""

import mmap
from typing import Any, Self, final

import numpy as np

from sklearn_mlp.arrays.asked_ahead import asking_ahead

# How many numbers are copied at a time: what is converted comes from the cache of a core.
_PIECE_SIZE = 1 << 15


@final
class MappedArray:
    """An array that is mapped memory.

    Parameters
    ----------
    array : memmap
        The array, or a view of one.
    name : str
        What a user would call it.
    """

    def __init__(self, array: np.memmap, name: str) -> None:
        self.array = array.view(np.ndarray)
        self.name = name
        self._file, self._start, self._end = _place_in_file(array)
        is_named = self._file is not None and array.filename is not None
        self._path = str(array.filename) if is_named else None

    @classmethod
    def of(cls, source: Any, name: str) -> Self | None:
        """Take what is mapped, or can be: a dataset of h5py's that lies in its file in one piece.

        h5py reads rows out of order at a twentieth of the rate.
        """
        if isinstance(source, np.memmap):
            return cls(source, name)
        offset = _offset_in_file(source)
        if offset is None:
            return None
        path, shape = source.file.filename, source.shape
        return cls(np.memmap(path, source.dtype, "r", offset, shape), name)

    def check_length(self) -> None:
        """Check that the file is as long as it was: reading on would end the process.

        Raises
        ------
        OSError
            If it is shorter.
        """
        size = self._end if self._file is None else self._file.size()
        if size < self._end:
            raise OSError(
                f"X could not be read: {self.name} has {size} bytes, but X reaches to byte "
                f"{self._end}; the file has been cut short since it was opened."
            )

    def copy_rows(self, rows: slice | np.ndarray, numbers: np.ndarray) -> None:
        """Write rows to an array, in its type."""
        if isinstance(rows, slice):
            numbers[...] = self.array[rows]
            return
        array, row_step = self.array, self.array.strides[0]
        # Rows that do not lie in one piece `numpy.take` would bring together: all there are.
        is_taken = array.flags.c_contiguous and array.flags.aligned
        at_once = max(1, _PIECE_SIZE // max(1, array.shape[1]))
        piece = np.empty((min(at_once, len(rows)), array.shape[1]), array.dtype)
        path = self._path if is_taken else None
        with asking_ahead(path, self._start + rows * row_step, row_step) as ask:
            for start in range(0, len(rows), at_once):
                some, into = rows[start : start + at_once], numbers[start : start + at_once]
                ask(start + len(some))
                if not is_taken:
                    into[...] = array[some]
                elif array.dtype == numbers.dtype:
                    np.take(array, some, axis=0, out=into, mode="clip")
                else:
                    # Twice as fast as a whole block taken, and then converted.
                    into[...] = np.take(array, some, axis=0, out=piece[: len(some)], mode="clip")


def _place_in_file(array: np.memmap) -> tuple[mmap.mmap | None, int, int]:
    """Return what maps an array's file, where in the file its first row is, and where it ends."""
    # Views of a map keep its offset, not their own.
    first = array.__array_interface__["data"][0]
    base: Any = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    if not (isinstance(base, np.memmap) and isinstance(base.base, mmap.mmap)):
        return None, 0, 0
    start = base.offset + first - base.__array_interface__["data"][0]
    steps = zip(array.shape, array.strides, strict=True)
    end = start + array.itemsize + sum((n - 1) * step for n, step in steps if step > 0)
    return base.base, start, end


def _offset_in_file(source: Any) -> int | None:
    """Return where a dataset of h5py's begins in its file; None if it is not all there, as is."""
    find = getattr(getattr(source, "id", None), "get_offset", None)
    # What is open to be written to may not be in the file yet.
    if find is None or source.file.mode != "r" or source.file.driver != "sec2":
        return None
    if source.external or source.is_virtual:
        return None
    offset: int | None = find()
    return offset
