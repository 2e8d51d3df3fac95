"""`Step`: the gradient of a batch, for every loop and solver."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from torch import Tensor

from sklearn_mlp.data.batches import Batch
from sklearn_mlp.losses import Loss


class Step(ABC):
    """Computes the gradient of a network's loss on a batch, into memory that stays the same.

    Attributes
    ----------
    loss : Loss
        Of the output.
    n_outputs : int
        The network's outputs.
    widest : int
        The most numbers that a sample becomes in any layer, which bounds the memory it takes.
    can_be_captured : bool
        Whether the same calls on the same memory make up every epoch, as a CUDA graph needs it.
    """

    loss: Loss
    n_outputs: int
    widest: int
    can_be_captured: bool

    @abstractmethod
    def quiet(self) -> AbstractContextManager[None]:
        """Return what the loop around the steps runs in."""

    @abstractmethod
    def gradient(self, batch: Batch, logits: Tensor, *, is_first: bool = True) -> None:
        """Write the gradient of the batch's mean loss, without the penalty; keep its logits.

        Parameters
        ----------
        batch : Batch
            The samples.
        logits : Tensor of shape (n_outputs, size) or (k, n_outputs, size)
            Receives the values before the output activation.
        is_first : bool
            False adds to the gradients that are there.
        """
