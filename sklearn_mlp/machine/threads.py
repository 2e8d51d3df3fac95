"""Threads: fits that run at the same time share the cores, and a forked process uses one.

torch runs large operations on all cores. Two fits in two threads of one process (joblib's
``threading`` backend) would then want twice the cores there are; and in a process forked from one
that has used its threads (joblib's ``multiprocessing`` backend) OpenMP waits for threads that the
fork has not copied, forever. Processes that joblib's default backend starts are told their share
by joblib itself.

Small networks train on one thread. Their operations take microseconds, a second thread saves
little of that, and where anything else wants the same core, each operation waits for a thread
that is not running: measured, steps 4 to 30 times slower beside one other busy process.

What is set here holds for the calling thread only. It is put back in ``finally`` clauses within
one another: an interrupt may come before the inner one has begun, and twice does no harm.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from threadpoolctl import ThreadpoolController

from sklearn_mlp.machine.kernels import own_threads, set_own_threads

# Multiply-adds of a step (of a chunk, when predicting) from which on more than one thread pays.
THREADED_WORK = 4_000_000

# Below so many, nothing in torch takes a second thread anyway, and counting takes as long.
_TRIVIAL_WORK = 30_000


class _Local(threading.local):
    """The calling thread's own: the work of a step, and the threads that all fits share."""

    work: float | None = None
    n_threads: int = 1


_lock = threading.Lock()
_local = _Local()
# The threads that fit or predict, and how many they are.
_busy: set[int] = set()
_running = 0
_is_forked = False

# The threads whose fits keep BLAS to one thread, and how many its libraries had before.
_blas_users: set[int] = set()
_blas_threads: dict[tuple[str, int | None], int] = {}


# What a thread had before a call: where it is kept what runs in it, what ran, how many threads
# torch and its MKL took. A plain tuple, because each prediction makes one.
Found = tuple[_Local, float | None, int, int | None]


@contextmanager
def shared_threads(work: float) -> Iterator[None]:
    """Run the body with this call's share of torch's threads; leave their number as found.

    Parameters
    ----------
    work : float
        Multiply-adds of one step, or of one chunk.
    """
    if work < _TRIVIAL_WORK and not _is_forked:
        yield
        return
    # A prediction within a fit, by a callback for instance, must not undo the fit's share.
    found = (_local, _local.work, *own_threads())
    try:
        try:
            _take_share(work, is_outermost=found[1] is None)
            yield
        finally:
            put_back_threads(found)
    finally:
        put_back_threads(found)


def find_threads() -> Found:
    """Take note of the calling thread's number, for `put_back_threads`."""
    return _local, _local.work, torch.get_num_threads(), None


def put_back_threads(found: Found) -> None:
    """Leave the calling thread as it was found, if it is not."""
    local, work, n_threads, n_mkl = found
    if _local.work is work and torch.get_num_threads() == n_threads:
        return
    if local is not _local:
        # A fork since then: the parent's number is of no use here.
        return
    set_own_threads(n_threads, n_mkl)
    if work is None:
        _count(is_busy=False)
    # Last, because it tells whether all is done.
    _local.work = work


def rebalance_threads() -> None:
    """Take up this thread's share anew, since others may have begun or ended."""
    work = _local.work
    if work is None:
        return
    is_single = _is_forked or work < THREADED_WORK
    share = 1 if is_single else max(1, _local.n_threads // max(1, _running))
    if torch.get_num_threads() != share:
        set_own_threads(share)


def take_one_if_forked() -> None:
    """Let torch use one thread, in a forked process: see `_mark_forked`."""
    if _is_forked and torch.get_num_threads() != 1:
        set_own_threads(1)


def _take_share(work: float, *, is_outermost: bool) -> None:
    """Count the calling thread among those that are busy, and take its share."""
    _local.work = work
    if is_outermost:
        _local.n_threads = torch.get_num_threads()
        _count(is_busy=True)
    rebalance_threads()


def _count(*, is_busy: bool) -> None:
    """Count the calling thread among those that are busy, or no longer."""
    global _running
    with _lock:
        (_busy.add if is_busy else _busy.discard)(threading.get_ident())
        _running = len(_busy)


# SciPy's BLAS, whose number is mostly the process's: the first fit sets it, the last one puts it
# back.


@contextmanager
def single_blas() -> Iterator[None]:
    """Keep BLAS to one thread within the body.

    SciPy's BLAS has threads of its own, which go on spinning after each of its short calls, on
    the cores that torch's threads then wait for: measured, a fit five times slower.
    """
    is_within = threading.get_ident() in _blas_users
    try:
        try:
            _limit_blas()
            yield
        finally:
            if not is_within:
                _release_blas()
    finally:
        if not is_within:
            _release_blas()


def _limit_blas() -> None:
    """Count the calling thread among the users, and let BLAS have one thread."""
    with _lock:
        _blas_users.add(threading.get_ident())
        for library in _blas_libraries():
            number = library.num_threads
            if number in (None, 1):
                continue
            _blas_threads.setdefault(_holds_for(library), number)
            _set_blas_threads(library, 1)
            if library.num_threads != 1:
                # Another thread of the user's keeps it, by threadpoolctl, to what it is.
                del _blas_threads[_holds_for(library)]


def _release_blas() -> None:
    """Put back what no other thread needs; a second time there is nothing to do."""
    with _lock:
        _blas_users.discard(threading.get_ident())
        for library in _blas_libraries():
            place = _holds_for(library)
            if place in _blas_threads and (place[1] is not None or not _blas_users):
                _set_blas_threads(library, _blas_threads[place])
                del _blas_threads[place]


def _holds_for(library: Any) -> tuple[str, int | None]:
    """Name a library, and the thread that its number is of, if it is not the process's."""
    is_own = getattr(library, "threading_layer", None) == "openmp"
    return library.filepath, threading.get_ident() if is_own else None


def _set_blas_threads(library: Any, number: int) -> None:
    """Set a library's number, and let other threads do so, too: the last one puts it back."""
    library.set_num_threads(number)
    if hasattr(library, "clear_controlling_thread"):
        library.clear_controlling_thread()


@cache
def _blas_libraries() -> list[Any]:
    """Return the libraries loaded; looking for them takes milliseconds."""
    controllers: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return controllers


# Forked processes.


def _mark_forked() -> None:
    """Remember, in a forked child, that it is one; the parent's fits do not run here.

    The thread that goes on in the child is the one whose OpenMP threads are missing: it keeps to
    itself from now on. Threads that the child starts get OpenMP threads of their own.
    """
    global _is_forked, _running, _lock, _local
    _is_forked = True
    _lock, _local = threading.Lock(), _Local()
    _running = 0
    _busy.clear()
    _blas_users.clear()
    set_own_threads(1)


def _is_fork_with_torch() -> bool:
    """Tell whether this process seems to be forked from one that had imported torch already.

    Nothing tells when a process was forked, but Linux whether it is. One that has imported torch
    since, and before this package, is taken for such a one, too: it uses one thread, where the
    other would wait for ever.
    """
    modules = list(sys.modules)
    if "sklearn_mlp" not in modules or modules.index("torch") > modules.index("sklearn_mlp"):
        return False
    try:
        with open("/proc/self/stat") as file:
            flags = int(file.read().rpartition(")")[2].split()[6])
    except (OSError, ValueError, IndexError):
        return False
    # PF_FORKNOEXEC
    return bool(flags & 0x40)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_forked)
    if _is_fork_with_torch():
        _mark_forked()
