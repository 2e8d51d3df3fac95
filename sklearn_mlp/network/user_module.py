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
    output_activation: str,
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
    output_activation : str
        What is applied to its outputs, and so not to be in it as well.

    Raises
    ------
    TypeError
        If it cannot be called so, or returns no module.
    ValueError
        If the module returns something of another shape, or probabilities where their
        activation is still to come, or has nothing to train.
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
        outputs = check_module(network, samples, n_outputs, f"module={name}", output_activation)
    _check_not_activated(outputs, f"module={name}", output_activation)
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


def check_module(
    network: nn.Module, samples: Tensor, n_outputs: int, name: str, output_activation: str = ""
) -> Tensor:
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
    output_activation : str, default=""
        What is applied to its outputs.

    Returns
    -------
    logits : Tensor of shape (n, n_outputs)
        Its outputs.

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
        advice = _one_for_two(expected, got, output_activation)
        raise ValueError(
            f"{name} must return a tensor of shape (n_samples, n_outputs), which is {expected} "
            f"for {len(samples)} samples, got {got}.{advice}"
        )
    if any(trained_parameters(network)) and not logits.requires_grad:
        raise ValueError(
            f"{name} must compute its outputs from its parameters by operations of torch, so that "
            "autograd can follow them."
        )
    return logits


def _one_for_two(expected: tuple[int, int], got: Any, output_activation: str) -> str:
    """Return what to do about two outputs where there is one, such as for two classes."""
    if output_activation != "logistic" or got != (expected[0], 2) or expected[1] != 1:
        return ""
    return (
        " Two classes have one output, the logit of the second; with output_activation='softmax' "
        "they have two."
    )


# The last operation of a network whose outputs are probabilities already, as autograd calls it.
# A LogSoftmax is not among them: the softmax of its outputs is that of its inputs.
_ACTIVATED = {
    "softmax": {"SoftmaxBackward0": "Softmax", "SigmoidBackward0": "Sigmoid"},
    "logistic": {"SigmoidBackward0": "Sigmoid", "LogSigmoidBackward0": "LogSigmoid"},
}


def _check_not_activated(outputs: Tensor, name: str, output_activation: str) -> None:
    """Check that a network does not end in what is applied to its outputs anyway.

    It would train, and badly: the softmax of ten probabilities is never above 0.24.
    """
    last = "" if outputs.grad_fn is None else outputs.grad_fn.name()
    ending = _ACTIVATED.get(output_activation, {}).get(last)
    if ending is not None:
        raise ValueError(
            f"{name} must return the values before the output activation, which is "
            f"{output_activation!r} and applied to them by the estimator, but it ends in a "
            f"{ending}; leave that out, or, with a loss that takes it, set "
            "output_activation='identity'."
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
