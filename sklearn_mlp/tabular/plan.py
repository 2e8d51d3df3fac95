"""How long a group of networks is trained, in which steps, and when it is judged.

The learning rate goes through cycles, each twice as long as the one before; networks are judged
at the ends of these, and between them.
"""

import math
from dataclasses import dataclass

import torch

from sklearn_mlp.tabular.folds import Folds

# Passes over the rows, and up to how many rows there may be more of them, or more folds, by
# default: of more, steps are many anyway.
PASSES, ROWS_OF_LONG_RUNS = 30, 6000

# Cycles of the learning rate; there is one more only where each of its parts is a pass at least.
LEAST_CYCLES = 4

# In a cycle of the learning rate networks are judged at most so often, at its end the last time.
_MOST_JUDGED = 4

# Up to so many rows one batch holds all of a network's, and there are so many steps an epoch.
WHOLE_ROWS = 200
_WHOLE_STEPS = 8

# Up to so many rows they are taken in float64, where a row's weight of 2 is the row twice but for
# a rounding that training does not make larger; of more rows it takes twice the time.
EXACT_ROWS = 100

# Else batches are such that an epoch has about so many steps, within these sizes.
_STEPS_AN_EPOCH = 32
_LEAST_BATCH, _MOST_BATCH, _MOST_BATCH_OF_MANY = 16, 128, 256
_MANY_ROWS = 50_000

# Rows that a network learns from in all; many rows are gone through less often.
_MOST_ROWS_LEARNED = 4_000_000


@dataclass(frozen=True)
class Settings:
    """The parameters that training takes, resolved."""

    hidden_units: list[int]
    learning_rate: float
    betas: tuple[float, float]
    dropout: float
    max_iter: int
    most_cycles: int
    batch_size: int | None
    dtype: torch.dtype
    device: torch.device


@dataclass(frozen=True)
class Plan:
    """Steps, batches, and when networks are judged.

    Attributes
    ----------
    batch_size : int
        Rows of a batch of each network.
    n_steps : int
        All steps.
    steps_an_epoch : int
        After so many the rows come in a new order.
    n_cycles : int
        Of the learning rate.
    judged_after : list of int
        Numbers of steps.
    cycle_ends : list of int
        Those that end a cycle.
    is_whole : bool
        Whether a batch holds all rows of a network.
    """

    batch_size: int
    n_steps: int
    steps_an_epoch: int
    n_cycles: int
    judged_after: list[int]
    cycle_ends: list[int]
    is_whole: bool

    @classmethod
    def of(cls, n_rows: int, folds: Folds, settings: Settings) -> "Plan":
        """Plan for so many rows, of which the networks learn from those of their folds."""
        size = max(map(len, folds.learned))
        is_whole = n_rows <= WHOLE_ROWS and settings.batch_size is None
        if is_whole:
            batch, steps = size, _WHOLE_STEPS
        else:
            batch = min(settings.batch_size or _batch_size(size), size)
            steps = size // batch
        most = max(1, _MOST_ROWS_LEARNED // (steps * batch))
        n_epochs = settings.max_iter if is_whole else min(settings.max_iter, most)
        n_steps = steps * n_epochs
        is_long = n_epochs >= 2**settings.most_cycles - 1
        n_cycles = settings.most_cycles if is_long else LEAST_CYCLES
        ends = [2 ** (cycle + 1) - 1 for cycle in range(n_cycles)]
        n_parts, parts = ends[-1], _parts_judged(n_cycles)
        parts = parts if n_epochs >= len(parts) else ends
        judged_after, cycle_ends = (
            sorted({max(1, round(part * n_steps / n_parts)) for part in chosen})
            for chosen in (parts, ends)
        )
        return cls(batch, n_steps, steps, n_cycles, judged_after, cycle_ends, is_whole)

    def share(self, step: int) -> float:
        """Return how much of training is done after so many steps."""
        return step / self.n_steps


def _batch_size(size: int) -> int:
    """Return a power of 2, by the rows that a network learns from."""
    most = _MOST_BATCH if size < _MANY_ROWS else _MOST_BATCH_OF_MANY
    wished = 2 ** round(math.log2(max(size / _STEPS_AN_EPOCH, 1)))
    return int(min(max(wished, _LEAST_BATCH), most))


def _parts_judged(n_cycles: int) -> list[int]:
    """Return when networks are judged, the first cycle being one part, the second two, ..."""
    parts: list[int] = []
    for length in (2**cycle for cycle in range(n_cycles)):
        stride = max(1, length // _MOST_JUDGED)
        parts += range(length - 1 + stride, 2 * length, stride)
    return parts


def rate_factor(share: float, n_cycles: int = 4) -> float:
    """Return the factor of the learning rate: cycles, each twice as long as the one before.

    It is 0 at 1, 3, 7 and 15 fifteenths of four cycles, RealMLP's schedule "coslog4".
    """
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + (2**n_cycles - 1) * share)))


def dropout_at(dropout: float, share: float) -> float:
    """Return the share that is dropped: constant for one half, then to 0 on half a cosine."""
    return dropout if share < 0.5 else dropout * 0.5 * (1 + math.cos(math.pi * (2 * share - 1)))
