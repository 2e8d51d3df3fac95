"""A user's function as a loss."""

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from sklearn_mlp.kernels import inference_mode
from sklearn_mlp.losses.base import Loss
from sklearn_mlp.losses.outputs import OUTPUT_ACTIVATIONS


@final
class FunctionLoss(Loss):
    """A function ``(output, target) -> loss of each sample``; autograd finds its gradient.

    Parameters
    ----------
    function : callable
        Takes two tensors of shape (n_samples, n_outputs), the outputs after the output activation;
        returns one of shape (n_samples,).
    out_activation : str
        The output activation.
    """

    # What the function calls may wait for the device.
    is_capturable = False

    def __init__(self, function: Callable[[Tensor, Tensor], Any], out_activation: str) -> None:
        self.function = function
        self.out_activation = out_activation

    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Return what autograd finds."""
        # The engine runs in inference mode, whose tensors autograd does not take.
        with inference_mode(False):
            leaf = logits.detach().clone().requires_grad_()
            losses = self._losses(leaf, targets.detach().clone())
            if not losses.requires_grad:
                raise ValueError(
                    f"loss={self.function!r} must compute its values from the outputs by "
                    "operations of torch, so that autograd can follow them."
                )
            (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        return out.copy_(gradient)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the function's values."""
        return self._losses(logits, targets).detach()

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Apply the output activation."""
        return OUTPUT_ACTIVATIONS[self.out_activation].function(logits, dim)

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Call the function row-major, and check what it returns."""
        outputs = OUTPUT_ACTIVATIONS[self.out_activation].function(logits, -2)
        rows, target_rows = outputs.mT.flatten(0, -2), targets.mT.flatten(0, -2)
        try:
            losses = self.function(rows, target_rows)
        except Exception as error:
            name = getattr(self.function, "__name__", repr(self.function))
            raise ValueError(
                f"loss={name} must take the outputs and the targets, two tensors of "
                f"shape (n_samples, n_outputs); for those of shape {tuple(rows.shape)} it raised "
                f"{type(error).__name__}: {error}"
            ) from error
        if not isinstance(losses, Tensor) or losses.shape not in ((len(rows),), (len(rows), 1)):
            raise ValueError(
                f"loss={self.function!r} must return a tensor with a value per sample, of shape "
                f"({len(rows)},) for outputs of shape {tuple(rows.shape)}, got "
                f"{_form_of(losses)}. Do not average over the samples, and sum or average over "
                "the outputs."
            )
        return losses.reshape(*logits.shape[:-2], logits.shape[-1])


def _form_of(value: Any) -> str:
    """Say what a function has returned, without its numbers."""
    shape = f"shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    if isinstance(value, Tensor):
        return shape
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return f"{name} of {shape}" if shape else name
