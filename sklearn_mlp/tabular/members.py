"""k networks of one form, side by side: their parameters, forwards, backwards, and a step.

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

from sklearn_mlp.machine.kernels import AdamVectors, adamw_update_, silu_backward_
from sklearn_mlp.machine.shared_memory import tensor_to_read

_EPSILON = 1e-8
_DECAY = 0.02

# Factors of the learning rate.
_RATE_OF_SCALES = 6.0
_RATE_OF_BIASES = 0.1


class Members:
    """k networks that are trained together, each on rows of its own.

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
    """

    def __init__(
        self,
        k: int,
        units: list[int],
        dtype: torch.dtype,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self.k, self.units = k, units
        fans = list(zip(units[1:], units[:-1], strict=True))
        shapes = [(k, n_out, n_in) for n_out, n_in in fans]
        shapes += [(k, n_out, 1) for n_out, _ in fans]
        shapes += [(k, 1, units[0])]
        sizes = [math.prod(shape) for shape in shapes]
        # Weights, biases, scales: three runs of one vector, which a step updates at once.
        runs = [sum(sizes[: len(fans)]), sum(sizes[len(fans) : -1]), sizes[-1]]
        self.values, self._gradient, self._first, self._second = (
            torch.zeros(sum(sizes), dtype=dtype, device=device) for _ in range(4)
        )
        self._runs = [
            AdamVectors(*parts)
            for parts in zip(
                *(
                    vector.split(runs)
                    for vector in (self.values, self._gradient, self._first, self._second)
                ),
                strict=True,
            )
        ]
        parameters, gradients = (
            [part.view(shape) for part, shape in zip(vector.split(sizes), shapes, strict=True)]
            for vector in (self.values, self._gradient)
        )
        n_layers = len(fans)
        self.weights, self.biases = parameters[:n_layers], parameters[n_layers:-1]
        self.scales = parameters[-1]
        self._weight_gradients = gradients[:n_layers]
        self._bias_gradients = gradients[n_layers:-1]
        self._scale_gradient = gradients[-1]
        self._factors = [1 / math.sqrt(max(n_in, 1)) for _, n_in in fans]
        self._scaled = torch.empty_like(self.weights[0])
        for parameter in (*self.weights[:-1], *self.biases[:-1]):
            # In float64 whatever the type, so that both have the same weights.
            drawn = torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
            parameter.copy_(drawn.to(dtype))
        self.scales.fill_(1)
        self._step = 0
        self._step_holder = torch.zeros((), dtype=torch.float32, device=device)
        self._affine: list[Tensor] = []
        self._inputs: list[Tensor] = []

    def forward(self, inputs: Tensor, masks: list[Tensor] | None = None) -> Tensor:
        """Return the logits, (k, n_logits, batch), and keep what `backward` needs.

        Parameters
        ----------
        inputs : Tensor of shape (k, n_inputs, batch)
            Each network's own.
        masks : list of Tensor of shape (units, batch) or (units, 1), or None
            What each hidden layer's values are multiplied by, the same for all k.
        """
        self._affine, self._inputs = [], [inputs]
        torch.mul(self.weights[0], self.scales, out=self._scaled)
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            weight = weight if layer else self._scaled
            affine = torch.baddbmm(bias, weight, self._inputs[-1], alpha=self._factors[layer])
            if layer == last:
                return affine
            activated = torch.nn.functional.silu(affine)
            if masks is not None:
                activated.mul_(masks[layer])
            self._affine.append(affine)
            self._inputs.append(activated)
        raise AssertionError("no layers")

    def backward(self, delta: Tensor, masks: list[Tensor] | None = None) -> None:
        """Set the gradient, from that of the loss with respect to the logits."""
        for layer in reversed(range(len(self.weights))):
            gradient, factor = self._weight_gradients[layer], self._factors[layer]
            inputs = self._inputs[layer].transpose(1, 2)
            torch.baddbmm(gradient, delta, inputs, beta=0, alpha=factor, out=gradient)
            torch.sum(delta, -1, keepdim=True, out=self._bias_gradients[layer])
            if layer:
                weight = self.weights[layer].transpose(1, 2)
                before = self._inputs[layer]
                delta = torch.baddbmm(before, weight, delta, beta=0, alpha=factor, out=before)
                if masks is not None:
                    delta.mul_(masks[layer - 1])
                delta = silu_backward_(delta, self._affine[layer - 1])
        gradient = self._weight_gradients[0]
        torch.sum(gradient * self.weights[0], 1, keepdim=True, out=self._scale_gradient)
        gradient.mul_(self.scales)

    def update(self, rate: float, betas: tuple[float, float]) -> None:
        """Take a step of AdamW, whose decay is for the weights alone."""
        self._step += 1
        self._step_holder.add_(1)
        factors = (1.0, _RATE_OF_BIASES, _RATE_OF_SCALES)
        for vectors, factor, decay in zip(self._runs, factors, (_DECAY, 0.0, 0.0), strict=True):
            settings = (rate * factor, *betas, _EPSILON, decay)
            adamw_update_(vectors, self._step, self._step_holder, *settings)

    def frozen(self, values: Tensor | None = None) -> "FrozenMembers":
        """Return the networks as arrays, all factors multiplied in; of earlier values if given."""
        kept = self.values.clone()
        if values is not None:
            self.values.copy_(values)
        weights = [
            (weight * factor).cpu().numpy()
            for weight, factor in zip(self.weights, self._factors, strict=True)
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
