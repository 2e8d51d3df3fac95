"""The network: an ordinary `torch.nn.Module`, its initial weights, its flat parameters."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mlp.machine.kernels import are_all_set, parts_of
from sklearn_mlp.network.activations import activation_per_layer, gains, make_activation
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


@dataclass(frozen=True)
class Layout:
    """The shapes of a network's parameters, in their order within a `ParameterVector`.

    Attributes
    ----------
    weights : tuple of shapes
        Of the parameters with two dimensions or more, which the penalty is on.
    biases : tuple of shapes
        Of the others: biases, and the scales of a normalisation.
    buffers : tuple of shapes
        Of the floating-point buffers, such as the running statistics of a batch normalisation.
    is_input_major : bool
        Whether the first weight lies transposed in memory, as sparse samples want it.
    names : tuple of str
        Of the weights, of the biases, and of all buffers: by which a later call knows them again.
    """

    weights: tuple[tuple[int, ...], ...]
    biases: tuple[tuple[int, ...], ...]
    buffers: tuple[tuple[int, ...], ...] = ()
    is_input_major: bool = False
    names: tuple[str, ...] = ()

    @property
    def n_weights(self) -> int:
        """How many numbers the weights are."""
        return sum(map(math.prod, self.weights))

    @property
    def n_parameters(self) -> int:
        """How many numbers the weights and the biases are."""
        return self.n_weights + sum(map(math.prod, self.biases))

    @property
    def n_buffers(self) -> int:
        """How many numbers the buffers are."""
        return sum(map(math.prod, self.buffers))

    @property
    def parts(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The names and shapes of the weights and the biases, in their order."""
        return tuple(zip(self.names, (*self.weights, *self.biases), strict=False))


class ParameterVector:
    """A network's parameters, or their gradients, as one vector with a view for each of them.

    All weights come first, then all biases: the penalty is one product of ``flat_weights`` with
    itself, and an update one call on ``values``.

    Parameters
    ----------
    memory : Tensor of shape (n_parameters,) or (n_parameters + n_buffers,)
        The memory; that of gradients and moments has no buffers.
    layout : Layout
        What lies where.

    Attributes
    ----------
    memory : Tensor of shape (n_parameters,) or (n_parameters + n_buffers,)
        Everything that makes up the state of the network: what to keep, and to put back.
    values : Tensor of shape (n_parameters,)
        The parameters without the buffers.
    flat_weights : Tensor of shape (n_weights,)
        The weights without the biases.
    flat_biases : Tensor of shape (n_biases,)
        The biases.
    weights : list of Tensor
        One per layer; (out_features, in_features) where the layer is linear.
    biases : list of Tensor
        One per layer, (out_features,), and all other parameters of one dimension.
    buffers : list of Tensor
        The buffers, as far as the memory has them.
    """

    # One network's: nothing has a leading dimension.
    lead: tuple[int, ...] = ()

    def __init__(self, memory: Tensor, layout: Layout) -> None:
        self.memory = memory
        self.layout = layout
        self.values = memory[: layout.n_parameters]
        self.flat_weights = self.values[: layout.n_weights]
        self.flat_biases = self.values[layout.n_weights :]
        self.weights = _views(self.flat_weights, layout.weights)
        if layout.is_input_major:
            # Sparse samples pick rows of the transposed weight: these have to be contiguous.
            n_out, n_in = layout.weights[0]
            self.weights[0] = self.weights[0].view(n_in, n_out).t()
        self.biases = _views(self.flat_biases, layout.biases)
        rest = memory[layout.n_parameters :]
        self.buffers = _views(rest, layout.buffers) if len(rest) else []

    @classmethod
    def of(cls, network: nn.Module, *, is_input_major: bool = False) -> Self:
        """Gather a network's parameters into a vector that they are views of from now on.

        Those that are not to be trained (``requires_grad=False``) stay out of it.
        """
        weights, biases = trained_parameters(network)
        check_some([*weights, *biases])
        buffers = [value for value in network.buffers() if value.is_floating_point()]
        names = _names(network, [*weights, *biases])
        layout = Layout(_shapes(weights), _shapes(biases), _shapes(buffers), is_input_major, names)
        with torch.no_grad():
            like = (weights or biases)[0]
            memory = like.new_empty(layout.n_parameters + layout.n_buffers)
            vector = cls(memory, layout)
            places = [*vector.weights, *vector.biases, *vector.buffers]
            for value, place in zip([*weights, *biases, *buffers], places, strict=True):
                place.copy_(value)
                value.data = place
        return vector

    def keep_square(self, square: Tensor) -> None:
        """Write the squared norm of the weights to a scalar."""
        torch.dot(self.flat_weights, self.flat_weights, out=square)

    def empty_like(self) -> Self:
        """Return an uninitialised vector of the same layout, without buffers."""
        return self.of_same_layout(torch.empty_like(self.values))

    def of_same_layout(self, values: Tensor) -> Self:
        """Return other values, (n_parameters,), as a vector of the same layout."""
        return type(self)(values, self.layout)


def own_memory(network: nn.Module) -> None:
    """Give each parameter and buffer memory of its own; a weight that lies transposed stays so.

    Training leaves them as views of one vector, which whatever saves, shares or counts memory by
    storages would take as a whole for each of them.
    """
    for value in chain(network.parameters(), network.buffers()):
        if value.untyped_storage().nbytes() != value.nbytes:
            value.data = value.detach().clone()


def place_of(network: nn.Module) -> Tensor:
    """Return a tensor of the type, and on the device, that a network computes in.

    A module may have no parameters of its own, such as a quantised one, and others than numbers.
    """
    for value in chain(network.parameters(), network.buffers()):
        if value.is_floating_point():
            return value
    return torch.empty(0, device="cpu")


def trained_parameters(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the parameters to train: those with two dimensions or more, and the others."""
    return split_by_dimensions(value for value in network.parameters() if value.requires_grad)


def split_by_dimensions(
    parameters: Iterable[nn.Parameter],
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return those with two dimensions or more, and the others; without those of no numbers."""
    some = [value for value in parameters if value.numel()]
    return [value for value in some if value.ndim > 1], [value for value in some if value.ndim < 2]


def check_some(parameters: Sequence[nn.Parameter]) -> None:
    """Check that there are parameters to train.

    Raises
    ------
    ValueError
        If there are none.
    """
    if not parameters:
        raise ValueError(
            "module_ must have a parameter to train, but it has none, or requires_grad is False "
            "for all of them; call requires_grad_() on those to train, or fit anew with "
            "warm_start=False."
        )


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers a network's parameters are."""
    if isinstance(network, MLP):
        return network.n_parameters
    return sum(value.numel() for value in network.parameters())


def _names(network: nn.Module, parameters: Sequence[nn.Parameter]) -> tuple[str, ...]:
    """Return the names of some parameters, and of all buffers."""
    names = {id(value): name for name, value in network.named_parameters()}
    buffers = [name for name, _ in network.named_buffers()]
    return (*(names[id(value)] for value in parameters), *buffers)


def _shapes(tensors: Sequence[Tensor]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(tensor.shape) for tensor in tensors)


def _views(values: Tensor, shapes: tuple[tuple[int, ...], ...]) -> list[Tensor]:
    """Return a vector's parts, each in its shape."""
    parts = values.split([math.prod(shape) for shape in shapes]) if shapes else ()
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
