"""What a fit knows besides the weights, and what the next `partial_fit` goes on from."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass
class History:
    """One entry per epoch, or iteration of ``lbfgs``, over all calls since the first `fit`.

    Attributes
    ----------
    loss : list of float
        The training loss, penalty included.
    validation_loss : list of float
        The loss on the validation set, without the penalty; NaN for an epoch that had none.
    validation_score : list of float
        The score on the validation set; NaN for an epoch that had none.
    learning_rate : list of float
        The learning rate that the epoch ended with: of its last step; NaN for ``lbfgs``.
    seconds : list of float
        The epoch's wall time.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_score: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def append(self, **values: float) -> None:
        """Add an epoch, all columns at once: an interrupt must not leave them of two lengths."""
        row = [(getattr(self, name), value) for name, value in values.items()]
        assert len(row) == len(vars(self))
        for column, value in row:
            column.append(value)

    def epochs(self, name: str) -> list[float]:
        """Return a copy of a column without iterations of ``lbfgs``, which have no rate."""
        rows = zip(getattr(self, name), self.learning_rate, strict=True)
        return [value for value, rate in rows if not math.isnan(rate)]


@dataclass
class Snapshot:
    """Copies of a network's parameters and buffers."""

    tensors: list[Tensor]

    @classmethod
    def of(cls, live: list[Tensor]) -> "Snapshot":
        """Copy the tensors as they are now."""
        return cls([tensor.clone() for tensor in live])

    def restore(self, live: list[Tensor]) -> None:
        """Write the copies back."""
        with torch.no_grad():
            for tensor, copy in zip(live, self.tensors, strict=True):
                tensor.copy_(copy)


@dataclass
class OptimizerState:
    """A solver's memory: its moments and the number of steps taken.

    Attributes
    ----------
    solver : str
        Whose memory it is.
    moments : dict
        Vectors by name; of an optimizer of torch's, dictionaries of what it keeps.
    step : int
        The steps taken.
    """

    solver: str
    moments: dict[Any, Any]
    step: int = 0

    def to(self, like: Tensor) -> None:
        """Bring the moments to the device and into the type of a tensor."""
        is_quiet = torch.is_inference_mode_enabled()

        def brought(moment: Tensor) -> Tensor:
            """Return a moment at ``like``'s place and in its type, free to be changed."""
            # What was made in inference mode cannot be changed outside of it.
            return (moment if is_quiet or not moment.is_inference() else moment.clone()).to(like)

        self.moments = map_tensors(brought, self.moments)


@dataclass
class AverageState:
    """An average of the weights, and those it is made of.

    Attributes
    ----------
    kind : str
        What ``weight_averaging`` names.
    values : Tensor of shape (n_parameters + n_buffers,)
        The average, which is what the network holds between calls.
    count : scalar Tensor
        How many weights it is of.
    weights : Tensor of shape (n_parameters + n_buffers,) or None
        The weights that training goes on from.
    is_begun : bool
        Whether ``count`` is more than 0; the host need not ask the device.
    """

    kind: str
    values: Tensor
    count: Tensor
    weights: Tensor | None = None
    is_begun: bool = False

    def brought(self, like: Tensor, count_dtype: torch.dtype) -> "AverageState":
        """Return a copy on the device and in the type of a tensor."""
        return replace(
            self,
            values=torch.empty_like(like).copy_(self.values),
            count=self.count.clone().to(like.device, count_dtype),
            weights=None if self.weights is None else self.weights.to(like),
        )


@dataclass(frozen=True)
class SavedTensor:
    """A tensor as it is saved, and as it stays until training goes on after it was loaded.

    Attributes
    ----------
    values : ndarray
        The numbers. Once loaded, they may lie in a file, or in memory that others have, too, and
        are never written to.
    dtype : str
        The type in torch; of one that NumPy lacks, ``values`` are its bits, as integers.
    """

    values: np.ndarray
    dtype: str

    @classmethod
    def of(cls, tensor: Tensor) -> "SavedTensor":
        """Copy a tensor, from whichever device it is on."""
        dtype = str(tensor.dtype).removeprefix("torch.")
        on_host = tensor.detach().resolve_conj().resolve_neg().cpu()
        if tensor.dtype in _BITS:
            on_host = on_host.contiguous().view(_BITS[tensor.dtype])
        return cls(on_host.numpy().copy(order="K"), dtype)

    def tensor(self) -> Tensor:
        """Return a tensor on the CPU, in memory of its own."""
        # In the order that it has: sparse samples want the first weight transposed.
        values = self.values.astype(self.values.dtype.newbyteorder("="), order="K", subok=False)
        dtype = getattr(torch, self.dtype)
        return torch.from_numpy(values).view(dtype) if dtype in _BITS else torch.from_numpy(values)


# Types that NumPy lacks, and those that their bits are kept in.
_BITS = {
    torch.bfloat16: torch.int16,
    torch.float8_e4m3fn: torch.uint8,
    torch.float8_e5m2: torch.uint8,
}


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """Apply a function to all that dictionaries within dictionaries, lists or tuples hold."""
    if isinstance(tree, dict):
        return {key: map_leaves(function, value) for key, value in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(map_leaves(function, value) for value in tree)
    return function(tree)


def map_tensors(function: Callable[[Tensor], Any], tree: Any) -> Any:
    """Apply a function to all tensors of such a tree."""
    return map_leaves(lambda leaf: function(leaf) if isinstance(leaf, Tensor) else leaf, tree)


def owned(tree: Any) -> Any:
    """Make tensors of what was saved, each in memory of its own."""
    return map_leaves(lambda leaf: leaf.tensor() if isinstance(leaf, SavedTensor) else leaf, tree)


@dataclass
class TrainingState:
    """Everything that training goes on from, besides the weights.

    Attributes
    ----------
    optimizer : OptimizerState or None
        The solver's memory; None before the first step and for ``lbfgs``.
    average : AverageState or None
        The average of the weights, with ``weight_averaging``.
    learning_rate : float
        The current learning rate; of a planned schedule, what the plan starts from.
    learning_rate_init : float
        What ``learning_rate`` started from.
    epochs_scheduled : int
        Epochs since the last `fit` began, of every `partial_fit` one: the schedule's clock.
    n_iter : int
        Epochs (for ``lbfgs`` iterations) of the last call.
    loss : float
        The last epoch's (iteration's) training loss; NaN before the first.
    samples_seen : int
        Training samples over all calls, each as often as it was used.
    no_improvement_count : int
        Epochs since the last improvement of more than ``tol``.
    best_loss, best_validation_score : float or None
        The best so far, of whichever is watched.
    best : Snapshot or None
        The weights that scored best, between calls of `partial_fit` with early stopping.
    scoring : object
        What ``best_validation_score`` is a score by.
    is_validated : bool
        Whether the last call had a validation set.
    is_converged : bool
        Whether the last call ended because nothing improved any more.
    history : History
        A record per epoch.
    trainer : object or None
        What the backend wants to find again in the next call, such as skorch's net. Its method
        ``plain(backend_params)`` says what is saved of it, without the network.
    seed : int or None
        Of what the network draws in the next call, if it draws anything while it trains.
    """

    optimizer: OptimizerState | None = None
    average: AverageState | None = None
    learning_rate: float = 0.0
    learning_rate_init: float = 0.0
    epochs_scheduled: int = 0
    n_iter: int = 0
    loss: float = math.nan
    samples_seen: int = 0
    no_improvement_count: int = 0
    best_loss: float | None = None
    best_validation_score: float | None = None
    best: Snapshot | None = None
    scoring: Any = None
    is_validated: bool = False
    is_converged: bool = False
    history: History = field(default_factory=History)
    trainer: Any = None
    seed: int | None = None

    def own(self) -> "TrainingState":
        """Make tensors of what was loaded, before it is changed; return itself."""
        if self.optimizer is not None:
            self.optimizer.moments = owned(self.optimizer.moments)
        if self.average is not None:
            average = self.average
            average.values, average.count = owned(average.values), owned(average.count)
            average.weights = owned(average.weights)
        if self.best is not None:
            self.best.tensors = owned(self.best.tensors)
        return self
