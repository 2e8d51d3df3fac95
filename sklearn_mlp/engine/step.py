"""The steps: forward, loss gradient, backward; here in closed form, without autograd."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor

from sklearn_mlp.activations import Activation
from sklearn_mlp.batches import Batch
from sklearn_mlp.engine.layers import FlatLayers
from sklearn_mlp.engine.stacked_layers import StackedLayers
from sklearn_mlp.kernels import inference_mode
from sklearn_mlp.losses import Loss


class Step(ABC):
    """Computes the gradient of a network's loss on a batch, into memory that stays the same.

    Attributes
    ----------
    loss : Loss
        Of the output.
    n_outputs : int
        The network's outputs.
    widest : int
        The most numbers that a sample becomes in any layer, which bounds the memory it takes.
    can_be_recorded : bool
        Whether the same calls on the same memory make up every epoch, as a CUDA graph needs it.
    """

    loss: Loss
    n_outputs: int
    widest: int
    can_be_recorded: bool

    @abstractmethod
    def quiet(self) -> AbstractContextManager[None]:
        """Return what the loop around the steps runs in."""

    @abstractmethod
    def gradient(self, batch: Batch, logits: Tensor, *, is_first: bool = True) -> None:
        """Write the gradient of the batch's mean loss, without the penalty; keep its logits.

        Parameters
        ----------
        batch : Batch
            The samples.
        logits : Tensor of shape (n_outputs, size) or (k, n_outputs, size)
            Receives the values before the output activation.
        is_first : bool
            False adds to the gradients that are there.
        """


class ClosedFormStep(Step):
    """Computes the gradient of a plain network's loss on a batch, into buffers made once.

    Parameters
    ----------
    layers : FlatLayers or StackedLayers
        The affine maps of one network, or of k, which also hold the gradients.
    activation : Activation
        Of the hidden layers.
    loss : Loss
        Of the output.
    """

    def __init__(
        self, layers: FlatLayers | StackedLayers, activation: Activation, loss: Loss
    ) -> None:
        self.layers = layers
        self.activation = activation
        self.loss = loss
        self.n_outputs = layers.n_outputs
        self.widest = max(layers.widths)
        self.can_be_recorded = loss.is_capturable
        self._buffers: dict[int, _Buffers] = {}

    def quiet(self) -> AbstractContextManager[None]:
        """Return what the loop around the steps runs in.

        Neither autograd nor version counters: a small call takes 1 us, of which they are a part.
        """
        return inference_mode()

    def gradient(self, batch: Batch, logits: Tensor, *, is_first: bool = True) -> None:
        """Write the gradient of the batch's mean loss; as in `Step`."""
        buffers = self._buffers.get(batch.size) or self._make_buffers(batch.size)
        self._forward(batch.inputs_t, buffers, logits)
        delta = self.loss.gradient(logits, batch.targets, out=buffers.deltas[-1])
        # All gradients are linear in it: scaled here, nothing behind it needs a factor.
        shares = batch.shares
        delta.mul_(buffers.equal_share(batch.weight_sum) if shares is None else shares)
        gradients: Callable[..., None] = self.layers.gradients
        if not is_first:
            assert isinstance(self.layers, FlatLayers)
            gradients = self.layers.add_gradients
        self._backward(batch.inputs, buffers, delta, gradients)

    def forward(self, inputs_t: Any, size: int, logits: Tensor) -> Tensor:
        """Fill the logits of so many samples, and return them."""
        buffers = self._buffers.get(size) or self._make_buffers(size)
        self._forward(inputs_t, buffers, logits)
        return logits

    def _forward(self, inputs: Any, buffers: "_Buffers", logits: Tensor) -> None:
        """Fill the hidden activations and the logits; ``inputs`` are (n_features, n)."""
        layers, apply_ = self.layers, self.activation.apply_
        layer = 0
        for out in buffers.hidden:
            inputs = apply_(layers.forward(layer, inputs, out))
            layer += 1
        layers.forward(layer, inputs, logits)

    def _backward(
        self,
        inputs: Any,
        buffers: "_Buffers",
        delta: Tensor,
        gradients: Callable[..., None],
    ) -> None:
        """Fill the gradients from the output's delta; ``inputs`` are (n, n_features)."""
        layers, backward_ = self.layers, self.activation.backward_
        for layer in range(len(layers.weights) - 1, 0, -1):
            gradients(layer, delta, buffers.hidden_t[layer - 1], buffers.ones)
            delta = layers.backward(layer, delta, buffers.deltas[layer - 1])
            backward_(delta, buffers.hidden[layer - 1])
        gradients(0, delta, inputs, buffers.ones)

    def _make_buffers(self, size: int) -> "_Buffers":
        self._buffers[size] = _Buffers(self.layers, size)
        return self._buffers[size]


class _Buffers:
    """What a step on a given number of samples writes to.

    Attributes
    ----------
    hidden, hidden_t : list of Tensor of shape (..., units, n), (..., n, units)
        The hidden activations, and the same memory transposed; a stack's have the networks first.
    deltas : list of Tensor of shape (..., units, n)
        The gradients with respect to what each layer, the last one too, returns.
    ones : Tensor of shape (n,)
        Ones.
    """

    def __init__(self, layers: FlatLayers | StackedLayers, size: int) -> None:
        self.hidden = [layers.new_buffer(width, size) for width in layers.widths[:-1]]
        self.hidden_t = [activation.mT for activation in self.hidden]
        self.deltas = [layers.new_buffer(width, size) for width in layers.widths]
        # The loss is computed in the parameters' own type.
        self.deltas[-1] = self.deltas[-1].to(layers.like.dtype)
        self.ones = layers.like.new_ones(size)
        self._equal_shares: dict[float, Tensor] = {}

    def equal_share(self, weight_sum: float) -> Tensor:
        """Return what each sample counts where all count the same, a scalar.

        Kept as a tensor: torch takes twice as long to make one of a number as to multiply by it.
        """
        share = self._equal_shares.get(weight_sum)
        if share is None:
            share = self._equal_shares[weight_sum] = self.ones.new_full((), 1.0 / weight_sum)
        return share
