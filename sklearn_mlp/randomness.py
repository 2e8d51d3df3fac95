"""torch's random numbers, settled by ``random_state`` and without a trace in its global state."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from torch import nn

from sklearn_mlp.network import MLP
from sklearn_mlp.state import TrainingState


def draw_seed(random_state: np.random.RandomState) -> int:
    """Draw a seed for torch."""
    return int(random_state.randint(np.iinfo(np.int32).max))


@contextmanager
def seeded_torch(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's global generators within the body, and leave them as they were.

    Parameters
    ----------
    seed : int
        The seed.
    device : torch.device or None
        Whose generator counts, besides the CPU's.
    """
    kind, devices = "cuda", []
    if device is not None and device.type in ("cuda", "xpu"):
        kind, devices = device.type, [device]
    with torch.random.fork_rng(devices, device_type=kind):
        # Not torch.manual_seed, which would seed the generators of all devices.
        torch.default_generator.manual_seed(seed)
        for each in devices:
            module = getattr(torch, kind)
            with module.device(each):
                module.manual_seed(seed)
        yield


def draws_in_training(network: nn.Module) -> bool:
    """Tell whether a training step of a network may need random numbers."""
    if not isinstance(network, MLP):
        return True
    return network.has_dropout or any(callable(entry) for entry in network.activations)


@contextmanager
def settled_training(
    network: nn.Module, state: TrainingState, random_state: np.random.RandomState
) -> Iterator[None]:
    """Settle what a network draws while it trains in the body: masks of dropout above all.

    The next call goes on with other numbers, whatever ``random_state`` is: a `partial_fit` with
    an integer would else drop the same units in every epoch.

    Parameters
    ----------
    network : Module
        On the device to train on.
    state : TrainingState
        Holds the seed of the next call; brought up to date.
    random_state : RandomState
        Of the fit; draws the first seed, if there is need of one.
    """
    if not draws_in_training(network):
        yield
        return
    if state.seed is None:
        state.seed = draw_seed(random_state)
    device = next(network.parameters()).device
    masks = network.masks.seeded(state.seed, device) if isinstance(network, MLP) else nullcontext()
    with seeded_torch(state.seed, device), masks:
        state.seed = draw_seed(np.random.RandomState(state.seed))
        yield
