"""The affine maps of k networks of one form at once, forwards and backwards.

Every tensor has the networks as its first dimension and is contiguous per layer: slices of a
matrix with a row per network would make the products fall off their fast path.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, final

import torch
from torch import Tensor

from sklearn_mlp.machine.products import choose_products
from sklearn_mlp.network.stacked_parameters import StackedParameters
from sklearn_mlp.steps.layers import Layers


@final
class StackedLayers(Layers):
    """The layers of k networks.

    Networks that see the same samples lie side by side: their first layers are one wide product.

    Parameters
    ----------
    parameters, gradient : StackedParameters
        The weights and biases, and where their gradients are written.
    counts : sequence of int
        How many networks see the samples of the first stream, of the second, and so on.
    n_samples : int
        How many samples a step mostly takes, to choose what multiplies them.
    """

    def __init__(
        self,
        parameters: StackedParameters,
        gradient: StackedParameters,
        counts: Sequence[int],
        n_samples: int,
    ) -> None:
        self.k = parameters.k
        self.widths = parameters.units[1:]
        self.n_outputs = parameters.units[-1]
        self.weights = parameters.weights
        self.like = parameters.values
        self._weights_t = [weight.mT for weight in parameters.weights]
        self._bias_columns = [bias.unsqueeze(2) for bias in parameters.biases]
        self._gradients = gradient.weights
        self._bias_gradients = [bias.view(-1) for bias in gradient.biases]
        bounds = [0, *accumulate(counts)]
        self._networks = [slice(start, stop) for start, stop in pairwise(bounds)]
        self._rows = [
            slice(start * self.widths[0], stop * self.widths[0])
            for start, stop in pairwise(bounds)
        ]
        flat = [
            tensors[0].view(-1, parameters.units[0])
            for tensors in (self.weights, gradient.weights)
        ]
        self._first = [
            (flat[0][rows], parameters.biases[0].view(-1, 1)[rows], flat[1][rows])
            for rows in self._rows
        ]
        self._products = [
            choose_products(weight.numel() * n_samples, weight) for weight, _, _ in self._first
        ]

    def new_buffer(self, width: int, size: int) -> Tensor:
        """Return uninitialised memory for a layer's values of all networks."""
        return self.like.new_empty((self.k, width, size))

    def masked(self, mask: Tensor, inputs: Any) -> Tensor:
        """Return each network's inputs, (k, n_in, n), in the memory of their masks."""
        for rows, samples in zip(self._networks, inputs, strict=True):
            mask[rows].mul_(samples)
        return mask

    def forward(self, layer: int, inputs: Any, out: Tensor) -> Tensor:
        """Return ``weight @ inputs + bias``: (k, n_in, n) to (k, n_out, n).

        The first layer's inputs are a list of one tensor of shape (n_in, n) per stream, unless
        they are masked.
        """
        if isinstance(inputs, Tensor):
            bias = self._bias_columns[layer]
            return torch.baddbmm(bias, self.weights[layer], inputs, out=out)
        wide = out.view(-1, out.shape[2])
        for (weight, bias, _), products, rows, samples in zip(
            self._first, self._products, self._rows, inputs, strict=True
        ):
            products.affine(weight, samples, bias, wide[rows])
        return out

    def backward(self, layer: int, delta: Tensor, out: Tensor) -> Tensor:
        """Return the gradient with respect to a layer's inputs: (k, n_out, n) to (k, n_in, n)."""
        return torch.bmm(self._weights_t[layer], delta, out=out)

    def gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Write the gradients of a layer's weights and biases; see `Layers.gradients`.

        The first layer's ``inputs_t`` are a list of one tensor of shape (n, n_in) per stream,
        unless they are masked.
        """
        wide = delta.view(-1, delta.shape[2])
        if isinstance(inputs_t, Tensor):
            torch.bmm(delta, inputs_t, out=self._gradients[layer])
        else:
            for (_, _, gradient), products, rows, samples in zip(
                self._first, self._products, self._rows, inputs_t, strict=True
            ):
                products.multiply(wide[rows], samples, gradient)
        torch.mv(wide, ones, out=self._bias_gradients[layer])

    def add_gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Refuse: only ``lbfgs`` adds gradients, whose networks are not stacked."""
        raise NotImplementedError("lbfgs does not run in stacks")
