"""What a column is worth: how much worse predictions of rows not seen are without it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from sklearn_mlp.machine.kernels import inference_mode
from sklearn_mlp.machine.threads import shared_threads
from sklearn_mlp.tabular.coded_rows import CodedRows, chunk_size
from sklearn_mlp.tabular.codes import TableCode
from sklearn_mlp.tabular.dates import DATE_PARTS
from sklearn_mlp.tabular.ensemble import Ensemble
from sklearn_mlp.tabular.judging import outputs_of
from sklearn_mlp.tabular.tables import Table


def permuted_scores(
    ensemble: Ensemble,
    device: torch.device,
    table: Table,
    held: list[list[np.ndarray]],
    score: Callable[[np.ndarray], float],
    n_repeats: int,
    random_state: np.random.RandomState,
) -> Iterator[tuple[int | None, float]]:
    """Score rows by networks that have not seen them, with one column after the other permuted.

    Parameters
    ----------
    ensemble : Ensemble
        The fitted networks.
    device : torch.device
        Where they predict.
    table : Table
        The rows of training.
    held : list of list of ndarray of int
        The rows that each network of each group has not seen.
    score : callable
        Of outputs, (n_rows, n_outputs), NaN where there are none.
    n_repeats : int
        Permutations of each column.
    random_state : RandomState
        Draws them.

    Yields
    ------
    column : int or None
        Which column is permuted; first None, for none.
    score : float
        The score.
    """
    dtype = ensemble.groups[0].members.dtype
    coded = [
        CodedRows.of(code, table, dtype, device, keep=False)
        for code in ensemble.codes or [ensemble.code]
    ]
    yield None, score(_held_outputs(ensemble, coded, held))
    for place in range(table.n_columns):
        for _ in range(n_repeats):
            order = torch.from_numpy(random_state.permutation(table.n_rows))
            changed = [_permuted(rows, place, order) for rows in coded]
            yield place, score(_held_outputs(ensemble, changed, held))


def _permuted(coded: CodedRows, place: int, order: torch.Tensor) -> CodedRows:
    """Return rows that have one of the table's columns in another order."""
    in_scaled, in_others = columns_of_code(coded.code, place)
    scaled, others = coded.scaled.clone(), coded.others.clone()
    scaled[:, in_scaled] = coded.scaled[order][:, in_scaled]
    others[:, in_others] = coded.others[order][:, in_others]
    return replace(coded, scaled=scaled, others=others)


def columns_of_code(code: TableCode, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which scaled numbers, and which of the other codes, come from a column."""
    source = np.concatenate(
        [
            np.full({"numbers": 1, "dates": len(DATE_PARTS)}.get(kind, 0), column)
            for column, kind in enumerate(code.kinds)
        ]
    )
    levels = [np.full(each.n_columns, column) for column, each in code.levels.items()]
    others = np.concatenate([source[code.scale.has_missing], *levels])
    return np.flatnonzero(source[code.scale.kept] == place), np.flatnonzero(others == place)


def _held_outputs(
    ensemble: Ensemble, coded: list[CodedRows], held: list[list[np.ndarray]]
) -> np.ndarray:
    """Return outputs of rows by networks that have not seen them, (n_rows, n_outputs)."""
    mixture, found = ensemble.mixture, []
    n_rows, dtype = coded[0].n_rows, coded[0].scaled.dtype
    step = chunk_size(coded[0].device)
    with shared_threads(1e6), inference_mode():
        for group, folds, temperature in zip(
            ensemble.groups, held, mixture.temperatures, strict=True
        ):
            n_logits = group.members.weights[-1].shape[1]
            logits = torch.zeros(n_logits, n_rows, dtype=dtype)
            n_seen = torch.zeros(n_rows, dtype=dtype)
            for member, rows in enumerate(folds):
                own = coded[member if ensemble.codes else 0]
                for start in range(0, len(rows), step):
                    chunk = torch.from_numpy(rows[start : start + step].astype(np.int64))
                    picked = own.pick(chunk, group.part)
                    logits[:, chunk] += group.members.logits(picked, member)[0].cpu()
                    n_seen[chunk] += 1
            found.append(outputs_of(ensemble.loss, logits / n_seen, temperature))
        mixed = mixture.mix(ensemble.loss, found, mixture.temperature_of_two)
    return mixed.t().numpy()
