"""Data sets and loaders of torch's: rows in any order, in blocks, or as they are iterated over."""

from collections.abc import Iterable, Iterator
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    default_collate,
)

from sklearn_mlp.sources.base import Part, RowSource

# How many items of a data set that comes without a loader are collated at a time.
_BATCH_SIZE = 1024


def torch_source(X: Any) -> RowSource:
    """Return what reads a data set, or a loader.

    Raises
    ------
    ValueError
        If a loader picks rows in a way of its own.
    """
    loader = X if isinstance(X, DataLoader) else DataLoader(X, _BATCH_SIZE)
    if isinstance(loader.dataset, IterableDataset):
        return TorchStream(loader)
    _check_samplers(loader)
    return TorchItems(loader) if loader.batch_size is not None else TorchBlocks(loader)


def _check_samplers(loader: Any) -> None:
    """Check that a loader goes through all rows, in whichever order."""
    sampler, batches = loader.sampler, loader.batch_sampler
    is_all = type(sampler) is SequentialSampler or (
        type(sampler) is RandomSampler
        and not sampler.replacement
        and sampler.num_samples == len(loader.dataset)
    )
    if is_all and type(batches) in (BatchSampler, type(None)):
        return
    name = type(batches if is_all else sampler).__name__
    raise ValueError(
        "X must be a DataLoader that goes through all rows once, in order or shuffled (fit has an "
        f"order of its own, by random_state), got one with a {name}. Pass a Subset for some of "
        "the rows, and weights as the third item of a row."
    )


class _Loaded(RowSource):
    """What a loader reads.

    Parameters
    ----------
    loader : DataLoader
        The user's, of which nothing is changed.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    @property
    def n_blocks(self) -> int:
        """One: all of it."""
        return 1

    def describe(self, block: int) -> str:
        """Return what an error calls it."""
        return type(self._loader.dataset).__name__

    def _load(self, **changed: Any) -> Iterator[Part]:
        """Go through what a loader like the user's gives."""
        loader = self._loader
        names = ("collate_fn", "num_workers", "timeout", "worker_init_fn", "prefetch_factor")
        like = {name: getattr(loader, name) for name in names}
        like["multiprocessing_context"] = loader.multiprocessing_context
        # The generator is its own: neither torch's global one nor the user's is drawn from.
        like["generator"] = torch.Generator("cpu")
        return map(self._as_part, DataLoader(loader.dataset, **{**like, **changed}))

    def _as_part(self, batch: Any) -> Part:
        """Return a batch as a part: samples, targets, weights."""
        if isinstance(batch, Tensor | np.ndarray):
            return (batch,)
        if isinstance(batch, tuple | list) and 1 <= len(batch) <= 3:
            return tuple(batch)
        raise TypeError(
            f"X must give (X, y) or (X, y, sample_weight) for an item, but {self.describe(0)} "
            f"gave a {type(batch).__name__}."
        )


@final
class TorchStream(_Loaded):
    """An `IterableDataset`, from its beginning to its end."""

    def read(self, block: int) -> Iterator[Part]:
        """Go through the loader's batches."""
        return self._load(batch_size=self._loader.batch_size, drop_last=self._loader.drop_last)


@final
class TorchBlocks(_Loaded):
    """A data set whose items are blocks of rows: the loader's ``batch_size`` is None."""

    @property
    def n_blocks(self) -> int:
        """How many items there are."""
        return len(self._loader.dataset)

    def read(self, block: int) -> Iterator[Part]:
        """Read an item."""
        return self._load(batch_size=None, sampler=[block])

    def describe(self, block: int) -> str:
        """Return what an error calls an item."""
        return f"item {block} of {type(self._loader.dataset).__name__}"


@final
class TorchItems(_Loaded):
    """A data set with an item per row, which can be read in any order."""

    has_random_access = True

    def read(self, block: int) -> Iterator[Part]:
        """Go through all rows."""
        return self.read_rows(np.arange(len(self._loader.dataset)))

    def read_rows(self, rows: np.ndarray) -> Iterator[Part]:
        """Read some rows, in any order."""
        dataset: Dataset[Any] = self._loader.dataset
        if isinstance(dataset, TensorDataset) and self._loader.collate_fn is default_collate:
            return iter(self._cut(dataset, rows))
        return self._load(batch_size=max(self._loader.batch_size, _BATCH_SIZE), sampler=rows)

    def _cut(self, dataset: TensorDataset, rows: np.ndarray) -> Iterable[Part]:
        """Cut rows out of tensors."""
        for start in range(0, len(rows), 1 << 16):
            places = torch.from_numpy(rows[start : start + (1 << 16)])
            yield self._as_part(tuple(tensor[places] for tensor in dataset.tensors))
