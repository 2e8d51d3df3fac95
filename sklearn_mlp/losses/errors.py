"""Errors: losses of the network's outputs, which go with any output activation."""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from sklearn_mlp.losses.base import Loss
from sklearn_mlp.losses.outputs import OUTPUT_ACTIVATIONS

# Of float32.
_LARGEST = torch.finfo(torch.float32).max


class OutputError(ABC):
    """A loss as a function of outputs and targets, both ``(..., n_outputs, n_samples)``."""

    @abstractmethod
    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return each sample's loss, ``(..., n_samples)``."""

    @abstractmethod
    def slope(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the gradient with respect to the outputs."""


class ErrorLoss(Loss):
    """An error after an output activation: the chain rule, written out.

    Parameters
    ----------
    error : OutputError
        Compares outputs with targets.
    out_activation : str
        Makes outputs of logits.
    """

    error: OutputError

    def __init__(self, error: OutputError, out_activation: str) -> None:
        self.error = error
        self.out_activation = out_activation
        self.squares_targets = isinstance(error, HalfSquaredError)

    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Return the error's slope times the activation's derivative."""
        activation = OUTPUT_ACTIVATIONS[self.out_activation]
        outputs = activation.function(logits, -2)
        return out.copy_(activation.backward(self.error.slope(outputs, targets), outputs))

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the error of each sample."""
        outputs = OUTPUT_ACTIVATIONS[self.out_activation].function(logits, -2)
        return self.error.value(outputs, targets)

    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Apply the output activation."""
        return OUTPUT_ACTIVATIONS[self.out_activation].function(logits, dim)


@final
class MeanSquaredError(OutputError):
    """The squared error averaged over the outputs, as `torch.nn.MSELoss` has it."""

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean of the squared differences."""
        return (outputs - targets).square_().mean(-2)

    def slope(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return twice the differences over the number of outputs."""
        return (outputs - targets).mul_(2 / outputs.shape[-2])


@final
class HalfSquaredError(OutputError):
    """Half the squared error in scikit-learn's scaling, as `SquaredError` has it."""

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return half the mean of the squared differences."""
        return (outputs - targets).square_().mean(-2).mul_(0.5)

    def slope(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the differences: the gradient of the sum over the outputs."""
        return outputs - targets


@final
class AbsoluteError(OutputError):
    """The absolute error, summed over the outputs; its minimum is the median."""

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the sum of the absolute differences."""
        return (outputs - targets).abs_().sum(-2)

    def slope(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the signs of the differences."""
        return (outputs - targets).sign_()


@final
class Huber(OutputError):
    """Half the squared error near 0, linear beyond ``delta``, summed over the outputs.

    Huber (1964), "Robust estimation of a location parameter"; `torch.nn.HuberLoss`.
    """

    delta: float

    def __init__(self, delta: float) -> None:
        # torch refuses a bound beyond its type's range; no distance in it is larger anyway.
        self.delta = min(float(delta), _LARGEST)

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return ``r**2 / 2``, and ``delta * (abs(r) - delta / 2)`` beyond ``delta``."""
        distance = (outputs - targets).abs_()
        near = distance.clamp(max=self.delta)
        return (near * (distance - 0.5 * near)).sum(-2)

    def slope(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the differences, at most ``delta`` in size."""
        return (outputs - targets).clamp_(-self.delta, self.delta)
