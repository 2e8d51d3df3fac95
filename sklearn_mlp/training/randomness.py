"""The random numbers of a network in training, settled by ``random_state``."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import cast

import numpy as np
from torch import nn

from sklearn_mlp.contract.state import TrainingState
from sklearn_mlp.machine.random_numbers import draw_seed, seeded_torch
from sklearn_mlp.network.alterations import altered_call, may_draw_globally
from sklearn_mlp.network.mlp import MLP, place_of


def draws_in_training(network: nn.Module) -> bool:
    """Tell whether a training step of a network may need random numbers."""
    if _is_made_of_users_code(network):
        return True
    network = cast(MLP, network)
    return network.has_dropout or altered_call(network) is not None


def _is_made_of_users_code(network: nn.Module) -> bool:
    """Tell whether functions of the user's were in a network when it was made."""
    return not isinstance(network, MLP) or any(map(callable, network.activations))


@contextmanager
def settled_training(
    network: nn.Module, state: TrainingState, random_state: np.random.RandomState
) -> Iterator[None]:
    """Settle what a network draws while it trains in the body: masks of dropout above all.

    Masks have a generator of their own. torch's global one is seeded only for modules and
    activations of the user's, which cannot be told to draw from another.

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
        # What only looks on, such as a hook, must not change the order of the samples.
        is_made_so = _is_made_of_users_code(network) or network.has_dropout
        state.seed = draw_seed(random_state if is_made_so else copy.deepcopy(random_state))
    device = place_of(network).device
    masks = network.masks.seeded(state.seed, device) if isinstance(network, MLP) else nullcontext()
    users = seeded_torch(state.seed, device) if may_draw_globally(network) else nullcontext()
    with users, masks:
        state.seed = draw_seed(np.random.RandomState(state.seed))
        yield
