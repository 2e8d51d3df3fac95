"""The memory that a network takes: refused, by the parameters' names, where there is less."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch

from sklearn_mlp.devices import free_memory

# Smaller networks than this many bytes are not worth asking for the free memory.
_SMALL = 1 << 28

# What no machine has.
_NO_MACHINE = 1 << 63


def check_memory(units: Sequence[int], dtype: torch.dtype, device: torch.device) -> None:
    """Check that a network's parameters, and as much again for their gradient, can be held.

    An allocation alone would not tell: the system may grant what it has not got, and end the
    process when that is written to.

    Parameters
    ----------
    units : sequence of int
        Features, units of each hidden layer, outputs.
    dtype, device : torch.dtype, torch.device
        What is trained in, and where.

    Raises
    ------
    MemoryError
        If there is less.
    """
    needed = 2 * dtype.itemsize * sum((n_in + 1) * n_out for n_in, n_out in pairwise(units))
    if needed < _SMALL:
        return
    free = free_memory(device)
    if needed > (_NO_MACHINE if free is None else free):
        size = "more bytes than have addresses"
        if needed < _NO_MACHINE:
            size = f"{needed / 1e9:.3g} GB" + (f" of {free / 1e9:.3g} free" if free else "")
        raise MemoryError(
            f"hidden_layer_sizes={tuple(units[1:-1])} is too large: the weights and their "
            f"gradient would take {size}."
        )


@contextmanager
def naming_memory(hidden_layer_sizes: Any, batch_size: Any) -> Iterator[None]:
    """Say of memory that runs out in the body which parameters it is asked for by."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "can't allocate memory" not in str(error):
            raise
        raise MemoryError(
            f"hidden_layer_sizes={hidden_layer_sizes!r} with batch_size={batch_size!r} takes more "
            f"memory than there is: {error}"
        ) from error
