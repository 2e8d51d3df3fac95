"""The affine maps of a network, forwards and backwards, on its flat parameter vector.

Activations are feature-major, ``(units, n_samples)``: with the samples as the fast axis, a
narrow layer's product, and everything element by element along the classes, stays fast.
"""

import torch
from torch import Tensor

from sklearn_mlp.network import ParameterVector


class FlatLayers:
    """One network's layers.

    Parameters
    ----------
    parameters : ParameterVector
        The weights and biases.
    gradient : ParameterVector
        Where gradients are written; same layout.
    """

    def __init__(self, parameters: ParameterVector, gradient: ParameterVector) -> None:
        self.flat_weights = parameters.flat_weights
        self.n_outputs = parameters.units[-1]
        self.weights = parameters.weights
        self.weights_t = [weight.t() for weight in parameters.weights]
        self.bias_columns = [bias.unsqueeze(1) for bias in parameters.biases]
        self.weight_gradients = gradient.weights
        self.bias_gradients = gradient.biases
        self._ones = parameters.values.new_ones(0)

    def __len__(self) -> int:
        return len(self.weights)

    def forward(self, layer: int, inputs: Tensor, out: Tensor) -> Tensor:
        """Return ``weight @ inputs + bias``: (n_in, n) to (n_out, n)."""
        return torch.addmm(self.bias_columns[layer], self.weights[layer], inputs, out=out)

    def backward(self, layer: int, delta: Tensor, out: Tensor) -> Tensor:
        """Return the gradient with respect to a layer's inputs: (n_out, n) to (n_in, n)."""
        return torch.mm(self.weights_t[layer], delta, out=out)

    def gradients(
        self, layer: int, delta: Tensor, inputs: Tensor, scale: float, penalty: float
    ) -> None:
        """Write ``scale * delta @ inputs.T + penalty * weight``, and the same for the bias.

        Parameters
        ----------
        layer : int
            Which layer.
        delta : Tensor of shape (n_out, n)
            The gradient with respect to the layer's output.
        inputs : Tensor of shape (n_in, n)
            What the layer was given.
        scale, penalty : float
            Factors of the data term and of the weights; biases have no penalty.
        """
        torch.addmm(
            self.weights[layer],
            delta,
            inputs.t(),
            beta=penalty,
            alpha=scale,
            out=self.weight_gradients[layer],
        )
        bias = self.bias_gradients[layer]
        # A product with ones is several times faster than a sum over the rows.
        torch.addmv(bias, delta, self._ones_of(delta), beta=0, alpha=scale, out=bias)

    def add_gradients(self, layer: int, delta: Tensor, inputs: Tensor, scale: float) -> None:
        """Add the data term of further samples to the gradients."""
        self.weight_gradients[layer].addmm_(delta, inputs.t(), alpha=scale)
        self.bias_gradients[layer].addmv_(delta, self._ones_of(delta), alpha=scale)

    def _ones_of(self, delta: Tensor) -> Tensor:
        """Return a vector of ones, (n,)."""
        n = delta.shape[1]
        if len(self._ones) < n:
            self._ones = delta.new_ones(n)
        return self._ones if len(self._ones) == n else self._ones[:n]
