"""The hidden layers' activations: each as a function, in place, and backwards."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sklearn_mlp import kernels


@dataclass(frozen=True)
class Activation:
    """One activation in the three forms that training and prediction need.

    Attributes
    ----------
    function : callable
        Differentiable by autograd, leaves its input as it is.
    apply_ : callable
        The same in place.
    backward_ : callable
        ``backward_(delta, activated)`` multiplies ``delta``, the gradient with respect to the
        activation's output, by its derivative, in place; ``activated`` is that output.
    gain : float
        The numerator under the root of the bound of the initial weights.
    """

    function: Callable[[Tensor], Tensor]
    apply_: Callable[[Tensor], Tensor]
    backward_: Callable[[Tensor, Tensor], Tensor]
    gain: float = 6.0


def _identity(values: Tensor) -> Tensor:
    return values


def _identity_backward_(delta: Tensor, activated: Tensor) -> Tensor:
    return delta


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(_identity, _identity, _identity_backward_),
    "logistic": Activation(torch.sigmoid, torch.sigmoid_, kernels.logistic_backward_, gain=2.0),
    "tanh": Activation(torch.tanh, torch.tanh_, kernels.tanh_backward_),
    "relu": Activation(torch.relu, torch.relu_, kernels.relu_backward_),
}
