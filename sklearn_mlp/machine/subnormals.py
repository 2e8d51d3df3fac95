"""Numbers below the smallest normal one, which processors compute with by a slow detour.

Adam's averages of the gradients of a unit that is dead, or of a feature that is hardly ever
there, shrink by a tenth in each step, until they are such numbers, and they stay it: the smallest
of all, times 0.9, is rounded to itself. Measured on an Intel processor, a fit of eight small
networks to classes that are easily told apart took 23 s, and takes 4 s where they become 0.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_SMALLEST_NORMAL = sys.float_info.min


@contextmanager
def subnormals_are_zero() -> Iterator[None]:
    """Have numbers below the smallest normal one become 0 within the body.

    It is the calling thread that computes so, and it computes as before afterwards; other threads
    of torch's go on as they are. Where the processor cannot, nothing changes.
    """
    if _are_zero():
        yield
        return
    # An interrupt may come before the inner clause has begun; twice does no harm.
    try:
        try:
            torch.set_flush_denormal(True)
            yield
        finally:
            torch.set_flush_denormal(False)
    finally:
        torch.set_flush_denormal(False)


def _are_zero() -> bool:
    """Tell whether the calling thread computes so already: torch does not say."""
    return _SMALLEST_NORMAL / 2 == 0
