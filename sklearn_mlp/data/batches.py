"""The mini-batches of one fit, in scikit-learn's order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from types import EllipsisType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.data.samples import TrainingData
from sklearn_mlp.data.sparse import SparseBatch, SparseRows
from sklearn_mlp.machine.devices import epoch_copy_bytes, traits_of

# Up to so many batches their views are made once per fit; above, they would fill the memory.
_KEPT_BATCHES = 4096

# Up to so many features the samples of an epoch are laid out feature-major.
_FEW_FEATURES = 32


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
        The samples; never copied as a whole unless they are small.
    random_state : RandomState
        The source of the order; advanced once per epoch.
    batch_size : int
        The most samples of a batch.
    shuffle : bool
        Whether each epoch has an order of its own.

    Attributes
    ----------
    bounds : list of int
        Where the batches begin in an epoch's order, and where the last one ends.
    sizes : list of int
        The number of samples of each batch.
    """

    def __init__(
        self,
        data: TrainingData,
        random_state: np.random.RandomState,
        *,
        batch_size: int,
        shuffle: bool,
    ) -> None:
        self.n_samples = data.n_train
        self.bounds = [*range(0, self.n_samples, batch_size), self.n_samples]
        self.sizes = [stop - start for start, stop in pairwise(self.bounds)]
        self._unweighted_sums = [float(size) for size in self.sizes]
        self.shuffle = shuffle
        self._data = data
        self._random_state = random_state
        self._order = np.arange(self.n_samples)
        # Within a single batch the order changes nothing but the rounding.
        self._is_single = len(self.bounds) == 2
        is_moved = data.rows is not None or (self.shuffle and not self._is_single)
        is_gathered = is_moved or data.is_copied
        self._gather = self._make_gather(batch_size) if is_gathered else _Unmoved(data)
        self._weights = _Shares.of(data, self.bounds)
        self._kept: list[Batch] | None = None

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def weight_sums(self) -> list[float]:
        """The sum of weights of each batch of the present epoch; its size without weights."""
        return self._unweighted_sums if self._weights is None else self._weights.sums

    @property
    def has_fixed_views(self) -> bool:
        """Whether every epoch's batches lie in the same memory, each in its own."""
        return self._keeps_views and not self._gather.is_by_batch

    @property
    def _keeps_views(self) -> bool:
        return self._gather.has_lasting_views and len(self) <= _KEPT_BATCHES

    def begin_epoch(self) -> None:
        """Draw the epoch's order and bring the samples into it."""
        if self.shuffle:
            # What sklearn.utils.shuffle does to an index array, without its checks.
            shuffled = np.arange(self.n_samples)
            self._random_state.shuffle(shuffled)
            self._order = self._order[shuffled]
        if self._is_single:
            self._order = np.arange(self.n_samples)
        rows = self._order if self._data.rows is None else self._data.rows[self._order]
        self._gather.begin_epoch(rows)
        if self._weights is not None:
            self._weights.begin_epoch(rows)

    def __iter__(self) -> Iterator[Batch]:
        if not self._keeps_views:
            return self._gather.brought(self._make_batches(), self.sizes)
        if self._kept is None:
            self._kept = list(self._make_batches())
        elif self._weights is not None:
            for batch, weight_sum in zip(self._kept, self._weights.sums, strict=True):
                batch.weight_sum = weight_sum
        return self._gather.brought(self._kept, self.sizes)

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
        return self._gather.targets

    def epoch_shares(self) -> Tensor | None:
        """Return all shares in the epoch's order, (n_samples,), or None."""
        return None if self._weights is None else self._weights.shares

    def _make_batches(self) -> Iterator[Batch]:
        """Go through the batches of the epoch, as they lie in what was gathered."""
        shares: Iterable[Tensor | None] = [None] * len(self)
        if self._weights is not None:
            shares = self._weights.shares.split(self.sizes)
        for (start, stop), share, weight_sum in zip(
            pairwise(self.bounds), shares, self.weight_sums, strict=True
        ):
            inputs, targets = self._gather.batch(start, stop)
            yield Batch(inputs, inputs.t(), targets.t(), stop - start, share, weight_sum)

    def _make_gather(self, batch_size: int) -> "_Unmoved":
        """Return the way to gather: by where the samples lie, and whether a copy of them fits."""
        inputs = self._data.inputs
        if isinstance(inputs, SparseRows):
            return _SparseGather(self._data)
        device = self._data.targets.device
        if inputs.device != device:
            return _StreamedGather(self._data, min(batch_size, self.n_samples))
        if inputs[:1].nbytes * self.n_samples <= epoch_copy_bytes(device):
            return _EpochGather(self._data)
        return _BatchGather(self._data, min(batch_size, self.n_samples))


class _Unmoved:
    """The samples as they lie; the other ways to gather them derive from it."""

    # Whether what `batch` returns serves in every epoch; and whether its samples are there only
    # when it is its turn.
    has_lasting_views = True
    is_by_batch = False

    def __init__(self, data: TrainingData) -> None:
        self.inputs = data.inputs
        self.targets = data.targets
        if isinstance(data.inputs, SparseRows):
            self.has_lasting_views = False

    def begin_epoch(self, rows: np.ndarray) -> None:
        """Take note of the rows of the coming epoch, in order."""

    def batch(self, start: int, stop: int) -> tuple[Tensor | SparseBatch, Tensor]:
        """Return inputs and targets at some places of the epoch's order."""
        if isinstance(self.inputs, SparseRows):
            return self.inputs.batch(slice(start, stop)), self.targets[start:stop]
        return self.inputs[start:stop], self.targets[start:stop]

    def brought(self, batches: Iterable[Batch], sizes: list[int]) -> Iterator[Batch]:
        """Go through the batches of an epoch, of such sizes, each with its samples in place."""
        return iter(batches)


class _TargetsInOrder(_Unmoved):
    """Puts the targets in order at the beginning of an epoch."""

    def __init__(self, data: TrainingData) -> None:
        super().__init__(data)
        self.targets = data.targets.new_empty((data.n_train, *data.targets.shape[1:]))
        # Numbers are picked three times as fast as rows of one number.
        place = (slice(None), 0) if self.targets.shape[1] == 1 else ...
        self._picked = data.targets[place], self.targets[place]

    def begin_epoch(self, rows: np.ndarray) -> None:
        """Bring the targets into the order of the rows."""
        all_targets, targets = self._picked
        self._rows = torch.from_numpy(rows).to(targets.device)
        torch.index_select(all_targets, 0, self._rows, out=targets)


class _EpochGather(_TargetsInOrder):
    """Puts the inputs in order at the beginning of an epoch, too."""

    def __init__(self, data: TrainingData) -> None:
        super().__init__(data)
        inputs = data.inputs
        assert isinstance(inputs, Tensor)
        # Of few features, a feature-major copy makes the first layer's gradient, a product over
        # the samples, twice as fast.
        self._dim = 1 if inputs.shape[1] <= _FEW_FEATURES else 0
        self._all_inputs = inputs.t().contiguous() if self._dim else inputs
        shape = (inputs.shape[1], data.n_train) if self._dim else (data.n_train, inputs.shape[1])
        self._ordered = inputs.new_empty(shape)
        self.inputs: Tensor = self._ordered.t() if self._dim else self._ordered

    def begin_epoch(self, rows: np.ndarray) -> None:
        """Bring targets and inputs into the order of the rows."""
        super().begin_epoch(rows)
        torch.index_select(self._all_inputs, self._dim, self._rows, out=self._ordered)


class _BatchGather(_TargetsInOrder):
    """Gathers the inputs of one batch at a time into one buffer."""

    is_by_batch = True

    def __init__(self, data: TrainingData, batch_size: int) -> None:
        super().__init__(data)
        assert isinstance(data.inputs, Tensor)
        self._buffer = data.inputs.new_empty((batch_size, data.inputs.shape[1]))

    def batch(self, start: int, stop: int) -> tuple[Tensor | SparseBatch, Tensor]:
        """Return the buffer, which `brought` fills, and the targets."""
        return self._buffer[: stop - start], self.targets[start:stop]

    def brought(self, batches: Iterable[Batch], sizes: list[int]) -> Iterator[Batch]:
        """Go through the batches of an epoch, each filled when it is its turn."""
        assert isinstance(self.inputs, Tensor)
        for batch, rows in zip(batches, self._rows.split(sizes), strict=True):
            torch.index_select(self.inputs, 0, rows, out=batch.inputs)
            yield batch


class _StreamedGather(_TargetsInOrder):
    """Gathers on the host and copies one batch at a time to the device, where not all fits.

    Two batches are on their way: while the device copies one, the host gathers the next into the
    other's pinned memory, for which it waits only if the device is behind by both.
    """

    def __init__(self, data: TrainingData, batch_size: int) -> None:
        super().__init__(data)
        self.has_lasting_views = False
        assert isinstance(data.inputs, Tensor)
        shape, device = (batch_size, data.inputs.shape[1]), data.targets.device
        has_events = traits_of(device).has_events
        self._staging = [
            torch.empty(shape, dtype=data.inputs.dtype, device="cpu", pin_memory=has_events)
            for _ in range(2)
        ]
        self._copied = [torch.cuda.Event() if has_events else None for _ in range(2)]
        self._buffers = [data.inputs.new_empty(shape, device=device) for _ in range(2)]
        self._turn = 0

    def begin_epoch(self, rows: np.ndarray) -> None:
        """Bring the targets into order; the inputs follow by batch."""
        super().begin_epoch(rows)
        self._host_rows = torch.from_numpy(rows)

    def batch(self, start: int, stop: int) -> tuple[Tensor | SparseBatch, Tensor]:
        """Copy one batch to the device, which may still be computing on the last."""
        assert isinstance(self.inputs, Tensor)
        self._turn = 1 - self._turn
        copied = self._copied[self._turn]
        if copied is not None:
            copied.synchronize()
        staged = self._staging[self._turn][: stop - start]
        torch.index_select(self.inputs, 0, self._host_rows[start:stop], out=staged)
        buffer = self._buffers[self._turn][: stop - start]
        buffer.copy_(staged, non_blocking=True)
        if copied is not None:
            # The copy is on the stream of the buffer's device, which need not be the current one.
            copied.record(torch.cuda.current_stream(buffer.device))
        return buffer, self.targets[start:stop]


class _SparseGather(_TargetsInOrder):
    """Takes the rows of one sparse batch at a time."""

    def begin_epoch(self, rows: np.ndarray) -> None:
        """Bring the targets into order; the inputs follow by batch."""
        super().begin_epoch(rows)
        self._host_rows = rows

    def batch(self, start: int, stop: int) -> tuple[Tensor | SparseBatch, Tensor]:
        """Return the rows of one batch, cut out anew."""
        assert isinstance(self.inputs, SparseRows)
        return self.inputs.batch(self._host_rows[start:stop]), self.targets[start:stop]


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
        inputs = data.inputs
        shares = torch.empty(data.n_train, dtype=inputs.dtype, device=data.targets.device)
        return cls(data.sample_weight, bounds, shares)

    def begin_epoch(self, rows: np.ndarray) -> None:
        """Set the shares for the epoch's order; where a batch's weights sum to 0, they are 0."""
        weights = self._weights[rows]
        sums = np.add.reduceat(weights, self._starts)
        divisors = np.repeat(np.where(sums == 0, 1.0, sums), self._sizes)
        self.shares.copy_(torch.from_numpy(weights / divisors))
        self.sums = sums.tolist()
