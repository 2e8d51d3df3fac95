"""One step in closed form: forward, loss gradient, backward. No autograd."""

from torch import Tensor

from sklearn_mlp.activations import Activation
from sklearn_mlp.engine.batches import Batch
from sklearn_mlp.engine.layers import FlatLayers
from sklearn_mlp.losses import Loss


class ClosedFormStep:
    """Computes the gradient of a plain network's loss on a batch, into buffers made once.

    Parameters
    ----------
    layers : FlatLayers
        The affine maps, which also hold the gradients.
    activation : Activation
        Of the hidden layers.
    loss : Loss
        Of the output.
    alpha : float
        The penalty on the weights, divided by the batch's sum of weights.
    """

    def __init__(
        self, layers: FlatLayers, activation: Activation, loss: Loss, alpha: float
    ) -> None:
        self.layers = layers
        self.activation = activation
        self.loss = loss
        self.alpha = alpha
        self._buffers: dict[int, tuple[list[Tensor], list[Tensor]]] = {}

    def gradient(self, batch: Batch, logits: Tensor, *, is_first: bool = True) -> None:
        """Write the gradient of the batch's mean loss and penalty; keep its logits.

        Parameters
        ----------
        batch : Batch
            The samples.
        logits : Tensor of shape (n_outputs, size)
            Receives the values before the output activation.
        is_first : bool
            False adds the data term to the gradients that are there.
        """
        inputs = batch.inputs.t()
        hidden, deltas = self._buffers_for(batch.size)
        self._forward(inputs, hidden, logits)
        delta = self.loss.gradient(logits, batch.targets, out=deltas[-1])
        scale = 1.0 / batch.weight_sum
        if batch.shares is not None:
            delta.mul_(batch.shares)
            scale = 1.0
        penalty = self.alpha / batch.weight_sum
        for layer in range(len(self.layers) - 1, -1, -1):
            below = hidden[layer - 1] if layer else inputs
            if is_first:
                self.layers.gradients(layer, delta, below, scale, penalty)
            else:
                self.layers.add_gradients(layer, delta, below, scale)
            if layer:
                delta = self.layers.backward(layer, delta, out=deltas[layer - 1])
                self.activation.backward_(delta, below)

    def _forward(self, inputs: Tensor, hidden: list[Tensor], logits: Tensor) -> None:
        """Fill the hidden activations, (units, n) each, and the logits."""
        for layer, out in enumerate(hidden):
            self.layers.forward(layer, inputs, out=out)
            inputs = self.activation.apply_(out)
        self.layers.forward(len(hidden), inputs, out=logits)

    def _buffers_for(self, size: int) -> tuple[list[Tensor], list[Tensor]]:
        """Return the hidden activations' and the deltas' buffers for a batch size."""
        if size not in self._buffers:
            weights = self.layers.weights
            shapes = [(weight.shape[0], size) for weight in weights]
            self._buffers[size] = (
                [weights[0].new_empty(shape) for shape in shapes[:-1]],
                [weights[0].new_empty(shape) for shape in shapes],
            )
        return self._buffers[size]
