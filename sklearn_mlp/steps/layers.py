"""The affine maps of a network, forwards and backwards, on its flat parameter vector.

Activations are feature-major, ``(units, n_samples)``: with the samples as the fast axis, a
narrow layer's product, and everything element by element along the classes, stays fast. What a
product needs transposed is passed transposed, because the callers keep those views: making one
takes as long as adding a bias. Inputs are typed loosely: the first layer's may be a `SparseBatch`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from sklearn_mlp.machine.products import choose_products
from sklearn_mlp.network.parameter_vector import ParameterVector


class Layers(ABC):
    """The affine maps of one network, or of k, and where the gradients of their weights go.

    What is said to have ``...`` in front has the networks as its first dimension, if it is a
    stack's.

    Attributes
    ----------
    like : Tensor
        Any of the parameters' type, on their device.
    weights : sequence of Tensor of shape (..., n_out, n_in)
        One per layer.
    widths : sequence of int
        What each layer returns, the outputs last.
    n_outputs : int
        A network's outputs.
    """

    like: Tensor
    weights: Sequence[Tensor]
    widths: Sequence[int]
    n_outputs: int

    @abstractmethod
    def new_buffer(self, width: int, size: int) -> Tensor:
        """Return uninitialised memory, (..., width, size), for a layer's values."""

    @abstractmethod
    def masked(self, mask: Tensor, inputs: Any) -> Tensor:
        """Return inputs with a mask on them, (..., n_in, n), in the memory of the mask."""

    @abstractmethod
    def forward(self, layer: int, inputs: Any, out: Tensor) -> Tensor:
        """Return ``weight @ inputs + bias``: (..., n_in, n) to (..., n_out, n)."""

    @abstractmethod
    def backward(self, layer: int, delta: Tensor, out: Tensor) -> Tensor:
        """Return the gradient of a layer's inputs: (..., n_out, n) to (..., n_in, n)."""

    @abstractmethod
    def gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Write the gradients of a layer's weights and biases.

        Parameters
        ----------
        layer : int
            Which layer.
        delta : Tensor of shape (..., n_out, n)
            The gradient with respect to the layer's output.
        inputs_t : Tensor of shape (..., n, n_in)
            What the layer was given, transposed.
        ones : Tensor of shape (n,)
            A product with ones is faster than a sum over the samples.
        """

    @abstractmethod
    def add_gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Add the gradients of further samples to what is there; as `gradients` otherwise.

        Only ``lbfgs`` needs that.
        """


class OneNetworkLayers(Layers):
    """The layers of one network, however they are multiplied.

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
        self.weights = parameters.weights
        self.n_outputs = parameters.weights[-1].shape[0]
        self.widths = [len(bias) for bias in parameters.biases]
        self.weights_t = [weight.t() for weight in parameters.weights]
        self.bias_columns = [bias.unsqueeze(1) for bias in parameters.biases]
        self.weight_gradients = gradient.weights
        self.bias_gradients = gradient.biases
        self.products = [
            choose_products(weight.numel() * n_samples, weight) for weight in parameters.weights
        ]

    @final
    def masked(self, mask: Tensor, inputs: Any) -> Tensor:
        """Return inputs with a mask on them, (n_in, n), in the memory of the mask."""
        return mask.mul_(inputs)


@final
class FlatLayers(OneNetworkLayers):
    """One network's layers, on dense samples."""

    def new_buffer(self, width: int, size: int) -> Tensor:
        """Return uninitialised memory, (width, size), for a layer's values."""
        return self.like.new_empty((width, size))

    def forward(self, layer: int, inputs: Any, out: Tensor) -> Tensor:
        """Return ``weight @ inputs + bias``: (n_in, n) to (n_out, n)."""
        bias = self.bias_columns[layer]
        return self.products[layer].affine(self.weights[layer], inputs, bias, out)

    def backward(self, layer: int, delta: Tensor, out: Tensor) -> Tensor:
        """Return the gradient of a layer's inputs: (n_out, n) to (n_in, n)."""
        return self.products[layer].multiply(self.weights_t[layer], delta, out)

    def gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Write the gradients of a layer's weights and biases."""
        self.products[layer].multiply(delta, inputs_t, self.weight_gradients[layer])
        torch.mv(delta, ones, out=self.bias_gradients[layer])

    def add_gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Add the gradients of further samples to what is there."""
        self.weight_gradients[layer].addmm_(delta, inputs_t)
        self.bias_gradients[layer].addmv_(delta, ones)


@final
class SparseInputLayers(Layers):
    """One network's layers, the first of which is given sparse samples.

    Parameters
    ----------
    parameters, gradient, n_samples
        As `OneNetworkLayers` takes them; the first weight lies input-major.
    """

    def __init__(
        self, parameters: ParameterVector, gradient: ParameterVector, n_samples: int
    ) -> None:
        # From the second layer on nothing is sparse.
        self._dense = dense = FlatLayers(parameters, gradient, n_samples)
        self.like, self.weights = dense.like, dense.weights
        self.widths, self.n_outputs = dense.widths, dense.n_outputs

    def new_buffer(self, width: int, size: int) -> Tensor:
        """Return uninitialised memory, (width, size), for a layer's values."""
        return self._dense.new_buffer(width, size)

    def masked(self, mask: Tensor, inputs: Any) -> Tensor:
        """Refuse: a mask on sparse samples would be as large as dense ones."""
        raise NotImplementedError("masked samples are made dense before training")

    def forward(self, layer: int, inputs: Any, out: Tensor) -> Tensor:
        """Return ``weight @ inputs + bias``: (n_in, n) to (n_out, n)."""
        if layer:
            return self._dense.forward(layer, inputs, out)
        product = inputs.times(self._dense.weights_t[0])
        return torch.add(product.t(), self._dense.bias_columns[0], out=out)

    def backward(self, layer: int, delta: Tensor, out: Tensor) -> Tensor:
        """Return the gradient of a layer's inputs: (n_out, n) to (n_in, n)."""
        return self._dense.backward(layer, delta, out)

    def gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Write the gradients of a layer's weights and biases."""
        if layer:
            self._dense.gradients(layer, delta, inputs_t, ones)
            return
        inputs_t.add_transposed_times(delta.t(), self._dense.weight_gradients[0].t(), beta=0)
        torch.mv(delta, ones, out=self._dense.bias_gradients[0])

    def add_gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Add the gradients of further samples to what is there."""
        if layer:
            self._dense.add_gradients(layer, delta, inputs_t, ones)
            return
        inputs_t.add_transposed_times(delta.t(), self._dense.weight_gradients[0].t(), beta=1)
        self._dense.bias_gradients[0].addmv_(delta, ones)
