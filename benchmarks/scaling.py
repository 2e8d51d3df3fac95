"""How cost grows: fit time along the sample count, width, depth and batch size.

Each point is a workload like any other: checked for agreement, then timed in turn. The slope of
a curve on log-log axes says how cost grows: 1 is proportional, 2 quadratic. It is taken of every
round by itself, for only the rounds' spread tells a fixed cost from noise.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.data import DataSource
from benchmarks.workloads import Problem, Workload, make_synthetic

N_FEATURES = 50
N_CLASSES = 3
PEERS = ("ours", "ours-float64", "sklearn-float64", "skorch", "torch-loop")
"""Peers on the curves unless the command line says otherwise."""

AXES: dict[str, tuple[float, ...]] = {
    "n_samples": (1_000, 10_000, 100_000, 1_000_000),
    "width": (16, 64, 256, 1_024, 2_048),
    "depth": (1, 2, 4, 8),
    "batch_size": (16, 64, 256, 1_024, 4_096),
}
QUICK_AXES: dict[str, tuple[float, ...]] = {
    "n_samples": (500, 1_000, 2_000),
    "width": (16, 64, 256),
    "depth": (1, 2, 4),
    "batch_size": (64, 256, 1_024),
}
AXIS_TITLES = {
    "n_samples": "samples, (100,), batch 200",
    "width": "units in each of two hidden layers, 10,000 samples, batch 200",
    "depth": "hidden layers of 100 units, 10,000 samples, batch 200",
    "batch_size": "batch size, (100,), 20,000 samples",
}


def scaling_workloads(quick: bool = False) -> list[Workload]:
    """One workload per point: the axis and the value are in its name."""
    axes = QUICK_AXES if quick else AXES
    return [_point(axis, int(value), quick) for axis, values in axes.items() for value in values]


def _point(axis: str, value: int, quick: bool) -> Workload:
    rows = {"n_samples": value, "batch_size": 20_000}.get(axis, 10_000)
    hidden: tuple[int, ...] = (100,)
    if axis == "width":
        hidden = (value, value)
    elif axis == "depth":
        hidden = (100,) * value
    return Workload(
        f"{axis}={value}",
        f"{axis} = {value:,}",
        _load(min(rows, 2_000) if quick else rows),
        hidden_layer_sizes=hidden,
        batch_size=value if axis == "batch_size" else 200,
        epochs=2,
        # Two epochs are a time, not a model: the margin only catches a peer that does not learn.
        score_margin=0.15,
        section="scaling",
        axis=axis,
        value=float(value),
    )


def _load(rows: int) -> Callable[[DataSource], Problem]:
    return lambda source: make_synthetic(rows, N_FEATURES, N_CLASSES, n_test=2_000)


def slopes(table: pd.DataFrame) -> pd.DataFrame:
    """Log-log slopes of fit time, per axis and peer, over at least two rounds.

    Parameters
    ----------
    table : DataFrame
        The section `scaling` of the results.

    Returns
    -------
    DataFrame
        Columns `axis`, `peer`, `peer_title`; `slope` (least squares over all points) and
        `last_slope` (between the last two: how it goes on from there), medians over the rounds
        that all points have; for each `_low` and `_high`, the rounds' extremes.
    """
    rows = []
    measured = table[table["seconds"].notna()]
    for keys, group in measured.groupby(["axis", "peer", "peer_title"], sort=False):
        seconds = group.pivot(index="round", columns="value", values="seconds").dropna()
        if min(seconds.shape) < 2:
            continue
        x, y = np.log(seconds.columns.to_numpy(float)), np.log(seconds.to_numpy())
        whole, last = np.polyfit(x, y.T, 1)[0], (y[:, -1] - y[:, -2]) / (x[-1] - x[-2])
        rows.append([*keys, *_summary(whole), *_summary(last)])
    figures = [name + end for name in ("slope", "last_slope") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["axis", "peer", "peer_title", *figures])


def _summary(values: np.ndarray) -> tuple[float, float, float]:
    """Median, lowest and highest."""
    return float(np.median(values)), float(values.min()), float(values.max())
