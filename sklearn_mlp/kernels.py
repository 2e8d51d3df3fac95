"""The operations of torch that are not public API, each with a public fallback.

torch's own autograd and optimizers call these on every step, so they are as stable as its
internals get; they are used because one pass over memory beats the two to nine that public calls
need. Where one is missing, its fallback serves.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

HAS_FUSED_ADAM = hasattr(torch, "_fused_adam_")

HAS_ONEDNN_LINEAR = torch.backends.mkldnn.is_available() and hasattr(
    torch.ops.mkldnn, "_linear_pointwise"
)


def _direct(operation: Any) -> Any:
    """Return what an operation of torch.ops wraps; the wrapper is a fourth of a small call."""
    return getattr(operation, "_op", operation)


# Looked up once: the path through torch.ops takes half as long as the operation itself.
_RELU_BACKWARD = _direct(torch.ops.aten.threshold_backward.grad_input)
_TANH_BACKWARD = _direct(torch.ops.aten.tanh_backward.grad_input)
_LOGISTIC_BACKWARD = _direct(torch.ops.aten.sigmoid_backward.grad_input)
_LEAKY_RELU_BACKWARD = torch.ops.aten.leaky_relu_backward.grad_input
_ELU_BACKWARD = torch.ops.aten.elu_backward.grad_input


def _find(name: str, overload: str) -> Any:
    """Return an operation if this torch has it."""
    return getattr(getattr(torch.ops.aten, name, None), overload, None)


_GELU_BACKWARD = _find("gelu_backward", "grad_input")
_SILU_BACKWARD = _find("silu_backward", "grad_input")
_MISH_BACKWARD = _find("mish_backward", "default")
_SOFTPLUS_BACKWARD = _find("softplus_backward", "grad_input")


def relu_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Set ``delta`` to 0 where the rectified output is 0, in place."""
    return _RELU_BACKWARD(delta, activated, 0, grad_input=delta)


def tanh_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Multiply ``delta`` by ``1 - activated**2``, in place."""
    return _TANH_BACKWARD(delta, activated, grad_input=delta)


def logistic_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Multiply ``delta`` by ``activated * (1 - activated)``, in place."""
    return _LOGISTIC_BACKWARD(delta, activated, grad_input=delta)


def backward_by_autograd(
    function: Callable[[Tensor], Tensor],
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the backward form of an activation, from its input: the public, slower way."""

    def backward_(delta: Tensor, values: Tensor) -> Tensor:
        """Multiply ``delta`` by the derivative at ``values``, in place."""
        # Copies: what was made in inference mode is of no use to autograd.
        with torch.inference_mode(False), torch.enable_grad():
            inputs = values.clone().requires_grad_()
            (result,) = torch.autograd.grad(function(inputs), inputs, delta.clone())
        return delta.copy_(result)

    return backward_


# From the output, with the constants of torch's functions: of ELU its alpha, its scale, and the
# factor before the exponent; of leaky ReLU its slope.
_ELU = (1.0, 1.0, 1.0)
_SELU = (1.6732632423543772, 1.0507009873554805, 1.0)
_SLOPE = 0.01


def leaky_relu_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Multiply ``delta`` by 0.01 where the output is negative, in place."""
    return _LEAKY_RELU_BACKWARD(delta, activated, _SLOPE, True, grad_input=delta)


def elu_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Multiply ``delta`` by ``activated + 1`` where the output is negative, in place."""
    return _ELU_BACKWARD(delta, *_ELU, True, activated, grad_input=delta)


def selu_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Multiply ``delta`` by the derivative of SELU, from its output, in place."""
    return _ELU_BACKWARD(delta, *_SELU, True, activated, grad_input=delta)


# From the input. The slope of these has no short form in the output.


def gelu_(values: Tensor) -> Tensor:
    """Apply GELU in place."""
    return values.copy_(torch.nn.functional.gelu(values))


def silu_(values: Tensor) -> Tensor:
    """Apply SiLU in place."""
    return torch.nn.functional.silu(values, inplace=True)


def mish_(values: Tensor) -> Tensor:
    """Apply Mish in place."""
    return torch.nn.functional.mish(values, inplace=True)


def softplus_(values: Tensor) -> Tensor:
    """Apply softplus in place."""
    return values.copy_(torch.nn.functional.softplus(values))


def gelu_backward_(delta: Tensor, values: Tensor) -> Tensor:
    """Multiply ``delta`` by the derivative of GELU, from its input, in place."""
    if _GELU_BACKWARD is None:
        return _gelu_by_autograd_(delta, values)
    return _GELU_BACKWARD(delta, values, approximate="none", grad_input=delta)


def silu_backward_(delta: Tensor, values: Tensor) -> Tensor:
    """Multiply ``delta`` by the derivative of SiLU, from its input, in place."""
    if _SILU_BACKWARD is None:
        return _silu_by_autograd_(delta, values)
    return _SILU_BACKWARD(delta, values, grad_input=delta)


def mish_backward_(delta: Tensor, values: Tensor) -> Tensor:
    """Multiply ``delta`` by the derivative of Mish, from its input, in place."""
    if _MISH_BACKWARD is None:
        return _mish_by_autograd_(delta, values)
    return delta.copy_(_MISH_BACKWARD(delta, values))


def softplus_backward_(delta: Tensor, values: Tensor) -> Tensor:
    """Multiply ``delta`` by the derivative of softplus, from its input, in place."""
    if _SOFTPLUS_BACKWARD is None:
        return _softplus_by_autograd_(delta, values)
    return _SOFTPLUS_BACKWARD(delta, values, 1.0, 20.0, grad_input=delta)


_gelu_by_autograd_ = backward_by_autograd(torch.nn.functional.gelu)
_silu_by_autograd_ = backward_by_autograd(torch.nn.functional.silu)
_mish_by_autograd_ = backward_by_autograd(torch.nn.functional.mish)
_softplus_by_autograd_ = backward_by_autograd(torch.nn.functional.softplus)


def onednn_product(left: Tensor, right: Tensor) -> Tensor:
    """Return ``left @ right`` by oneDNN, in float32; strided factors are taken as they are.

    What torch's compiler emits for a linear layer; only where `HAS_ONEDNN_LINEAR`.
    """
    return torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")


class AdamVectors(NamedTuple):
    """The four vectors of one length that Adam works on."""

    values: Tensor
    gradient: Tensor
    first_moment: Tensor
    second_moment: Tensor


def adam_update_(
    vectors: AdamVectors,
    step: int,
    step_holder: Tensor,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    penalty: float = 0.0,
) -> None:
    """Take step number ``step`` (from 1) of Adam, with scikit-learn's epsilon, in place.

    Kingma and Ba (2014), section 2, last paragraph: the bias correction is folded into the step
    size, and ``epsilon`` is added outside it. torch adds it inside, hence the division here.
    ``penalty`` times the values is added to the gradient, which may be used up. ``step_holder``
    is a scalar tensor of float32 that holds ``step``, on the device of the vectors.
    """
    values, gradient, first, second = vectors
    correction = math.sqrt(1 - beta_2**step)
    if HAS_FUSED_ADAM:
        torch._fused_adam_(
            [values],
            [gradient],
            [first],
            [second],
            [],
            [step_holder],
            lr=learning_rate,
            beta1=beta_1,
            beta2=beta_2,
            weight_decay=penalty,
            eps=epsilon / correction,
            amsgrad=False,
            maximize=False,
        )
        return
    if penalty:
        gradient.add_(values, alpha=penalty)
    first.lerp_(gradient, 1 - beta_1)
    second.mul_(beta_2).addcmul_(gradient, gradient, value=1 - beta_2)
    step_size = learning_rate * correction / (1 - beta_1**step)
    values.addcdiv_(first, second.sqrt().add_(epsilon), value=-step_size)


class AdamLists(NamedTuple):
    """Lists of tensors of the same shapes that Adam works on."""

    values: list[Tensor]
    gradients: list[Tensor]
    first_moments: list[Tensor]
    second_moments: list[Tensor]


def adam_update_many_(
    lists: AdamLists,
    step: int,
    step_holder: Tensor,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Take a step of Adam on many tensors in one call; see `adam_update_`."""
    if not HAS_FUSED_ADAM:
        for vectors in zip(*lists, strict=True):
            adam_update_(
                AdamVectors(*vectors), step, step_holder, learning_rate, beta_1, beta_2, epsilon
            )
        return
    torch._fused_adam_(
        *lists,
        [],
        [step_holder] * len(lists.values),
        lr=learning_rate,
        beta1=beta_1,
        beta2=beta_2,
        weight_decay=0.0,
        eps=epsilon / math.sqrt(1 - beta_2**step),
        amsgrad=False,
        maximize=False,
    )
