"""Networks of the user's own: made, and checked for what training needs of them."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mlp.network import trained_parameters
from sklearn_mlp.random_numbers import draw_seed, seeded_torch


def make_module(
    module: Callable[..., Any],
    arguments: Mapping[str, Any],
    samples: Tensor,
    n_outputs: int,
    random_state: np.random.RandomState,
) -> nn.Module:
    """Call a class or factory for a network.

    Parameters
    ----------
    module : callable
        The parameter.
    arguments : mapping
        What it is called with, by keyword.
    samples : Tensor of shape (n, n_features)
        To try the network on, in the type and on the device to train on.
    n_outputs : int
        How many outputs it must have.
    random_state : RandomState
        Settles its initial weights; advanced. torch's global generators stay as they are.

    Raises
    ------
    TypeError
        If it cannot be called so, or returns no module.
    ValueError
        If the module returns something of another shape, or has nothing to train.
    """
    name = _name_of(module)
    _check_signature(module, name, arguments)
    with seeded_torch(draw_seed(random_state), samples.device):
        try:
            network = module(**arguments)
        except Exception as error:
            raise ValueError(
                f"module={name} must make a network of {', '.join(arguments)}, which it is called "
                f"with by keyword, but it raised {type(error).__name__}: {error}"
            ) from error
        if not isinstance(network, nn.Module):
            raise TypeError(
                f"module={name} must return a torch.nn.Module, got {type(network).__name__}."
            )
        network.to(device=samples.device, dtype=samples.dtype)
        # Lazy layers draw their weights when they first see samples.
        check_module(network, samples, n_outputs, f"module={name}")
    if not trained_parameters(network)[0]:
        raise ValueError(f"module={name} must have a weight to train, got none.")
    return network


def check_module(network: nn.Module, samples: Tensor, n_outputs: int, name: str) -> None:
    """Check that a network turns samples into logits of the right shape; leave it in training.

    Parameters
    ----------
    network : Module
        The network.
    samples : Tensor of shape (n, n_features)
        To try it on.
    n_outputs : int
        How many outputs it must have.
    name : str
        What the user knows it by.

    Raises
    ------
    ValueError
        If it does not.
    """
    network.eval()
    try:
        # As in training: some operations fail only where autograd follows them.
        with torch.enable_grad():
            logits = network(samples)
    except Exception as error:
        raise ValueError(
            f"{name} must take a tensor of shape (n_samples, n_features_in), but for one of shape "
            f"{tuple(samples.shape)} and type {samples.dtype} it raised {type(error).__name__}: "
            f"{error}"
        ) from error
    network.train()
    expected = (len(samples), n_outputs)
    got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if got != expected:
        raise ValueError(
            f"{name} must return a tensor of shape (n_samples, n_outputs), which is {expected} "
            f"for {len(samples)} samples, got {got}."
        )
    if trained_parameters(network)[0] and not logits.requires_grad:
        raise ValueError(
            f"{name} must compute its outputs from its parameters by operations of torch, so that "
            "autograd can follow them."
        )


def _check_signature(module: Callable[..., Any], name: str, arguments: Mapping[str, Any]) -> None:
    """Check that a callable takes the arguments, before it runs."""
    try:
        signature = inspect.signature(module)
    except ValueError:
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise TypeError(
            f"module={name} is called with {', '.join(arguments)} by keyword, but {error}."
        ) from None


def _name_of(module: Callable[..., Any]) -> str:
    return getattr(module, "__name__", repr(module))
