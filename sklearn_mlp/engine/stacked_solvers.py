"""The first-order solvers for k networks at once, each with its own numbers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import groupby
from typing import final

import torch
from torch import Tensor

from sklearn_mlp import kernels
from sklearn_mlp.config import TrainingConfig
from sklearn_mlp.stacked_parameters import StackedParameters


class StackedSolver(ABC):
    """Updates the parameters of k networks from their gradients.

    The numbers are those of `sklearn_mlp.solvers`, network by network.

    Parameters
    ----------
    parameters, gradient : StackedParameters
        The parameters, changed in place, and where their gradients are found.
    configs : sequence of TrainingConfig
        One per network.
    """

    moment_names: tuple[str, ...]

    def __init__(
        self,
        parameters: StackedParameters,
        gradient: StackedParameters,
        configs: Sequence[TrainingConfig],
    ) -> None:
        self.moments = {name: parameters.zeros_like() for name in self.moment_names}
        self.step = 0
        self._bind(parameters, gradient, configs)

    def _bind(
        self,
        parameters: StackedParameters,
        gradient: StackedParameters,
        configs: Sequence[TrainingConfig],
    ) -> None:
        self._parameters = parameters
        self._gradient = gradient
        self._configs = configs
        self._rates: tuple[float, ...] = ()

    def keep(
        self,
        kept: Tensor,
        parameters: StackedParameters,
        gradient: StackedParameters,
        configs: Sequence[TrainingConfig],
    ) -> None:
        """Go on with some of the networks, whose parameters have moved."""
        self.moments = {name: moment.take(kept) for name, moment in self.moments.items()}
        self._bind(parameters, gradient, configs)

    def update(self, rates: tuple[float, ...]) -> None:
        """Take one step at a learning rate per network."""
        self.step += 1
        if rates != self._rates:
            self._rates = rates
            self._set_rates(rates)
        self._update()

    def add_penalty(self, penalties: Tensor) -> None:
        """Add the penalties' gradients; ``penalties`` are factors of shape (k, 1, 1)."""
        weights, gradients = self._parameters.weights, self._gradient.weights
        for weight, gradient in zip(weights, gradients, strict=True):
            gradient.addcmul_(weight, penalties)

    @abstractmethod
    def _update(self) -> None:
        """Take one step."""

    @abstractmethod
    def _set_rates(self, rates: tuple[float, ...]) -> None:
        """Prepare steps at other rates than the last."""

    def _column(self, numbers: Sequence[float]) -> Tensor:
        """Return a number per network, as a vector in the parameters' type."""
        return self._parameters.values.new_tensor(numbers)


@final
class StackedSGD(StackedSolver):
    """Gradient descent with (Nesterov's) momentum; see `sklearn_mlp.solvers.SGD`."""

    moment_names = ("velocity",)

    def _set_rates(self, rates: tuple[float, ...]) -> None:
        minus_rates = self._column([-rate for rate in rates])
        momenta = self._column([config.momentum for config in self._configs])
        self._parts = [
            (value, gradient, velocity, minus_rates.view(shape), momenta.view(shape))
            for value, gradient, velocity in zip(
                self._parameters.tensors,
                self._gradient.tensors,
                self.moments["velocity"].tensors,
                strict=True,
            )
            for shape in [(-1,) + (1,) * (value.ndim - 1)]
        ]

    def _update(self) -> None:
        for value, gradient, velocity, minus_rate, momentum in self._parts:
            velocity.mul_(momentum).addcmul_(gradient, minus_rate)
            if self._configs[0].nesterovs_momentum:
                value.addcmul_(velocity, momentum).addcmul_(gradient, minus_rate)
            else:
                value.add_(velocity)


@final
class StackedAdam(StackedSolver):
    """Adam; see `sklearn_mlp.solvers.Adam`.

    Neighbours with the same numbers are updated by one call.
    """

    moment_names = ("first", "second")

    def _bind(
        self,
        parameters: StackedParameters,
        gradient: StackedParameters,
        configs: Sequence[TrainingConfig],
    ) -> None:
        super()._bind(parameters, gradient, configs)
        self._holder = torch.zeros((), device=parameters.values.device)
        self._lists: dict[tuple[int, int], kernels.AdamLists] = {}

    def _set_rates(self, rates: tuple[float, ...]) -> None:
        numbers = [
            (rate, config.beta_1, config.beta_2, config.epsilon)
            for rate, config in zip(rates, self._configs, strict=True)
        ]
        self._groups = []
        for group, places in groupby(range(len(numbers)), key=numbers.__getitem__):
            start, *rest = places
            self._groups.append((self._lists_of(start, start + 1 + len(rest)), group))

    def _lists_of(self, start: int, stop: int) -> kernels.AdamLists:
        """Return the tensors of some neighbours, which are the same at every step."""
        lists = self._lists.get((start, stop))
        if lists is None:
            stacks = (self._parameters, self._gradient, *self.moments.values())
            lists = kernels.AdamLists(
                *([tensor[start:stop] for tensor in stack.tensors] for stack in stacks)
            )
            self._lists[start, stop] = lists
        return lists

    def _update(self) -> None:
        holder = self._holder.fill_(self.step)
        for lists, numbers in self._groups:
            kernels.adam_update_many_(lists, self.step, holder, *numbers)


STACKED_SOLVERS: dict[str, type[StackedSolver]] = {"sgd": StackedSGD, "adam": StackedAdam}
