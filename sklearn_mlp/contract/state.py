"""The state of training besides the weights, which the next `partial_fit` goes on from."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from sklearn_mlp.contract.tensor_trees import map_tensors, owned


@dataclass(frozen=True)
class History:
    """One row per epoch, or iteration of ``lbfgs``, over all calls since the first `fit`.

    A history does not change: the next epoch makes another, which goes on in the same list. So
    the state of a fit takes up an epoch whole, by one assignment, or not at all; and where a fit
    fails, the history of the one before is what it was.

    ===================  ========================================================================
    column
    ===================  ========================================================================
    ``loss``             the training loss, penalty included
    ``validation_loss``  the loss on the validation set, without the penalty; NaN without a set
    ``validation_score`` the score on the validation set, likewise
    ``learning_rate``    that of the epoch's last step; NaN for ``lbfgs``
    ``seconds``          the epoch's wall time
    ===================  ========================================================================

    Attributes
    ----------
    rows : list of tuple of float
        The rows.
    length : int
        How many of them there are; what comes after them is another history's, or nobody's.
    """

    rows: list[tuple[float, ...]] = field(default_factory=list)
    length: int = 0

    COLUMNS: ClassVar[tuple[str, ...]] = (
        *("loss", "validation_loss", "validation_score", "learning_rate", "seconds"),
    )

    def with_epoch(self, **values: float) -> "History":
        """Return the history that has one more epoch."""
        del self.rows[self.length :]
        self.rows.append(_row_of(values))
        return History(self.rows, self.length + 1)

    def column(self, name: str) -> list[float]:
        """Return a column."""
        place = self.COLUMNS.index(name)
        return [row[place] for row in self.rows[: self.length]]

    def last_epoch(self) -> dict[str, float]:
        """Return the number of the last epoch, ``epoch``, and its row."""
        row = self.rows[self.length - 1]
        return {"epoch": self.length, **dict(zip(self.COLUMNS, row, strict=True))}

    def epochs(self, name: str) -> list[float]:
        """Return a column without iterations of ``lbfgs``, which have no rate."""
        rows = zip(self.column(name), self.column("learning_rate"), strict=True)
        return [value for value, rate in rows if not math.isnan(rate)]

    def __getstate__(self) -> dict[str, Any]:
        return {"rows": self.rows[: self.length], "length": self.length}


_row_of: Callable[[Mapping[str, float]], tuple[float, ...]] = itemgetter(*History.COLUMNS)


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


class Trainer(Protocol):
    """A backend's own object that it keeps for the next call, such as skorch's net."""

    def plain(self, backend_params: Mapping[str, Any] | None) -> Any:
        """Return what is saved of it, without the network."""

    def checkpoint(self) -> Callable[[], None]:
        """Return a function that puts back what a fit changes of it."""


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
    trainer : Trainer or None
        What the backend wants to find again in the next call.
    seed : int or None
        Of what the network draws in the next call, if it draws anything while it trains.
    parts : tuple of (str, tuple of int), or None
        The names and shapes of the parameters that the vectors here are of, in their order.
    buffers : tuple of str
        The names of the network's buffers.
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
    trainer: Trainer | None = None
    seed: int | None = None
    parts: tuple[tuple[str, tuple[int, ...]], ...] | None = None
    buffers: tuple[str, ...] = ()

    def epoch_recorded(self, row: Mapping[str, float], **others: Any) -> None:
        """Take up an epoch, with all that changes by it, at once: an interrupt leaves no half."""
        history = self.history.with_epoch(**row)
        others.update(history=history, n_iter=self.n_iter + 1, loss=row["loss"])
        self.__dict__.update(others)

    def preview(self, row: Mapping[str, float], **others: Any) -> "TrainingState":
        """Return the state as it will be when an epoch has been taken up."""
        coming = replace(self)
        coming.epoch_recorded(row, **others)
        return coming

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
