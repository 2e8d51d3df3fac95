"""Networks of folds that are to know nothing of one another, such as those of time.

Where a fold leaves rows out altogether, they may be of a later time than those that it holds out.
Whatever is settled for its rows is then settled without them: each network has a code, a scale of
the targets, steps, a best moment and a temperature of its own, and outputs of a fold are mixed by
what the folds up to it say.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from sklearn_mlp.tabular.coded_rows import CodedRows, Part
from sklearn_mlp.tabular.members import FrozenMembers
from sklearn_mlp.tabular.prepared_fit import Lesson, PreparedTable
from sklearn_mlp.tabular.training import TrainedGroup, Watch, train_group


def train_apart(prepared: PreparedTable, part: Part, place: int, watch: Watch) -> TrainedGroup:
    """Train the networks of a group one after the other, each by its own lesson.

    An interrupt, or the end of the time, leaves those that have begun; the first is always there.
    """
    settings, table = prepared.settings, prepared.given.table
    stacks = prepared.folds[place].stacks()
    trained: list[TrainedGroup] = []
    for member, (folds, lesson) in enumerate(zip(stacks, prepared.lessons, strict=False)):
        if trained and watch.has_ended():
            break
        own = replace(
            watch,
            deadline=_share_of_time(watch.deadline, len(stacks) - member),
            report=_telling(watch, member, trained, lesson),
        )
        coded = CodedRows.of(lesson.code, table, settings.dtype, settings.device, keep=True)
        seed = prepared.seeds[place] + member
        found = train_group(coded, part, lesson.task, folds, settings, seed, own, place)
        watch.interrupt = watch.interrupt or own.interrupt
        trained.append(translated(found, lesson, member))
    return joined(trained)


def _share_of_time(deadline: float | None, n_left: int) -> float | None:
    """Return when the next of so many networks is to be done."""
    if deadline is None:
        return None
    now = time.monotonic()
    return now + (deadline - now) / n_left


def _telling(
    watch: Watch, member: int, before: Sequence[TrainedGroup], lesson: Lesson
) -> Callable[[dict[str, float], Callable[[], TrainedGroup]], bool] | None:
    """Return what tells of one network as of the whole group so far."""
    tell = watch.report
    if tell is None:
        return None

    def report(row: dict[str, float], best: Callable[[], TrainedGroup]) -> bool:
        """Tell of one network, with what gives all so far at their best."""
        return tell(
            _row_of(row, member), lambda: joined([*before, translated(best(), lesson, member)])
        )

    return report


def _row_of(row: dict[str, float], member: int) -> dict[str, float]:
    """Return a row of the history with the network's own place."""
    return {f"loss_{member}" if name == "loss_0" else name: each for name, each in row.items()}


def translated(trained: TrainedGroup, lesson: Lesson, member: int) -> TrainedGroup:
    """Return a network whose logits are calibrated, and those of the first lesson's codec."""
    dtype = trained.members.dtype
    factor = torch.from_numpy(lesson.factor / trained.temperature).to(dtype)[:, None]
    shift = torch.from_numpy(lesson.shift).to(dtype)[:, None]
    weights, biases = list(trained.members.weights), list(trained.members.biases)
    weights[-1] = weights[-1] * factor.numpy()
    biases[-1] = biases[-1] * factor.numpy() + shift.numpy()
    return replace(
        trained,
        members=FrozenMembers(weights, biases),
        temperature=1.0,
        logits=trained.logits * factor + shift,
        history=[_row_of(row, member) for row in trained.history],
    )


def joined(trained: Sequence[TrainedGroup]) -> TrainedGroup:
    """Return networks that were trained apart as one group."""
    total = torch.zeros_like(trained[0].logits)
    n_seen = torch.zeros(total.shape[1], dtype=total.dtype)
    for each in trained:
        total[:, each.held[0]] += each.logits[:, each.held[0]]
        n_seen[each.held[0]] += 1
    return replace(
        trained[0],
        members=FrozenMembers.stacked([each.members for each in trained]),
        held=[each.held[0] for each in trained],
        logits=total / n_seen,
        history=[row for each in trained for row in each.history],
    )
