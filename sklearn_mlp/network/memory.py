"""The memory that a network takes: refused, by the parameters' names, where there is less."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from itertools import pairwise
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch

from sklearn_mlp.machine.devices import free_memory, give_back_memory

Params = ParamSpec("Params")
Result = TypeVar("Result")
Estimator = TypeVar("Estimator")
Method = Callable[Concatenate[Estimator, Params], Result]

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


def is_device_full(error: BaseException) -> bool:
    """Tell whether an error is of the memory of a device; not every kind has a type for it."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    signs = ("out of memory", "STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def release_memory(error: BaseException) -> None:
    """Let go of the tensors that an error's traceback holds, and of what torch keeps of them."""
    traceback.clear_frames(error.__traceback__)
    give_back_memory()


def naming_device_memory(
    way_out: Callable[[Estimator], str],
) -> Callable[[Method[Estimator, Params, Result]], Method[Estimator, Params, Result]]:
    """Make a method say of a device whose memory runs out what to do, and give the memory back.

    It has to be the outermost: what is still running keeps its tensors.

    Parameters
    ----------
    way_out : callable
        Says of the estimator what takes memory, and what would take less.
    """

    def decorate(
        method: Method[Estimator, Params, Result],
    ) -> Method[Estimator, Params, Result]:
        @wraps(method)
        def named(self: Estimator, *args: Params.args, **kwargs: Params.kwargs) -> Result:
            try:
                return method(self, *args, **kwargs)
            except RuntimeError as error:
                if not is_device_full(error):
                    raise
                release_memory(error)
                reason = ". ".join(str(error).splitlines()[0].split(". ")[:2]).rstrip(".")
                raise MemoryError(f"{way_out(self)} ({reason}).") from error

        return named

    return decorate


def less_to_fit(estimator: Any) -> str:
    """Say what makes a fit take less of a device's memory."""
    asked = [
        f"{name}={getattr(estimator, name)!r}"
        for name in ("hidden_layer_sizes", "batch_size", "dtype", "device")
    ]
    return (
        f"a fit with {', '.join(asked)} takes more memory than its device has free; lower "
        "batch_size or hidden_layer_sizes, set dtype='float32' or device='cpu', or end what else "
        "uses the device"
    )


def less_to_predict(estimator: Any) -> str:
    """Say what makes a prediction take less of a device's memory."""
    to_cpu = "bring the network to the CPU by module_.to('cpu'), "
    return (
        f"the prediction takes more memory than device '{estimator.device_}' has free; pass fewer "
        f"samples at a time, {to_cpu if hasattr(estimator, 'module_') else ''}or end what else "
        "uses the device"
    )
