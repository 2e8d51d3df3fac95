"""Solvers of torch's that change every number by itself, on the whole vector in a few calls.

An optimizer object of torch's takes a dozen times longer per step than the arithmetic of a small
network's parameters. The numbers are the same, and torch's own defaults count where the estimator
has no parameter; `sklearn_mlp.solvers.torch_optim` serves those who want others.
"""

import math
from abc import abstractmethod
from typing import final

import torch
from torch import Tensor

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.contract.state import OptimizerState
from sklearn_mlp.machine import kernels
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.solvers.base import Solver
from sklearn_mlp.solvers.rules import (
    ADAGRAD_EPSILON,
    NADAM_MOMENTUM_DECAY,
    RMSPROP_DECAY,
    RMSPROP_EPSILON,
    AdagradRule,
    AdamWRule,
    RMSpropRule,
)


class ElementwiseSolver(Solver):
    """Counts the steps and adds the penalty's gradient; the others derive from it."""

    def update(self, learning_rate: float, penalty: float) -> None:
        """Take one step; ``penalty`` times a weight is added to its gradient."""
        self.state.step += 1
        if penalty:
            self.gradient.flat_weights.add_(self.parameters.flat_weights, alpha=penalty)
        self.descend(learning_rate, self.state.step)

    @abstractmethod
    def descend(self, learning_rate: float, step: int) -> None:
        """Take the step of that number, from 1."""

    def _moments(self) -> tuple[Tensor, ...]:
        """Return the gradient, and the moments with it taken in: Adam's two."""
        gradient, (first, second) = self.gradient.values, self.state.moments.values()
        first.lerp_(gradient, 1 - self.config.beta_1)
        second.mul_(self.config.beta_2).addcmul_(gradient, gradient, value=1 - self.config.beta_2)
        return gradient, first, second


@final
class AdamW(ElementwiseSolver):
    """Adam with a weight decay of its own, Loshchilov and Hutter (2019), as torch's `AdamW`."""

    moment_names = ("first", "second")
    captured_rule = AdamWRule

    def __init__(
        self,
        parameters: ParameterVector,
        gradient: ParameterVector,
        config: TrainingConfig,
        state: OptimizerState,
    ) -> None:
        super().__init__(parameters, gradient, config, state)
        moments = (state.moments["first"], state.moments["second"])
        self._vectors = kernels.AdamVectors(parameters.values, gradient.values, *moments)
        self._step_holder = torch.zeros((), dtype=torch.float32, device=parameters.values.device)

    def descend(self, learning_rate: float, step: int) -> None:
        """Shrink the weights, then take Adam's step."""
        config, holder = self.config, self._step_holder.fill_(step)
        self.parameters.flat_weights.mul_(1 - learning_rate * config.alpha)
        # Where scikit-learn's Adam adds epsilon, it is this one's times the correction.
        epsilon = config.epsilon * math.sqrt(1 - config.beta_2**step)
        numbers = (learning_rate, config.beta_1, config.beta_2, epsilon)
        kernels.adam_update_(self._vectors, step, holder, *numbers)


@final
class NAdam(ElementwiseSolver):
    """Adam with Nesterov's momentum, Dozat (2016), as torch's `NAdam`.

    It cannot be captured: the product of the momenta is kept on the host.
    """

    moment_names = ("first", "second")

    def __init__(
        self,
        parameters: ParameterVector,
        gradient: ParameterVector,
        config: TrainingConfig,
        state: OptimizerState,
    ) -> None:
        super().__init__(parameters, gradient, config, state)
        self._product = 1.0
        for step in range(1, state.step + 1):
            self._product *= self._momentum(step)
            if self._product == 0:
                break

    def descend(self, learning_rate: float, step: int) -> None:
        """Go along the gradient and along the first moment."""
        momentum, coming = self._momentum(step), self._momentum(step + 1)
        self._product *= momentum
        gradient, first, second = self._moments()
        root = (second / (1 - self.config.beta_2**step)).sqrt_().add_(self.config.epsilon)
        along = -learning_rate * (1 - momentum) / (1 - self._product)
        ahead = -learning_rate * coming / (1 - self._product * coming)
        self.parameters.values.addcdiv_(gradient, root, value=along)
        self.parameters.values.addcdiv_(first, root, value=ahead)

    def _momentum(self, step: int) -> float:
        """Return the momentum at a step, which grows to ``beta_1``."""
        decay: float = 0.96 ** (step * NADAM_MOMENTUM_DECAY)
        return self.config.beta_1 * (1 - 0.5 * decay)


@final
class RAdam(ElementwiseSolver):
    """Adam that waits until its second moment is known, Liu et al. (2020), as torch's `RAdam`.

    It cannot be captured: what is done depends on the step.
    """

    moment_names = ("first", "second")

    def descend(self, learning_rate: float, step: int) -> None:
        """Go along the first moment, rectified by the second once that is of some length."""
        beta_1, beta_2 = self.config.beta_1, self.config.beta_2
        _, first, second = self._moments()
        longest, correction = 2 / (1 - beta_2) - 1, 1 - beta_2**step
        length = longest - 2 * step * beta_2**step / correction
        step_size = learning_rate / (1 - beta_1**step)
        if length <= 5:
            self.parameters.values.add_(first, alpha=-step_size)
            return
        rectified = (length - 4) * (length - 2) * longest
        step_size *= math.sqrt(rectified / ((longest - 4) * (longest - 2) * length) * correction)
        root = second.sqrt().add_(self.config.epsilon)
        self.parameters.values.addcdiv_(first, root, value=-step_size)


class ScaledGradient(ElementwiseSolver):
    """Divides the gradient by the root of a mean, or a sum, of its squares."""

    moment_names = ("square",)

    @abstractmethod
    def _root(self) -> Tensor:
        """Take the gradient's square in; return what to divide by."""

    @final
    def descend(self, learning_rate: float, step: int) -> None:
        """Go along the gradient, divided."""
        root = self._root()
        self.parameters.values.addcdiv_(self.gradient.values, root, value=-learning_rate)


@final
class RMSprop(ScaledGradient):
    """Tieleman and Hinton (2012), as torch's `RMSprop` without momentum."""

    captured_rule = RMSpropRule

    def _root(self) -> Tensor:
        gradient, square = self.gradient.values, self.state.moments["square"]
        square.mul_(RMSPROP_DECAY).addcmul_(gradient, gradient, value=1 - RMSPROP_DECAY)
        return square.sqrt().add_(RMSPROP_EPSILON)


@final
class Adagrad(ScaledGradient):
    """Duchi, Hazan and Singer (2011), as torch's `Adagrad`."""

    captured_rule = AdagradRule

    def _root(self) -> Tensor:
        gradient, square = self.gradient.values, self.state.moments["square"]
        return square.addcmul_(gradient, gradient).sqrt().add_(ADAGRAD_EPSILON)
