"""k networks of one form, side by side: their parameters, while they learn and afterwards.

The form is that of neural tangent parameters (Jacot, Gabriel and Hongler, 2018): a layer is
``weight @ inputs / sqrt(fan_in) + bias`` with weights of variance 1, so that one learning rate
suits all widths. In front of the first layer each input has a scale of its own, which learns
which inputs matter (RealMLP's). Activations are feature-major, ``(k, units, batch)``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.machine.shared_memory import tensor_to_read

# Of AdamW, whose decay is for the weights alone, and what the learning rate is multiplied by.
EPSILON, DECAY = 1e-8, 0.02
RATE_OF_BIASES, RATE_OF_SCALES = 0.1, 6.0

# A line of the cache has 64 bytes: so many numbers in float32, and half of them in float64.
_NUMBERS_OF_A_LINE = 16


class Members:
    """The parameters of k networks that are trained together, each on rows of its own.

    Parameters
    ----------
    k : int
        How many networks.
    units : list of int
        Inputs, hidden units of each layer, outputs.
    dtype : torch.dtype
        Of the parameters.
    generator : torch.Generator
        Draws the weights, on the CPU, so that they are the same everywhere; those of the last
        layer begin at 0, and so do the outputs.
    device : torch.device
        Where the networks are.
    is_apart : bool
        Whether all numbers of a network lie together; else weights, biases and scales do, those
        of one layer of all networks side by side.

    Attributes
    ----------
    values : Tensor of shape (n_parameters,)
        All parameters of all networks; of networks apart, also what fills a line of the cache.
    weights, biases : list of Tensor of shape (k, n_out, n_in) and (k, n_out, 1)
        Those of each layer, in ``values``.
    scales : Tensor of shape (k, 1, n_inputs)
        Of the inputs, in ``values``.
    factors : list of float
        By which each layer's products are multiplied.
    """

    def __init__(
        self,
        k: int,
        units: list[int],
        dtype: torch.dtype,
        generator: torch.Generator,
        device: torch.device,
        *,
        is_apart: bool,
    ) -> None:
        self.k, self.units, self.is_apart = k, units, is_apart
        fans = list(zip(units[1:], units[:-1], strict=True))
        self.factors = [1 / math.sqrt(max(n_in, 1)) for _, n_in in fans]
        self._shapes = [(k, n_out, n_in) for n_out, n_in in fans]
        self._shapes += [(k, n_out, 1) for n_out, _ in fans]
        self._shapes += [(k, 1, units[0])]
        n_parameters = sum(math.prod(shape) // k for shape in self._shapes)
        if is_apart:
            # Each begins with a line of the cache.
            n_parameters = math.ceil(n_parameters / _NUMBERS_OF_A_LINE) * _NUMBERS_OF_A_LINE
        self.values = torch.zeros(k * n_parameters, dtype=dtype, device=device)
        self.weights, self.biases, self.scales = self.parts_of(self.values)
        for parameter in (*self.weights[:-1], *self.biases[:-1]):
            # In float64 whatever the type, so that both have the same weights.
            drawn = torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
            parameter.copy_(drawn.to(dtype))
        self.scales.fill_(1)

    def parts_of(self, vector: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Return weights, biases and scales in a vector that lies as ``values`` do."""
        sizes = [math.prod(shape) for shape in self._shapes]
        if self.is_apart:
            rows = vector.view(self.k, -1)[:, : sum(sizes) // self.k]
            lying = rows.split([size // self.k for size in sizes], dim=1)
        else:
            lying = vector.split(sizes)
        parts = [part.view(shape) for part, shape in zip(lying, self._shapes, strict=True)]
        n_layers = len(self.factors)
        return parts[:n_layers], parts[n_layers:-1], parts[-1]

    def frozen(self, values: Tensor | None = None) -> "FrozenMembers":
        """Return the networks as arrays, all factors multiplied in; of earlier values if given."""
        kept = self.values.clone()
        if values is not None:
            self.values.copy_(values)
        weights = [
            (weight * factor).cpu().numpy()
            for weight, factor in zip(self.weights, self.factors, strict=True)
        ]
        weights[0] *= self.scales.cpu().numpy()
        frozen = FrozenMembers(weights, [bias.clone().cpu().numpy() for bias in self.biases])
        self.values.copy_(kept)
        return frozen


@dataclass(frozen=True)
class FrozenMembers:
    """k fitted networks, as arrays.

    Attributes
    ----------
    weights : list of ndarray of shape (k, n_out, n_in)
        The weights of each layer.
    biases : list of ndarray of shape (k, n_out, 1)
        Its biases.
    """

    weights: list[np.ndarray]
    biases: list[np.ndarray]

    @property
    def k(self) -> int:
        """How many networks there are."""
        return len(self.weights[0])

    @property
    def dtype(self) -> torch.dtype:
        """The type of the parameters."""
        return tensor_to_read(self.weights[0]).dtype

    @classmethod
    def stacked(cls, members: Sequence["FrozenMembers"]) -> "FrozenMembers":
        """Return networks as one stack; those of fewer inputs have weights of 0 for the others."""
        firsts = [each.weights[0] for each in members]
        widest = max(first.shape[2] for first in firsts)
        padded = [
            np.pad(first, ((0, 0), (0, 0), (0, widest - first.shape[2]))) for first in firsts
        ]
        later = zip(*(each.weights[1:] for each in members), strict=True)
        biases = zip(*(each.biases for each in members), strict=True)
        weights = [np.concatenate(padded), *map(np.concatenate, later)]
        return cls(weights, [np.concatenate(layer) for layer in biases])

    def logits(self, inputs: Tensor, member: int | None = None) -> Tensor:
        """Return the logits of all networks, (k, n_logits, n_rows), or of one, with k = 1.

        Parameters
        ----------
        inputs : Tensor of shape (n_rows, n_inputs)
            The rows' code.
        member : int or None
            Which network.
        """
        chosen = slice(None) if member is None else slice(member, member + 1)
        layers = [
            (tensor_to_read(weight)[chosen], tensor_to_read(bias)[chosen])
            for weight, bias in zip(self.weights, self.biases, strict=True)
        ]
        if not inputs.is_cpu:
            layers = [(one.to(inputs.device), other.to(inputs.device)) for one, other in layers]
        weight, bias = layers[0]
        if weight.shape[2] > inputs.shape[1]:
            # In a stack with one of more inputs.
            layers[0] = weight[..., : inputs.shape[1]], bias
        values = inputs.t().expand(len(layers[0][0]), -1, -1)
        for place, (weight, bias) in enumerate(layers):
            values = torch.baddbmm(bias, weight, values)
            if place < len(layers) - 1:
                torch.nn.functional.silu(values, inplace=True)
        return values
