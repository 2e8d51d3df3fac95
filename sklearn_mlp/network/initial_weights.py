"""The ways to draw a network's initial weights: scikit-learn's own, and others."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_mlp.machine.random_numbers import draw_seed, seeded_torch
from sklearn_mlp.machine.user_errors import blamed
from sklearn_mlp.network.activations import gains
from sklearn_mlp.network.mlp import MLP

# Each returns a weight, (n_out, n_in).
Draw = Callable[[np.random.RandomState, int, int], np.ndarray]


def _kaiming(random_state: np.random.RandomState, n_out: int, n_in: int) -> np.ndarray:
    """He et al. (2015), equation 10: normal, of variance ``2 / n_in``."""
    return random_state.normal(0, math.sqrt(2 / n_in), (n_out, n_in))


def _xavier_normal(random_state: np.random.RandomState, n_out: int, n_in: int) -> np.ndarray:
    """Glorot and Bengio (2010), equation 12: normal, of variance ``2 / (n_in + n_out)``."""
    return random_state.normal(0, math.sqrt(2 / (n_in + n_out)), (n_out, n_in))


def _orthogonal(random_state: np.random.RandomState, n_out: int, n_in: int) -> np.ndarray:
    """Saxe et al. (2014): rows or columns, whichever are fewer, are orthonormal."""
    normal = random_state.normal(size=(max(n_out, n_in), min(n_out, n_in)))
    factor, triangle = np.linalg.qr(normal)
    # Without these signs the distribution would not be uniform (Mezzadri, 2007).
    factor *= np.sign(np.diag(triangle))
    return factor if n_out >= n_in else factor.T


WEIGHT_INITS: dict[str, Draw] = {
    "kaiming": _kaiming,
    "xavier_normal": _xavier_normal,
    "orthogonal": _orthogonal,
}


def draw_initial_weights(network: MLP, random_state: np.random.RandomState) -> None:
    """Fill the network with scikit-learn's initial weights.

    Uniform within ``sqrt(factor / (fan_in + fan_out))``, Glorot and Bengio (2010), with factor 2
    for the logistic activation and 6 for the rest (the output layer counts with the last hidden
    one); the biases within the same bound. Drawn in
    scikit-learn's order and shape, so that the same ``random_state`` gives the same network.

    Parameters
    ----------
    network : MLP
        Changed in place.
    random_state : RandomState
        The source of the numbers, advanced.
    """
    factors = gains(network.activations, network.activation)
    with torch.no_grad():
        for layer, gain in zip(network.linear_layers, factors, strict=True):
            fan_in, fan_out = layer.in_features, layer.out_features
            bound = np.sqrt(gain / (fan_in + fan_out))
            coef = random_state.uniform(-bound, bound, (fan_in, fan_out))
            intercept = random_state.uniform(-bound, bound, fan_out)
            layer.weight.copy_(torch.from_numpy(coef).T)
            layer.bias.copy_(torch.from_numpy(intercept))


def draw_weights(network: MLP, weight_init: Any, random_state: np.random.RandomState) -> None:
    """Fill a network with initial weights.

    Parameters
    ----------
    network : MLP
        On the CPU; changed in place.
    weight_init : {'auto', 'kaiming', 'xavier_normal', 'orthogonal'} or callable
        The parameter. ``'auto'`` draws the biases, too; with the others they are 0. A callable
        is given each `torch.nn.Linear` in turn, to change in place.
    random_state : RandomState
        Settles the numbers; advanced. A callable finds torch's generator seeded from it.
    """
    if weight_init == "auto" or callable(weight_init):
        draw_initial_weights(network, random_state)
    if weight_init == "auto":
        return
    with torch.no_grad():
        for layer in network.linear_layers:
            layer.bias.zero_()
            if not callable(weight_init):
                draw = WEIGHT_INITS[weight_init]
                weight = draw(random_state, layer.out_features, layer.in_features)
                layer.weight.copy_(torch.from_numpy(weight))
        if callable(weight_init):
            with seeded_torch(draw_seed(random_state)):
                for layer in network.linear_layers:
                    _call_init(weight_init, layer)


def _call_init(weight_init: Callable[[nn.Linear], Any], layer: nn.Linear) -> None:
    """Let a function of the user's change a layer."""
    # Without an address, which differs in every process.
    name, before = getattr(weight_init, "__name__", repr(weight_init)), layer.weight.shape
    try:
        weight_init(layer)
    except Exception as error:
        raise blamed(
            error,
            f"weight_init={name} must take a torch.nn.Linear and change its weight and "
            f"bias in place, but for {layer} it raised {type(error).__name__}: {error}",
        ) from error
    if layer.weight.shape != before or not all(one.isfinite().all() for one in layer.parameters()):
        raise ValueError(
            f"weight_init={name} must leave finite numbers in {layer}, whose weight is "
            f"of shape {tuple(before)}, got {layer.weight.data} and {layer.bias.data}."
        )
