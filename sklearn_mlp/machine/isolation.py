"""Fits and predictions apart from what the caller has switched in torch, and left as found.

Gradients off (`torch.no_grad`), inference mode and autocast belong to the calling thread. A fit
within them would train nothing, leave parameters that cannot be trained, or compute in half the
precision.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

from sklearn_mlp.machine import kernels, random_numbers, threads

Params = ParamSpec("Params")
Result = TypeVar("Result")


def isolated(function: Callable[Params, Result]) -> Callable[Params, Result]:
    """Make a function run with gradients on, without autocast, in a forked process on one thread.

    However it ends, by an interrupt above all, the calling thread has its modes and its number of
    torch's threads again, and torch's generators are as they were.
    """

    @wraps(function)
    def apart(*args: Params.args, **kwargs: Params.kwargs) -> Result:
        found = threads.find_threads()
        is_seeding = random_numbers.is_seeding()
        devices = kernels.autocast_devices() if kernels.is_autocast_on() else []
        try:
            try:
                for device in devices:
                    torch.set_autocast_enabled(device, False)
                threads.take_one_if_forked()
                with kernels.inference_mode(False):
                    if not kernels.has_meta_default():
                        return function(*args, **kwargs)
                    with torch.device("cpu"):
                        return function(*args, **kwargs)
            finally:
                _put_back(found, is_seeding, devices)
        except BaseException:
            # An interrupt may have kept it from beginning, or from ending.
            _put_back(found, is_seeding, devices)
            raise

    return apart


def _put_back(found: threads.Found, is_seeding: bool, devices: list[str]) -> None:
    """Undo what is not undone yet; doing it twice does no harm."""
    threads.put_back_threads(found)
    if not is_seeding:
        random_numbers.give_back_generators()
    if devices or kernels.is_autocast_on():
        _put_back_autocast(devices)


def _put_back_autocast(devices: list[str]) -> None:
    """Let autocast be in force on these types of devices, and on no other."""
    for device in {*devices, *kernels.autocast_devices()}:
        torch.set_autocast_enabled(device, device in devices)
    # It holds weights as they were before a fit.
    torch.clear_autocast_cache()
