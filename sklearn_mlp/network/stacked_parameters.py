"""The parameters of k networks of one form, in one piece of memory."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor

from sklearn_mlp.network.parameter_vector import ParameterVector


class StackedParameters:
    """The parameters of k networks, or their gradients or moments, in one piece of memory.

    Parameters
    ----------
    values : Tensor of shape (k * n_parameters,)
        The memory.
    units : tuple of int
        Features, units of each hidden layer, outputs; the same for all networks.
    k : int
        How many networks.

    Attributes
    ----------
    weights : list of Tensor of shape (k, out_features, in_features)
        One per layer.
    biases : list of Tensor of shape (k, out_features)
        One per layer.
    """

    def __init__(self, values: Tensor, units: tuple[int, ...], k: int) -> None:
        self.values = values
        self.units = units
        self.k = k
        shapes = [(k, n_out, n_in) for n_in, n_out in pairwise(units)]
        sizes = [n_out * n_in * k for _, n_out, n_in in shapes]
        bias_sizes = [k * n_out for n_out in units[1:]]
        parts = values.split([*sizes, *bias_sizes])
        self.weights = [
            part.view(shape) for part, shape in zip(parts[: len(sizes)], shapes, strict=True)
        ]
        self.biases = [part.view(k, -1) for part in parts[len(sizes) :]]

    @classmethod
    def of(cls, vectors: Sequence[ParameterVector], units: tuple[int, ...]) -> Self:
        """Copy networks' parameters into a stack."""
        first, k = vectors[0].values, len(vectors)
        stack = cls(first.new_empty(k * len(first)), units, k)
        for layer, (weight, bias) in enumerate(zip(stack.weights, stack.biases, strict=True)):
            torch.stack([vector.weights[layer] for vector in vectors], out=weight)
            torch.stack([vector.biases[layer] for vector in vectors], out=bias)
        return stack

    @property
    def lead(self) -> tuple[int, ...]:
        """The leading dimension of everything that is of all networks."""
        return (self.k,)

    def keep_square(self, squares: Tensor) -> None:
        """Write the squared norms of the networks' weights, (k,)."""
        flat = [weight.view(self.k, -1) for weight in self.weights]
        norms = [torch.linalg.vector_norm(weight, dim=1) for weight in flat]
        torch.sum(torch.stack(norms).square_(), 0, out=squares)

    @property
    def tensors(self) -> list[Tensor]:
        """The weights and the biases of each layer."""
        return self.weights + self.biases

    def read(self, index: int, vector: ParameterVector) -> None:
        """Copy one network's parameters out of the stack."""
        for mine, other in zip(self.tensors, vector.weights + vector.biases, strict=True):
            other.copy_(mine[index])

    def zeros_like(self) -> Self:
        """Return zeros in the same layout."""
        return type(self)(torch.zeros_like(self.values), self.units, self.k)

    def take(self, kept: Tensor) -> Self:
        """Return a stack of some of the networks."""
        size = len(self.values) // self.k * len(kept)
        smaller = type(self)(self.values.new_empty(size), self.units, len(kept))
        for mine, other in zip(self.tensors, smaller.tensors, strict=True):
            torch.index_select(mine, 0, kept, out=other)
        return smaller

    def norms(self) -> Tensor:
        """Return the length of each network's vector of numbers, (k,)."""
        norms = [
            torch.linalg.vector_norm(tensor.view(self.k, -1), dim=1) for tensor in self.tensors
        ]
        return torch.linalg.vector_norm(torch.stack(norms), dim=0)

    def scale_(self, factors: Tensor) -> None:
        """Multiply each network's numbers by a factor, (k,)."""
        for tensor in self.tensors:
            tensor.mul_(factors.view(-1, *(1,) * (tensor.ndim - 1)))
