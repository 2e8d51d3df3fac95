"""What one of several processes, each with rows of its own, has of each batch."""

from collections.abc import Iterator
from dataclasses import replace
from typing import final

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.data.batches import Batch
from sklearn_mlp.data.filled import FilledGather
from sklearn_mlp.data.rows import Gather, GatherByBatch
from sklearn_mlp.data.samples import TrainingData
from sklearn_mlp.data.stored_rows import StoredRows
from sklearn_mlp.network.dropout import MaskSource
from sklearn_mlp.ranks.group import Group
from sklearn_mlp.training.rank_batches import PartialBatches

# A step's memory is kept by the number of its samples: of a share of a batch, one in so many is
# the step from one such number to the next.
_STEPS_OF_SIZE = 16


@final
class OwnBatches(PartialBatches):
    """The rows of each batch that are this process's; all draw the order of all rows.

    How many of a batch's rows are ours differs from batch to batch, and from epoch to epoch. Each
    is filled up, by our first row with a share of 0, to one of a few sizes.

    Parameters
    ----------
    data : TrainingData
        Ours, with the numbers that its rows have among all.
    batch_size, shuffle, group, masks
        As `RankBatches` takes them.

    Attributes
    ----------
    sizes : list of int
        How many samples of each batch of the present epoch are ours, filled up.
    """

    def __init__(
        self,
        data: TrainingData,
        *,
        batch_size: int,
        shuffle: bool,
        group: Group,
        masks: MaskSource | None,
    ) -> None:
        assert data.numbers is not None
        own_weights = data.sample_weight
        # The weights of a batch are known to all processes together.
        super().__init__(
            replace(data, sample_weight=None),
            batch_size=batch_size,
            shuffle=shuffle,
            masks=masks,
        )
        self._group, self._numbers = group, data.numbers
        self._own_targets, self._own_weights = data.targets, own_weights
        self._is_weighted = own_weights is not None
        self._sums = self._unweighted_sums
        self._granule = max(1, batch_size // (_STEPS_OF_SIZE * group.size))
        self._gather: Gather = GatherByBatch(data.inputs, is_moved=True)
        self._filling: FilledGather | None = None
        if isinstance(data.inputs, StoredRows):
            self._gather = self._filling = FilledGather(data.inputs, batch_size)
        self._dtype, self._device = data.inputs.dtype, data.targets.device
        # Until an epoch begins.
        self.sizes = [1] * len(self.whole_sizes)

    @property
    def weight_sums(self) -> list[float]:
        """The sum of weights of each batch of the present epoch; its size without weights."""
        return self._sums

    @property
    def is_weighted(self) -> bool:
        """Whether the samples have weights."""
        return self._is_weighted

    def begin_epoch(self) -> None:
        """Draw the order of all rows, as all processes do, and find ours in it."""
        places, own = self._numbers.find(self._draw_rows())
        starts = np.searchsorted(places, self.bounds)
        counts = np.diff(starts)
        sizes = np.maximum(1, -(-counts // self._granule)) * self._granule
        ends = np.cumsum(sizes)
        # Where among what is filled up each of our rows goes.
        batches = np.repeat(np.arange(len(counts)), counts)
        slots = np.arange(len(own)) + (ends - sizes - starts[:-1])[batches]
        self.rows = np.zeros(ends[-1], dtype=own.dtype)
        self.rows[slots] = own
        columns = np.zeros(ends[-1], dtype=own.dtype)
        columns[slots] = places - np.array(self.bounds)[batches]
        self._columns = torch.from_numpy(columns).to(self._device).split(sizes.tolist())
        shares = np.zeros(ends[-1])
        shares[slots] = self._shares_of(own, batches)
        self._weigh(shares, sizes)
        self.sizes = sizes.tolist()
        rows = torch.from_numpy(self.rows).to(self._device)
        self._targets = self._own_targets[rows]
        if self._filling is None:
            self._gather.begin_epoch(self.rows, rows)
        else:
            self._filling.counts = counts.tolist()
            self._filling.begin_epoch(own, torch.from_numpy(own))

    def _draw_rows(self) -> np.ndarray:
        """Draw the order of all rows of an epoch, whoever has them."""
        if self.shuffle:
            self._order = self._numbers.shuffle(self._order, self._random_state)
        return self._rows if self._is_single else self._order

    def _shares_of(self, own: np.ndarray, batches: np.ndarray) -> np.ndarray:
        """Return what our rows, in the epoch's order, count in their batches."""
        if self._own_weights is None:
            return 1.0 / np.array(self.whole_sizes, dtype=float)[batches]
        weights = self._own_weights[own]
        sums = np.bincount(batches, weights=weights, minlength=len(self.whole_sizes))
        sums = self._group.sum_of(sums)
        self._sums = sums.tolist()
        return weights / np.where(sums == 0, 1.0, sums)[batches]

    def _weigh(self, shares: np.ndarray, sizes: np.ndarray) -> None:
        """Set what each row counts in the gradient, and in the loss."""
        # What the loss multiplies by the part's size must come to the whole batch's.
        to_whole = np.repeat(np.array(self.whole_sizes) / sizes, sizes)
        own = torch.from_numpy(shares)
        self._shares = own.to(self._device, self._dtype)
        self._loss_shares = torch.from_numpy(shares * to_whole).to(self._device, self._dtype)

    def __iter__(self) -> Iterator[Batch]:
        whole = zip(self.whole_sizes, self._columns, strict=True)
        return self._masked(self._make_batches(), whole)

    def epoch_targets(self) -> Tensor:
        """Return our targets in the epoch's order."""
        return self._targets
