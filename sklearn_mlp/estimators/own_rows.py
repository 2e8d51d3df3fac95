"""What a fit of several processes, each with rows of its own, has to know of all of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from sklearn_mlp.arrays.stored import StoredArray
from sklearn_mlp.data.kinds import is_read_anew
from sklearn_mlp.data.row_numbers import RowNumbers
from sklearn_mlp.data.samples import Samples
from sklearn_mlp.estimators.validation_set import split_rows
from sklearn_mlp.ranks.group import Group


def number_rows(group: Group, X: Any) -> RowNumbers:
    """Return where our rows are among those of all processes.

    A process's rows are one piece, or as many as there are blocks that they are read in.
    """
    pieces: Sequence[tuple[Any, int]] = group.pieces or [((group.rank, 0), X.shape[0])]
    buffer_rows = None
    if is_read_anew(X):
        assert group.pieces is None
        sizes, buffer_rows = np.diff(X.source.bounds).tolist(), X.source.buffer_rows
        pieces = [((group.rank, block), size) for block, size in enumerate(sizes)]
    assert sum(length for _, length in pieces) == X.shape[0]
    told = group.gather((list(pieces), buffer_rows))
    # All have the same features, of one type: a buffer holds as many rows for each.
    buffers = [theirs for _, theirs in told if theirs is not None]
    return RowNumbers.of(group.rank, [own for own, _ in told], buffers[0] if buffers else None)


def weighed_together(group: Group, samples: Samples, which: str) -> Samples:
    """Return our samples with weights if any process's have some.

    Raises
    ------
    ValueError
        In each process, if there are weights, and all are 0.
    """
    weights = samples.sample_weight
    told = group.gather((weights is not None, weights is None or bool(weights.any())))
    if not any(has_weights for has_weights, _ in told):
        return samples
    if not any(is_some for _, is_some in told):
        raise ValueError(
            "Sample weights must contain at least one non-zero number among the samples of all "
            f"processes {which}, got only 0."
        )
    return (
        samples
        if weights is not None
        else replace(samples, sample_weight=np.ones(len(samples.targets)))
    )


def split_all_rows(
    group: Group,
    numbers: RowNumbers,
    samples: Samples,
    stratify: np.ndarray | None,
    fraction: float,
    random_state: np.random.RandomState,
) -> tuple[np.ndarray, Samples]:
    """Split the rows of all processes as one that has them all does.

    Returns
    -------
    rows : ndarray of shape (n_train,)
        The numbers, among all, of the rows to train on.
    held_out : Samples
        Those that are held out, of whichever process, in every one of them.
    """
    if stratify is not None:
        stratify = numbers.joined(group.gather(stratify))
    rows, held_out = split_rows(numbers.n_rows, fraction, stratify, random_state)
    places, own = numbers.find(held_out)
    parts = group.gather((places, _that_can_be_sent(samples.take(own))))
    order = np.argsort(np.concatenate([theirs for theirs, _ in parts]))
    return rows, _joined([part for _, part in parts]).take(order)


def _that_can_be_sent(samples: Samples) -> Samples:
    """Return samples that lie in the memory of this process."""
    X = samples.X
    if isinstance(X, StoredArray):
        X = X[:]
    elif isinstance(X, Tensor):
        X = X.cpu()
    return replace(samples, X=X)


def _joined(parts: list[Samples]) -> Samples:
    """Return the samples of all parts, one after the other."""
    # All have weights, or none.
    weights = [part.sample_weight for part in parts if part.sample_weight is not None]
    return Samples(
        _stacked([part.X for part in parts]),
        np.concatenate([part.y for part in parts]),
        np.concatenate([part.targets for part in parts]),
        np.concatenate(weights) if weights else None,
    )


def _stacked(arrays: list[Any]) -> Any:
    """Return arrays of one kind as one."""
    if isinstance(arrays[0], Tensor):
        return torch.cat(arrays)
    if scipy.sparse.issparse(arrays[0]):
        return scipy.sparse.vstack(arrays, format="csr")
    return np.concatenate(arrays)
