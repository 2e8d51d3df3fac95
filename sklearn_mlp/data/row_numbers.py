"""`RowNumbers`: where the rows of one process are among those of all that train together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from sklearn_mlp.data.block_order import shuffle_in_blocks


@dataclass(frozen=True)
class RowNumbers:
    """The rows of several processes, each with its own, numbered as one process would have them.

    Attributes
    ----------
    rank : int
        Which of the processes this is.
    spans : list of list of (int, int)
        For each process where the pieces of its rows lie among all: first number, and how many.
    buffer_rows : int or None
        How many rows are shuffled at a time, where a process reads its own block by block: each
        of its blocks is a piece. None is all.
    """

    rank: int
    spans: Sequence[Sequence[tuple[int, int]]]
    buffer_rows: int | None = None

    @classmethod
    def of(
        cls,
        rank: int,
        pieces: Sequence[Sequence[tuple[Any, int]]],
        buffer_rows: int | None = None,
    ) -> Self:
        """Give all rows numbers, by each process's pieces: a key to sort all by, and a length."""
        whole = [(*piece, place) for place, own in enumerate(pieces) for piece in own]
        starts, start = {}, 0
        for key, length, place in sorted(whole):
            starts[key, place] = start
            start += length
        return cls(
            rank,
            [[(starts[key, place], n) for key, n in own] for place, own in enumerate(pieces)],
            buffer_rows,
        )

    @cached_property
    def n_rows(self) -> int:
        """How many there are in all."""
        return sum(length for own in self.spans for _, length in own)

    def shuffle(self, rows: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
        """Return the order of the coming epoch: as one process draws it, which has all rows.

        Parameters
        ----------
        rows : ndarray of shape (n_train,)
            Numbers among all rows, in the order of the epoch before.
        random_state : RandomState
            Drawn from.
        """
        n_at_once = len(rows) if self.buffer_rows is None else self.buffer_rows
        return shuffle_in_blocks(rows, rows, self._bounds, n_at_once, random_state)

    @cached_property
    def _bounds(self) -> np.ndarray:
        """Where the pieces of all processes begin, and where the last one ends."""
        spans = sorted(span for own in self.spans for span in own)
        return np.cumsum([0, *(length for _, length in spans)])

    def of_rank(self, rank: int) -> np.ndarray:
        """Return the numbers of a process's rows, in the order in which it has them."""
        return np.concatenate(
            [np.arange(start, start + length) for start, length in self.spans[rank]]
        )

    def find(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find our rows among some.

        Parameters
        ----------
        rows : ndarray of shape (n,)
            Numbers among all rows.

        Returns
        -------
        places : ndarray of shape (n_own,)
            At which places of ``rows`` ours are, ascending.
        own : ndarray of shape (n_own,)
            Which of our rows these are.
        """
        own = self._own_rows[rows]
        places = np.flatnonzero(own >= 0)
        return places, own[places]

    @cached_property
    def _own_rows(self) -> np.ndarray:
        """For each of all rows which of ours it is, -1 if it is another process's."""
        numbers = self.of_rank(self.rank)
        own = np.full(self.n_rows, -1)
        own[numbers] = np.arange(len(numbers))
        return own

    def joined(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Return what the processes have for their rows as one array for all."""
        whole = np.empty((self.n_rows, *arrays[0].shape[1:]), arrays[0].dtype)
        for rank, array in enumerate(arrays):
            whole[self.of_rank(rank)] = array
        return whole
