"""A user's function as a loss."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn

from sklearn_mlp.losses.base import Loss
from sklearn_mlp.losses.outputs import OUTPUT_ACTIVATIONS
from sklearn_mlp.machine.kernels import inference_mode
from sklearn_mlp.machine.user_errors import blamed, says_nothing_of_its_origin


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

    Raises
    ------
    ValueError
        If it is a class, takes other arguments, or is one of torch's losses in a form that does
        not give the loss of each sample, or that expects logits.
    """

    # What the function calls may wait for the device.
    can_be_captured = False
    function: Callable[[Tensor, Tensor], Any]

    def __init__(self, function: Callable[[Tensor, Tensor], Any], out_activation: str) -> None:
        _check_signature(function)
        _check_torch_loss(function, out_activation)
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
            try:
                (gradient,) = torch.autograd.grad(losses.sum(), leaf)
            except RuntimeError as error:
                raise ValueError(
                    f"loss={self.function!r} must compute its values by operations that autograd "
                    f"can follow, and leave the outputs as they are: {error}"
                ) from error
        return out.copy_(gradient)

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the function's values."""
        # Copies: the function may change what it is given.
        return self._losses(logits.clone(), targets.clone()).detach()

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
            if not says_nothing_of_its_origin(error):
                error.add_note(f"The error is from loss={name}.")
                raise
            raise blamed(
                error,
                f"loss={name} must take the outputs and the targets, two tensors of "
                f"shape (n_samples, n_outputs); for those of shape {tuple(rows.shape)} it raised "
                f"{type(error).__name__}: {error}",
            ) from error
        is_usual = isinstance(losses, Tensor) and _is_usual(losses)
        if not is_usual or losses.shape not in ((len(rows),), (len(rows), 1)):
            raise ValueError(
                f"loss={self.function!r} must return a tensor with a value per sample, of shape "
                f"({len(rows)},) for outputs of shape {tuple(rows.shape)}, got "
                f"{_form_of(losses)}. Do not average over the samples, and sum or average over "
                "the outputs."
            )
        return losses.reshape(*logits.shape[:-2], logits.shape[-1])


# Losses of torch's that take logits. ``log_loss`` is what all of them stand for.
_OF_LOGITS = (
    nn.CrossEntropyLoss,
    nn.BCEWithLogitsLoss,
    nn.MultiLabelSoftMarginLoss,
    nn.functional.cross_entropy,
    nn.functional.binary_cross_entropy_with_logits,
    nn.functional.multilabel_soft_margin_loss,
)


def _check_signature(function: Any) -> None:
    """Check that a function can be called with outputs and targets."""
    if isinstance(function, type):
        name = function.__name__
        example = f", loss={name}(reduction='none')" if issubclass(function, nn.Module) else ""
        example = ", or loss='log_loss'" if function in _OF_LOGITS else example
        raise ValueError(
            f"loss={name} is a class; pass an instance that returns the loss of each sample"
            f"{example}."
        )
    # A module's own signature says only that it takes anything.
    called = function.forward if isinstance(function, nn.Module) else function
    try:
        signature = inspect.signature(called)
    except (TypeError, ValueError):
        # Some of torch's own, and other compiled functions, have none.
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise ValueError(
            f"loss={function!r} must take two arguments, outputs and targets, but takes "
            f"{signature}: {error}."
        ) from error


def _check_torch_loss(function: Any, out_activation: str) -> None:
    """Check that a loss of torch's is of each sample, and is given what it expects."""
    plain = function.func if isinstance(function, partial) else function
    takes_logits = any(plain is one or type(plain) is one for one in _OF_LOGITS)
    if takes_logits and out_activation != "identity":
        raise ValueError(
            f"loss={function!r} takes logits, but is given the outputs after "
            f"output_activation={out_activation!r}. Use loss='log_loss', which is the same loss, "
            "with class_weight in the place of weights and label_smoothing; or "
            "output_activation='identity'."
        )
    reduction = getattr(function, "reduction", "none") if isinstance(function, nn.Module) else None
    if reduction in ("mean", "sum"):
        raise ValueError(
            f"loss={function!r} has reduction={reduction!r} and returns one number for all "
            f"samples; pass {type(function).__name__}(reduction='none'). Weighting and averaging "
            "over the samples are done for it."
        )


def _is_usual(losses: Tensor) -> bool:
    """Tell whether a tensor holds numbers that can be averaged, with gradients."""
    return losses.is_floating_point() and losses.layout == torch.strided


def _form_of(value: Any) -> str:
    """Say what a function has returned, without its numbers."""
    shape = f"shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    if isinstance(value, Tensor):
        return shape if _is_usual(value) else f"a tensor of {value.dtype} and {value.layout}"
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return f"{name} of {shape}" if shape else name
