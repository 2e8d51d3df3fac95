"""`Rows`: the samples of a fit, or of a prediction, whatever they lie in; and how batches come.

All that trains, validates and predicts asks this of the samples, and nothing else. A new kind of
them is one class in a file of its own, and a line in `kinds`, which tells the kinds apart:

==================  =============================================================================
kind
==================  =============================================================================
`DenseRows`         a tensor in the type to compute in
`SparseRows`        a CSR matrix, multiplied as it is or made dense by batch
`ConvertedRows`     an array or a tensor of any type, converted a block at a time
`StreamedRows`      a `StoredArray`: numbers in a file, the next block read ahead
`SourceRows`        a `RowSource`: blocks that are read anew, and shuffled, in each epoch
==================  =============================================================================

A kind that has random access (a mapped file, say) says what `Rows.batch` is, and `GatherByBatch`
or a gather of its own, which reads ahead, does the rest. One that can only be read in stretches
says in `Rows.shuffle` which orders it can be read in: targets and weights, which are in memory,
are brought into the same one.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Hashable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

# A chunk's activations should stay in the cache of a core, and fill an accelerator.
_CPU_CHUNK_ROWS = 4096
_ACCELERATOR_CHUNK_ROWS = 1 << 17
# A chunk that is made of what the samples lie in: at most so many numbers.
_COPIED_CHUNK_SIZE = 1 << 24


class Rows(ABC):
    """Samples that are read some rows at a time; never written to.

    Attributes
    ----------
    source : object
        What they lie in: a tensor, a matrix, an array.
    shape : tuple of int
        Samples and features.
    dtype : torch.dtype
        The type of the batches.
    device : torch.device
        Where the batches go.
    has_sparse_batches : bool
        Whether a batch is a `SparseBatch`, which takes a first layer of its own
        (`SparseInputLayers`); else it is a tensor.
    is_in_place : bool
        Whether neighbours are read where they lie; else a batch takes memory.
    may_overflow : bool
        Whether a number of the batch read last may be too large for the type: `check_range`
        tells. Where all numbers were checked before, it stays False.
    """

    source: Any
    shape: tuple[int, int]
    dtype: torch.dtype
    device: torch.device
    has_sparse_batches: bool = False
    is_in_place: bool = False
    may_overflow: bool = False

    @final
    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def batch(self, rows: Any, *, copy: bool = False) -> Any:
        """Return some rows, on the device and in the type of the batches.

        Parameters
        ----------
        rows : slice or ndarray of int
            Which.
        copy : bool
            Whether the batch may be written to; else it may be the samples' own memory.

        Returns
        -------
        batch : Tensor of shape (n_rows, n_features) or SparseBatch
            The samples.
        """

    @abstractmethod
    def take(self, rows: np.ndarray) -> "Rows":
        """Return some rows as samples of their own."""

    @abstractmethod
    def to(self, device: torch.device) -> "Rows":
        """Return the same samples with their batches on another device."""

    @abstractmethod
    def made_dense(self) -> "Rows":
        """Return the same samples with tensors for batches."""

    @property
    @abstractmethod
    def identity(self) -> Hashable:
        """A value that is equal for two that are the same samples, in the same memory."""

    @abstractmethod
    def gather(self, n_train: int, batch_size: int, *, is_moved: bool) -> "Gather":
        """Return what brings the samples of an epoch, batch by batch.

        Parameters
        ----------
        n_train : int
            How many samples an epoch has.
        batch_size : int
            The most samples of a batch.
        is_moved : bool
            Whether they come in another order than they lie in, or may be written to; else all
            of them come, one after the other, in every epoch.
        """

    def shuffle(self, rows: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
        """Return the order of the coming epoch; any order will do where access is random.

        Parameters
        ----------
        rows : ndarray of shape (n_train,)
            The rows to train on, in the order of the epoch before.
        random_state : RandomState
            Drawn from; nothing else is to decide.
        """
        # What sklearn.utils.shuffle does to an index array, without its checks.
        order = rows.copy()
        random_state.shuffle(order)
        return order

    def check_range(self, rows: slice) -> None:
        """Check that finite numbers are finite in the type of the batches, if `may_overflow`.

        Raises
        ------
        ValueError
            If one is too large.
        """
        raise NotImplementedError(f"{type(self).__name__} are checked when they are made")

    @final
    @property
    def chunk_rows(self) -> int:
        """How many rows to take at a time where all are gone through."""
        is_on_cpu = self.device.type == "cpu"
        n_rows = _CPU_CHUNK_ROWS if is_on_cpu else _ACCELERATOR_CHUNK_ROWS
        if self.is_in_place or self.has_sparse_batches:
            return n_rows
        return min(n_rows, max(1, _COPIED_CHUNK_SIZE // max(1, self.shape[1])))


class Gather(ABC):
    """Brings the samples of an epoch, batch by batch.

    Attributes
    ----------
    has_fixed_memory : bool
        Whether each batch lies in the same memory in every epoch.
    is_filled_at_once : bool
        Whether all are there as soon as the epoch has begun; else each when it is its turn.
    """

    has_fixed_memory: bool
    is_filled_at_once: bool

    @abstractmethod
    def begin_epoch(self, rows: np.ndarray, places: Tensor) -> None:
        """Take note of the rows of the coming epoch.

        Parameters
        ----------
        rows : ndarray of shape (n_train,)
            Which rows, in the order to come in.
        places : Tensor of shape (n_train,)
            The same, on the device of the batches.
        """

    @abstractmethod
    def batches(self, sizes: Sequence[int]) -> Iterator[Any]:
        """Go through the batches of the epoch, each filled until the next one is asked for."""

    def blocks(self, sizes: Sequence[int]) -> Generator[tuple[tuple[int, int], Any], None, None]:
        """Go through the epoch in blocks of batches that are there at once.

        Yields
        ------
        batches : tuple of int
            The first of a block, and the first of the next one.
        inputs : Tensor of shape (n_rows, n_features) or SparseBatch
            Their samples, there until the next block is asked for.
        """
        for place, inputs in enumerate(self.batches(sizes)):
            yield (place, place + 1), inputs

    @staticmethod
    def stretches(sizes: Sequence[int]) -> Iterator[slice]:
        """Go through the places that batches of such sizes have in the epoch."""
        return (slice(start, stop) for start, stop in pairwise(accumulate(sizes, initial=0)))


@final
class GatherByBatch(Gather):
    """Reads the rows of one batch at a time, which are cut out anew.

    Parameters
    ----------
    samples : Rows
        The samples.
    is_moved : bool
        As in `Rows.gather`.
    """

    has_fixed_memory = False
    is_filled_at_once = False

    def __init__(self, samples: Rows, *, is_moved: bool) -> None:
        self._samples = samples
        self._is_moved = is_moved
        self._order = np.arange(0)

    def begin_epoch(self, rows: np.ndarray, places: Tensor) -> None:
        """Take note of the order."""
        self._order = rows

    def batches(self, sizes: Sequence[int]) -> Iterator[Any]:
        """Go through the batches of the epoch."""
        for stretch in self.stretches(sizes):
            yield self._samples.batch(self._order[stretch] if self._is_moved else stretch)
