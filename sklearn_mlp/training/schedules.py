"""Learning-rate schedules: the rate of every step, and what an epoch's end changes.

A schedule's clock counts epochs since the last `fit` began; every `partial_fit` is one. A planned
schedule ends after ``max_iter`` of them and stays at its last rate from then on.
"""

import math
from collections.abc import Mapping
from numbers import Integral
from typing import Any

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.contract.state import TrainingState

# Below this, scikit-learn's adaptive schedule stops instead of dividing once more.
_SMALLEST_ADAPTIVE_RATE = 1e-6

# torch's OneCycleLR: where it starts, as a part of its peak, and ends, as a part of its start.
_ONE_CYCLE_START, _ONE_CYCLE_END = 1 / 25, 1e-4
_ONE_CYCLE_RISE = 0.3


class Schedule:
    """A constant learning rate, with a warm-up if one is asked for; the others derive from it.

    Parameters
    ----------
    config : TrainingConfig
        The settings.
    state : TrainingState
        Its ``learning_rate`` is what steps are scheduled from; an epoch's end may change it.

    Attributes
    ----------
    warmup : float
        Epochs that the rate rises in, linearly, one step at a time, to what it would be.
    is_planned : bool
        Whether each step has its own rate. If not, all have the one of the state, which others
        may change, too.
    """

    is_planned = False

    def __init__(self, config: TrainingConfig, state: TrainingState) -> None:
        self.config = config
        self.state = state
        self.warmup = warmup_epochs(config.warmup, config.max_iter)
        if self.warmup:
            self.is_planned = True
        if not config.incremental:
            state.epochs_scheduled = 0
        # A partial_fit goes on with the rate it has reached, unless the user has set a new one.
        is_changed = state.learning_rate_init != config.learning_rate_init
        if not config.incremental or state.optimizer is None or is_changed:
            state.learning_rate = state.learning_rate_init = config.learning_rate_init
        self._last_rate = state.learning_rate

    def rates(self, n_steps: int) -> list[float]:
        """Return the learning rate of each step of the coming epoch."""
        if not self.is_planned:
            return [self.state.learning_rate] * n_steps
        begun = self.state.epochs_scheduled
        rates = [self._rate(begun + step / n_steps, 1 / n_steps) for step in range(n_steps)]
        self._last_rate = rates[-1]
        return rates

    @property
    def last_rate(self) -> float:
        """The rate of the last step taken."""
        return self._last_rate if self.is_planned else self.state.learning_rate

    def epoch_ended(self) -> None:
        """Take note of an epoch's end, which may change the rate."""
        self.state.epochs_scheduled += 1

    def progress_stalled(self) -> tuple[bool, str]:
        """Answer a lack of progress: whether to stop, and what scikit-learn says of it."""
        return True, "Stopping."

    def _rate(self, time: float, step: float) -> float:
        """Return the rate of a step that begins at a time and takes so long, both in epochs."""
        rate = self._planned(max(0.0, time - self.warmup), self.state.learning_rate)
        # The first step has a rate already, and the last one of the warm-up the whole.
        return rate * min(1.0, (time + step) / self.warmup) if self.warmup else rate

    def _planned(self, time: float, rate: float) -> float:
        """Return what is planned for a time, in epochs since the warm-up, at a rate to vary."""
        return rate

    @property
    def _horizon(self) -> float:
        """The epochs that a plan covers, those of the warm-up left out."""
        return max(1e-9, self.config.max_iter - self.warmup)


class InverseScaling(Schedule):
    """scikit-learn's: after an epoch ``learning_rate_init / (samples + 1) ** power_t``."""

    def epoch_ended(self) -> None:
        """Divide by a power of the samples seen so far."""
        super().epoch_ended()
        samples, config = self.state.samples_seen, self.config
        try:
            divisor = float(samples + 1) ** config.power_t
        except OverflowError:
            divisor = math.inf
        self.state.learning_rate = config.learning_rate_init / divisor


class Adaptive(Schedule):
    """scikit-learn's: divided by 5 where training would have stopped for lack of progress."""

    def progress_stalled(self) -> tuple[bool, str]:
        """Divide by 5, or stop if the rate is small already."""
        if self.state.learning_rate <= _SMALLEST_ADAPTIVE_RATE:
            return True, "Learning rate too small. Stopping."
        self.state.learning_rate /= 5.0
        return False, f"Setting learning rate to {self.state.learning_rate:f}"


class Plateau(Schedule):
    """Multiplied by ``lr_decay`` after more than ``lr_patience`` epochs without improvement.

    `torch.optim.lr_scheduler.ReduceLROnPlateau`, of what training watches anyway: the loss, or the
    validation score with early stopping, which have to improve by ``tol``.
    """

    def epoch_ended(self) -> None:
        """Lower the rate at every so many epochs without improvement."""
        super().epoch_ended()
        state, config = self.state, self.config
        stalled = state.no_improvement_count
        if stalled and stalled % (config.lr_patience + 1) == 0:
            state.learning_rate = max(state.learning_rate * _decay(config), config.lr_min)


class Step(Schedule):
    """Multiplied by ``lr_decay`` every ``lr_step_size`` epochs, as `StepLR` of torch's."""

    is_planned = True

    def _planned(self, time: float, rate: float) -> float:
        times = math.floor(time / self.config.lr_step_size)
        return max(rate * _decay(self.config) ** times, self.config.lr_min)


class Exponential(Schedule):
    """Multiplied by ``lr_decay`` every epoch, as `ExponentialLR` of torch's."""

    is_planned = True

    def _planned(self, time: float, rate: float) -> float:
        return max(rate * _decay(self.config) ** math.floor(time), self.config.lr_min)


class Cosine(Schedule):
    """Half a cosine from the rate down to ``lr_min``, step by step, over ``max_iter`` epochs.

    Loshchilov and Hutter (2017), equation 5, without restarts; `CosineAnnealingLR` of torch's.
    """

    is_planned = True

    def _planned(self, time: float, rate: float) -> float:
        return _cosine(rate, self.config.lr_min, time / self._horizon)


class OneCycle(Schedule):
    """Up to the rate and down to nearly nothing along cosines, step by step.

    Smith and Topin (2019), as torch's `OneCycleLR`: from 1/25 of the rate up to it, then down to
    1/10000 of where it began. The warm-up is the rise, 3/10 of ``max_iter`` if none is asked for.
    """

    is_planned = True

    def _rate(self, time: float, step: float) -> float:
        peak, n_epochs = self.state.learning_rate, self.config.max_iter
        rise = self.warmup or _ONE_CYCLE_RISE * n_epochs
        # torch counts steps from 0: both the peak and the end come one step early.
        top, end = max(0.0, rise - step), max(step, n_epochs - step)
        start = peak * _ONE_CYCLE_START
        if time < top:
            return _cosine(start, peak, time / top)
        lowest = max(start * _ONE_CYCLE_END, self.config.lr_min)
        return _cosine(peak, lowest, (time - top) / (end - top) if end > top else 1.0)


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Schedule,
    "invscaling": InverseScaling,
    "adaptive": Adaptive,
    "plateau": Plateau,
    "step": Step,
    "exponential": Exponential,
    "cosine": Cosine,
    "one_cycle": OneCycle,
}

# scikit-learn's own do nothing with its adam, and so not here.
_NOT_FOR_ADAM = ("invscaling", "adaptive")

# What lr_decay=None stands for.
_DEFAULT_DECAY = {"exponential": 0.95, "step": 0.1, "plateau": 0.1}


def make_schedule(config: TrainingConfig, state: TrainingState) -> Schedule:
    """Return the schedule that ``config`` names, going on in a `partial_fit`."""
    name = config.learning_rate
    if config.solver == "adam" and name in _NOT_FOR_ADAM:
        name = "constant"
    return SCHEDULES[name](config, state)


def warmup_epochs(warmup: Any, max_iter: int) -> float:
    """Turn the parameter ``warmup``, epochs or as a float their share, into epochs."""
    return float(warmup) if isinstance(warmup, Integral) else float(warmup) * max_iter


def check_schedule(parameters: Mapping[str, Any]) -> None:
    """Check that an estimator's parameters make a schedule together.

    Raises
    ------
    ValueError
        If the warm-up takes longer than training may, if ``plateau`` would never act, or if the
        lowest rate is above the first.
    """
    name, warmup, max_iter, lr_min, lr_patience, n_iter_no_change, rate = (
        parameters[key]
        for key in (
            "learning_rate",
            "warmup",
            "max_iter",
            "lr_min",
            "lr_patience",
            "n_iter_no_change",
            "learning_rate_init",
        )
    )
    if warmup_epochs(warmup, max_iter) > max_iter:
        raise ValueError(
            f"warmup={warmup} epochs are more than max_iter={max_iter} allows; lower warmup, or "
            "raise max_iter."
        )
    if name == "plateau" and lr_patience >= n_iter_no_change:
        raise ValueError(
            f"learning_rate='plateau' with lr_patience={lr_patience} never lowers the rate, "
            f"because n_iter_no_change={n_iter_no_change} stops training first; set lr_patience "
            "below n_iter_no_change."
        )
    if lr_min > rate:
        raise ValueError(
            f"lr_min={lr_min} is above learning_rate_init={rate}, from which the rate is lowered; "
            "set lr_min below learning_rate_init."
        )


def _decay(config: TrainingConfig) -> float:
    """Return the factor of a schedule that has one."""
    decay = config.lr_decay
    return _DEFAULT_DECAY[config.learning_rate] if decay is None else decay


def _cosine(start: float, end: float, progress: float) -> float:
    """Return the value between two on half a cosine, of which a part from 0 to 1 lies behind."""
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
