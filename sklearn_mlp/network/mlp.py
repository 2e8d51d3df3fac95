"""The network: an ordinary `torch.nn.Module`."""

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from sklearn_mlp.machine.kernels import are_all_set, parts_of
from sklearn_mlp.network.activations import activation_per_layer, make_activation
from sklearn_mlp.network.dropout import Dropout, MaskSource, dropout_per_layer
from sklearn_mlp.network.normalization import NORMALIZATIONS


class MLP(nn.Module):
    """A fully connected network that returns the values before the output activation.

    A hidden layer is ``dropout(activation(normalization(linear(inputs))))``, to which
    ``residual`` adds the inputs where they are as many as the layer's units.

    Parameters
    ----------
    units : sequence of int
        Features, units of each hidden layer, outputs.
    activation : str, callable or sequence of these
        The hidden layers' activation, or one for each. A module among them is copied for each
        layer, and its parameters are trained.
    dtype : torch.dtype
        The parameters' type.
    dropout : float or sequence of float
        The share of each hidden layer's values that a training step drops.
    input_dropout : float
        The same of the features.
    normalization : {'batch', 'layer'} or None
        What is done before each activation.
    residual : bool
        Whether hidden layers add their inputs to their values, except for the first.

    Attributes
    ----------
    n_parameters : int
        Numbers in all parameters together.
    layers : torch.nn.ModuleList of torch.nn.Linear
        Weights are ``(out_features, in_features)``, as torch has them: ``coefs_`` transposed.
    activations : tuple of str or callable
        What was asked for, one per hidden layer.
    activation_modules : torch.nn.ModuleDict
        What is called, one module per hidden layer, under its number.
    dropout : tuple of float
        One per hidden layer.
    is_plain : bool
        Whether a prediction is nothing but linear layers and activations of ours, unless the user
        has changed something since; `sklearn_mlp.network.alterations` tells.
    is_skipped : tuple of bool
        For each hidden layer, whether its inputs are added to its values.
    masks : MaskSource
        Of the dropout.
    """

    def __init__(
        self,
        units: tuple[int, ...],
        activation: Any,
        dtype: torch.dtype,
        *,
        dropout: float | Sequence[float] = 0.0,
        input_dropout: float = 0.0,
        normalization: str | None = None,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _empty_linear(n_in, n_out, dtype) for n_in, n_out in pairwise(units)
        )
        self.normalization = normalization
        if normalization is not None:
            make = NORMALIZATIONS[normalization]
            self.normalizations = nn.ModuleList(
                make(width, dtype=dtype, device="cpu") for width in units[1:-1]
            )
        self.is_skipped = tuple(
            residual and layer > 0 and n_in == n_out
            for layer, (n_in, n_out) in enumerate(pairwise(units[:-1]))
        )
        self.masks = MaskSource()
        self.use_dropout(dropout, input_dropout)
        self.use_activation(activation)

    def use_activation(self, activation: Any) -> None:
        """Take an activation for the hidden layers, or one for each, from now on."""
        per_layer = activation_per_layer(activation, len(self.layers) - 1)
        # A tuple: an attribute that is a module would become a part of this one.
        self._activation = (activation,)
        self.activation_modules = nn.ModuleDict(
            {str(layer): make_activation(entry) for layer, entry in enumerate(per_layer)}
        )
        self.activations = per_layer
        self.is_plain = (
            self.normalization is None
            and not any(self.is_skipped)
            and all(isinstance(entry, str) for entry in per_layer)
        )
        self.n_parameters = self._count_parameters()

    def _count_parameters(self) -> int:
        """Return how many numbers the parameters are; going through them takes far longer."""
        layers = list(self.layers)
        is_linear = self.normalization is None and all(
            type(layer) is nn.Linear for layer in layers
        )
        if is_linear and all(isinstance(entry, str) for entry in self.activations):
            return sum(
                (layer.in_features + 1) * layer.out_features for layer in self.linear_layers
            )
        return sum(value.numel() for value in self.parameters())

    def use_dropout(self, dropout: float | Sequence[float], input_dropout: float) -> None:
        """Drop at these rates from now on."""
        self.dropout = dropout_per_layer(dropout, len(self.layers) - 1)
        self.input_dropout = input_dropout
        rates = (input_dropout, *self.dropout)
        self.dropouts = (
            nn.ModuleList(Dropout(rate, self.masks) for rate in rates) if any(rates) else None
        )

    @property
    def activation(self) -> Any:
        """The parameter, as `use_activation` was given it last."""
        return self._activation[0]

    @property
    def units(self) -> tuple[int, ...]:
        """Features, units of each hidden layer, outputs."""
        layers = self.linear_layers
        for index, layer in enumerate(layers):
            if not isinstance(layer, nn.Linear):
                # Not an AttributeError, which a module takes for a missing property.
                raise ValueError(
                    f"layers[{index}] is a {type(layer).__name__} and not torch.nn.Linear: how "
                    "many units it has is not known."
                )
        return (layers[0].in_features, *(layer.out_features for layer in layers))

    @property
    def linear_layers(self) -> list[nn.Linear]:
        """The layers, typed as what they are."""
        return cast(list[nn.Linear], list(self.layers))

    @property
    def has_dropout(self) -> bool:
        """Whether a training step drops anything."""
        return self.dropouts is not None

    def train(self, mode: bool = True) -> Self:
        """Set the mode, as torch does; where it is set, which loops do each step, do nothing."""
        is_set = self.training is mode and are_all_set(parts_of(self).values(), mode)
        return self if is_set else super().train(mode)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the values before the output activation.

        Parameters
        ----------
        inputs : Tensor of shape (n_samples, n_features)
            The samples, in the parameters' type and on their device.

        Returns
        -------
        logits : Tensor of shape (n_samples, n_outputs)
            Softmax (several classes), logistic (two classes, or labels), exp (``poisson``) or
            nothing (``squared_error``) turns them into what the estimator predicts.

        Raises
        ------
        TypeError
            If the samples are of another type than the parameters.
        """
        try:
            logits: Tensor = self.layers[-1](self.hidden_values(inputs, len(self.layers) - 1))
        except RuntimeError as error:
            dtype = next(self.parameters()).dtype
            if inputs.dtype == dtype:
                raise
            raise TypeError(
                f"This network computes in {dtype}, but was given samples in {inputs.dtype}: "
                f"pass inputs.to({dtype}), which is the estimator's dtype_. With dtype='auto' it "
                "is float64 after a fit of at most 200 samples in one batch; dtype='float32' "
                "trains in float32 always."
            ) from error
        return logits

    def hidden_values(self, inputs: Tensor, n_layers: int) -> Tensor:
        """Return the values of the last of the first hidden layers, so many; none: the inputs."""
        self._check_lengths()
        activations = list(self.activation_modules.values())
        if self.dropouts is not None:
            inputs = self.dropouts[0](inputs)
        for index, layer in enumerate(self.linear_layers[:n_layers]):
            values = layer(inputs)
            if self.normalization is not None:
                values = self.normalizations[index](values)
            values = activations[index](values)
            if self.dropouts is not None:
                values = self.dropouts[index + 1](values)
            # The user may have added layers.
            is_skipped = index < len(self.is_skipped) and self.is_skipped[index]
            inputs = values + inputs if is_skipped else values
        return inputs

    def _check_lengths(self) -> None:
        """Check that there is as much between the layers as they need: the user may add some."""
        n_hidden = len(self.layers) - 1
        parts = {"activation_modules": n_hidden}
        if self.normalization is not None:
            parts["normalizations"] = n_hidden
        if self.dropouts is not None:
            parts["dropouts"] = n_hidden + 1
        for name, needed in parts.items():
            if len(getattr(self, name)) != needed:
                raise ValueError(
                    f"{name} must have {needed} entries for the {n_hidden + 1} layers that the "
                    f"network has, got {len(getattr(self, name))}; torch.nn.Identity() does "
                    "nothing in a place."
                )

    def extra_repr(self) -> str:
        """Name the activation in the printed form."""
        return f"activation={self.activation!r}"


def _empty_linear(n_in: int, n_out: int, dtype: torch.dtype) -> nn.Linear:
    """Return a linear layer without initial weights.

    torch's own would draw from its global random state. `torch.nn.utils.skip_init` does the same
    in ten times the time, by way of another device: a third of a small fit.
    """
    layer = nn.Linear.__new__(nn.Linear)
    nn.Module.__init__(layer)
    # Past a module's own way of setting attributes, which looks for parameters among them.
    vars(layer).update(in_features=n_in, out_features=n_out)
    weight = torch.empty(n_out, n_in, dtype=dtype, device="cpu")
    layer.register_parameter("weight", nn.Parameter(weight))
    bias = torch.empty(n_out, dtype=dtype, device="cpu")
    layer.register_parameter("bias", nn.Parameter(bias))
    return layer


def place_of(network: nn.Module) -> Tensor:
    """Return a tensor of the type, and on the device, that a network computes in.

    A module may have no parameters of its own, such as a quantised one, and others than numbers.
    """
    for value in chain(network.parameters(), network.buffers()):
        if value.is_floating_point():
            return value
    return torch.empty(0, device="cpu")


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers a network's parameters are."""
    if isinstance(network, MLP):
        return network.n_parameters
    return sum(value.numel() for value in network.parameters())
