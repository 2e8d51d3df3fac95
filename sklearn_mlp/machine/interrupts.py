"""An interrupt's reach: one fit, which keeps what it has come to, or many fits at once.

A single fit takes it as the user's wish to stop training here, as scikit-learn's does. Among many
that would give some networks cut short among whole ones, whose scores are then compared: there the
interrupt goes on and ends them all.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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
