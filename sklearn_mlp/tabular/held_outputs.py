"""What groups of networks say of rows that they have not learned from, and what each counts."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.tabular.folds import rows_judged
from sklearn_mlp.tabular.judging import Mixture, Task, combine, outputs_of
from sklearn_mlp.tabular.prepared_fit import PreparedTable
from sklearn_mlp.tabular.training import TrainedGroup


def weigh_groups(task: Task, trained: Sequence[TrainedGroup], judged: np.ndarray) -> Mixture:
    """Weigh groups of networks by rows, (n_rows,) of bool, that are held out in all of them."""
    if task.weights is not None and (judged & (task.weights > 0).numpy()).any():
        judged = judged & (task.weights > 0).numpy()
    rows, held = torch.from_numpy(np.flatnonzero(judged)), np.concatenate(trained[0].held)
    return combine(
        task.of_rows(rows),
        [group.logits[:, rows] for group in trained],
        [group.temperature for group in trained],
        sum(group.members.k for group in trained) / len(trained),
        len(held) / len(np.unique(held)),
    )


def held_outputs(
    prepared: PreparedTable, trained: Sequence[TrainedGroup], mixture: Mixture
) -> np.ndarray:
    """Return outputs of rows by networks that have not seen them, (n_rows, n_outputs).

    Parameters
    ----------
    prepared : PreparedTable
        What was trained on.
    trained : sequence of TrainedGroup
        The groups.
    mixture : Mixture
        How these are mixed by what all rows say. Of folds that are to know nothing of one another
        each is mixed by what those up to it say.
    """
    if not prepared.is_apart:
        return _mixed(prepared.task, trained, mixture).t().numpy()
    n_rows, tasks = prepared.n_rows, [lesson.common for lesson in prepared.lessons]
    judged = rows_judged([group.held for group in trained], n_rows)
    outputs = torch.full_like(_mixed(prepared.task, trained, mixture), torch.nan)
    so_far = np.zeros(n_rows, dtype=bool)
    fewest = min(trained, key=lambda group: group.members.k)
    for task, held in zip(tasks, fewest.held, strict=False):
        so_far[held] = True
        own = np.zeros(n_rows, dtype=bool)
        own[held] = True
        rows = torch.from_numpy(np.flatnonzero(own & judged))
        mixture = weigh_groups(task, trained, so_far & judged)
        outputs[:, rows] = _mixed(task, [_of_rows(each, rows) for each in trained], mixture)
    return outputs.t().numpy()


def _of_rows(group: TrainedGroup, rows: Tensor) -> TrainedGroup:
    """Return a group's outputs of some rows."""
    return replace(group, logits=group.logits[:, rows])


def _mixed(task: Task, trained: Sequence[TrainedGroup], mixture: Mixture) -> Tensor:
    """Return the groups' outputs as one, (n_outputs, n_rows)."""
    settings = zip(trained, mixture.temperatures, strict=True)
    outputs = [outputs_of(task.loss, group.logits, used) for group, used in settings]
    return mixture.mix(task.loss, outputs, mixture.temperature_of_two)
