"""Interleaved timing, and the arithmetic of ratios.

Machines drift: a clock that changes, a neighbour on the same host. Contestants are therefore
run in turn (A B C A B C ...), never one after the other in blocks, and compared within a round:
the ratio of two contestants is taken round by round, and the median and the extremes of those
ratios are what is reported.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import pandas as pd

# Idle threads of one library's pool spin for some milliseconds after its last task; without a
# pause they would take a core from the next contestant.
SETTLE_SECONDS = 0.05

T = TypeVar("T")


@dataclass(frozen=True)
class Lap(Generic[T]):
    """One timed call of one contestant."""

    round: int
    name: str
    seconds: float
    result: T


def interleave(
    contestants: Mapping[str, Callable[[], T]],
    rounds: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
    settle_seconds: float = SETTLE_SECONDS,
) -> Iterator[Lap[T]]:
    """Call every contestant once per round, in the order given, and time each call.

    Parameters
    ----------
    contestants : mapping of str to callable
        What to time. Each is called without arguments, and must return only when its work is
        done (a GPU's queue included).
    rounds : int
        How many times each is called.
    clock : callable, default=time.perf_counter
        Gives seconds.
    settle_seconds : float, default=0.05
        Pause before each call, not timed.

    Yields
    ------
    Lap
        As soon as it is measured.
    """
    for round_ in range(rounds):
        for name, call in contestants.items():
            gc.collect()
            time.sleep(settle_seconds)
            start = clock()
            result = call()
            seconds = clock() - start
            yield Lap(round_, name, seconds, result)


def paired_ratios(table: pd.DataFrame, reference: str, value: str = "seconds") -> pd.DataFrame:
    """How many times longer each peer takes than the reference, round by round.

    Parameters
    ----------
    table : DataFrame
        Columns `peer`, `round` and `value`: the measurements of one workload.
    reference : str
        The peer to divide by.
    value : str, default="seconds"
        The column to divide.

    Returns
    -------
    DataFrame
        Index: peers, in order of appearance. Columns `median`, `low`, `high` (the extremes of the
        rounds' ratios) and `rounds`. Empty where the reference has no measurement.
    """
    columns = ["median", "low", "high", "rounds"]
    measured = table[table[value].notna()]
    if reference not in set(measured["peer"]):
        return pd.DataFrame(columns=columns)
    by_round = measured.pivot(index="round", columns="peer", values=value)
    ratios = by_round.div(by_round[reference], axis=0)[list(measured["peer"].unique())]
    summary = ratios.agg(["median", "min", "max", "count"]).T
    summary.columns = pd.Index(columns)
    return summary


def geometric_mean(values: pd.Series) -> float:
    """The mean for ratios; nan for an empty series."""
    values = values.dropna()
    return float(np.exp(np.log(values).mean())) if len(values) else float("nan")
