"""Seeds, and torch's global generators: seeded for a while, and left as they were."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mlp.machine.devices import traits_of


def draw_seed(random_state: np.random.RandomState) -> int:
    """Draw a seed for torch."""
    return int(random_state.randint(np.iinfo(np.int32).max))


def may_draw(activation: Any) -> bool:
    """Tell whether an activation may draw: a callable may, but for torch's modules, bar one."""
    is_torchs = type(activation).__module__ == "torch.nn.modules.activation"
    return callable(activation) and (not is_torchs or isinstance(activation, nn.RReLU))


# torch has one generator per device for all threads. Those that have seeded it share what is to be
# put back: the first finds it, and the last one there puts it back.
_lock = threading.Lock()
_seeders: set[int] = set()
_found: dict[torch.device, Tensor] = {}


@contextmanager
def seeded_torch(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's global generators within the body, and leave them as they were.

    Only for code of the user's, which may draw from them: another thread that draws meanwhile gets
    numbers that come again.

    Parameters
    ----------
    seed : int
        The seed.
    device : torch.device or None
        Whose generator counts, besides the CPU's.
    """
    devices = [torch.device("cpu")]
    if device is not None and device.type != "cpu":
        devices.append(device)
    outer = [(each, _get_state(each)) for each in devices] if is_seeding() else []

    def put_back() -> None:
        """Let a seeded body around this one go on; doing it twice does no harm."""
        for each, state in outer:
            _set_state(each, state)
        if not outer:
            give_back_generators()

    try:
        try:
            _keep_found(devices)
            for each in devices:
                _seed(each, seed)
            yield
        finally:
            put_back()
    finally:
        put_back()


def is_seeding() -> bool:
    """Tell whether the calling thread is within `seeded_torch`."""
    return bool(_seeders) and threading.get_ident() in _seeders


def give_back_generators() -> None:
    """Put torch's generators back, if the calling thread was the last that seeded them."""
    if not _found:
        return
    with _lock:
        _seeders.discard(threading.get_ident())
        if not _seeders:
            for device, state in _found.items():
                _set_state(device, state)
            _found.clear()


def _keep_found(devices: list[torch.device]) -> None:
    """Count the calling thread among the seeders; keep the states that nobody keeps yet."""
    with _lock:
        for device in devices:
            if device not in _found:
                _found[device] = _get_state(device)
        _seeders.add(threading.get_ident())


def _get_state(device: torch.device) -> Tensor:
    if device.type == "cpu":
        return torch.default_generator.get_state()
    state: Tensor = getattr(torch, device.type).get_rng_state(*_named(device))
    return state


def _set_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cpu":
        torch.default_generator.set_state(state)
    else:
        getattr(torch, device.type).set_rng_state(state, *_named(device))


def _seed(device: torch.device, seed: int) -> None:
    """Seed one device's generator; `torch.manual_seed` would seed those of all devices."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
        return
    module = getattr(torch, device.type)
    with module.device(device) if _named(device) else nullcontext():
        module.manual_seed(seed)


def _named(device: torch.device) -> tuple[torch.device, ...]:
    """Return the argument that says which of several devices is meant; none where there is one."""
    return (device,) if traits_of(device).is_numbered else ()


def _forget_seeders() -> None:
    """Let a forked child begin anew: the threads that are counted are not there."""
    global _lock
    _lock = threading.Lock()
    _seeders.intersection_update([threading.get_ident()])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_seeders)
