"""The output activations, forwards and backwards."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class OutputActivation:
    """One output activation.

    Attributes
    ----------
    name : str
        As the parameter ``output_activation`` has it.
    function : callable
        ``function(logits, dim)``, differentiable by autograd; ``dim`` counts the outputs.
    backward : callable
        ``backward(slope, outputs)`` turns the gradient with respect to the outputs,
        ``(..., n_outputs, n_samples)``, into that with respect to the logits.
    low, high : float
        The outputs that stand for no and for yes, where a class is an output.
    is_symmetric : bool
        Whether the negated logit has the probability of the opposite.
    """

    name: str
    function: Callable[[Tensor, int], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]
    low: float = 0.0
    high: float = 1.0
    is_symmetric: bool = False


def _softmax_backward(slope: Tensor, outputs: Tensor) -> Tensor:
    """Multiply by each sample's Jacobian, ``diag(p) - p pᵀ``, without making it."""
    return outputs * (slope - (slope * outputs).sum(-2, keepdim=True))


OUTPUT_ACTIVATIONS = {
    activation.name: activation
    for activation in (
        OutputActivation("identity", lambda logits, _: logits, lambda slope, _: slope),
        OutputActivation(
            "logistic",
            lambda logits, _: torch.sigmoid(logits),
            lambda slope, outputs: slope * (outputs * (1 - outputs)),
            is_symmetric=True,
        ),
        OutputActivation("softmax", torch.softmax, _softmax_backward),
        OutputActivation(
            "tanh",
            lambda logits, _: torch.tanh(logits),
            lambda slope, outputs: slope * (1 - outputs * outputs),
            low=-1.0,
            is_symmetric=True,
        ),
        OutputActivation(
            "exp", lambda logits, _: torch.exp(logits), lambda slope, outputs: slope * outputs
        ),
    )
}
