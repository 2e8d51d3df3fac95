"""What a column is worth: how much worse predictions of rows not seen are without it."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from sklearn_mlp.machine.kernels import inference_mode
from sklearn_mlp.machine.threads import shared_threads
from sklearn_mlp.tabular.coded_rows import CodedRows, chunk_size
from sklearn_mlp.tabular.columns import Table
from sklearn_mlp.tabular.dates import DATE_PARTS
from sklearn_mlp.tabular.ensemble import Ensemble
from sklearn_mlp.tabular.judging import outputs_of


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
    scaled, others = (torch.from_numpy(part) for part in ensemble.code.base(table))
    yield None, score(_held_outputs(ensemble, device, scaled, others, held))
    for place in range(table.n_columns):
        in_scaled, in_others = columns_of_code(ensemble, place)
        for _ in range(n_repeats):
            order = torch.from_numpy(random_state.permutation(table.n_rows))
            changed, changed_others = scaled.clone(), others.clone()
            changed[:, in_scaled] = scaled[order][:, in_scaled]
            changed_others[:, in_others] = others[order][:, in_others]
            yield place, score(_held_outputs(ensemble, device, changed, changed_others, held))


def columns_of_code(ensemble: Ensemble, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which scaled numbers, and which of the other codes, come from a column."""
    code = ensemble.code
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
    ensemble: Ensemble,
    device: torch.device,
    scaled: torch.Tensor,
    others: torch.Tensor,
    held: list[list[np.ndarray]],
) -> np.ndarray:
    """Return outputs of rows by networks that have not seen them, (n_rows, n_outputs)."""
    dtype = ensemble.groups[0].members.dtype
    coded = CodedRows(ensemble.code, device, scaled.to(dtype), others.to(dtype))
    mixture, found, step = ensemble.mixture, [], chunk_size(device)
    with shared_threads(1e6), inference_mode():
        for group, folds, temperature in zip(
            ensemble.groups, held, mixture.temperatures, strict=True
        ):
            n_logits = group.members.weights[-1].shape[1]
            logits = torch.zeros(n_logits, len(scaled), dtype=dtype)
            n_seen = torch.zeros(len(scaled), dtype=dtype)
            for member, rows in enumerate(folds):
                for start in range(0, len(rows), step):
                    chunk = torch.from_numpy(rows[start : start + step].astype(np.int64))
                    picked = coded.pick(chunk, group.part)
                    logits[:, chunk] += group.members.logits(picked, member)[0].cpu()
                    n_seen[chunk] += 1
            found.append(outputs_of(ensemble.loss, logits / n_seen, temperature))
        mixed = mixture.mix(ensemble.loss, found, mixture.temperature_of_two)
    return mixed.t().numpy()
