"""The mini-batches of k networks: a stream of samples for each group that sees the same ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from sklearn_mlp.data.batches import Batch, Batches


@dataclass
class Stream:
    """The batches that some neighbours in a stack share.

    Attributes
    ----------
    batches : Batches
        The samples, in the order that each of these networks would draw alone.
    count : int
        How many networks.
    """

    batches: Batches
    count: int


class StackedBatches:
    """The batches of several streams, side by side.

    A batch's inputs are lists of one tensor per stream, its targets, and its shares if there are
    any, have the networks as their first dimension. All streams have batches of the same sizes,
    and weights, or none has. A batch whose weights sum to 0 may be only where there is one stream.

    Parameters
    ----------
    streams : sequence of Stream
        In the order of the networks.
    """

    def __init__(self, streams: Sequence[Stream]) -> None:
        self.streams = list(streams)
        first = streams[0].batches
        self.n_samples = first.n_samples
        self.sizes = first.sizes
        self._kept: list[Batch] | None = None

    @property
    def counts(self) -> list[int]:
        """How many networks see each stream."""
        return [stream.count for stream in self.streams]

    @property
    def weight_sums(self) -> list[list[float]]:
        """The sum of weights of each batch of the present epoch, for each network."""
        columns = [
            stream.batches.weight_sums for stream in self.streams for _ in range(stream.count)
        ]
        return [list(row) for row in zip(*columns, strict=True)]

    def begin_epoch(self) -> None:
        """Draw the epoch's orders."""
        for stream in self.streams:
            stream.batches.begin_epoch()

    def __iter__(self) -> Iterator[Batch]:
        if len(self.streams) > 1 or not self.streams[0].batches.has_fixed_views:
            return self._make_batches()
        if self._kept is None:
            self._kept = list(self._make_batches())
        else:
            weight_sums = self.streams[0].batches.weight_sums
            for batch, weight_sum in zip(self._kept, weight_sums, strict=True):
                batch.weight_sum = weight_sum
        return iter(self._kept)

    @property
    def has_empty(self) -> bool:
        """Whether a batch of the present epoch has no weight."""
        return any(stream.batches.has_empty for stream in self.streams)

    @property
    def has_fixed_views(self) -> bool:
        """Whether every epoch's batches lie in the same memory, each in its own."""
        return all(stream.batches.has_fixed_views for stream in self.streams)

    @property
    def is_weighted(self) -> bool:
        """Whether the samples have weights."""
        return self.streams[0].batches.is_weighted

    def epoch_parts(
        self, start: int, stop: int, size: int
    ) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """Go through the streams' targets and shares at some places of the epoch's order.

        They lie in the same memory in every epoch.

        Yields
        ------
        rows : slice
            Which networks see the stream.
        targets : Tensor of shape (n_batches, count, 1 or n_outputs, size)
            Their targets, in batches of a size.
        shares : Tensor of shape (n_batches, 1, size) or None
            Their shares.
        """
        bounds = pairwise([0, *accumulate(self.counts)])
        for (first, last), stream in zip(bounds, self.streams, strict=True):
            for _, targets, shares in stream.batches.epoch_parts(start, stop, size):
                yield (
                    slice(first, last),
                    targets.unsqueeze(1).expand(-1, last - first, -1, -1),
                    None if shares is None else shares.unsqueeze(1),
                )

    def _make_batches(self) -> Iterator[Batch]:
        """Go through the batches of the epoch, those of all streams as one."""
        for batches in zip(*(stream.batches for stream in self.streams), strict=True):
            first: Batch = batches[0]
            targets = [
                batch.targets.expand(stream.count, -1, -1)
                for batch, stream in zip(batches, self.streams, strict=True)
            ]
            shares = first.shares
            if shares is not None and len(targets) > 1:
                shares = torch.cat(
                    [
                        batch.shares.expand(stream.count, 1, -1)
                        for batch, stream in zip(batches, self.streams, strict=True)
                    ]
                )
            yield Batch(
                [batch.inputs for batch in batches],
                [batch.inputs_t for batch in batches],
                targets[0] if len(targets) == 1 else torch.cat(targets),
                first.size,
                shares,
                first.weight_sum,
            )
