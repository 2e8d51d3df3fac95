"""The first-order solvers for k networks at once, each with its own numbers."""

from collections.abc import Sequence
from itertools import groupby
from typing import final

import torch
from torch import Tensor

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.machine import kernels
from sklearn_mlp.machine.devices import exact_dtype_of
from sklearn_mlp.network.stacked_parameters import StackedParameters
from sklearn_mlp.solvers.rules import RULES, Shape
from sklearn_mlp.solvers.stacked_averaging import StackedAverage
from sklearn_mlp.solvers.wrappers import shortening


class StackedSolver:
    """Updates the parameters of k networks from their gradients, by the rule of one solver.

    The numbers are those of `sklearn_mlp.solvers.base`, network by network.

    Parameters
    ----------
    parameters, gradient : StackedParameters
        The parameters, changed in place, and where their gradients are found.
    configs : sequence of TrainingConfig
        One per network.
    average : StackedAverage or None
        Takes the weights after each step in, if it is one of steps.
    """

    def __init__(
        self,
        parameters: StackedParameters,
        gradient: StackedParameters,
        configs: Sequence[TrainingConfig],
        average: StackedAverage | None = None,
    ) -> None:
        self._average = average if average is not None and average.is_stepwise else None
        self._kind = RULES[configs[0].solver]
        self.moments = {name: parameters.zeros_like() for name in self._kind.moment_names}
        self.steps_taken = 0
        self._bind(parameters, gradient, configs)

    def _bind(
        self,
        parameters: StackedParameters,
        gradient: StackedParameters,
        configs: Sequence[TrainingConfig],
    ) -> None:
        self.parameters = parameters
        self._gradient = gradient
        self._configs = configs
        self._rates: tuple[float, ...] = ()
        self._longest = configs[0].gradient_clip
        self._rule = self._kind(configs, parameters.values, self.steps_taken)
        moments = zip(*(moment.tensors for moment in self.moments.values()), strict=True)
        shapes = [_shape_like(value) for value in parameters.tensors]
        self._parts = list(zip(parameters.tensors, gradient.tensors, moments, shapes, strict=True))

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

    @final
    def update(self, rates: tuple[float, ...], penalties: Tensor | None) -> None:
        """Take one step at a learning rate per network.

        Parameters
        ----------
        rates : tuple of float
            One per network.
        penalties : Tensor of shape (k, 1, 1) or None
            What the weights are multiplied by and added to their gradients.
        """
        self.steps_taken += 1
        self._prepare_gradient(penalties)
        if rates != self._rates:
            self._rates = rates
            self._set_rates(rates)
        self._take_step()
        if self._average is not None:
            self._average.step_taken()

    @property
    def can_be_captured(self) -> bool:
        """Whether a captured epoch can repeat the steps: the host has no part in them."""
        return self._kind.is_repeatable and self._average is None

    @final
    def update_captured(self, rates: Tensor, penalties: Tensor | None, count: Tensor) -> None:
        """Take the same step from tensors on the device, so that a CUDA graph can repeat it.

        ``rates`` are of shape (k,) and ``count`` is the number of this step; bringing
        ``steps_taken`` up to date is left to the caller.
        """
        self._prepare_gradient(penalties)
        self._apply_rule(rates, count)

    def _prepare_gradient(self, penalties: Tensor | None) -> None:
        """Shorten it where it is too long, and add the penalties' part."""
        if self._longest is not None:
            self._gradient.scale_(shortening(self._gradient.norms(), self._longest))
        if penalties is not None:
            weights, gradients = self.parameters.weights, self._gradient.weights
            for weight, gradient in zip(weights, gradients, strict=True):
                gradient.addcmul_(weight, penalties)

    def _set_rates(self, rates: tuple[float, ...]) -> None:
        """Prepare steps at other rates than the last."""
        values = self.parameters.values
        self._rate = values.new_tensor(rates, dtype=exact_dtype_of(values))
        self._count = self._rate.new_zeros(())

    def _take_step(self) -> None:
        """Take one step at the rates that were set."""
        self._apply_rule(self._rate, self._count.fill_(self.steps_taken))

    def _apply_rule(self, rates: Tensor, count: Tensor) -> None:
        """Change the parameters, in the step of a number."""
        rule = self._rule
        rule.begin_step(rates.to(count.dtype), count)
        if rule.shrinks:
            for weight in self.parameters.weights:
                rule.shrink_(weight, _shape_like(weight))
        for part in self._parts:
            rule.change_(*part)


def _shape_like(value: Tensor) -> Shape:
    """Return what makes a number per network broadcast with parameters of k networks."""
    shape, dtype = (-1,) + (1,) * (value.ndim - 1), value.dtype

    def shaped(numbers: Tensor) -> Tensor:
        """Return numbers, (k,) or a scalar for all, as a factor."""
        return numbers.to(dtype).view(shape) if numbers.ndim else numbers.to(dtype)

    return shaped


@final
class FusedAdam(StackedSolver):
    """Adam by torch's fused kernel; see `sklearn_mlp.solvers.base.Adam`.

    Neighbours with the same numbers are updated by one call.
    """

    def _bind(
        self,
        parameters: StackedParameters,
        gradient: StackedParameters,
        configs: Sequence[TrainingConfig],
    ) -> None:
        super()._bind(parameters, gradient, configs)
        self._holder = torch.zeros((), dtype=torch.float32, device=parameters.values.device)
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
            stacks = (self.parameters, self._gradient, *self.moments.values())
            lists = kernels.AdamLists(
                *([tensor[start:stop] for tensor in stack.tensors] for stack in stacks)
            )
            self._lists[start, stop] = lists
        return lists

    def _take_step(self) -> None:
        holder = self._holder.fill_(self.steps_taken)
        for lists, numbers in self._groups:
            kernels.adam_update_many_(lists, self.steps_taken, holder, *numbers)


def make_stacked_solver(
    parameters: StackedParameters,
    gradient: StackedParameters,
    configs: Sequence[TrainingConfig],
    average: StackedAverage | None = None,
) -> StackedSolver:
    """Return the solver of networks whose parameter ``solver`` is the same."""
    kind = FusedAdam if configs[0].solver == "adam" else StackedSolver
    return kind(parameters, gradient, configs, average)
