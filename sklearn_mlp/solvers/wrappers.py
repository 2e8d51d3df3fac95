"""Changes to the gradient before a solver's step, or to the weights after it."""

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor

from sklearn_mlp.contract.state import OptimizerState
from sklearn_mlp.solvers.averaging import WeightAverage
from sklearn_mlp.solvers.base import Solver


class WrappedSolver(Solver):
    """Takes another solver's steps, with something `before` and `after` each.

    Parameters
    ----------
    solver : Solver
        Takes the steps.
    """

    def __init__(self, solver: Solver) -> None:
        super().__init__(solver.parameters, solver.gradient, solver.config, solver.state)
        self._solver = solver

    @property
    def can_be_captured(self) -> bool:
        """Whether the solver that takes the steps can be."""
        return self._solver.can_be_captured

    def before(self) -> None:
        """Do something about the gradient."""

    def after(self) -> None:
        """Do something about the weights."""

    @final
    def update(self, learning_rate: float, penalty: float) -> None:
        """Take one step; ``penalty`` times a weight is added to its gradient."""
        self.before()
        self._solver.update(learning_rate, penalty)
        self.after()

    @final
    def update_captured(
        self, learning_rate: Tensor, penalty: Tensor | None, count: Tensor
    ) -> None:
        """Take the same step from scalars on the device."""
        self.before()
        self._solver.update_captured(learning_rate, penalty, count)
        self.after()

    @final
    def remember(self) -> OptimizerState:
        """Return the memory, brought up to date."""
        return self._solver.remember()

    @final
    def take_over(self, moments: Mapping[Any, Any]) -> None:
        """Go on from moments, which are copied."""
        self._solver.take_over(moments)


@final
class ClippedSolver(WrappedSolver):
    """Shortens a gradient that is too long.

    The length is that of the loss's gradient, over all parameters; the penalty's is added after.

    Parameters
    ----------
    solver : Solver
        Takes the steps.
    longest : float
        The length that a longer gradient is scaled to.
    """

    def __init__(self, solver: Solver, longest: float) -> None:
        super().__init__(solver)
        self._longest = longest

    def before(self) -> None:
        """Scale the gradient, as `torch.nn.utils.clip_grad_norm_` does."""
        gradient = self.gradient.values
        gradient.mul_(shortening(torch.linalg.vector_norm(gradient), self._longest))


def shortening(length: Tensor, longest: float | Tensor) -> Tensor:
    """Return what a gradient of some length is multiplied by, so that it is not too long."""
    # The host must not wait for the length, so a short gradient is multiplied by 1.
    return (longest / (length + 1e-6)).clamp_(max=1.0)


@final
class AveragedSolver(WrappedSolver):
    """Takes the weights after each step into an average.

    Parameters
    ----------
    solver : Solver
        Takes the steps.
    average : WeightAverage
        Of steps.
    """

    def __init__(self, solver: Solver, average: WeightAverage) -> None:
        super().__init__(solver)
        self._average = average

    def after(self) -> None:
        """Average the weights."""
        self._average.step_taken()
