"""The order of an epoch whose rows are read block by block: blocks, and within a buffer rows."""

import numpy as np


def shuffle_in_blocks(
    rows: np.ndarray,
    places: np.ndarray,
    bounds: np.ndarray,
    buffer_rows: int,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Return rows in an order in which they can be read.

    Blocks come in an order that is drawn; of them all, one after the other, so many rows at a
    time are shuffled as a buffer holds.

    Parameters
    ----------
    rows : ndarray of shape (n_train,)
        What is put in order, in the order of the epoch before.
    places : ndarray of shape (n_train,)
        Where each is among all rows.
    bounds : ndarray of shape (n_blocks + 1,)
        Where the blocks begin among all rows, and where the last one ends.
    buffer_rows : int
        How many rows are shuffled at a time; where all are no more, the order is that of samples
        in memory.
    random_state : RandomState
        Drawn from.
    """
    if len(rows) <= buffer_rows:
        order = rows.copy()
        random_state.shuffle(order)
        return order
    by_place = np.argsort(places, kind="stable")
    edges = np.searchsorted(places[by_place], bounds)
    blocks = random_state.permutation(len(edges) - 1)
    order = rows[np.concatenate([by_place[edges[block] : edges[block + 1]] for block in blocks])]
    for start in range(0, len(order), buffer_rows):
        random_state.shuffle(order[start : start + buffer_rows])
    return order
