"""How a group of k networks is trained, each on its fold, and when it was best.

`train_group` from top to bottom: plan the steps, make the networks, step through the epochs, and
at the ends of the learning rate's cycles (and between them) judge all k by the rows that each
has not seen; the weights of all at the best of these moments are kept.
"""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.machine.kernels import inference_mode
from sklearn_mlp.machine.subnormals import subnormals_are_zero
from sklearn_mlp.machine.threads import shared_threads, single_blas
from sklearn_mlp.tabular.batches import Batches, Stretch
from sklearn_mlp.tabular.best_moment import Judge
from sklearn_mlp.tabular.coded_rows import CodedRows, Part
from sklearn_mlp.tabular.compiled_steps import CompiledSteps, are_here
from sklearn_mlp.tabular.folds import Folds
from sklearn_mlp.tabular.judging import Task
from sklearn_mlp.tabular.masks import Masks
from sklearn_mlp.tabular.members import FrozenMembers, Members
from sklearn_mlp.tabular.plan import LEAST_CYCLES, Plan, Settings, rate_factor
from sklearn_mlp.tabular.torch_steps import TorchSteps

# A cycle, from the third one on, that betters the networks by less than this share is the last;
# of more cycles than four the next would take as long as all before.
_FREE_CYCLES, _LEAST_GAIN, _LEAST_GAIN_OF_MORE = 2, 0.02, 0.08

# What keeps a group on one thread: its products are too small to be worth more.
_SMALL_WORK = 1_000_000.0

# Multiply-adds between two looks for an interrupt, about a tenth of a second, and bytes of masks
# that are drawn at a time.
_UNINTERRUPTED_WORK, _MASK_BYTES = 2_000_000_000, 4 << 20


@dataclass
class Watch:
    """What may end training early: a limit of time, or the user.

    Attributes
    ----------
    deadline : float or None
        When to stop, by `time.monotonic`.
    is_ending : threading.Event
        Set when all groups are to stop.
    interrupt : KeyboardInterrupt or None
        The user's, if it has come.
    report : callable or None
        Is given each row of the history, and what returns the group at its best so far; returns
        whether all training is to end.
    """

    deadline: float | None = None
    is_ending: threading.Event = field(default_factory=threading.Event)
    interrupt: KeyboardInterrupt | None = None
    report: Callable[[dict[str, float], Callable[[], "TrainedGroup"]], bool] | None = None

    def has_ended(self) -> bool:
        """Tell whether training is to stop."""
        is_late = self.deadline is not None and time.monotonic() > self.deadline
        return is_late or self.is_ending.is_set()


@dataclass(frozen=True)
class TrainedGroup:
    """What training a group leaves.

    Attributes
    ----------
    members : FrozenMembers
        The networks.
    part : Part
        Of the code, that they take.
    held : list of ndarray of int
        The rows that each was judged on.
    temperature : float
        What their logits are divided by.
    logits : Tensor of shape (n_logits, n_rows)
        Of each row, by networks that have not learned from it; NaN where there are none.
    history : list of dict
        A row for each time that they were judged.
    """

    members: FrozenMembers
    part: Part
    held: list[np.ndarray]
    temperature: float
    logits: Tensor
    history: list[dict[str, float]]


def train_group(
    coded: CodedRows,
    part: Part,
    task: Task,
    folds: Folds,
    settings: Settings,
    seed: int,
    watch: Watch,
    place: int = 0,
    workers: Executor | None = None,
) -> TrainedGroup:
    """Train k networks on their folds; the history tells the group's ``place``.

    All is done on the calling thread, but for compiled steps, which ``workers`` share.

    An interrupt, or the end of the time, leaves the best networks so far.

    Raises
    ------
    ValueError
        If training has diverged, so that even the best networks have no loss.
    """
    with shared_threads(_SMALL_WORK), single_blas(), inference_mode():
        training = _Training(coded, part, task, folds, settings, seed, place)
        try:
            training.run(watch, workers)
        except KeyboardInterrupt as interrupt:
            watch.interrupt = interrupt
            watch.is_ending.set()
        trained = training.finish()
        training.check_converged()
        return trained


class _Training:
    """A group being trained; see `train_group`."""

    def __init__(
        self,
        coded: CodedRows,
        part: Part,
        task: Task,
        folds: Folds,
        settings: Settings,
        seed: int,
        place: int,
    ) -> None:
        self.coded, self.part, self.task, self.folds = coded, part, task, folds
        self.place = place
        self.settings, self.plan = settings, Plan.of(coded.n_rows, folds, settings)
        generator = torch.Generator().manual_seed(seed)
        mask_generator = generator
        if settings.device.type != "cpu":
            mask_generator = torch.Generator(settings.device).manual_seed(seed)
        units = [coded.n_columns(part), *settings.hidden_units, task.n_logits]
        k, dtype, device = len(folds.learned), settings.dtype, settings.device
        is_apart = are_here(task.loss, units[0], device)
        self.members = Members(k, units, dtype, generator, device, is_apart=is_apart)
        self.judge = Judge(coded, part, task, folds, settings)
        self.batches = Batches(self.plan, folds, task.weights, dtype, generator)
        self.masks = Masks(settings, self.plan, mask_generator)
        self.steps = self._choose_steps()
        self.step = 0
        self.began = time.monotonic()

    def _choose_steps(self) -> CompiledSteps | TorchSteps:
        """Return what takes steps: compiled code where there is some."""
        betas = self.settings.betas
        known = self.members, self.coded, self.part, self.task, betas, self.masks
        if self.members.is_apart:
            return CompiledSteps(*known, self.plan.batch_size)
        return TorchSteps(*known)

    def run(self, watch: Watch, workers: Executor | None) -> None:
        """Step, and judge when it is time."""
        judged_after = set(self.plan.judged_after)
        for stretch in self.batches.stretches(self._most_steps()):
            with subnormals_are_zero():
                self._take(stretch, workers)
            if self.step in judged_after and self._judge_now(watch):
                return
            if watch.has_ended():
                return

    def finish(self) -> TrainedGroup:
        """Return the networks at their best."""
        if self.judge.best is None:
            # Ended before they were judged for the first time.
            self._judge_now(Watch())
        best = self.judge.best
        assert best is not None
        frozen = self.members.frozen(best.values)
        held = self.folds.held
        return TrainedGroup(
            frozen, self.part, held, best.temperature, best.logits, self.judge.history
        )

    def check_converged(self) -> None:
        """Check that the best networks have a loss."""
        loss = self.judge.best_loss
        if not math.isfinite(loss):
            raise ValueError(
                f"Training has diverged: the loss of held-out rows is {loss}. Lower "
                f"learning_rate_init={self.settings.learning_rate:g}, or leave it out."
            )

    def _take(self, stretch: Stretch, workers: Executor | None) -> None:
        """Take the steps of a stretch."""
        steps = range(self.step, self.step + stretch.n_steps)
        rates = [self._rate_at(self.plan.share(step)) for step in steps]
        self.steps.take(stretch, rates, workers)
        self.step += stretch.n_steps

    def _most_steps(self) -> int:
        """Return how many steps to take between two looks for an interrupt."""
        work = 3 * len(self.members.values) * self.plan.batch_size
        most = min(_UNINTERRUPTED_WORK // work, _MASK_BYTES // max(self.masks.bytes_a_step, 1))
        return max(1, most)

    def _rate_at(self, share: float) -> float:
        """Return the learning rate."""
        return self.settings.learning_rate * rate_factor(share, self.plan.n_cycles)

    def _judge_now(self, watch: Watch) -> bool:
        """Judge the networks; return whether training is to end."""
        row = self.judge.judge(self.members)
        row["group"] = self.place
        row["n_iter"] = self.step / self.plan.steps_an_epoch
        row["learning_rate"] = self._rate_at(self.plan.share(self.step - 1))
        row["seconds"] = time.monotonic() - self.began
        if watch.report is not None and watch.report(row, self.finish):
            watch.is_ending.set()
            return True
        if self.step not in self.plan.cycle_ends:
            return False
        gain = self.judge.end_cycle()
        least = _LEAST_GAIN if self.plan.n_cycles <= LEAST_CYCLES else _LEAST_GAIN_OF_MORE
        return self.plan.cycle_ends.index(self.step) >= _FREE_CYCLES and gain < least
