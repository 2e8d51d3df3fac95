"""`FilledGather`: some rows of each batch, read ahead, and filled up to a size that recurs."""

from collections.abc import Iterator, Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.data.rows import Gather
from sklearn_mlp.data.stored_rows import StoredRows


@final
class FilledGather(Gather):
    """Brings as many rows of a batch as there are, and the first row in the place of the others.

    What only fills up is not read.

    Parameters
    ----------
    samples : StoredRows
        The samples.
    batch_size : int
        The most samples of a batch.

    Attributes
    ----------
    counts : list of int
        How many rows of each batch there are in the epoch's order; set before each epoch.
    """

    has_fixed_memory = False
    is_filled_at_once = False

    def __init__(self, samples: StoredRows, batch_size: int) -> None:
        self._gather = samples.gather(len(samples), batch_size, is_moved=True)
        self._first = samples.batch(np.arange(1))
        self.counts: list[int] = []

    def begin_epoch(self, rows: np.ndarray, places: Tensor) -> None:
        """Take note of the rows of the coming epoch, without those that fill up."""
        self._gather.begin_epoch(rows, places)

    def batches(self, sizes: Sequence[int]) -> Iterator[Tensor]:
        """Go through the batches of the epoch."""
        nothing = self._first[:0]
        there = self._gather.batches(self.counts) if any(self.counts) else iter(())
        for size in sizes:
            own = next(there, nothing)
            yield torch.cat([own, self._first.expand(size - len(own), -1)])
