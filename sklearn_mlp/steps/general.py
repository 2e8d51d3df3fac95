"""The closed-form step of networks with dropout, skipped layers and any of our activations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, final

import torch
from torch import Tensor

from sklearn_mlp.losses import Loss
from sklearn_mlp.network.activations import ACTIVATIONS, Activation
from sklearn_mlp.network.dropout import MaskSource
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.steps.closed_form import Buffers, ClosedFormStep, PlainStep
from sklearn_mlp.steps.layers import Layers


@dataclass(frozen=True)
class HiddenForm:
    """The operations of a network between its affine maps.

    Attributes
    ----------
    activations : sequence of Activation
        One per hidden layer.
    dropout : sequence of float or of tuple of float
        The rate of each hidden layer; of stacked networks a rate of each.
    input_dropout : float or tuple of float
        The rate of the features; of stacked networks a rate of each.
    is_skipped : sequence of bool
        For each hidden layer, whether its inputs are added to its values.
    masks : MaskSource
        Where the masks come from.
    """

    activations: Sequence[Activation]
    dropout: Sequence[Any]
    input_dropout: Any
    is_skipped: Sequence[bool]
    masks: MaskSource

    @classmethod
    def of(cls, network: MLP) -> Self:
        """Return the form of a network whose activations are all ours."""
        names = [name for name in network.activations if isinstance(name, str)]
        assert len(names) == len(network.activations)
        return cls(
            [ACTIVATIONS[name] for name in names],
            network.dropout,
            network.input_dropout,
            network.is_skipped,
            network.masks,
        )

    @property
    def single_activation(self) -> Activation | None:
        """The one activation of a network that has nothing else; None for any other."""
        first = self.activations[0] if self.activations else ACTIVATIONS["identity"]
        has_more = self.input_dropout or any(self.dropout) or any(self.is_skipped)
        is_single = all(activation is first for activation in self.activations)
        return first if is_single and not first.keeps_input and not has_more else None


def make_step(layers: Layers, form: HiddenForm, loss: Loss) -> ClosedFormStep[Any]:
    """Return the simplest step for a form."""
    single = form.single_activation
    if single is None:
        return GeneralStep(layers, form, loss)
    return PlainStep(layers, single, loss)


@final
class GeneralStep(ClosedFormStep["_GeneralBuffers"]):
    """The step of networks with dropout, skipped layers and any of our activations.

    Parameters
    ----------
    layers, loss
        As `ClosedFormStep` takes them.
    form : HiddenForm
        What comes between the affine maps.
    """

    def __init__(self, layers: Layers, form: HiddenForm, loss: Loss) -> None:
        super().__init__(layers, loss)
        self.form = form
        # A captured epoch would repeat its masks.
        self.can_be_captured = not (form.input_dropout or any(form.dropout))

    def _make_buffers(self, size: int) -> "_GeneralBuffers":
        return _GeneralBuffers(self.layers, self.form, size)

    def _forward(self, inputs: Any, buffers: "_GeneralBuffers", logits: Tensor) -> None:
        if buffers.input_mask is not None:
            mask = self.form.masks.fill(buffers.input_mask, self.form.input_dropout)
            inputs = self.layers.masked(mask, inputs)
        for index, layer in enumerate(buffers.layers):
            inputs = layer.forward(self.layers.forward(index, inputs, layer.affine), inputs)
        self.layers.forward(len(buffers.layers), inputs, logits)

    def _backward(
        self,
        inputs: Any,
        buffers: "_GeneralBuffers",
        delta: Tensor,
        gradients: Callable[..., None],
    ) -> None:
        carried: Tensor | None = None
        for index in range(len(buffers.layers), 0, -1):
            layer = buffers.layers[index - 1]
            gradients(index, delta, layer.values_t, buffers.ones)
            delta = self.layers.backward(index, delta, buffers.deltas[index - 1])
            if carried is not None:
                delta.add_(carried)
            carried = layer.backward_(delta)
        if buffers.input_mask is not None:
            inputs = buffers.input_mask.mT
        gradients(0, delta, inputs, buffers.ones)


@final
class _GeneralBuffers(Buffers):
    """The memory that a step on a given number of samples writes to.

    Attributes
    ----------
    layers : list of _HiddenLayer
        One per hidden layer.
    input_mask : Tensor of shape (n_features, n) or None
        The features' mask, and then what it leaves of them.
    """

    def __init__(self, layers: Layers, form: HiddenForm, size: int) -> None:
        super().__init__(layers, size)
        self.layers = [
            _HiddenLayer(affine, activation, rate, is_skipped, form.masks)
            for affine, activation, rate, is_skipped in zip(
                self.hidden, form.activations, form.dropout, form.is_skipped, strict=True
            )
        ]
        n_features = layers.weights[0].shape[-1]
        self.input_mask = layers.new_buffer(n_features, size) if form.input_dropout else None


@final
class _HiddenLayer:
    """A hidden layer after its affine map, on a given number of samples.

    Attributes
    ----------
    affine : Tensor of shape (units, n)
        For the affine map to write to.
    values_t : Tensor of shape (n, units)
        What the next layer is given, transposed.
    """

    def __init__(
        self,
        affine: Tensor,
        activation: Activation,
        rate: Any,
        is_skipped: bool,
        masks: MaskSource,
    ) -> None:
        self.affine = affine
        self._activation = activation
        self._rate = rate
        self._masks = masks
        self._activated = affine.new_empty(affine.shape) if activation.keeps_input else affine
        self._mask = affine.new_empty(affine.shape) if rate else None
        # What the derivative is told from must not be overwritten by what comes after it.
        is_changed = bool(rate) or is_skipped
        self._values = affine.new_empty(affine.shape) if is_changed else self._activated
        self._carried = affine.new_empty(affine.shape) if is_skipped else None
        self.values_t = self._values.mT

    def forward(self, affine: Tensor, inputs: Tensor) -> Tensor:
        """Return the layer's values from those of its affine map, and its inputs."""
        activated = affine if self._activated is affine else self._activated.copy_(affine)
        values = self._activation.apply_(activated)
        if self._mask is not None:
            mask = self._masks.fill(self._mask, self._rate)
            values = torch.mul(values, mask, out=self._values)
        if self._carried is not None:
            values = torch.add(values, inputs, out=self._values)
        return values

    def backward_(self, delta: Tensor) -> Tensor | None:
        """Turn the gradient of the values into that of the affine map's, in place.

        Returns
        -------
        carried : Tensor or None
            What goes past the layer to its inputs.
        """
        carried = None if self._carried is None else self._carried.copy_(delta)
        if self._mask is not None:
            delta.mul_(self._mask)
        self._activation.backward_(delta, self.affine)
        return carried
