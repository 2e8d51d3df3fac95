"""The first-order solvers: how a gradient changes the parameters."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.contract.state import OptimizerState
from sklearn_mlp.machine import kernels
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.solvers.rules import AdamRule, Rule, SGDRule

# From so many parameters on, a pass over the weights takes longer than a second call.
_LARGE = 30_000


class Solver(ABC):
    """Updates a parameter vector from a gradient vector of the same layout.

    The gradient is the loss's; the penalty's, a multiple of the weights, is added here, where the
    weights are read anyway.

    Parameters
    ----------
    parameters, gradient : ParameterVector
        The parameters, changed in place, and where their gradient is found.
    config : TrainingConfig
        The solver's own numbers.
    state : OptimizerState
        The solver's memory, changed in place.

    Attributes
    ----------
    moment_names : tuple of str
        What the memory consists of: vectors, 0 at first.
    captured_rule : type of Rule or None
        The same step in tensors, where a captured epoch can repeat it.
    """

    moment_names: ClassVar[tuple[str, ...]] = ()
    captured_rule: ClassVar[type[Rule] | None] = None

    def __init__(
        self,
        parameters: ParameterVector,
        gradient: ParameterVector,
        config: TrainingConfig,
        state: OptimizerState,
    ) -> None:
        self.parameters = parameters
        self.gradient = gradient
        self.config = config
        self.state = state

    @abstractmethod
    def update(self, learning_rate: float, penalty: float) -> None:
        """Take one step; ``penalty`` times a weight is added to its gradient."""

    @property
    def can_be_captured(self) -> bool:
        """Whether a captured epoch can repeat the steps: the host has no part in them."""
        return self.captured_rule is not None

    @property
    def steps_taken(self) -> int:
        """How many steps the memory is of."""
        return self.state.step

    @steps_taken.setter
    def steps_taken(self, value: int) -> None:
        self.state.step = value

    def update_captured(
        self, learning_rate: Tensor, penalty: Tensor | None, count: Tensor
    ) -> None:
        """Take the same step from scalars on the device, so that a CUDA graph can repeat it.

        ``count`` is the number of this step, in float64; the count in the state is the caller's
        to bring up to date. A solver whose steps the host has a part in leaves it as it is here.
        """
        if self.captured_rule is None:
            raise NotImplementedError(f"{type(self).__name__} cannot be captured")
        values, gradient, weights = (
            self.parameters.values,
            self.gradient,
            self.parameters.flat_weights,
        )
        rule = self.captured_rule([self.config], values)
        moments = [self.state.moments[name] for name in self.moment_names]

        def in_type(number: Tensor) -> Tensor:
            """Return a scalar in the type of the parameters."""
            return number.to(values.dtype)

        if penalty is not None:
            gradient.flat_weights.addcmul_(weights, penalty)
        rule.begin_step(learning_rate, count)
        if rule.shrinks:
            rule.shrink_(weights, in_type)
        rule.change_(values, gradient.values, moments, in_type)

    def remember(self) -> OptimizerState:
        """Return the memory, brought up to date; a fit ends with it."""
        return self.state

    def take_over(self, moments: Mapping[Any, Any]) -> None:
        """Go on from moments, which are copied."""
        for name, moment in moments.items():
            self.state.moments[name].copy_(moment)


@final
class SGD(Solver):
    """Gradient descent with (Nesterov's) momentum, in scikit-learn's form.

    ``velocity = momentum * velocity - learning_rate * gradient`` is added to the parameters; with
    Nesterov's momentum ``momentum * velocity - learning_rate * gradient`` of the new velocity is.
    """

    moment_names = ("velocity",)
    captured_rule = SGDRule

    def update(self, learning_rate: float, penalty: float) -> None:
        """Take one step; ``penalty`` times a weight is added to its gradient."""
        values, gradient = self.parameters.values, self.gradient.values
        velocity, momentum = self.state.moments["velocity"], self.config.momentum
        self.state.step += 1
        if penalty:
            self.gradient.flat_weights.add_(self.parameters.flat_weights, alpha=penalty)
        velocity.mul_(momentum).add_(gradient, alpha=-learning_rate)
        if self.config.nesterovs_momentum:
            values.add_(velocity, alpha=momentum).add_(gradient, alpha=-learning_rate)
        else:
            values.add_(velocity)


@final
class Adam(Solver):
    """Adam, Kingma and Ba (2014), with scikit-learn's place for epsilon."""

    moment_names = ("first", "second")
    captured_rule = AdamRule

    def __init__(
        self,
        parameters: ParameterVector,
        gradient: ParameterVector,
        config: TrainingConfig,
        state: OptimizerState,
    ) -> None:
        super().__init__(parameters, gradient, config, state)
        first = parameters.of_same_layout(state.moments["first"])
        second = parameters.of_same_layout(state.moments["second"])
        parts = (parameters, gradient, first, second)
        self._weights = kernels.AdamVectors(*(part.flat_weights for part in parts))
        self._biases = kernels.AdamVectors(*(part.flat_biases for part in parts))
        self._everything = kernels.AdamVectors(*(part.values for part in parts))
        self._is_large = len(parameters.values) > _LARGE
        self._step_holder = torch.zeros((), dtype=torch.float32, device=parameters.values.device)

    def update(self, learning_rate: float, penalty: float) -> None:
        """Take one step; ``penalty`` times a weight is added to its gradient."""
        config, state = self.config, self.state
        state.step += 1
        step, holder = state.step, self._step_holder.fill_(state.step)
        numbers = (learning_rate, config.beta_1, config.beta_2, config.epsilon)
        if penalty and self._is_large:
            kernels.adam_update_(self._weights, step, holder, *numbers, penalty)
            kernels.adam_update_(self._biases, step, holder, *numbers)
            return
        if penalty:
            self.gradient.flat_weights.add_(self.parameters.flat_weights, alpha=penalty)
        kernels.adam_update_(self._everything, step, holder, *numbers)
