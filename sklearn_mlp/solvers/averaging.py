"""Averages of a network's weights, kept beside those that are being trained."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import final

import torch
from torch import Tensor

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.contract.state import AverageState, TrainingState
from sklearn_mlp.machine.devices import exact_dtype_of


class Average(ABC):
    """An average of a network's weights, as what watches over an epoch's end knows it."""

    @abstractmethod
    def epoch_ended(self, n_epochs: int) -> None:
        """Take the weights after so many epochs into the average, if its time has come."""

    @abstractmethod
    def in_place(self) -> AbstractContextManager[None]:
        """Let the network hold the averages for a while."""

    @abstractmethod
    def settle(self) -> None:
        """Let the network hold the averages for good; the state keeps the weights."""


@final
class WeightAverage(Average):
    """An average of the weights over steps (``ema``) or over epochs (``swa``).

    Training goes on with the weights themselves; what is scored, and what the network holds when
    the fit has ended, are the averages. A `partial_fit` goes on from the weights again.

    Parameters
    ----------
    live : Tensor of shape (n_parameters + n_buffers,)
        The weights, with the buffers of a batch normalisation, which are averaged, too.
    config : TrainingConfig
        Names the average.
    state : AverageState
        The average; changed in place.
    begins_after : float
        Epochs before those that ``swa`` averages.
    """

    def __init__(
        self, live: Tensor, config: TrainingConfig, state: AverageState, begins_after: float
    ) -> None:
        self.is_stepwise = config.weight_averaging == "ema"
        self._live = live
        self._state = state
        self._decay = config.ema_decay
        self._begins_after = begins_after

    def step_taken(self) -> None:
        """Take the weights after a step into the average; the host waits for nothing.

        An exponential average that began with 0 and is corrected for it, as Adam's moments are:
        of n weights, the one k steps back counts ``(1 - d) * d**k / (1 - d**n)``.
        """
        state = self._state
        count = state.count.add_(1)
        self._take((1 - self._decay) / (1 - self._decay**count))

    def count_steps(self, n_steps: int) -> None:
        """Count steps whose weights are in the average already."""
        self._state.count.add_(n_steps)
        self._state.is_begun = self._state.is_begun or n_steps > 0

    @property
    def values(self) -> Tensor:
        """The average, (n_parameters + n_buffers,)."""
        return self._state.values

    @property
    def n_averaged(self) -> int:
        """How many weights it is of; the host waits for the device."""
        return int(self._state.count)

    def epoch_ended(self, n_epochs: int) -> None:
        """Take the weights after so many epochs into the average, if its time has come."""
        if not self.is_stepwise and n_epochs > self._begins_after:
            self._take(1 / self._state.count.add_(1))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the network hold the averages for a while."""
        if not self._state.is_begun:
            yield
            return
        weights = self._live.clone()
        try:
            self._live.copy_(self._state.values)
            yield
        finally:
            self._live.copy_(weights)

    def settle(self) -> None:
        """Let the network hold the averages for good; the state keeps the weights."""
        if self._state.is_begun:
            self._state.weights = self._live.clone()
            with torch.no_grad():
                self._live.copy_(self._state.values)

    def _take(self, share: Tensor) -> None:
        """Give the present weights a share in the average."""
        values = self._state.values
        values.lerp_(self._live, share.to(values.dtype))
        self._state.is_begun = True


def make_average(
    live: Tensor, config: TrainingConfig, state: TrainingState
) -> WeightAverage | None:
    """Return the average that ``config`` asks for, if any; a `partial_fit` goes on with it.

    Where the network still holds the averages of the call before, it gets the weights back that
    these were made of. Where the user has assigned others, training goes on from those.
    """
    kind, previous = config.weight_averaging, state.average
    state.average = None
    if kind is None:
        return None
    count_dtype = exact_dtype_of(live)
    if config.incremental and previous is not None and previous.kind == kind:
        state.average = previous.brought(live, count_dtype)
        if previous.is_begun:
            held, weights = state.average.values, state.average.weights
            if weights is not None and torch.equal(held, live):
                with torch.no_grad():
                    live.copy_(weights)
            else:
                state.average = None
    if state.average is None:
        count = live.new_zeros((), dtype=count_dtype)
        state.average = AverageState(kind, torch.zeros_like(live), count)
    return WeightAverage(live, config, state.average, config.swa_start * config.max_iter)
