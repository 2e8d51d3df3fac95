"""What one of several processes has of each batch: its rows, and how they count in the whole."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from operator import add
from types import EllipsisType
from typing import final

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.data.batches import Batch, Batches, OrderedTargets
from sklearn_mlp.data.samples import TrainingData
from sklearn_mlp.network.dropout import MaskSource
from sklearn_mlp.ranks.group import Group


def shares_of_rows(n_rows: int, rank: int, size: int) -> tuple[int, int]:
    """Return where a rank's part of some rows begins, and how many there are in it.

    The first ranks have one row more where the rows do not divide evenly; so a smaller batch is
    never more for any of them.
    """
    each, more = divmod(n_rows, size)
    return rank * each + min(rank, more), each + (rank < more)


class PartialBatches(Batches):
    """Batches of which one process has a part, whose samples count within the whole.

    Parameters
    ----------
    data, batch_size, shuffle
        As `Batches` takes them; the order is the same for all processes.
    masks : MaskSource or None
        Told, for each batch, which columns of its masks are ours.

    Attributes
    ----------
    whole_sizes : list of int
        The number of samples of each batch, all processes' together; ``sizes`` are ours.
    """

    def __init__(
        self, data: TrainingData, *, batch_size: int, shuffle: bool, masks: MaskSource | None
    ) -> None:
        super().__init__(data, batch_size=batch_size, shuffle=shuffle, is_gathered=False)
        self._masks = masks
        self.whole_sizes: Sequence[int] = self.sizes
        # What each of our samples counts in its batch: in the gradient, and in the loss.
        self._shares = self._loss_shares = torch.empty(0)

    def _masked(
        self, batches: Iterator[Batch], columns: Iterable[tuple[int, slice | Tensor]]
    ) -> Iterator[Batch]:
        """Go through batches, for each of which the masks are told which columns are ours."""
        for batch, of_whole in zip(batches, columns, strict=True):
            if self._masks is not None:
                self._masks.columns = of_whole
            yield batch

    def epoch_shares(self) -> Tensor:
        """Return the shares of our samples in the epoch's order, (n_own,)."""
        return self._shares

    def epoch_parts(
        self, start: int, stop: int, size: int
    ) -> Iterator[tuple[EllipsisType, Tensor, Tensor | None]]:
        """Go through our targets, and what each counts in the loss; as in `Batches`."""
        for rows, targets, _ in super().epoch_parts(start, stop, size):
            yield rows, targets, self._loss_shares[start:stop].view(-1, size)


@final
class RankBatches(PartialBatches):
    """The part of each batch that is this process's; all have drawn the same order.

    Where it has no row of a batch, the batch's first one stands in with a share of 0: every step
    is then taken on something, and masks are drawn by all.

    Parameters
    ----------
    data, batch_size, shuffle, masks
        As `PartialBatches` takes them; the data are the same for all processes.
    group : Group
        The processes.

    Attributes
    ----------
    sizes : list of int
        How many samples of each batch are ours; ``n_samples`` and ``weight_sums`` are all
        processes'.
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
        super().__init__(data, batch_size=batch_size, shuffle=shuffle, masks=masks)
        whole_sizes = self.whole_sizes
        parts = [shares_of_rows(size, group.rank, group.size) for size in whole_sizes]
        self.sizes = [max(1, own) for _, own in parts]
        # A row that only stands in is the batch's first.
        starts = [start if own else 0 for start, own in parts]
        columns = map(slice, starts, map(add, starts, self.sizes))
        self._columns = list(zip(whole_sizes, columns, strict=True))
        firsts = zip(self.bounds, starts, strict=False)
        self._places = _places([bound + start for bound, start in firsts], self.sizes)
        counts = np.repeat([float(own > 0) for _, own in parts], self.sizes)
        per_batch = np.array(whole_sizes, dtype=float)
        self._counts, self._batch_of_row = counts, np.repeat(np.arange(len(parts)), self.sizes)
        # What the loss multiplies by the part's size must come to the whole batch's.
        self._to_whole = torch.from_numpy(np.repeat(per_batch / self.sizes, self.sizes))
        n_own = len(self._places)
        self._ordered = OrderedTargets(data, n_own)
        self._targets = self._ordered.targets
        self._gather = data.inputs.gather(n_own, max(self.sizes), is_moved=True)
        self._shares = torch.empty(n_own, dtype=data.inputs.dtype, device=data.targets.device)
        self._loss_shares = torch.empty_like(self._shares)
        self._weigh(counts / np.repeat(per_batch, self.sizes))

    def begin_epoch(self) -> None:
        """Draw the epoch's order, as all processes do, and bring our samples into it."""
        assert self._ordered is not None
        whole = self._draw_rows()
        self.rows = rows = whole[self._places]
        places = torch.from_numpy(rows).to(self._targets.device)
        self._ordered.begin_epoch(places)
        self._gather.begin_epoch(rows, places)
        if self._weights is not None:
            self._weights.begin_epoch(whole)
            shares = self._weights.shares[torch.from_numpy(self._places)]
            self._weigh(shares.double().cpu().numpy() * self._counts)

    def _weigh(self, shares: np.ndarray) -> None:
        """Set what each of our samples counts in its batch."""
        own = torch.from_numpy(shares)
        self._shares.copy_(own)
        self._loss_shares.copy_(own * self._to_whole)

    def __iter__(self) -> Iterator[Batch]:
        return self._masked(super().__iter__(), self._columns)


def _places(starts: Sequence[int], sizes: Sequence[int]) -> np.ndarray:
    """Return the numbers from each start, as many as its size says, one after the other."""
    ends = np.array(list(accumulate(sizes)))
    return np.arange(ends[-1]) + np.repeat(np.array(starts) - (ends - sizes), sizes)
