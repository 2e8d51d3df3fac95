"""An interrupt's reach: one fit, which keeps what it has come to, or many fits at once.

A single fit takes it as the user's wish to stop training here, as scikit-learn's does. Among many
that would give some networks cut short among whole ones, whose scores are then compared: there the
interrupt goes on and ends them all.
"""

import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

_ENDS_ALL: ContextVar[bool] = ContextVar("ends_all", default=False)


@contextmanager
def interrupts_end_all() -> Iterator[None]:
    """Let an interrupt within the body leave it, instead of ending the fit that it meets."""
    token = _ENDS_ALL.set(True)
    try:
        yield
    finally:
        _ENDS_ALL.reset(token)


def end_training(interrupt: KeyboardInterrupt) -> None:
    """Say that the user has ended training; where it is one fit of many, end them all."""
    if _ENDS_ALL.get():
        raise interrupt
    warnings.warn("Training interrupted by user.", stacklevel=3)


@contextmanager
def interrupts_held() -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C back within the body, which asks whether it came, where it can take it.

    A second one is raised at once, and so is, at the end, one that nobody asked for. Only the main
    thread is ever interrupted; and where the user has a handler of their own, it stays.
    """
    came = False

    def take() -> bool:
        """Return whether there was one, once."""
        nonlocal came
        found, came = came, False
        return found

    def hold(number: int, frame: FrameType | None) -> None:
        """Note the first interrupt, and raise the second."""
        nonlocal came
        if came:
            raise KeyboardInterrupt
        came = True

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield take
        return
    signal.signal(signal.SIGINT, hold)
    try:
        yield take
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt
