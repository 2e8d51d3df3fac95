"""The first-order solvers: how a gradient changes the parameters."""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from sklearn_mlp import kernels
from sklearn_mlp.config import TrainingConfig
from sklearn_mlp.state import OptimizerState, TrainingState


class Solver(ABC):
    """Updates a parameter vector from a gradient vector of the same layout.

    Parameters
    ----------
    values, gradient : Tensor of shape (n_parameters,)
        The parameters, changed in place, and where their gradient is found.
    config : TrainingConfig
        The solver's own numbers.
    state : OptimizerState
        The solver's memory, changed in place.
    """

    moment_names: tuple[str, ...]

    def __init__(
        self, values: Tensor, gradient: Tensor, config: TrainingConfig, state: OptimizerState
    ) -> None:
        self.values = values
        self.gradient = gradient
        self.config = config
        self.state = state

    @abstractmethod
    def update(self, learning_rate: float) -> None:
        """Take one step."""


@final
class SGD(Solver):
    """Gradient descent with (Nesterov's) momentum, in scikit-learn's form.

    ``velocity = momentum * velocity - learning_rate * gradient`` is added to the parameters; with
    Nesterov's momentum ``momentum * velocity - learning_rate * gradient`` of the new velocity is.
    """

    moment_names = ("velocity",)

    def update(self, learning_rate: float) -> None:
        """Take one step."""
        velocity, momentum = self.state.moments["velocity"], self.config.momentum
        self.state.step += 1
        velocity.mul_(momentum).add_(self.gradient, alpha=-learning_rate)
        if self.config.nesterovs_momentum:
            self.values.add_(velocity, alpha=momentum).add_(self.gradient, alpha=-learning_rate)
        else:
            self.values.add_(velocity)


@final
class Adam(Solver):
    """Adam, Kingma and Ba (2014), with scikit-learn's place for epsilon."""

    moment_names = ("first", "second")

    def __init__(
        self, values: Tensor, gradient: Tensor, config: TrainingConfig, state: OptimizerState
    ) -> None:
        super().__init__(values, gradient, config, state)
        self._step_holder = torch.zeros((), dtype=torch.float32, device=values.device)

    def update(self, learning_rate: float) -> None:
        """Take one step."""
        config, state = self.config, self.state
        state.step += 1
        kernels.adam_update_(
            self.values,
            self.gradient,
            state.moments["first"],
            state.moments["second"],
            state.step,
            self._step_holder,
            learning_rate=learning_rate,
            beta_1=config.beta_1,
            beta_2=config.beta_2,
            epsilon=config.epsilon,
        )


SOLVERS: dict[str, type[Solver]] = {"sgd": SGD, "adam": Adam}


def make_solver(
    values: Tensor, gradient: Tensor, config: TrainingConfig, state: TrainingState
) -> Solver:
    """Return the solver that ``config`` names, going on from its memory in a `partial_fit`."""
    solver = SOLVERS[config.solver]
    memory = state.optimizer
    if not config.incremental or memory is None or memory.solver != config.solver:
        moments = {name: torch.zeros_like(values) for name in solver.moment_names}
        state.optimizer = memory = OptimizerState(config.solver, moments)
    memory.to(values.device)
    return solver(values, gradient, config, memory)
