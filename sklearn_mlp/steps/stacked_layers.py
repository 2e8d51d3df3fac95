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


@final
class SparseStackedLayers(Layers):
    """The layers of k networks, the first of which are given sparse samples.

    A stream's sparse product is with the transposed weights of all its networks, copied side by
    side in every step: next to what a solver does with as many weights that is little.

    Parameters
    ----------
    parameters, gradient, counts, n_samples
        As `StackedLayers` takes them.
    """

    def __init__(
        self,
        parameters: StackedParameters,
        gradient: StackedParameters,
        counts: Sequence[int],
        n_samples: int,
    ) -> None:
        # From the second layer on nothing is sparse.
        self._dense = dense = StackedLayers(parameters, gradient, counts, n_samples)
        self.like, self.weights = dense.like, dense.weights
        self.widths, self.n_outputs = dense.widths, dense.n_outputs
        width = self.widths[0]
        bounds = [width * start for start in accumulate(counts, initial=0)]
        self._rows = [slice(start, stop) for start, stop in pairwise(bounds)]
        values, changes = (
            one.weights[0].view(-1, parameters.units[0]) for one in (parameters, gradient)
        )
        self._weights_t = [values[rows].t() for rows in self._rows]
        self._gradients_t = [changes[rows].t() for rows in self._rows]
        self._bias = parameters.biases[0].view(-1, 1)
        self._bias_gradient = gradient.biases[0].view(-1)

    def new_buffer(self, width: int, size: int) -> Tensor:
        """Return uninitialised memory for a layer's values of all networks."""
        return self._dense.new_buffer(width, size)

    def masked(self, mask: Tensor, inputs: Any) -> Tensor:
        """Refuse: a mask on sparse samples would be as large as dense ones."""
        raise NotImplementedError("masked samples are made dense before training")

    def forward(self, layer: int, inputs: Any, out: Tensor) -> Tensor:
        """Return ``weight @ inputs + bias``; the first inputs are a `SparseBatch` per stream."""
        if layer:
            return self._dense.forward(layer, inputs, out)
        wide = out.view(-1, out.shape[2])
        for rows, weight_t, samples in zip(self._rows, self._weights_t, inputs, strict=True):
            product = samples.times(weight_t.contiguous())
            torch.add(product.t(), self._bias[rows], out=wide[rows])
        return out

    def backward(self, layer: int, delta: Tensor, out: Tensor) -> Tensor:
        """Return the gradient with respect to a layer's inputs: (k, n_out, n) to (k, n_in, n)."""
        return self._dense.backward(layer, delta, out)

    def gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Write the gradients of a layer's weights and biases; see `Layers.gradients`."""
        if layer:
            self._dense.gradients(layer, delta, inputs_t, ones)
            return
        wide = delta.view(-1, delta.shape[2])
        for rows, gradient_t, samples in zip(self._rows, self._gradients_t, inputs_t, strict=True):
            product = torch.empty_like(gradient_t, memory_format=torch.contiguous_format)
            gradient_t.copy_(samples.add_transposed_times(wide[rows].t(), product, beta=0))
        torch.mv(wide, ones, out=self._bias_gradient)

    def add_gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Refuse: only ``lbfgs`` adds gradients, whose networks are not stacked."""
        raise NotImplementedError("lbfgs does not run in stacks")
