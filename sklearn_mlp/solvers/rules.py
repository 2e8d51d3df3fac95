"""How each solver changes a parameter, in tensors that broadcast.

The other form of `sklearn_mlp.solvers.base` and `sklearn_mlp.solvers.elementwise`, whose numbers
are the host's and whose steps are fused. Here all that changes from step to step, or differs from
network to network, is a tensor: a scalar on the device for an epoch that CUDA repeats, a number
for each of k networks that are trained as one. The numbers are the same.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, final

import torch
from torch import Tensor

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.machine.devices import exact_dtype_of

# torch's defaults.
RMSPROP_DECAY, RMSPROP_EPSILON = 0.99, 1e-8
ADAGRAD_EPSILON = 1e-10
NADAM_MOMENTUM_DECAY = 0.004

# A number that all networks share, or one for each, shaped so that it broadcasts.
Number = float | Tensor
Shape = Callable[[Tensor], Tensor]


class Rule(ABC):
    """Changes parameters by their gradients, step by step.

    Parameters
    ----------
    configs : sequence of TrainingConfig
        Of one network, or of each of k.
    like : Tensor
        Has the device of the parameters.
    steps_taken : int
        Steps before the first of this rule's.

    Attributes
    ----------
    moment_names : tuple of str
        What a solver remembers for each parameter.
    shrinks : bool
        Whether weights decay apart from the penalty, by `shrink_`.
    is_repeatable : bool
        Whether a CUDA graph can repeat its steps: the host has no part in them.
    """

    moment_names: ClassVar[tuple[str, ...]]
    shrinks: ClassVar[bool] = False
    is_repeatable: ClassVar[bool] = False

    def __init__(
        self, configs: Sequence[TrainingConfig], like: Tensor, steps_taken: int = 0
    ) -> None:
        # float64: in float32 1 - beta_2**count would lose half its digits while count is small.
        self._exact = exact_dtype_of(like)
        self._device = like.device
        self._configs = configs
        self._steps_taken = steps_taken

    def number(self, name: str) -> Number:
        """Return a parameter of the estimator's: a number, or (k,) where the networks differ."""
        values = [float(getattr(config, name)) for config in self._configs]
        if len(set(values)) == 1:
            return values[0]
        return torch.tensor(values, dtype=self._exact, device=self._device)

    @abstractmethod
    def begin_step(self, rate: Tensor, count: Tensor) -> None:
        """Prepare the step of a number, from 1: a scalar; rates are a scalar, or (k,)."""

    def shrink_(self, weight: Tensor, shape: Shape) -> None:
        """Let a weight decay, where `shrinks` says so."""
        raise NotImplementedError(f"{type(self).__name__} leaves weights to the penalty")

    @abstractmethod
    def change_(
        self, value: Tensor, gradient: Tensor, moments: Sequence[Tensor], shape: Shape
    ) -> None:
        """Change a parameter in place; its gradient may be used up.

        Parameters
        ----------
        value, gradient : Tensor
            Parameters of any shape, those of k networks with these as the first dimension.
        moments : sequence of Tensor
            Those that the rule names, of the same shape.
        shape : callable
            Makes a number per network broadcast with ``value``, in its type.
        """


@final
class SGDRule(Rule):
    """As `sklearn_mlp.solvers.base.SGD`."""

    moment_names = ("velocity",)
    is_repeatable = True

    def __init__(
        self, configs: Sequence[TrainingConfig], like: Tensor, steps_taken: int = 0
    ) -> None:
        super().__init__(configs, like, steps_taken)
        self._momentum = self.number("momentum")

    def begin_step(self, rate: Tensor, count: Tensor) -> None:
        """Take note of the learning rates."""
        self._rate = rate

    def change_(
        self, value: Tensor, gradient: Tensor, moments: Sequence[Tensor], shape: Shape
    ) -> None:
        """Add the velocity, or what is ahead of it."""
        (velocity,) = moments
        momentum = _shaped(self._momentum, shape)
        gradient.mul_(shape(self._rate))
        velocity.mul_(momentum).sub_(gradient)
        if self._configs[0].nesterovs_momentum:
            value.add_(velocity * momentum).sub_(gradient)
        else:
            value.add_(velocity)


class AdamLikeRule(Rule):
    """Keeps the means of the gradient and of its square."""

    moment_names = ("first", "second")

    def __init__(
        self, configs: Sequence[TrainingConfig], like: Tensor, steps_taken: int = 0
    ) -> None:
        super().__init__(configs, like, steps_taken)
        self.beta_1, self.beta_2 = self.number("beta_1"), self.number("beta_2")
        self.epsilon = self.number("epsilon")

    @final
    def take_in(
        self, gradient: Tensor, moments: Sequence[Tensor], shape: Shape
    ) -> tuple[Tensor, Tensor]:
        """Return the moments, with a gradient taken in."""
        first, second = moments
        first.lerp_(gradient, _shaped(1 - self.beta_1, shape))
        second.lerp_(gradient * gradient, _shaped(1 - self.beta_2, shape))
        return first, second


@final
class AdamRule(AdamLikeRule):
    """As `sklearn_mlp.solvers.base.Adam`."""

    is_repeatable = True

    def begin_step(self, rate: Tensor, count: Tensor) -> None:
        """Compute the step size, bias correction included."""
        correction = (1 - self.beta_2**count).sqrt() / (1 - self.beta_1**count)
        self._step_size = correction * rate

    def change_(
        self, value: Tensor, gradient: Tensor, moments: Sequence[Tensor], shape: Shape
    ) -> None:
        """Go along the first moment over the root of the second."""
        first, second = self.take_in(gradient, moments, shape)
        root = second.sqrt().add_(_shaped(self.epsilon, shape))
        torch.div(first, root, out=gradient)
        value.sub_(gradient.mul_(shape(self._step_size)))


@final
class AdamWRule(AdamLikeRule):
    """As `sklearn_mlp.solvers.elementwise.AdamW`."""

    shrinks = True
    is_repeatable = True

    def __init__(
        self, configs: Sequence[TrainingConfig], like: Tensor, steps_taken: int = 0
    ) -> None:
        super().__init__(configs, like, steps_taken)
        self._alpha = self.number("alpha")

    def begin_step(self, rate: Tensor, count: Tensor) -> None:
        """Compute the corrections, and what is left of a weight."""
        self._rest = 1 - rate * self._alpha
        self._correction = (1 - self.beta_2**count).sqrt()
        self._step_size = rate / (1 - self.beta_1**count)

    def shrink_(self, weight: Tensor, shape: Shape) -> None:
        """Let a weight decay."""
        weight.mul_(shape(self._rest))

    def change_(
        self, value: Tensor, gradient: Tensor, moments: Sequence[Tensor], shape: Shape
    ) -> None:
        """Go along the first moment over the root of the second, both corrected."""
        first, second = self.take_in(gradient, moments, shape)
        root = second.sqrt().div_(shape(self._correction)).add_(_shaped(self.epsilon, shape))
        value.sub_(torch.div(first, root, out=gradient).mul_(shape(self._step_size)))


@final
class NAdamRule(AdamLikeRule):
    """As `sklearn_mlp.solvers.elementwise.NAdam`."""

    def __init__(
        self, configs: Sequence[TrainingConfig], like: Tensor, steps_taken: int = 0
    ) -> None:
        super().__init__(configs, like, steps_taken)
        self._product: Number = 1.0
        for step in range(1, steps_taken + 1):
            self._product = self._product * self._momentum(step)

    def begin_step(self, rate: Tensor, count: Tensor) -> None:
        """Compute how far to go along the gradient and along the first moment."""
        self._steps_taken += 1
        momentum, coming = self._momentum(self._steps_taken), self._momentum(self._steps_taken + 1)
        self._product = self._product * momentum
        self._second_correction = 1 - self.beta_2**count
        self._along = rate * (1 - momentum) / (1 - self._product)
        self._ahead = rate * coming / (1 - self._product * coming)

    def change_(
        self, value: Tensor, gradient: Tensor, moments: Sequence[Tensor], shape: Shape
    ) -> None:
        """Go along both."""
        first, second = self.take_in(gradient, moments, shape)
        root = (second / shape(self._second_correction)).sqrt_()
        root.add_(_shaped(self.epsilon, shape))
        step = gradient.mul_(shape(self._along)).addcmul_(first, shape(self._ahead))
        value.sub_(step.div_(root))

    def _momentum(self, step: int) -> Number:
        """Return the momentum at a step, which grows to ``beta_1``."""
        return self.beta_1 * (1 - 0.5 * 0.96 ** (step * NADAM_MOMENTUM_DECAY))


@final
class RAdamRule(AdamLikeRule):
    """As `sklearn_mlp.solvers.elementwise.RAdam`."""

    def begin_step(self, rate: Tensor, count: Tensor) -> None:
        """Compute the step size, and by what it is rectified; 0 where it is not yet."""
        beta_2 = torch.as_tensor(self.beta_2, dtype=self._exact, device=self._device)
        longest, correction = 2 / (1 - beta_2) - 1, 1 - beta_2**count
        length = longest - 2 * count * beta_2**count / correction
        rectified = (length - 4) * (length - 2) * longest * correction
        rectified /= (longest - 4) * (longest - 2) * length
        is_long = length > 5
        step_size = rate / (1 - self.beta_1**count)
        self._plain = torch.where(is_long, 0.0, step_size)
        self._rectified = torch.where(is_long, step_size * rectified.sqrt(), 0.0)

    def change_(
        self, value: Tensor, gradient: Tensor, moments: Sequence[Tensor], shape: Shape
    ) -> None:
        """Go along the first moment, rectified by the second once that is of some length."""
        first, second = self.take_in(gradient, moments, shape)
        root = second.sqrt().add_(_shaped(self.epsilon, shape))
        factor = root.reciprocal_().mul_(shape(self._rectified)).add_(shape(self._plain))
        value.sub_(factor.mul_(first))


class ScaledGradientRule(Rule):
    """As `sklearn_mlp.solvers.elementwise.ScaledGradient`."""

    moment_names = ("square",)
    is_repeatable = True

    @final
    def begin_step(self, rate: Tensor, count: Tensor) -> None:
        """Take note of the learning rates."""
        self._rate = rate

    @final
    def change_(
        self, value: Tensor, gradient: Tensor, moments: Sequence[Tensor], shape: Shape
    ) -> None:
        """Go along the gradient, divided."""
        root = self._root(gradient, moments[0])
        value.sub_(gradient.div_(root).mul_(shape(self._rate)))

    @abstractmethod
    def _root(self, gradient: Tensor, square: Tensor) -> Tensor:
        """Take the gradient's square in; return what to divide by."""


@final
class RMSpropRule(ScaledGradientRule):
    """As `sklearn_mlp.solvers.elementwise.RMSprop`."""

    def _root(self, gradient: Tensor, square: Tensor) -> Tensor:
        square.mul_(RMSPROP_DECAY).addcmul_(gradient, gradient, value=1 - RMSPROP_DECAY)
        return square.sqrt().add_(RMSPROP_EPSILON)


@final
class AdagradRule(ScaledGradientRule):
    """As `sklearn_mlp.solvers.elementwise.Adagrad`."""

    def _root(self, gradient: Tensor, square: Tensor) -> Tensor:
        return square.addcmul_(gradient, gradient).sqrt().add_(ADAGRAD_EPSILON)


def _shaped(number: Number, shape: Shape) -> Number:
    """Return a number, or one per network so that it broadcasts."""
    return shape(number) if isinstance(number, Tensor) else number


RULES: dict[str, type[Rule]] = {
    "sgd": SGDRule,
    "adam": AdamRule,
    "adamw": AdamWRule,
    "nadam": NAdamRule,
    "radam": RAdamRule,
    "rmsprop": RMSpropRule,
    "adagrad": AdagradRule,
}
