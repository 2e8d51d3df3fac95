"""`asking_ahead`: parts of a file that the system is asked for before it is their turn.

Who reads rows of a mapped file in random order waits for one page after the other, and a disk that
is asked for one page at a time gives a small part of what it can.
"""

import contextlib
import os
from collections.abc import Callable, Iterator

import numpy as np

# So many parts are asked for before they are needed: the queue of a disk has some hundreds.
_N_AHEAD = 2048
# So many are looked for in the system's cache.
_N_LOOKED_FOR = 64


@contextlib.contextmanager
def asking_ahead(
    path: str | None, starts: np.ndarray, n_bytes: int
) -> Iterator[Callable[[int], None]]:
    """Have the system read parts of a file ahead of us, if not all are in its cache.

    What cannot be asked for, on this system or of this file, is not.

    Parameters
    ----------
    path : str or None
        The file.
    starts : ndarray of int
        Where the parts begin, in the order in which they will be read.
    n_bytes : int
        How long each is.

    Yields
    ------
    ask : callable
        To be told, again and again, up to which part we are about to read.
    """
    file = None if path is None or len(starts) < _N_LOOKED_FOR else _opened(path)
    try:
        if file is None or _is_cached(file, starts):
            yield lambda upto: None
        else:
            yield _Asked(file, starts.tolist(), n_bytes).ask
    finally:
        if file is not None:
            os.close(file)


class _Asked:
    """What has been asked for of a file."""

    def __init__(self, file: int, starts: list[int], n_bytes: int) -> None:
        self._file, self._starts, self._n_bytes = file, starts, n_bytes
        self._n_asked = 0

    def ask(self, upto: int) -> None:
        """Ask for what comes next, some way beyond what is about to be read."""
        some = self._starts[self._n_asked : upto + _N_AHEAD]
        self._n_asked += len(some)
        with contextlib.suppress(OSError):  # a file system that does not know this
            for start in some:
                os.posix_fadvise(self._file, start, self._n_bytes, os.POSIX_FADV_WILLNEED)


def _opened(path: str) -> int | None:
    """Open a file, where the system can be asked; None where it cannot."""
    if not hasattr(os, "posix_fadvise") or not hasattr(os, "RWF_NOWAIT"):
        return None
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None


def _is_cached(file: int, starts: np.ndarray) -> bool:
    """Tell whether some of the parts, all over, can be read without waiting for the disk."""
    byte = bytearray(1)
    try:
        for start in starts[:: -(-len(starts) // _N_LOOKED_FOR)].tolist():
            os.preadv(file, [byte], start, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True  # not known, which is taken for the better
    return True
