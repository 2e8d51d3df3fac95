"""One network, trained by several processes, each on its part of every batch."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import final

from torch import Tensor, nn

from sklearn_mlp.contract.fit import PreparedFit
from sklearn_mlp.contract.observers import Observer
from sklearn_mlp.machine.interrupts import interrupts_held
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.ranks.group import Group
from sklearn_mlp.solvers.averaging import make_average
from sklearn_mlp.solvers.choice import make_solver
from sklearn_mlp.training.loop import EpochLoss, Run, take_steps
from sklearn_mlp.training.monitor import EpochMonitor
from sklearn_mlp.training.own_batches import OwnBatches
from sklearn_mlp.training.rank_batches import PartialBatches, RankBatches
from sklearn_mlp.training.rank_steps import RankStep, sum_over
from sklearn_mlp.training.validator import Validator


@contextmanager
def joined_ranks(
    network: nn.Module, parameters: ParameterVector, group: Group
) -> Iterator[Callable[[], bool]]:
    """Train as one of several processes in the body; all begin, and end, with the same numbers.

    They would anyway on machines of one kind; others may round differently.

    Yields
    ------
    is_interrupted : callable
        Tells, once, whether the user has interrupted this process.
    """
    group.broadcast_(parameters.memory)
    try:
        with interrupts_held() as is_interrupted:
            yield is_interrupted
            group.broadcast_(parameters.memory)
    finally:
        if isinstance(network, MLP):
            network.masks.columns = None


@final
class RankRun(Run):
    """One network and, of several processes that train it, this one's part.

    Parameters
    ----------
    fit : PreparedFit
        What a backend gets.
    step : RankStep
        Computes its gradients.
    parameters, gradient : ParameterVector
        Its parameters, and where the step leaves their gradients.
    is_interrupted : callable
        Whether the user has interrupted this process.
    """

    def __init__(
        self,
        fit: PreparedFit,
        step: RankStep,
        parameters: ParameterVector,
        gradient: ParameterVector,
        is_interrupted: Callable[[], bool],
    ) -> None:
        network, data, config = fit.network, fit.data, fit.config
        group = config.group
        assert group is not None
        average = make_average(parameters.memory, config, fit.state)
        self._step = step
        self._solver = make_solver(parameters, gradient, config, fit.state, average)
        self.batches: PartialBatches = (RankBatches if data.numbers is None else OwnBatches)(
            data,
            batch_size=config.batch_size,
            shuffle=config.shuffle,
            group=group,
            masks=network.masks if isinstance(network, MLP) else None,
        )
        self._make_loss = partial(
            RankEpochLoss, parameters, step, self.batches, config.penalty, group
        )
        self.epoch_loss: RankEpochLoss = self._make_loss()
        fit, validate = agreeing(fit, is_interrupted)
        self.monitors = [EpochMonitor(fit, parameters.memory, validate, average)]

    def take_epoch(self, rates: Sequence[Sequence[float]]) -> None:
        """Take the steps of one epoch.

        Raises
        ------
        KeyboardInterrupt
            In all processes, if one of them was interrupted.
        """
        if isinstance(self.batches, OwnBatches):
            # Of each epoch's batches we have parts of other sizes.
            self.epoch_loss = self._make_loss()
        take_steps(self._step, self._solver, self.batches, self.epoch_loss, rates[0])
        if self._step.was_stopped():
            raise KeyboardInterrupt

    def evaluate(self) -> None:
        """Leave it to the monitor."""

    def drop(self, finished: Sequence[int]) -> None:
        """End the run."""
        for monitor in self.monitors:
            monitor.restore_best()
        self.monitors = []
        self._solver.remember()


@final
class RankEpochLoss(EpochLoss):
    """The loss of an epoch: all processes' parts added up, and the penalty once.

    Parameters
    ----------
    parameters, batches
        As `EpochLoss` takes them.
    step : RankStep
        With the loss, and the number of outputs.
    alpha : float
        The penalty.
    group : Group
        The processes.
    """

    def __init__(
        self,
        parameters: ParameterVector,
        step: RankStep,
        batches: PartialBatches,
        alpha: float,
        group: Group,
    ) -> None:
        super().__init__(parameters, step.n_outputs, batches, [alpha], [step.loss])
        self._counted_sizes = batches.whole_sizes
        self._group = group

    def _totals(self) -> Tensor:
        """Return the sum of the losses of all processes' samples."""
        return self._group.sum_(super()._totals())


def agreeing(
    fit: PreparedFit, is_interrupted: Callable[[], bool]
) -> tuple[PreparedFit, Callable[[], tuple[float, float]] | None]:
    """Return a fit and a validator by which all processes come to the same decisions.

    Returns
    -------
    fit : PreparedFit
        With one observer, which asks those there were.
    validate : callable or None
        Returns loss and score on the validation set, if there is one.
    """
    config, validation = fit.config, fit.data.validation
    group = config.group
    assert group is not None
    fit = fit.observed_by(_AgreedObserver(config.observers, group, is_interrupted))
    if validation is None:
        return fit, None
    return fit, _AgreedValidator(Validator(fit.network, validation, config.loss), group)


@final
class _AgreedObserver:
    """Asks this process's observers, and the other processes, whether training is to end.

    A process may have its own reasons: its clock, a callback, an interrupt. Each ends it for all.
    """

    def __init__(
        self, observers: Sequence[Observer], group: Group, is_interrupted: Callable[[], bool]
    ) -> None:
        self._observers = observers
        self._group = group
        self._is_interrupted = is_interrupted

    def epoch_ended(self, *, is_last: bool) -> bool:
        """Take note of the end of an epoch; return whether any process is to stop.

        Raises
        ------
        KeyboardInterrupt
            In all processes, if one of them was interrupted.
        """
        try:
            for observer in self._observers:
                is_last = observer.epoch_ended(is_last=is_last) or is_last
            is_stopping = self._is_interrupted()
        except KeyboardInterrupt:
            is_stopping = True
        n_ending, n_stopping = sum_over(self._group, [float(is_last), float(is_stopping)])
        if n_stopping:
            raise KeyboardInterrupt
        return n_ending > 0


@final
class _AgreedValidator:
    """Returns the first process's loss and score; the others' may be rounded differently."""

    def __init__(self, validate: Callable[[], tuple[float, float]], group: Group) -> None:
        self._validate = validate
        self._group = group

    def __call__(self) -> tuple[float, float]:
        """Return loss and score.

        Raises
        ------
        KeyboardInterrupt
            In all processes, if a scorer was interrupted in one of them.
        """
        found, is_stopping = (math.nan, math.nan), False
        try:
            found = self._validate()
        except KeyboardInterrupt:
            is_stopping = True
        told = found if self._group.is_first else (0.0, 0.0)
        loss, score, n_stopping = sum_over(self._group, [*told, float(is_stopping)])
        if n_stopping:
            raise KeyboardInterrupt
        return loss, score
