"""A network's parameters as one vector, with a view for each of them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

import torch
from torch import Tensor, nn


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
