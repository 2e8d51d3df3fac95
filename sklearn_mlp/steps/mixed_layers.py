"""The affine maps in mixed precision: products in bfloat16, weights and gradients in float32."""

from typing import Any, final

import torch
from torch import Tensor

from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.steps.layers import OneNetworkLayers

_LOW = torch.bfloat16


@final
class MixedLayers(OneNetworkLayers):
    """One network's layers, whose products take and give bfloat16.

    The weights that training changes stay float32: a bfloat16 has eight significant bits, in
    which small steps would be lost. They are copied into bfloat16 once per step. Hidden values and
    their gradients are bfloat16, too; logits, the loss and the gradients of the parameters are
    float32. The same as autograd does under `torch.autocast`.

    Parameters
    ----------
    parameters, gradient, n_samples
        As `OneNetworkLayers` takes them; in float32.
    """

    def __init__(
        self, parameters: ParameterVector, gradient: ParameterVector, n_samples: int
    ) -> None:
        super().__init__(parameters, gradient, n_samples)
        self._values = parameters.values
        self._low_values = parameters.values.to(_LOW)
        low = parameters.of_same_layout(self._low_values)
        self._low_weights, self._low_weights_t = (
            low.weights,
            [weight.t() for weight in low.weights],
        )
        self._low_bias_columns = [bias.unsqueeze(1) for bias in low.biases]
        # Where a product is written before it becomes float32.
        self._low_gradients = low.of_same_layout(torch.empty_like(self._low_values)).weights
        self._inputs: Tensor | None = None

    def new_buffer(self, width: int, size: int) -> Tensor:
        """Return uninitialised memory for a layer's values."""
        return self.like.new_empty((width, size), dtype=_LOW)

    def forward(self, layer: int, inputs: Any, out: Tensor) -> Tensor:
        """Return ``weight @ inputs + bias``: (n_in, n) to (n_out, n)."""
        if layer == 0:
            self._low_values.copy_(self._values)
            inputs = self._inputs = inputs.to(_LOW)
        weight, bias = self._low_weights[layer], self._low_bias_columns[layer]
        if out.dtype == _LOW:
            return torch.addmm(bias, weight, inputs, out=out)
        return out.copy_(torch.addmm(bias, weight, inputs))

    def backward(self, layer: int, delta: Tensor, out: Tensor) -> Tensor:
        """Return the gradient with respect to a layer's inputs: (n_out, n) to (n_in, n)."""
        return torch.mm(self._low_weights_t[layer], delta.to(_LOW), out=out)

    def gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Write the gradients of a layer's weights and biases; as in `FlatLayers`."""
        if layer == 0:
            assert self._inputs is not None
            inputs_t = self._inputs.t()
        product = self._low_gradients[layer]
        torch.mm(delta.to(_LOW), inputs_t, out=product)
        self.weight_gradients[layer].copy_(product)
        bias = self.bias_gradients[layer]
        torch.sum(delta, dim=1, dtype=bias.dtype, out=bias)

    def add_gradients(self, layer: int, delta: Tensor, inputs_t: Any, ones: Tensor) -> None:
        """Refuse: only ``lbfgs`` adds gradients, which needs more precision."""
        raise NotImplementedError("lbfgs does not run in mixed precision")
