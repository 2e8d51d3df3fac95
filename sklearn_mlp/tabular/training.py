"""How a group of k networks is trained, each on its fold, and when it was best.

`train_group` from top to bottom: plan the steps, make the networks, step through the epochs, and
at the ends of the learning rate's cycles (and between them) judge all k by the rows that each
has not seen; the weights of all at the best of these moments are kept.
"""

import math
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
from sklearn_mlp.tabular.coded_rows import CodedRows, Part, chunk_size
from sklearn_mlp.tabular.folds import Folds
from sklearn_mlp.tabular.judging import Task, outputs_of
from sklearn_mlp.tabular.members import FrozenMembers, Members

# Passes over the rows, and up to how many rows there may be more by default: of more, steps are
# many anyway.
PASSES, ROWS_OF_LONG_RUNS = 30, 6000

# Cycles of the learning rate; there is one more only where each of its parts is a pass at least.
_LEAST_CYCLES = 4

# In a cycle of the learning rate networks are judged at most so often, at its end the last time.
_MOST_JUDGED = 4

# A cycle, from the third one on, that betters the networks by less than this share is the last.
_FREE_CYCLES, _LEAST_GAIN = 2, 0.02

# Up to so many rows one batch holds all of a network's, and there are so many steps an epoch.
WHOLE_ROWS = 200
_WHOLE_STEPS = 8

# Up to so many rows they are taken in float64, where a row's weight of 2 is the row twice but for
# a rounding that training does not make larger; of more rows it takes twice the time.
EXACT_ROWS = 100

# Else batches are such that an epoch has about so many steps, within these sizes.
_STEPS_AN_EPOCH = 32
_LEAST_BATCH, _MOST_BATCH, _MOST_BATCH_OF_MANY = 16, 128, 256
_MANY_ROWS = 50_000

# Rows that a network learns from in all; many rows are gone through less often.
_MOST_ROWS_LEARNED = 4_000_000

# What keeps a group on one thread: its products are too small to be worth more.
_SMALL_WORK = 1_000_000.0


@dataclass(frozen=True)
class Settings:
    """The parameters that training takes, resolved."""

    hidden_units: list[int]
    learning_rate: float
    dropout: float
    max_iter: int
    most_cycles: int
    batch_size: int | None
    dtype: torch.dtype
    device: torch.device


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
class Plan:
    """Steps, batches, and when networks are judged.

    Attributes
    ----------
    batch_size : int
        Rows of a batch of each network.
    n_steps : int
        All steps.
    steps_an_epoch : int
        After so many the rows come in a new order.
    n_cycles : int
        Of the learning rate.
    judged_after : list of int
        Numbers of steps.
    cycle_ends : list of int
        Those that end a cycle.
    is_whole : bool
        Whether a batch holds all rows of a network.
    """

    batch_size: int
    n_steps: int
    steps_an_epoch: int
    n_cycles: int
    judged_after: list[int]
    cycle_ends: list[int]
    is_whole: bool

    @classmethod
    def of(cls, n_rows: int, folds: Folds, settings: Settings) -> "Plan":
        """Plan for so many rows, of which the networks learn from those of their folds."""
        size = max(map(len, folds.learned))
        is_whole = n_rows <= WHOLE_ROWS and settings.batch_size is None
        if is_whole:
            batch, steps = size, _WHOLE_STEPS
        else:
            batch = min(settings.batch_size or _batch_size(size), size)
            steps = size // batch
        most = max(1, _MOST_ROWS_LEARNED // (steps * batch))
        n_epochs = settings.max_iter if is_whole else min(settings.max_iter, most)
        n_steps = steps * n_epochs
        is_long = n_epochs >= 2**settings.most_cycles - 1
        n_cycles = settings.most_cycles if is_long else _LEAST_CYCLES
        ends = [2 ** (cycle + 1) - 1 for cycle in range(n_cycles)]
        n_parts, parts = ends[-1], _parts_judged(n_cycles)
        parts = parts if n_epochs >= len(parts) else ends
        judged_after, cycle_ends = (
            sorted({max(1, round(part * n_steps / n_parts)) for part in chosen})
            for chosen in (parts, ends)
        )
        return cls(batch, n_steps, steps, n_cycles, judged_after, cycle_ends, is_whole)

    def share(self, step: int) -> float:
        """Return how much of training is done after so many steps."""
        return step / self.n_steps


def _batch_size(size: int) -> int:
    """Return a power of 2, by the rows that a network learns from."""
    most = _MOST_BATCH if size < _MANY_ROWS else _MOST_BATCH_OF_MANY
    wished = 2 ** round(math.log2(max(size / _STEPS_AN_EPOCH, 1)))
    return int(min(max(wished, _LEAST_BATCH), most))


def _parts_judged(n_cycles: int) -> list[int]:
    """Return when networks are judged, the first cycle being one part, the second two, ..."""
    parts: list[int] = []
    for length in (2**cycle for cycle in range(n_cycles)):
        stride = max(1, length // _MOST_JUDGED)
        parts += range(length - 1 + stride, 2 * length, stride)
    return parts


def rate_factor(share: float, n_cycles: int = 4) -> float:
    """Return the factor of the learning rate: cycles, each twice as long as the one before.

    It is 0 at 1, 3, 7 and 15 fifteenths of four cycles, RealMLP's schedule "coslog4".
    """
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + (2**n_cycles - 1) * share)))


def dropout_at(dropout: float, share: float) -> float:
    """Return the share that is dropped: constant for one half, then to 0 on half a cosine."""
    return dropout if share < 0.5 else dropout * 0.5 * (1 + math.cos(math.pi * (2 * share - 1)))


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
        self.judge = _Judge(coded, part, task, folds, settings)
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
        self.members.update(self._rate_at(share))
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
        return self.plan.cycle_ends.index(self.step) >= _FREE_CYCLES and gain < _LEAST_GAIN

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


@dataclass(frozen=True)
class _Best:
    """The networks when they were best, and what they said of rows they had not seen."""

    values: Tensor
    temperature: float
    logits: Tensor


class _Judge:
    """Judges networks by the rows that each has not seen, and keeps the best."""

    def __init__(
        self, coded: CodedRows, part: Part, task: Task, folds: Folds, settings: Settings
    ) -> None:
        self.coded, self.part, self.held = coded, part, folds.held
        self.history: list[dict[str, float]] = []
        self.best: _Best | None = None
        self._n_before = 0
        self._dtype = settings.dtype
        seen = np.zeros(coded.n_rows)
        for rows in folds.held:
            np.add.at(seen, rows, 1)
        self._n_seen = torch.from_numpy(seen)
        counted = self._n_seen > 0
        if task.weights is not None:
            counted &= task.weights > 0
        if not counted.any():
            counted = self._n_seen > 0
        self._counted = counted.nonzero()[:, 0]
        self._task = task
        self._task_of_counted = task.of_rows(self._counted)

    def judge(self, members: Members) -> dict[str, float]:
        """Judge networks, and keep a copy of them if they are the best so far."""
        frozen = members.frozen()
        total = torch.zeros(members.units[-1], self.coded.n_rows, dtype=self._dtype)
        losses = {}
        for member, held in enumerate(self.held):
            logits = self._logits(frozen, member, held)
            total[:, held] += logits
            if len(held):
                losses[f"loss_{member}"] = self._task.of_rows(torch.from_numpy(held)).loss_of(
                    logits
                )
        logits = total / self._n_seen.to(self._dtype)
        task, counted = self._task_of_counted, logits[:, self._counted]
        temperature = task.temperature_of(counted)
        row = {
            "loss": task.loss_of(counted / temperature),
            "error": task.error_of(counted),
            "temperature": temperature,
            **losses,
        }
        score = task.score_of(outputs_of(task.loss, counted, temperature))
        if score is not None:
            row["score"] = score
        self.history.append(row)
        if self.best is None or self._is_best():
            self.best = _Best(members.values.clone(), temperature, logits)
            self._place_of_best = len(self.history) - 1
        return row

    def end_cycle(self) -> float:
        """Return by what share this cycle has bettered loss and error, in the mean of both.

        Squares fall twice as fast as what they are squares of, and so does the loss of a
        regression: half of its fall is taken alone.
        """
        before, since = self.history[: self._n_before], self.history[self._n_before :]
        self._n_before = len(self.history)
        if not before:
            return 1.0

        def fall(name: str, offset: float) -> float:
            least, now = (min(row[name] for row in rows) + offset for rows in (before, since))
            return (least - now) / max(abs(least), 1e-12)

        return (fall("loss", 0.0) + fall("error", 0.01)) / 2

    def _is_best(self) -> bool:
        """Tell whether the last row of the history is no worse than the best one.

        Loss and error both count, each beside its lowest so far; or what ``scoring`` says.
        """
        last, best = self.history[-1], self.history[self._place_of_best]
        if "score" in last:
            # No score, where a scorer has none, is no better than any.
            return last["score"] >= best["score"] or math.isnan(best["score"])
        if self._task.scorer == "loss":
            return last["loss"] <= best["loss"]
        least_loss = min(row["loss"] for row in self.history)
        least_error = min(row["error"] for row in self.history)

        def score(row: dict[str, float]) -> float:
            error = (row["error"] + 0.01) / (least_error + 0.01)
            return row["loss"] / max(least_loss, 1e-12) + error

        return score(last) <= score(best)

    def _logits(self, frozen: FrozenMembers, member: int, rows: np.ndarray) -> Tensor:
        """Return one network's logits of rows, (n_logits, n_rows)."""
        parts = [torch.empty(frozen.weights[-1].shape[1], 0, dtype=self._dtype)]
        step = chunk_size(self.coded.device)
        for start in range(0, len(rows), step):
            chunk = torch.from_numpy(rows[start : start + step])
            parts.append(frozen.logits(self.coded.pick(chunk, self.part), member)[0].cpu())
        return torch.cat(parts, dim=1)
