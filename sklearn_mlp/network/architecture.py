"""Which network the parameters ask for: checked, made, and compared when training goes on."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mlp.machine.placement import is_stochastic
from sklearn_mlp.machine.plain_numbers import plain_number
from sklearn_mlp.machine.random_numbers import may_draw, seeded_torch
from sklearn_mlp.network.activations import activation_per_layer, try_activations
from sklearn_mlp.network.dropout import dropout_per_layer
from sklearn_mlp.network.initial_weights import draw_weights
from sklearn_mlp.network.memory import check_memory
from sklearn_mlp.network.mlp import MLP, place_of
from sklearn_mlp.network.user_module import make_module

MODULE_PREFIX = "module__"

# What only this package's own network has, with its default: an error beside a module.
_ONLY_OURS = {
    "dropout": 0.0,
    "input_dropout": 0.0,
    "normalization": None,
    "residual": False,
    "weight_init": "auto",
}

# What cannot be changed while training goes on.
_FIXED = ("hidden_units", "normalization", "residual", "module", "module_parameters")


@dataclass(frozen=True)
class Architecture:
    """The parameters that a network's form depends on, under their own names.

    ``hidden_units`` is ``hidden_layer_sizes`` as a tuple, and ``module_parameters`` are those
    that begin with ``module__``, without that.
    """

    hidden_units: tuple[int, ...]
    activation: Any = "relu"
    dropout: Any = 0.0
    input_dropout: float = 0.0
    normalization: str | None = None
    residual: bool = False
    weight_init: Any = "auto"
    module: Any = None
    module_parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, parameters: Mapping[str, Any], for_module: Mapping[str, Any]) -> Self:
        """Return what an estimator's parameters ask for.

        Parameters
        ----------
        parameters : mapping
            The estimator's own, or all its attributes.
        for_module : mapping
            Those that begin with ``module__``.

        Raises
        ------
        ValueError
            If there is no such network; the sentence names the parameters.
        """
        own = {name.removeprefix(MODULE_PREFIX): value for name, value in for_module.items()}
        names = ("activation", *_ONLY_OURS, "module")
        same = {name: plain_number(parameters[name]) for name in names}
        units = hidden_units(parameters["hidden_layer_sizes"])
        architecture = cls(units, module_parameters=own, **same)
        architecture._check(parameters["solver"])
        return architecture

    def _check(self, solver: Any) -> None:
        """Check what the parameters ask for together."""
        if self.module is not None:
            self._check_beside_module()
            return
        if self.module_parameters:
            name = next(iter(self.module_parameters))
            raise ValueError(
                f"{MODULE_PREFIX}{name}={self.module_parameters[name]!r} is for module, which is "
                "None; set module, too, or leave it out."
            )
        n_hidden = len(self.hidden_units)
        activation_per_layer(self.activation, n_hidden)
        is_dropping = any((self.input_dropout, *dropout_per_layer(self.dropout, n_hidden)))
        if is_dropping and not is_stochastic(solver):
            name = "input_dropout" if self.input_dropout else "dropout"
            raise ValueError(
                f"{name}={getattr(self, name)} cannot be used with solver={solver!r}, whose line "
                "search needs a loss that stays the same; use a solver that trains in "
                f"mini-batches, such as 'adam', or {name}=0."
            )
        widths = self.hidden_units
        if self.residual and not any(a == b for a, b in pairwise(widths)):
            raise ValueError(
                "residual=True needs two neighbouring hidden layers of equal width, but "
                f"hidden_layer_sizes={widths}; give it such layers, or set residual=False."
            )

    def _check_beside_module(self) -> None:
        """Check that nothing is asked of a user's module that it would have to do itself."""
        if isinstance(self.module, nn.Module):
            name = type(self.module).__name__
            raise ValueError(
                f"module must be a class or a function that makes a network, since every fit "
                f"needs a new one, got an instance of {name}; pass module={name} and its "
                f"arguments as {MODULE_PREFIX}<argument>."
            )
        for name, default in _ONLY_OURS.items():
            value = getattr(self, name)
            if value is not default and value != default:
                raise ValueError(
                    f"{name}={value!r} cannot be used with module, whose layers are its own; set "
                    f"{name}={default!r}, or module=None."
                )

    def build(
        self,
        samples: Tensor,
        n_outputs: int,
        random_state: np.random.RandomState,
        output_activation: str = "identity",
    ) -> nn.Module:
        """Make the network, with its initial weights.

        Parameters
        ----------
        samples : Tensor of shape (n, n_features)
            One or two of the samples, in the type and on the device to train on.
        n_outputs : int
            How many outputs the loss needs.
        random_state : RandomState
            Settles the initial weights; advanced.
        output_activation : str, default="identity"
            What is applied to its outputs; a user's module must not end in it.
        """
        n_features, device, dtype = samples.shape[1], samples.device, samples.dtype
        if self.module is not None:
            arguments = {"n_features_in": n_features, "n_outputs": n_outputs}
            arguments |= self.module_parameters
            return make_module(
                self.module, arguments, samples, n_outputs, random_state, output_activation
            )
        units = (n_features, *self.hidden_units, n_outputs)
        check_memory(units, dtype, device)
        self._try_activations(dtype, device)
        network = MLP(
            units,
            self.activation,
            dtype,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            normalization=self.normalization,
            residual=self.residual,
        )
        draw_weights(network, self.weight_init, random_state)
        return network

    def _try_activations(self, dtype: torch.dtype, device: torch.device) -> None:
        """Try the activations that are the user's own; what they draw leaves no trace."""
        per_layer = activation_per_layer(self.activation, len(self.hidden_units))
        if any(callable(entry) for entry in per_layer):
            is_drawing = any(map(may_draw, per_layer))
            with seeded_torch(0, device) if is_drawing else nullcontext():
                try_activations(self.activation, self.hidden_units, dtype, device)

    def go_on(self, network: nn.Module, earlier: "Architecture") -> None:
        """Bring a network that was made by earlier parameters up to these.

        As in scikit-learn, another activation counts from now on; and so does another dropout.

        Raises
        ------
        ValueError
            If that would be another network.
        """
        for name in _FIXED:
            mine, other = getattr(self, name), getattr(earlier, name)
            if mine != other:
                shown = "hidden_layer_sizes" if name == "hidden_units" else name
                shown = "module__" if name == "module_parameters" else shown
                raise ValueError(
                    f"{shown}={mine} differs from {other}, which the network was fitted with; "
                    "training can only go on with the same network. Set warm_start=False and "
                    "call fit to begin anew."
                )
        if isinstance(network, MLP):
            if self.activation is not earlier.activation and self.activation != earlier.activation:
                like = place_of(network)
                self._try_activations(like.dtype, like.device)
                network.use_activation(self.activation)
                network.to(like.device, like.dtype)
            if (self.dropout, self.input_dropout) != (earlier.dropout, earlier.input_dropout):
                network.use_dropout(self.dropout, self.input_dropout)


def hidden_units(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Turn the parameter ``hidden_layer_sizes`` into a tuple of numbers of units.

    Raises
    ------
    ValueError
        If an entry is not a positive whole number.
    """
    # An array without axes has the method, too, and cannot be gone through.
    is_one = np.ndim(hidden_layer_sizes) == 0 if hasattr(hidden_layer_sizes, "ndim") else False
    if is_one and not isinstance(hidden_layer_sizes, Integral):
        raise ValueError(f"hidden_layer_sizes must be integers, got {hidden_layer_sizes!r}.")
    is_several = hasattr(hidden_layer_sizes, "__iter__")
    sizes = list(hidden_layer_sizes) if is_several else [hidden_layer_sizes]
    if not all(isinstance(size, Integral) for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be integers, got {sizes}.")
    units = [int(size) for size in sizes]
    if any(size <= 0 for size in units):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {units}.")
    return tuple(units)
