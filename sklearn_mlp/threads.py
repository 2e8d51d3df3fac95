"""Threads: fits that run at the same time share the cores, and a forked process uses one.

torch runs large operations on all cores. Two fits in two threads of one process (joblib's
``threading`` backend) would then want twice the cores there are; and in a process forked from one
that has used its threads (joblib's ``multiprocessing`` backend) OpenMP waits for threads that the
fork has not copied, forever. Processes that joblib's default backend starts are told their share
by joblib itself.

Small networks train on one thread. Their operations take microseconds, a second thread saves
little of that, and where anything else wants the same core, each operation waits for a thread
that is not running: measured, steps 4 to 30 times slower beside one other busy process.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Multiply-adds of a step (of a chunk, when predicting) from which on more than one thread pays.
THREADED_WORK = 4_000_000

# Below so many, nothing in torch takes a second thread anyway, and counting takes as long.
_TRIVIAL_WORK = 30_000

_lock = threading.Lock()
_local = threading.local()
_running = 0
_total_threads = 0
_is_forked = False


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
    global _running, _total_threads
    with _lock:
        if _running == 0:
            _total_threads = torch.get_num_threads()
        _running += 1
    # A prediction within a fit, by a callback for instance, must not undo the fit's share.
    outer = getattr(_local, "work", None)
    _local.work = work
    try:
        rebalance_threads()
        yield
    finally:
        _local.work = outer
        with _lock:
            _running -= 1
        if outer is not None:
            rebalance_threads()
        elif torch.get_num_threads() != _total_threads:
            torch.set_num_threads(_total_threads)


def rebalance_threads() -> None:
    """Take up this thread's share anew, since others may have begun or ended."""
    work = getattr(_local, "work", None)
    if work is None:
        return
    is_single = _is_forked or work < THREADED_WORK
    share = 1 if is_single else max(1, _total_threads // max(1, _running))
    if torch.get_num_threads() != share:
        torch.set_num_threads(share)


def _mark_forked() -> None:
    """Remember, in a forked child, that it is one; the parent's fits do not run here."""
    global _is_forked, _running, _lock
    _is_forked = True
    _running = 0
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_forked)
