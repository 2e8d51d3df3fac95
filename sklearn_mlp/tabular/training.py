"""How a group of k networks is trained, each on its fold, and when it was best.

`train_group` from top to bottom: plan the steps, make the networks, step through the epochs, and
at the ends of the learning rate's cycles (and between them) judge all k by the rows that each
has not seen; the weights of all at the best of these moments are kept.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.machine.kernels import inference_mode
from sklearn_mlp.machine.subnormals import subnormals_are_zero
from sklearn_mlp.machine.threads import shared_threads
from sklearn_mlp.tabular.best_moment import Judge
from sklearn_mlp.tabular.coded_rows import CodedRows, Part
from sklearn_mlp.tabular.folds import Folds
from sklearn_mlp.tabular.judging import Task
from sklearn_mlp.tabular.members import FrozenMembers, Members
from sklearn_mlp.tabular.plan import LEAST_CYCLES, Plan, Settings, dropout_at, rate_factor

# A cycle, from the third one on, that betters the networks by less than this share is the last;
# of more cycles than four the next would take as long as all before.
_FREE_CYCLES, _LEAST_GAIN, _LEAST_GAIN_OF_MORE = 2, 0.02, 0.08

# What keeps a group on one thread: its products are too small to be worth more.
_SMALL_WORK = 1_000_000.0


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
) -> TrainedGroup:
    """Train k networks on their folds, on one thread; the history tells the group's ``place``.

    An interrupt, or the end of the time, leaves the best networks so far.
    """
    with shared_threads(_SMALL_WORK), inference_mode():
        training = _Training(coded, part, task, folds, settings, seed, place)
        try:
            training.run(watch)
        except KeyboardInterrupt as interrupt:
            watch.interrupt = interrupt
            watch.is_ending.set()
        return training.finish()


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
        self.device = settings.device
        self.generator = torch.Generator().manual_seed(seed)
        self.mask_generator = self.generator
        if self.device.type != "cpu":
            self.mask_generator = torch.Generator(self.device).manual_seed(seed)
        units = [coded.n_columns(part), *settings.hidden_units, task.n_logits]
        k = len(folds.learned)
        self.members = Members(k, units, settings.dtype, self.generator, self.device)
        self.judge = Judge(coded, part, task, folds, settings)
        self.weights = self._relative_weights()
        self.targets = task.targets.to(self.device)
        self.step = 0
        self.began = time.monotonic()

    def run(self, watch: Watch) -> None:
        """Step, and judge when it is time."""
        judged_after = set(self.plan.judged_after)
        for inputs, targets, weights in self._batches():
            with subnormals_are_zero():
                self._take_step(inputs, targets, weights)
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

    def _take_step(self, inputs: Tensor, targets: Tensor, weights: Tensor | None) -> None:
        """Take one step of all k networks."""
        share = self.plan.share(self.step)
        masks = self._masks(share, inputs.shape[-1])
        logits = self.members.forward(inputs, masks)
        delta = self.task.loss.gradient(logits, targets, torch.empty_like(logits))
        if weights is None:
            delta.div_(inputs.shape[-1])
        else:
            delta.mul_(weights)
        self.members.backward(delta, masks)
        self.members.update(self._rate_at(share), self.settings.betas)
        self.step += 1

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

    def _masks(self, share: float, n_rows: int) -> list[Tensor] | None:
        """Draw what the hidden values are multiplied by, one mask a layer for all networks.

        One that holds all rows drops a unit for all of them: it does not depend on how many
        there are.
        """
        dropped = round(128 * dropout_at(self.settings.dropout, share))
        if not dropped:
            return None
        n_rows = 1 if self.plan.is_whole else n_rows
        sizes = [units * n_rows for units in self.settings.hidden_units]
        # Seven bits a number: eight numbers of one draw of 64 bits.
        drawn = torch.empty(-(-sum(sizes) // 8), dtype=torch.int64, device=self.device)
        drawn.random_(generator=self.mask_generator)
        kept = drawn.view(torch.uint8)[: sum(sizes)].bitwise_and_(127).ge(dropped)
        factors = kept.to(self.settings.dtype).div_(1 - dropped / 128)
        return [mask.view(-1, n_rows) for mask in factors.split(sizes)]

    def _relative_weights(self) -> Tensor | None:
        """Return what each row counts, of a mean of 1."""
        weights = self.task.weights
        return None if weights is None else (weights / weights[weights > 0].mean())

    def _batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Go through the batches of all steps: inputs, targets, weights over the batch's size."""
        return self._whole_batches() if self.plan.is_whole else self._drawn_batches()

    def _drawn_batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Draw batches, for each network from its own rows."""
        size, steps = self.plan.batch_size, self.plan.steps_an_epoch
        learned = [torch.from_numpy(rows) for rows in self.folds.learned]
        weights = None
        if self.weights is not None:
            weights = (self.weights.to(self.settings.dtype) / size).to(self.device)
        for step in range(self.plan.n_steps):
            place = step % steps
            if not place:
                orders = [self._order(rows, steps * size) for rows in learned]
                order = torch.stack(orders).to(self.device)
            rows = order[:, place * size : (place + 1) * size]
            inputs, targets = self._pick(rows)
            yield inputs, targets, None if weights is None else weights[rows].unsqueeze(1)

    def _pick(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and targets, each (k, ..., batch), of rows (k, batch)."""
        picked = self.coded.pick(rows.reshape(-1), self.part)
        inputs = picked.view(*rows.shape, -1).transpose(1, 2)
        return inputs, self.targets[:, rows].transpose(0, 1)

    def _order(self, rows: Tensor, n_rows: int) -> Tensor:
        """Return so many rows in random order, all of them before one comes again."""
        orders = [
            rows[torch.randperm(len(rows), generator=self.generator)]
            for _ in range(-(-n_rows // len(rows)))
        ]
        return torch.cat(orders)[:n_rows]

    def _whole_batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Return the same batch of all rows again and again; what a fold lacks counts nothing."""
        k, size = len(self.folds.learned), self.plan.batch_size
        rows, weights = torch.zeros(k, size, dtype=torch.int64), torch.zeros(k, 1, size)
        weights = weights.double()
        for member, learned in enumerate(map(torch.from_numpy, self.folds.learned)):
            rows[member, : len(learned)] = learned
            own = None if self.weights is None else self.weights[learned]
            weights[member, 0, : len(learned)] = 1 if own is None else own
        weights = (weights / weights.sum(-1, keepdim=True)).to(self.settings.dtype)
        weights = weights.to(self.device)
        inputs, targets = self._pick(rows.to(self.device))
        for _ in range(self.plan.n_steps):
            yield inputs, targets, weights
