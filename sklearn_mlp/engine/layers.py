"""The affine maps of a network, forwards and backwards, on its flat parameter vector.

Activations are feature-major, ``(units, n_samples)``: with the samples as the fast axis, a
narrow layer's product, and everything element by element along the classes, stays fast. What a
product needs transposed is passed transposed, because the callers keep those views: making one
takes as long as adding a bias. Inputs are typed loosely: the first layer's may be a `SparseBatch`.
"""

from typing import Any

import torch
from torch import Tensor

from sklearn_mlp.network import ParameterVector
from sklearn_mlp.products import choose_products
from sklearn_mlp.sparse import SparseBatch


class FlatLayers:
    """One network's layers.

    Parameters
    ----------
    parameters : ParameterVector
        The weights and biases.
    gradient : ParameterVector
        Where gradients are written; same layout.
    n_samples : int
        How many samples a step mostly takes, to choose what multiplies them.
    """

    def __init__(
        self, parameters: ParameterVector, gradient: ParameterVector, n_samples: int
    ) -> None:
        self.like = parameters.values
        self.n_outputs = parameters.weights[-1].shape[0]
        self.weights = parameters.weights
        self.widths = [len(bias) for bias in parameters.biases]
        self._products = [
            choose_products(weight.numel() * n_samples, weight) for weight in parameters.weights
        ]
        self.weights_t = [weight.t() for weight in parameters.weights]
        self.bias_columns = [bias.unsqueeze(1) for bias in parameters.biases]
        self.weight_gradients = gradient.weights
        self.bias_gradients = gradient.biases

    def __len__(self) -> int:
        return len(self.weights)

    def new_buffer(self, width: int, size: int) -> Tensor:
        """Return uninitialised memory for a layer's values."""
        return self.like.new_empty((width, size))

    def masked(self, mask: Tensor, inputs: Tensor) -> Tensor:
        """Return inputs, (n_in, n), with a mask on them, in the memory of the mask."""
        return mask.mul_(inputs)

    def forward(self, layer: int, inputs: Any, out: Tensor) -> Tensor:
        """Return ``weight @ inputs + bias``: (n_in, n) to (n_out, n)."""
        bias = self.bias_columns[layer]
        return self._products[layer].affine(self.weights[layer], inputs, bias, out)

    def backward(self, layer: int, delta: Tensor, out: Tensor) -> Tensor:
        """Return the gradient with respect to a layer's inputs: (n_out, n) to (n_in, n)."""
        return self._products[layer].multiply(self.weights_t[layer], delta, out)

    def gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Write the gradients of a layer's weights and biases.

        Parameters
        ----------
        layer : int
            Which layer.
        delta : Tensor of shape (n_out, n)
            The gradient with respect to the layer's output.
        inputs_t : Tensor of shape (n, n_in)
            What the layer was given, transposed.
        ones : Tensor of shape (n,)
            A product with ones is faster than a sum over the samples.
        """
        self._products[layer].multiply(delta, inputs_t, self.weight_gradients[layer])
        torch.mv(delta, ones, out=self.bias_gradients[layer])

    def add_gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Add the gradients of further samples to what is there; as `gradients` otherwise."""
        self.weight_gradients[layer].addmm_(delta, inputs_t)
        self.bias_gradients[layer].addmv_(delta, ones)


class SparseInputLayers(FlatLayers):
    """One network's layers, the first of which is given sparse samples."""

    def forward(self, layer: int, inputs: Any, out: Tensor) -> Tensor:
        """Return ``weight @ inputs + bias``: (n_in, n) to (n_out, n)."""
        if isinstance(inputs, SparseBatch):
            product = inputs.times(self.weights_t[layer])
            return torch.add(product.t(), self.bias_columns[layer], out=out)
        return super().forward(layer, inputs, out)

    def gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Write the gradients of a layer's weights and biases; as in `FlatLayers`."""
        if isinstance(inputs_t, SparseBatch):
            inputs_t.add_transposed_times(delta.t(), self.weight_gradients[layer].t(), beta=0)
            torch.mv(delta, ones, out=self.bias_gradients[layer])
        else:
            super().gradients(layer, delta, inputs_t, ones)

    def add_gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Add the gradients of further samples to what is there."""
        if isinstance(inputs_t, SparseBatch):
            inputs_t.add_transposed_times(delta.t(), self.weight_gradients[layer].t(), beta=1)
            self.bias_gradients[layer].addmv_(delta, ones)
        else:
            super().add_gradients(layer, delta, inputs_t, ones)
