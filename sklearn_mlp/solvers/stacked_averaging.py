"""Averages of the weights of k networks, kept beside those that are being trained."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.contract.state import AverageState, TrainingState
from sklearn_mlp.machine.devices import exact_dtype_of
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.network.stacked_parameters import StackedParameters
from sklearn_mlp.solvers.averaging import Average


class StackedAverage:
    """The averages of k networks; the numbers are those of `WeightAverage`, network by network.

    Parameters
    ----------
    parameters : StackedParameters
        The weights.
    configs : sequence of TrainingConfig
        One per network, all with the same ``weight_averaging``.

    Attributes
    ----------
    values : StackedParameters
        The averages, where they have begun.
    counts : list of int
        Of how many weights each is.
    """

    def __init__(self, parameters: StackedParameters, configs: Sequence[TrainingConfig]) -> None:
        self.is_stepwise = configs[0].weight_averaging == "ema"
        self.values = parameters.zeros_like()
        self.counts = [0] * len(configs)
        self._bind(parameters, configs)

    def _bind(self, parameters: StackedParameters, configs: Sequence[TrainingConfig]) -> None:
        self._parameters = parameters
        self._decays = [config.ema_decay for config in configs]
        self._begins_after = [config.swa_start * config.max_iter for config in configs]

    def keep(
        self,
        kept: Sequence[int],
        parameters: StackedParameters,
        configs: Sequence[TrainingConfig],
    ) -> None:
        """Go on with some of the networks, whose parameters have moved."""
        self.values = self.values.take(torch.tensor(kept, device=parameters.values.device))
        self.counts = [self.counts[place] for place in kept]
        self._bind(parameters, configs)

    def step_taken(self) -> None:
        """Take the weights after a step into averages of steps."""
        self.counts = [count + 1 for count in self.counts]
        self._take(
            [
                (1 - decay) / (1 - decay**count)
                for decay, count in zip(self._decays, self.counts, strict=True)
            ]
        )

    def epoch_ended(self, epochs: Sequence[int]) -> None:
        """Take the weights into averages of epochs, of which each network has had so many."""
        if self.is_stepwise:
            return
        is_time = [n > first for n, first in zip(epochs, self._begins_after, strict=True)]
        self.counts = [count + due for count, due in zip(self.counts, is_time, strict=True)]
        pairs = zip(self.counts, is_time, strict=True)
        self._take([1 / count if due else 0.0 for count, due in pairs])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the networks hold the averages that have begun for a while."""
        weights = self._parameters.values.clone()
        is_begun = torch.tensor(self.counts, device=weights.device) > 0
        try:
            for live, average in zip(self._parameters.tensors, self.values.tensors, strict=True):
                live.copy_(torch.where(_column(is_begun, live), average, live))
            yield
        finally:
            self._parameters.values.copy_(weights)

    def _take(self, shares: list[float]) -> None:
        """Give the present weights of each network a share in its average."""
        if len(set(shares)) == 1:
            self.values.values.lerp_(self._parameters.values, shares[0])
            return
        column = self.values.values.new_tensor(shares)
        for average, live in zip(self.values.tensors, self._parameters.tensors, strict=True):
            average.lerp_(live, _column(column, live))


def _column(numbers: Tensor, like: Tensor) -> Tensor:
    """Return a number per network so that it broadcasts with parameters of all of them."""
    return numbers.view(-1, *(1,) * (like.ndim - 1))


@final
class MemberAverage(Average):
    """One network's average of those of a stack, which takes the weights in and scores them.

    Parameters
    ----------
    vector : ParameterVector
        The network's parameters, when it has left the stack.
    state : TrainingState
        Gets the average then.
    config : TrainingConfig
        Names it.
    """

    def __init__(
        self, vector: ParameterVector, state: TrainingState, config: TrainingConfig
    ) -> None:
        self._vector = vector
        self._state = state
        count = vector.values.new_zeros((), dtype=exact_dtype_of(vector.values))
        assert config.weight_averaging is not None
        self._average = AverageState(
            config.weight_averaging, torch.zeros_like(vector.memory), count
        )
        state.average = None

    def epoch_ended(self, n_epochs: int) -> None:
        """Leave it to the stack."""

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Leave it to the stack, which evaluates all at once."""
        yield

    def read(self, index: int, stack: StackedAverage) -> None:
        """Take the average out of the stack, in which the network has this place."""
        count = stack.counts[index]
        if count:
            average = self._vector.empty_like()
            stack.values.read(index, average)
            self._average.values = average.values
            self._average.is_begun = True
        self._average.count.fill_(count)

    def settle(self) -> None:
        """Let the network hold the average for good, once it was read; the state keeps both."""
        self._state.average = self._average
        if self._average.is_begun:
            self._average.weights = self._vector.memory.clone()
            self._vector.values.copy_(self._average.values)
