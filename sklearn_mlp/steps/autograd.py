"""One step by autograd: for networks whose gradients are not written out here."""

from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn

from sklearn_mlp.data.batches import Batch
from sklearn_mlp.losses import Loss
from sklearn_mlp.network.normalization import lone_samples_spared
from sklearn_mlp.network.parameter_vector import ParameterVector, trained_parameters
from sklearn_mlp.steps.base import Step
from sklearn_mlp.steps.precision import mixed_precision


class AutogradStep(Step):
    """Computes the gradient of any module's loss on a batch.

    The loss's gradient with respect to the logits is the closed form's; from there autograd goes
    back through the module and leaves the gradients in views of one vector, as the solver and the
    loop expect them. A context manager: on leaving it the module lets go of those views.

    Parameters
    ----------
    module : Module
        Turns (n, n_features) into logits, (n, n_outputs).
    parameters : ParameterVector
        Its parameters.
    gradient : ParameterVector
        Where gradients are written; same layout.
    loss : Loss
        Of the output.
    n_outputs : int
        The module's outputs.
    is_mixed : bool
        Whether its products are taken in bfloat16.
    is_compiled : bool
        Whether torch compiles it.
    """

    can_be_captured = False

    def __init__(
        self,
        module: nn.Module,
        parameters: ParameterVector,
        gradient: ParameterVector,
        loss: Loss,
        n_outputs: int,
        *,
        is_mixed: bool = False,
        is_compiled: bool = False,
    ) -> None:
        self.module = module
        self.loss = loss
        self.n_outputs = n_outputs
        self._call = torch.compile(module) if is_compiled else module
        self._mixed = partial(mixed_precision, parameters.values.device, is_mixed)
        self.widest = max(max(shape) for shape in (*parameters.layout.weights, (n_outputs,)))
        self._gradient = gradient.values
        weights, biases = trained_parameters(module)
        self._places = list(
            zip([*weights, *biases], [*gradient.weights, *gradient.biases], strict=True)
        )

    def quiet(self) -> AbstractContextManager[None]:
        """Return what the loop around the steps runs in.

        Not torch's inference mode: autograd cannot go back through tensors made in it.
        """
        return torch.no_grad()

    def __enter__(self) -> Self:
        # All of it, whichever mode the user has set a part to.
        self.module.train()
        for parameter, place in self._places:
            parameter.grad = place
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for parameter, _ in self._places:
            parameter.grad = None

    def gradient(self, batch: Batch, logits: Tensor, *, is_first: bool = True) -> None:
        """Write the gradient of the batch's mean loss; as in `Step`."""
        if not self.module.training:
            self.module.train()
        is_spared = lone_samples_spared(self.module, batch.size)
        with torch.enable_grad(), is_spared, self._mixed():
            outputs = self._call(batch.inputs)
        logits.copy_(outputs.detach().t())
        delta = self.loss.gradient(logits, batch.targets, out=torch.empty_like(logits))
        delta.mul_(1.0 / batch.weight_sum if batch.shares is None else batch.shares)
        if is_first:
            self._gradient.zero_()
        # Adds to the gradients in place, and so within the vector.
        torch.autograd.backward(outputs, delta.t().to(outputs.dtype))
