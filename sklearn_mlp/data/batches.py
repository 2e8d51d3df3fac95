"""The mini-batches of one fit, in scikit-learn's order."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from types import EllipsisType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.data.samples import TrainingData

# Up to so many batches their views are made once per fit; above, they would fill the memory.
_KEPT_BATCHES = 4096


@dataclass(slots=True)
class Batch:
    """Some samples, and how they count.

    Attributes
    ----------
    inputs, inputs_t : Tensor of shape (size, n_features), (n_features, size)
        The samples, and the same memory transposed; a SparseBatch is both. In a batch of stacked
        networks a list of one per stream.
    targets : Tensor of shape (..., 1, size) or (..., n_outputs, size)
        Class codes, or values, feature-major.
    size : int
        How many samples.
    shares : Tensor of shape (size,) or None
        Each sample's share in the gradient, its weight over the batch's sum of weights;
        None where all have the same share.
    weight_sum : float
        What the penalty is divided by: the sum of weights.
    """

    inputs: Any
    inputs_t: Any
    targets: Tensor
    size: int
    shares: Tensor | None
    weight_sum: float


class Batches:
    """Cuts the training samples into batches, shuffled anew for each epoch.

    Iterating goes through the batches of one epoch; `begin_epoch` must come first.

    Parameters
    ----------
    data : TrainingData
        The samples; never copied as a whole unless they are small. Their generator draws the
        order, and is advanced once per epoch.
    batch_size : int
        The most samples of a batch.
    shuffle : bool
        Whether each epoch has an order of its own.
    is_gathered : bool
        Whether samples and targets are brought into the epoch's order here; else whoever trains
        on them gathers those of ``rows``, and there is nothing to iterate over.

    Attributes
    ----------
    rows : ndarray of shape (n_samples,)
        Which samples the present epoch is made of, in order.
    bounds : list of int
        Where the batches begin in an epoch's order, and where the last one ends.
    sizes : list of int
        The number of samples of each batch.
    """

    def __init__(
        self,
        data: TrainingData,
        *,
        batch_size: int,
        shuffle: bool,
        is_gathered: bool = True,
    ) -> None:
        self.n_samples = data.n_train
        self.bounds = [*range(0, self.n_samples, batch_size), self.n_samples]
        self.sizes = [stop - start for start, stop in pairwise(self.bounds)]
        self._unweighted_sums = [float(size) for size in self.sizes]
        self.shuffle = shuffle
        self._inputs = data.inputs
        self._random_state = data.random_state
        self._rows = self._order = np.arange(self.n_samples) if data.rows is None else data.rows
        # Within a single batch the order changes nothing but the rounding.
        self._is_single = len(self.bounds) == 2
        is_moved = data.rows is not None or (self.shuffle and not self._is_single)
        is_moved = is_gathered and (is_moved or data.is_copied)
        self._targets = data.targets
        self._ordered = OrderedTargets(data, self.n_samples) if is_moved else None
        if self._ordered is not None:
            self._targets = self._ordered.targets
        self._gather = data.inputs.gather(self.n_samples, batch_size, is_moved=is_moved)
        self._weights = _Shares.of(data, self.bounds)
        self._kept: list[Batch] | None = None

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def weight_sums(self) -> list[float]:
        """The sum of weights of each batch of the present epoch; its size without weights."""
        return self._unweighted_sums if self._weights is None else self._weights.sums

    @property
    def has_empty(self) -> bool:
        """Whether a batch of the present epoch has no weight."""
        return self._weights is not None and 0 in self._weights.sums

    @property
    def has_fixed_views(self) -> bool:
        """Whether every epoch's batches lie in the same memory, each in its own."""
        return self._keeps_views and self._gather.is_filled_at_once

    @property
    def _keeps_views(self) -> bool:
        return self._gather.has_fixed_memory and len(self) <= _KEPT_BATCHES

    def begin_epoch(self) -> None:
        """Draw the epoch's order and bring the samples into it."""
        self.rows = rows = self._draw_rows()
        places = torch.from_numpy(rows).to(self._targets.device)
        if self._ordered is not None:
            self._ordered.begin_epoch(places)
        self._gather.begin_epoch(rows, places)
        if self._weights is not None:
            self._weights.begin_epoch(rows)

    def _draw_rows(self) -> np.ndarray:
        """Draw the order of an epoch; return the rows in it."""
        if self.shuffle:
            self._order = self._inputs.shuffle(self._order, self._random_state)
        return self._rows if self._is_single else self._order

    def __iter__(self) -> Iterator[Batch]:
        if self._kept is None:
            return self._make_batches()
        if self._weights is not None:
            for batch, weight_sum in zip(self._kept, self._weights.sums, strict=True):
                batch.weight_sum = weight_sum
        return iter(self._kept) if self._gather.is_filled_at_once else self._filled(self._kept)

    def blocks(self) -> Generator[tuple[tuple[int, int], Any], None, None]:
        """Go through the samples of the epoch, several batches at once; see `Gather.blocks`."""
        return self._gather.blocks(self.sizes)

    @property
    def is_weighted(self) -> bool:
        """Whether the samples have weights."""
        return self._weights is not None

    def epoch_parts(
        self, start: int, stop: int, size: int
    ) -> Iterator[tuple[EllipsisType, Tensor, Tensor | None]]:
        """Go through the targets and shares at some places of the epoch's order.

        They lie in the same memory in every epoch.

        Yields
        ------
        rows : ...
            All networks: there is one.
        targets : Tensor of shape (n_batches, 1 or n_outputs, size)
            The targets, in batches of a size.
        shares : Tensor of shape (n_batches, size) or None
            Their shares.
        """
        targets, shares = self.epoch_targets(), self.epoch_shares()
        yield (
            ...,
            targets[start:stop].view(-1, size, targets.shape[1]).mT,
            None if shares is None else shares[start:stop].view(-1, size),
        )

    def epoch_targets(self) -> Tensor:
        """Return all targets in the epoch's order, (n_samples, 1) or (n_samples, n_outputs)."""
        return self._targets

    def epoch_shares(self) -> Tensor | None:
        """Return all shares in the epoch's order, (n_samples,), or None."""
        return None if self._weights is None else self._weights.shares

    def _make_batches(self) -> Iterator[Batch]:
        """Go through the batches of the epoch, made anew, and keep them if they will serve."""
        kept, sizes, all_shares = [], self.sizes, self.epoch_shares()
        shares: Iterable[Tensor | None] = [None] * len(self)
        if all_shares is not None:
            shares = all_shares.split(sizes)
        parts = (self._gather.batches(sizes), self._targets.split(sizes), sizes)
        for inputs, targets, size, share, weight_sum in zip(
            *parts, shares, self.weight_sums, strict=True
        ):
            batch = Batch(inputs, inputs.t(), targets.t(), size, share, weight_sum)
            if self._keeps_views:
                kept.append(batch)
            yield batch
        self._kept = kept if self._keeps_views else None

    def _filled(self, batches: list[Batch]) -> Iterator[Batch]:
        """Go through batches that are there, each filled when it is its turn."""
        for batch, _ in zip(batches, self._gather.batches(self.sizes), strict=True):
            yield batch


class OrderedTargets:
    """The targets of an epoch's rows, in their order, in memory that stays the same.

    Parameters
    ----------
    data : TrainingData
        All targets.
    n_rows : int
        How many an epoch has.

    Attributes
    ----------
    targets : Tensor of shape (n_rows, 1) or (n_rows, n_outputs)
        Those of the epoch that has begun.
    """

    def __init__(self, data: TrainingData, n_rows: int) -> None:
        self.targets = data.targets.new_empty((n_rows, *data.targets.shape[1:]))
        # Numbers are picked three times as fast as rows of one number.
        place = (slice(None), 0) if self.targets.shape[1] == 1 else ...
        self._picked = data.targets[place], self.targets[place]

    def begin_epoch(self, places: Tensor) -> None:
        """Bring the targets into the order of the rows."""
        all_targets, targets = self._picked
        torch.index_select(all_targets, 0, places, out=targets)


class _Shares:
    """Each sample's weight over its batch's sum of weights, and those sums."""

    def __init__(self, weights: np.ndarray, bounds: list[int], like: Tensor) -> None:
        self._weights = weights
        self._starts = np.array(bounds[:-1])
        self._sizes = np.diff(bounds)
        self.shares = like
        self.sums: list[float] = []

    @classmethod
    def of(cls, data: TrainingData, bounds: list[int]) -> "_Shares | None":
        """Return the shares for batches between bounds; None without weights."""
        if data.sample_weight is None:
            return None
        device = data.targets.device
        shares = torch.empty(data.n_train, dtype=data.inputs.dtype, device=device)
        return cls(data.sample_weight, bounds, shares)

    def begin_epoch(self, rows: np.ndarray) -> None:
        """Set the shares for the epoch's order; where a batch's weights sum to 0, they are 0."""
        weights = self._weights[rows]
        sums = np.add.reduceat(weights, self._starts)
        divisors = np.repeat(np.where(sums == 0, 1.0, sums), self._sizes)
        self.shares.copy_(torch.from_numpy(weights / divisors))
        self.sums = sums.tolist()
