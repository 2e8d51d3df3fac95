"""The network: an ordinary `torch.nn.Module`, its initial weights, its flat parameters."""

from itertools import pairwise
from typing import Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mlp.activations import ACTIVATIONS


class MLP(nn.Module):
    """A fully connected network that returns the values before the output activation.

    Parameters
    ----------
    units : sequence of int
        Features, units of each hidden layer, outputs.
    activation : str
        The hidden layers' activation.
    dtype : torch.dtype
        The parameters' type.

    Attributes
    ----------
    n_parameters : int
        Weights and biases, all layers together.
    layers : torch.nn.ModuleList of torch.nn.Linear
        Weights are ``(out_features, in_features)``, as torch has them: ``coefs_`` transposed.
    """

    def __init__(self, units: tuple[int, ...], activation: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.activation = activation
        self.n_parameters = sum((n_in + 1) * n_out for n_in, n_out in pairwise(units))
        # skip_init: torch's own initial weights would draw from its global random state.
        self.layers = nn.ModuleList(
            nn.utils.skip_init(nn.Linear, n_in, n_out, dtype=dtype)
            for n_in, n_out in pairwise(units)
        )

    @property
    def units(self) -> tuple[int, ...]:
        """Features, units of each hidden layer, outputs."""
        layers = self.linear_layers
        return (layers[0].in_features, *(layer.out_features for layer in layers))

    @property
    def linear_layers(self) -> list[nn.Linear]:
        """The layers, typed as what they are."""
        return cast(list[nn.Linear], list(self.layers))

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
        """
        function = ACTIVATIONS[self.activation].function
        *hidden, last = self.linear_layers
        for layer in hidden:
            inputs = function(layer(inputs))
        logits: Tensor = last(inputs)
        return logits

    def extra_repr(self) -> str:
        """Name the activation in the printed form."""
        return f"activation={self.activation!r}"


def draw_initial_weights(network: MLP, random_state: np.random.RandomState) -> None:
    """Fill the network with scikit-learn's initial weights.

    Uniform within ``sqrt(factor / (fan_in + fan_out))``, Glorot and Bengio (2010), with factor 2
    for the logistic activation and 6 for the rest; the biases within the same bound. Drawn in
    scikit-learn's order and shape, so that the same ``random_state`` gives the same network.

    Parameters
    ----------
    network : MLP
        Changed in place.
    random_state : RandomState
        The source of the numbers, advanced.
    """
    gain = ACTIVATIONS[network.activation].gain
    with torch.no_grad():
        for layer in network.linear_layers:
            fan_in, fan_out = layer.in_features, layer.out_features
            bound = np.sqrt(gain / (fan_in + fan_out))
            coef = random_state.uniform(-bound, bound, (fan_in, fan_out))
            intercept = random_state.uniform(-bound, bound, fan_out)
            layer.weight.copy_(torch.from_numpy(coef).T)
            layer.bias.copy_(torch.from_numpy(intercept))


class ParameterVector:
    """A network's parameters, or their gradients, as one vector with a view for every layer.

    All weights come first, then all biases: the penalty is one product of ``flat_weights`` with
    itself, and an update one call on ``values``.

    Parameters
    ----------
    values : Tensor of shape (n_parameters,)
        The memory.
    units : tuple of int
        Features, units of each hidden layer, outputs.
    is_input_major : bool
        Whether the first layer's weight lies transposed in memory, as sparse samples want it.

    Attributes
    ----------
    values : Tensor of shape (n_parameters,)
        Everything.
    flat_weights : Tensor of shape (n_weights,)
        The weights without the biases.
    flat_biases : Tensor of shape (n_biases,)
        The biases.
    weights : list of Tensor of shape (out_features, in_features)
        One per layer.
    biases : list of Tensor of shape (out_features,)
        One per layer.
    """

    def __init__(
        self, values: Tensor, units: tuple[int, ...], *, is_input_major: bool = False
    ) -> None:
        self.values = values
        self.units = units
        self.is_input_major = is_input_major
        shapes = [(n_out, n_in) for n_in, n_out in pairwise(units)]
        sizes = [n_out * n_in for n_out, n_in in shapes]
        self.flat_weights = values[: sum(sizes)]
        self.weights = [
            part.view(shape)
            for part, shape in zip(self.flat_weights.split(sizes), shapes, strict=True)
        ]
        if is_input_major:
            # Sparse samples pick rows of the transposed weight: these have to be contiguous.
            self.weights[0] = self.weights[0].view(units[0], units[1]).t()
        self.flat_biases = values[sum(sizes) :]
        self.biases = list(self.flat_biases.split(list(units[1:])))

    @classmethod
    def of(cls, network: MLP, *, is_input_major: bool = False) -> Self:
        """Gather the network's parameters into a vector that they are views of from now on."""
        layers = network.linear_layers
        with torch.no_grad():
            values = layers[0].weight.new_empty(network.n_parameters)
            vector = cls(values, network.units, is_input_major=is_input_major)
            for layer, weight, bias in zip(layers, vector.weights, vector.biases, strict=True):
                weight.copy_(layer.weight)
                bias.copy_(layer.bias)
        for layer, weight, bias in zip(layers, vector.weights, vector.biases, strict=True):
            layer.weight.data = weight
            layer.bias.data = bias
        return vector

    def empty_like(self) -> Self:
        """Return an uninitialised vector of the same layout."""
        values = torch.empty_like(self.values)
        return type(self)(values, self.units, is_input_major=self.is_input_major)
