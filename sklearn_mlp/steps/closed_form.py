"""Steps in closed form: forward, loss gradient, backward, without autograd."""

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar, final

from torch import Tensor

from sklearn_mlp.data.batches import Batch
from sklearn_mlp.losses import Loss
from sklearn_mlp.machine.kernels import inference_mode
from sklearn_mlp.network.activations import Activation
from sklearn_mlp.steps.base import Step
from sklearn_mlp.steps.layers import Layers

_Memory = TypeVar("_Memory", bound="Buffers")


class ClosedFormStep(Step, Generic[_Memory]):
    """Computes the gradient of a loss on a batch, of one network or of k, into buffers made once.

    Parameters
    ----------
    layers : Layers
        The affine maps, which also hold the gradients.
    loss : Loss
        Of the output.
    """

    def __init__(self, layers: Layers, loss: Loss) -> None:
        self.layers = layers
        self.loss = loss
        self.n_outputs = layers.n_outputs
        self.widest = max(layers.widths)
        self.can_be_captured = loss.can_be_captured
        self._buffers: dict[int, _Memory] = {}

    @final
    def quiet(self) -> AbstractContextManager[None]:
        """Return what the loop around the steps runs in.

        Neither autograd nor version counters: a small call takes 1 us, of which they are a part.
        """
        return inference_mode()

    @final
    def gradient(self, batch: Batch, logits: Tensor, *, is_first: bool = True) -> None:
        """Write the gradient of the batch's mean loss; as in `Step`."""
        buffers = self._buffers.get(batch.size) or self._buffers_of(batch.size)
        self._forward(batch.inputs_t, buffers, logits)
        delta = self.loss.gradient(logits, batch.targets, out=buffers.deltas[-1])
        # All gradients are linear in it: scaled here, nothing behind it needs a factor.
        shares = batch.shares
        delta.mul_(buffers.equal_share(batch.weight_sum) if shares is None else shares)
        layers = self.layers
        gradients = layers.gradients if is_first else layers.add_gradients
        self._backward(batch.inputs, buffers, delta, gradients)

    @final
    def forward(self, inputs_t: Any, size: int, logits: Tensor) -> Tensor:
        """Fill the logits of so many samples, and return them."""
        buffers = self._buffers.get(size) or self._buffers_of(size)
        self._forward(inputs_t, buffers, logits)
        return logits

    def _buffers_of(self, size: int) -> _Memory:
        """Make what a step on so many samples writes to, and keep it."""
        self._buffers[size] = self._make_buffers(size)
        return self._buffers[size]

    @abstractmethod
    def _make_buffers(self, size: int) -> _Memory:
        """Return what a step on so many samples writes to."""

    @abstractmethod
    def _forward(self, inputs: Any, buffers: _Memory, logits: Tensor) -> None:
        """Fill the hidden values and the logits; ``inputs`` are (n_features, n)."""

    @abstractmethod
    def _backward(
        self, inputs: Any, buffers: _Memory, delta: Tensor, gradients: Callable[..., None]
    ) -> None:
        """Fill the gradients from the output's delta; ``inputs`` are (n, n_features)."""


@final
class PlainStep(ClosedFormStep["Buffers"]):
    """The step of networks that have nothing but affine maps and one activation.

    Parameters
    ----------
    layers, loss
        As `ClosedFormStep` takes them.
    activation : Activation
        Of the hidden layers; its derivative is told from its output.
    """

    def __init__(self, layers: Layers, activation: Activation, loss: Loss) -> None:
        super().__init__(layers, loss)
        self.activation = activation

    def _make_buffers(self, size: int) -> "Buffers":
        return Buffers(self.layers, size)

    def _forward(self, inputs: Any, buffers: "Buffers", logits: Tensor) -> None:
        layers, apply_ = self.layers, self.activation.apply_
        layer = 0
        for out in buffers.hidden:
            inputs = apply_(layers.forward(layer, inputs, out))
            layer += 1
        layers.forward(layer, inputs, logits)

    def _backward(
        self, inputs: Any, buffers: "Buffers", delta: Tensor, gradients: Callable[..., None]
    ) -> None:
        layers, backward_ = self.layers, self.activation.backward_
        for layer in range(len(layers.weights) - 1, 0, -1):
            gradients(layer, delta, buffers.hidden_t[layer - 1], buffers.ones)
            delta = layers.backward(layer, delta, buffers.deltas[layer - 1])
            backward_(delta, buffers.hidden[layer - 1])
        gradients(0, delta, inputs, buffers.ones)


class Buffers:
    """The memory that a step on a given number of samples writes to.

    Attributes
    ----------
    hidden, hidden_t : list of Tensor of shape (..., units, n), (..., n, units)
        The hidden activations, and the same memory transposed; a stack's have the networks first.
    deltas : list of Tensor of shape (..., units, n)
        The gradients with respect to what each layer, the last one too, returns.
    ones : Tensor of shape (n,)
        Ones.
    """

    def __init__(self, layers: Layers, size: int) -> None:
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
