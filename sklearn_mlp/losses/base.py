"""`Loss`: the one interface of all losses."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch import Tensor

from sklearn_mlp.losses.metrics import r2
from sklearn_mlp.losses.outputs import OUTPUT_ACTIVATIONS

# Of k networks' outputs, targets and weights: a score of each; larger is better.
Metric = Callable[[Tensor, Tensor, Tensor | None], list[float]]


class Loss(ABC):
    """A loss together with its output activation.

    Attributes
    ----------
    out_activation : str
        The output activation.
    squares_targets : bool
        Whether the loss of outputs near 0 is about the targets' squares.
    can_be_captured : bool
        Whether a CUDA graph can capture `gradient`: it does not wait for the device.
    """

    out_activation: str
    squares_targets: bool = False
    can_be_captured: bool = True

    @abstractmethod
    def gradient(self, logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
        """Write each sample's gradient with respect to its logits into ``out``, same shape."""

    @abstractmethod
    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return each sample's loss, ``(..., n_samples)``."""

    @abstractmethod
    def activate_(self, logits: Tensor, dim: int = -2) -> Tensor:
        """Return the outputs that predictions are made from; ``dim`` counts the outputs.

        Probabilities for a classifier. The logits may be used up.
        """

    def activate(self, logits: Tensor, dim: int) -> Tensor:
        """Return the same by operations that autograd can follow; the logits stay."""
        return OUTPUT_ACTIVATIONS[self.out_activation].function(logits, dim)

    def count_logits(self, n_targets: int) -> int:
        """Return how many outputs the network needs for so many columns of targets."""
        return n_targets

    def predictions(self, outputs: Any) -> Any:
        """Return what is predicted, from outputs of shape (n_samples, n_outputs).

        Array or tensor of shape (n_samples, n_targets), or (n_samples, n_targets, n_quantiles).
        """
        return outputs

    @property
    def metric(self) -> Metric:
        """The score that goes with the loss, of outputs (k, n_samples, n_outputs): R²."""

        def score(outputs: Tensor, targets: Tensor, sample_weight: Tensor | None) -> list[float]:
            """Return R² of the predictions, which some losses have besides other outputs."""
            return r2(self.predictions(outputs), targets, sample_weight)

        return score
