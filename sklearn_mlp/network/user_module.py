"""Networks of the user's own: made, and checked for what training needs of them."""

import inspect
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mlp.machine.random_numbers import draw_seed, seeded_torch
from sklearn_mlp.machine.user_errors import blamed
from sklearn_mlp.network.alterations import may_draw_globally
from sklearn_mlp.network.parameter_vector import check_some, trained_parameters


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
            raise blamed(
                error,
                f"module={name} must make a network of {', '.join(arguments)}, which it is called "
                f"with by keyword, but it raised {type(error).__name__}: {error}",
            ) from error
        if not isinstance(network, nn.Module):
            raise TypeError(
                f"module={name} must return a torch.nn.Module, got {type(network).__name__}."
            )
        check_numbers(network, f"module={name}")
        network.to(device=samples.device, dtype=samples.dtype)
        # Lazy layers draw their weights when they first see samples.
        check_module(network, samples, n_outputs, f"module={name}")
    if not any(trained_parameters(network)):
        raise ValueError(
            f"module={name} must have a weight to train, got none, or none that requires a "
            "gradient."
        )
    return network


def check_changed(network: nn.Module, samples: Tensor, n_outputs: int) -> None:
    """Check a network that the user has changed, before training begins, or goes on.

    Parameters
    ----------
    network : Module
        The network, in the type and on the device of the samples.
    samples : Tensor of shape (n, n_features)
        To try it on.
    n_outputs : int
        How many outputs it must have.

    Raises
    ------
    ValueError
        If it does not take the samples, returns something else, or has nothing to train.
    """
    # Lazy layers draw their weights when they first see samples.
    is_drawing = may_draw_globally(network)
    with seeded_torch(0, samples.device) if is_drawing else nullcontext():
        check_module(network, samples, n_outputs, "module_")
    weights, biases = trained_parameters(network)
    check_some([*weights, *biases])


def dtype_to_go_on(network: nn.Module, fitted: torch.dtype) -> torch.dtype:
    """Return the type that a fitted network is trained in further, with ``dtype="auto"``.

    That in which it was fitted, unless the user has brought it into another.

    Raises
    ------
    ValueError
        If nothing is trained in that.
    """
    found: set[torch.dtype] = {value.dtype for value in network.parameters()}
    if len(found) != 1 or found == {fitted}:
        return fitted
    (dtype,) = found
    if dtype in (torch.float32, torch.float64):
        return dtype
    raise ValueError(
        f"module_ must be in float32 or float64 for training to go on, got {dtype}; call "
        "module_.float() before, or set the parameter dtype."
    )


def check_numbers(network: nn.Module, name: str) -> None:
    """Check that a network's parameters are real numbers, before they are brought into one type.

    Raises
    ------
    ValueError
        If they are not.
    """
    for part, value in network.named_parameters():
        if not value.is_floating_point():
            raise ValueError(
                f"{name} must have parameters that are real floating-point numbers, but {part} is "
                f"of type {value.dtype}; keep complex numbers as two parameters, and what is not "
                "trained as a buffer."
            )
    for part, buffer in network.named_buffers():
        if buffer.is_complex():
            raise ValueError(
                f"{name} must have no complex buffers, but {part} is of type {buffer.dtype}; keep "
                "real and imaginary parts in two."
            )


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
            # A copy: they may be the user's, and a network may change them.
            logits = network(samples.clone())
    except Exception as error:
        raise blamed(
            error,
            f"{name} must take a tensor of shape (n_samples, n_features_in), but for one of shape "
            f"{tuple(samples.shape)} and type {samples.dtype} it raised {type(error).__name__}: "
            f"{error}",
        ) from error
    network.train()
    expected = (len(samples), n_outputs)
    got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if got != expected:
        raise ValueError(
            f"{name} must return a tensor of shape (n_samples, n_outputs), which is {expected} "
            f"for {len(samples)} samples, got {got}."
        )
    if any(trained_parameters(network)) and not logits.requires_grad:
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
