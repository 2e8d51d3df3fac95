"""The operations of torch that are not public API, each with a public fallback.

torch's own autograd and optimizers call these on every step, so they are as stable as its
internals get; they are used because one pass over memory beats the two to nine that public calls
need. Where one is missing, its fallback serves.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

HAS_FUSED_ADAM = hasattr(torch, "_fused_adam_")

HAS_ONEDNN_LINEAR = torch.backends.mkldnn.is_available() and hasattr(
    torch.ops.mkldnn, "_linear_pointwise"
)

# Looked up once: the path through torch.ops takes half as long as the operation itself.
_RELU_BACKWARD = torch.ops.aten.threshold_backward.grad_input
_TANH_BACKWARD = torch.ops.aten.tanh_backward.grad_input
_LOGISTIC_BACKWARD = torch.ops.aten.sigmoid_backward.grad_input


def relu_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Set ``delta`` to 0 where the rectified output is 0, in place."""
    return _RELU_BACKWARD(delta, activated, 0, grad_input=delta)


def tanh_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Multiply ``delta`` by ``1 - activated**2``, in place."""
    return _TANH_BACKWARD(delta, activated, grad_input=delta)


def logistic_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    """Multiply ``delta`` by ``activated * (1 - activated)``, in place."""
    return _LOGISTIC_BACKWARD(delta, activated, grad_input=delta)


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
