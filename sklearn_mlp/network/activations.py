"""The hidden layers' activations: each as a module, in place, and backwards."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_mlp.machine import kernels
from sklearn_mlp.machine.user_errors import blamed


@dataclass(frozen=True)
class Activation:
    """One activation in the three forms that training and prediction need.

    Attributes
    ----------
    module : type
        A class of torch's: an instance is what the network has in each layer, and what tools that
        explain networks know it by. Leaves its input as it is.
    apply_ : callable
        The same in place.
    backward_ : callable
        ``backward_(delta, kept)`` multiplies ``delta``, the gradient with respect to the
        activation's output, by its derivative, in place; ``kept`` is that output, or the input
        if ``keeps_input``.
    gain : float
        The numerator under the root of the bound of the initial weights.
    keeps_input : bool
        Whether the derivative cannot be told from the output.
    settings : mapping
        The attributes of an instance on which ``apply_`` and ``backward_`` rely.
    """

    module: type[nn.Module]
    apply_: Callable[[Tensor], Tensor]
    backward_: Callable[[Tensor, Tensor], Tensor]
    gain: float = 6.0
    keeps_input: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def function(self) -> Callable[[Tensor], Tensor]:
        """The activation as a function, differentiable by autograd."""
        return self.module()


def _identity(values: Tensor) -> Tensor:
    return values


def _identity_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    return delta


_F = nn.functional

ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(nn.Identity, _identity, _identity_backward_),
    "logistic": Activation(nn.Sigmoid, torch.sigmoid_, kernels.logistic_backward_, gain=2.0),
    "tanh": Activation(nn.Tanh, torch.tanh_, kernels.tanh_backward_),
    "relu": Activation(nn.ReLU, torch.relu_, kernels.relu_backward_),
    "leaky_relu": Activation(
        nn.LeakyReLU,
        _F.leaky_relu_,
        kernels.leaky_relu_backward_,
        settings={"negative_slope": 0.01},
    ),
    "elu": Activation(nn.ELU, _F.elu_, kernels.elu_backward_, settings={"alpha": 1.0}),
    "selu": Activation(nn.SELU, _F.selu_, kernels.selu_backward_),
    "gelu": Activation(
        nn.GELU,
        kernels.gelu_,
        kernels.gelu_backward_,
        keeps_input=True,
        settings={"approximate": "none"},
    ),
    "silu": Activation(nn.SiLU, kernels.silu_, kernels.silu_backward_, keeps_input=True),
    "mish": Activation(nn.Mish, kernels.mish_, kernels.mish_backward_, keeps_input=True),
    "softplus": Activation(
        nn.Softplus,
        kernels.softplus_,
        kernels.softplus_backward_,
        keeps_input=True,
        settings={"beta": 1.0, "threshold": 20.0},
    ),
}

# What a layer may have: a name from the table, or a function of the user's.
LayerActivation = str | Callable[[Tensor], Tensor]


class FunctionActivation(nn.Module):
    """A function of the user's as a module, so that it can be hooked as any other activation.

    Parameters
    ----------
    function : callable
        Of a tensor.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the function."""
        return self.function(inputs)

    def extra_repr(self) -> str:
        """Name the function in the printed form."""
        return str(getattr(self.function, "__name__", repr(self.function)))


def make_activation(activation: LayerActivation) -> nn.Module:
    """Return a layer's activation as a module of its own; one of the user's is copied."""
    if isinstance(activation, str):
        return ACTIVATIONS[activation].module()
    if isinstance(activation, nn.Module):
        return copy.deepcopy(activation)
    return FunctionActivation(activation)


def activation_per_layer(activation: Any, n_hidden: int) -> tuple[LayerActivation, ...]:
    """Return the activation of each hidden layer.

    Parameters
    ----------
    activation : str, callable, or list of these
        The parameter.
    n_hidden : int
        How many hidden layers there are.

    Raises
    ------
    ValueError
        If a list has another length, or an entry is neither a name nor a callable.
    """
    if not isinstance(activation, list | tuple):
        _check_entry("activation", activation)
        return (activation,) * n_hidden
    for index, entry in enumerate(activation):
        _check_entry(f"activation[{index}]", entry)
    if len(activation) != n_hidden:
        raise ValueError(
            f"activation has {len(activation)} entries, but hidden_layer_sizes has {n_hidden}; "
            "give one activation per hidden layer, or one for all of them."
        )
    return tuple(activation)


def _check_entry(name: str, entry: Any) -> None:
    """Check that an activation is one of ours or can be called on a tensor."""
    if isinstance(entry, type):
        raise ValueError(
            f"{name} must be called on tensors, got the class {entry.__name__}; pass an instance "
            f"of it, such as {entry.__name__}()."
        )
    if not callable(entry) and not (isinstance(entry, str) and entry in ACTIVATIONS):
        raise ValueError(
            f"{name} must be a str among {sorted(ACTIVATIONS)} or a callable. Got {entry!r} "
            "instead."
        )


def try_activations(
    activation: Any, widths: Sequence[int], dtype: torch.dtype, device: torch.device
) -> None:
    """Call those of the user's once, as training will, before there is anything to lose.

    Parameters
    ----------
    activation : str, callable, or list of these
        The parameter, checked by `activation_per_layer`.
    widths : sequence of int
        The units of each hidden layer.
    dtype, device
        What is trained in.

    Raises
    ------
    ValueError
        If one fails, or returns something else than a tensor like the one that it is given.
    """
    is_single = not isinstance(activation, list | tuple)
    per_layer = activation_per_layer(activation, len(widths))
    for index, (entry, width) in enumerate(zip(per_layer, widths, strict=True)):
        if not isinstance(entry, str):
            name = "activation" if is_single else f"activation[{index}]"
            _try_entry(f"{name}={entry!r}", entry, (2, width), dtype, device)


def _try_entry(
    name: str,
    entry: Callable[[Tensor], Any],
    shape: tuple[int, int],
    dtype: torch.dtype,
    device: torch.device,
) -> None:
    """Call one activation on zeros of a shape."""
    if isinstance(entry, nn.Module):
        entry = copy.deepcopy(entry).to(device, dtype).eval()
    # A product, since a leaf could not be changed in place.
    values = torch.zeros(shape, dtype=dtype, device=device, requires_grad=True) * 1
    try:
        result = entry(values)
    except Exception as error:
        raise blamed(
            error,
            f"{name} must take tensors of shape (n_samples, n_units) by operations of torch, so "
            f"that autograd can follow them; for one of shape {shape} and type {dtype} it raised "
            f"{type(error).__name__}: {error}",
        ) from error
    if isinstance(result, Tensor) and result.shape == shape and result.dtype == dtype:
        return
    got = type(result).__name__
    if isinstance(result, Tensor):
        got = f"{tuple(result.shape)} and {result.dtype}"
    raise ValueError(
        f"{name} must return a tensor of the shape and type that it is given, {shape} and "
        f"{dtype}, got {got}."
    )


def gain_of(activation: LayerActivation) -> float:
    """Return the numerator under the root of the bound of a layer's initial weights."""
    return ACTIVATIONS[activation].gain if isinstance(activation, str) else 6.0


def gains(activations: Sequence[LayerActivation], single: Any) -> list[float]:
    """Return the gain of each layer, the output's last, which has that of the layer before.

    ``single`` is the parameter, which counts where there is no hidden layer.
    """
    hidden = [gain_of(activation) for activation in activations]
    if hidden:
        return [*hidden, hidden[-1]]
    return [gain_of(single) if isinstance(single, str) else 6.0]
