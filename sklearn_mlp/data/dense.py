"""`DenseRows`: samples that are one tensor, and the ways to bring them into an epoch's order."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Self, final

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.arrays.tensors import as_finite_tensor
from sklearn_mlp.data.rows import Gather, Rows
from sklearn_mlp.machine.devices import epoch_copy_bytes, home_of_samples, traits_of

# Up to so many features the samples of an epoch are laid out feature-major.
_FEW_FEATURES = 32


@final
class DenseRows(Rows):
    """Samples that are one tensor in the type to compute in.

    Parameters
    ----------
    source : Tensor of shape (n_samples, n_features)
        The samples.
    device : torch.device or None
        Where batches go, if the samples stay elsewhere: they may be too many for the device.
    """

    is_in_place = True

    def __init__(self, source: Tensor, device: torch.device | None = None) -> None:
        self.source = source
        self.shape = source.shape[0], source.shape[1]
        self.dtype = source.dtype
        self.device = source.device if device is None else device

    @classmethod
    def of(cls, X: Any, dtype: torch.dtype, device: torch.device) -> Self:
        """Bring an array or a tensor into a type, and onto the device if it fits there.

        Raises
        ------
        ValueError
            If a number is too large for the type.
        """
        home = home_of_samples(X.shape[0] * X.shape[1] * dtype.itemsize, device)
        return cls(as_finite_tensor(X, dtype, home, "X"), device)

    def batch(self, rows: Any, *, copy: bool = False) -> Tensor:
        """Return some rows as a tensor; see `Rows.batch`."""
        part: Tensor = self.source[rows]
        return part.to(self.device, copy=copy)

    def take(self, rows: np.ndarray) -> Self:
        """Return some rows as samples of their own."""
        return type(self)(self.source[rows], self.device)

    def to(self, device: torch.device) -> Self:
        """Return the same samples on another device."""
        return type(self)(self.source.to(device))

    def made_dense(self) -> Self:
        """Return the same samples."""
        return self

    @property
    def identity(self) -> Hashable:
        """A value that is equal for two that are the same samples, in the same memory."""
        return self.source.data_ptr(), self.shape, self.dtype

    def gather(self, n_train: int, batch_size: int, *, is_moved: bool) -> Gather:
        """Choose how batches come: by where the samples lie, and whether a copy of them fits."""
        if self.source.device != self.device:
            return StreamedGather(self, min(batch_size, n_train))
        if not is_moved:
            return Unmoved(self.source)
        if self.source[:1].nbytes * n_train <= epoch_copy_bytes(self.device):
            return EpochGather(self.source, n_train)
        return BatchGather(self.source, min(batch_size, n_train))


@final
class Unmoved(Gather):
    """The samples as they lie.

    Parameters
    ----------
    inputs : Tensor of shape (n_samples, n_features)
        All of them.
    """

    has_fixed_memory = True
    is_filled_at_once = True

    def __init__(self, inputs: Tensor) -> None:
        self._inputs = inputs

    def begin_epoch(self, rows: np.ndarray, places: Tensor) -> None:
        """Leave everything where it is."""

    def batches(self, sizes: Sequence[int]) -> Iterator[Tensor]:
        """Go through the batches of the epoch."""
        return iter(self._inputs.split(list(sizes)))


@final
class EpochGather(Gather):
    """Puts all samples in order at the beginning of an epoch.

    Parameters
    ----------
    inputs : Tensor of shape (n_samples, n_features)
        All of them.
    n_train : int
        How many an epoch has.
    """

    has_fixed_memory = True
    is_filled_at_once = True

    def __init__(self, inputs: Tensor, n_train: int) -> None:
        n_features = inputs.shape[1]
        # Of few features, a feature-major copy makes the first layer's gradient, a product over
        # the samples, twice as fast.
        self._dim = 1 if n_features <= _FEW_FEATURES else 0
        self._inputs = inputs.t().contiguous() if self._dim else inputs
        shape = (n_features, n_train) if self._dim else (n_train, n_features)
        self._ordered = inputs.new_empty(shape)

    def begin_epoch(self, rows: np.ndarray, places: Tensor) -> None:
        """Bring the samples into order."""
        torch.index_select(self._inputs, self._dim, places, out=self._ordered)

    def batches(self, sizes: Sequence[int]) -> Iterator[Tensor]:
        """Go through the batches of the epoch."""
        return iter((self._ordered.t() if self._dim else self._ordered).split(list(sizes)))


@final
class BatchGather(Gather):
    """Gathers the samples of one batch at a time into one buffer.

    Parameters
    ----------
    inputs : Tensor of shape (n_samples, n_features)
        All of them.
    batch_size : int
        The most samples of a batch.
    """

    has_fixed_memory = True
    is_filled_at_once = False

    def __init__(self, inputs: Tensor, batch_size: int) -> None:
        self._inputs = inputs
        self._buffer = inputs.new_empty((batch_size, inputs.shape[1]))

    def begin_epoch(self, rows: np.ndarray, places: Tensor) -> None:
        """Take note of the order."""
        self._places = places

    def batches(self, sizes: Sequence[int]) -> Iterator[Tensor]:
        """Go through the batches of the epoch."""
        whole, full_size = self._buffer, len(self._buffer)
        for size, places in zip(sizes, self._places.split(list(sizes)), strict=True):
            buffer = whole if size == full_size else whole[:size]
            yield torch.index_select(self._inputs, 0, places, out=buffer)


@final
class StreamedGather(Gather):
    """Gathers on the host and copies one batch at a time to the device, where not all fits.

    Two batches are on their way: while the device copies one, the host gathers the next into the
    other's pinned memory, for which it waits only if the device is behind by both.

    Parameters
    ----------
    samples : DenseRows
        On the host.
    batch_size : int
        The most samples of a batch.
    """

    has_fixed_memory = False
    is_filled_at_once = False

    def __init__(self, samples: DenseRows, batch_size: int) -> None:
        self._inputs = samples.source
        shape, device = (batch_size, samples.shape[1]), samples.device
        has_events = traits_of(device).has_events
        self._staging = [
            torch.empty(shape, dtype=samples.dtype, device="cpu", pin_memory=has_events)
            for _ in range(2)
        ]
        self._copied = [torch.cuda.Event() if has_events else None for _ in range(2)]
        self._buffers = [samples.source.new_empty(shape, device=device) for _ in range(2)]
        self._turn = 0

    def begin_epoch(self, rows: np.ndarray, places: Tensor) -> None:
        """Take note of the order."""
        self._rows = torch.from_numpy(rows)

    def batches(self, sizes: Sequence[int]) -> Iterator[Tensor]:
        """Copy one batch after the other to the device, which may still be at the last."""
        for rows in self._rows.split(list(sizes)):
            self._turn = 1 - self._turn
            copied = self._copied[self._turn]
            if copied is not None:
                copied.synchronize()
            staged = self._staging[self._turn][: len(rows)]
            torch.index_select(self._inputs, 0, rows, out=staged)
            buffer = self._buffers[self._turn][: len(rows)]
            buffer.copy_(staged, non_blocking=True)
            if copied is not None:
                # On the stream of the buffer's device, which need not be the current one.
                copied.record(torch.cuda.current_stream(buffer.device))
            yield buffer
