"""Pictures of a run: bars of time per step, curves of growth, shares of the limit."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from benchmarks.report import format_seconds
from benchmarks.results import Results
from benchmarks.scaling import AXIS_TITLES
from benchmarks.summary import of_kind, times_faster
from benchmarks.timing import paired_ratios

# Ours in blues, scikit-learn in oranges, the rest apart; readable without colour vision.
COLOURS = {
    "ours": "#0b5cad",
    "ours-float64": "#4f9bd9",
    "ours-float32-input": "#2c7fc4",
    "ours-skorch": "#9cc9ec",
    "sklearn-float64": "#e07b00",
    "sklearn-float32": "#f6b26b",
    "skorch": "#6a3d9a",
    "torch-dataloader": "#33803c",
    "torch-loop": "#7fbf7b",
    "torch-loop-1-thread": "#b8e0b4",
    "matrix-products": "#777777",
    "sklearn-search": "#e07b00",
    "ours-one-by-one": "#4f9bd9",
    "ours-batched": "#0b5cad",
}
MARKERS = dict(zip(COLOURS, "osDPv^<>XpdDso", strict=True))


def draw_plots(results: Results, folder: Path) -> list[str]:
    """Draw what the results have data for; the names of the pictures."""
    drawn = []
    for name, draw, section in (
        ("time_per_step.png", draw_bars, "workloads"),
        ("growth.png", draw_growth, "scaling"),
        ("limit.png", draw_limits, "workloads"),
        ("memory.png", draw_memory, "memory"),
        ("search.png", draw_search, "search"),
    ):
        figure = draw(results.table(section))
        if figure is None:
            continue
        figure.savefig(folder / name, dpi=110)
        plt.close(figure)
        drawn.append(name)
    return drawn


def _panels(count: int, columns: int, height: float) -> tuple[Any, list[Any]]:
    """A grid of panels, the unused ones hidden."""
    columns = min(columns, count)
    rows = -(-count // columns)
    spaced = ConstrainedLayoutEngine(h_pad=0.12)
    figure, axes = plt.subplots(
        rows, columns, figsize=(6.2 * columns, height * rows), layout=spaced, squeeze=False
    )
    flat = list(axes.ravel())
    for axis in flat[count:]:
        axis.set_visible(False)
    return figure, flat[:count]


def _clean(axis: Any) -> None:
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def draw_bars(table: pd.DataFrame) -> Any:
    """A panel per workload, a bar per peer: median time per step, whiskers to the extremes."""
    measured = table[table["seconds"].notna()]
    if measured.empty:
        return None
    workloads = list(measured["workload"].unique())
    peers = measured.groupby("workload")["peer"].nunique().max()
    figure, axes = _panels(len(workloads), 3, 0.9 + 0.27 * peers)
    for axis, workload in zip(axes, workloads, strict=True):
        _bars(axis, measured[measured["workload"] == workload])
    figure.suptitle("Time per step, median and range over the rounds (shorter is faster)")
    return figure


def draw_speedups(table: pd.DataFrame, names: dict[str, str]) -> Any:
    """The README's picture: a line per fit, a dot per peer named, how many times faster we are."""
    ratios = of_kind(table, times_faster(table), "fit")
    titles = table.drop_duplicates("workload").set_index("workload")["title"]
    figure, axes = _panels(1, 1, 1.4 + 0.3 * len(ratios))
    axis = axes[0]
    figure.set_figwidth(8.5)
    places = np.arange(len(ratios))[::-1]
    for peer, name in names.items():
        if peer in ratios:
            axis.scatter(
                ratios[peer], places, s=60, color=COLOURS[peer], marker=MARKERS[peer], label=name
            )
    shown = [name for name in names if name in ratios]
    axis.hlines(places, 1, ratios[shown].max(axis=1), color="#dddddd", zorder=0)
    axis.axvline(1, color="#777777", lw=1)
    axis.set_xscale("log")
    axis.set_xticks([1, 2, 5, 10, 20], ["as fast", "2 ×", "5 ×", "10 ×", "20 ×"])
    axis.minorticks_off()
    axis.set_yticks(places, titles[ratios.index], fontsize=9)
    axis.set_title("How many times faster a fit is here than with", loc="left", fontsize=11)
    _clean(axis)
    figure.legend(loc="outside lower center", ncols=len(names), frameon=False)
    return figure


def _bars(axis: Any, group: pd.DataFrame) -> None:
    times = group.groupby("peer", sort=False)["seconds_per_step"].agg(["median", "min", "max"])
    titles = group.drop_duplicates("peer").set_index("peer")["peer_title"]
    places = np.arange(len(times))[::-1]
    errors = [times["median"] - times["min"], times["max"] - times["median"]]
    axis.barh(
        places,
        times["median"],
        xerr=errors,
        color=[COLOURS.get(peer, "#999999") for peer in times.index],
        error_kw={"lw": 1, "capsize": 2, "ecolor": "#333333"},
    )
    for place, (_, row) in zip(places, times.iterrows(), strict=True):
        axis.annotate(
            format_seconds(row["median"]),
            (row["max"], place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axis.set_yticks(places, [titles[peer] for peer in times.index], fontsize=8)
    axis.set_xlim(0, times["max"].max() * 1.22)
    axis.xaxis.set_major_formatter(lambda value, _: format_seconds(value) if value else "0")
    axis.xaxis.set_major_locator(MaxNLocator(4))
    axis.tick_params(axis="x", labelsize=8)
    axis.set_title(group.iloc[0]["title"], fontsize=10, loc="left")
    _clean(axis)


def draw_growth(table: pd.DataFrame) -> Any:
    """A log-log panel per axis: median fit time, a band between the extremes."""
    measured = table[table["seconds"].notna()]
    if measured.empty:
        return None
    names = list(measured["axis"].unique())
    figure, axes = _panels(len(names), 2, 4.3)
    for axis, name in zip(axes, names, strict=True):
        group = measured[measured["axis"] == name]
        for peer, points in group.groupby("peer", sort=False):
            times = points.groupby("value")["seconds"].agg(["median", "min", "max"])
            style = {"color": COLOURS.get(str(peer), "#999999")}
            axis.plot(
                times.index,
                times["median"],
                marker=MARKERS.get(str(peer), "o"),
                label=points.iloc[0]["peer_title"],
                **style,
            )
            axis.fill_between(times.index, times["min"], times["max"], alpha=0.2, **style)
        axis.set_xscale("log")
        axis.set_yscale("log")
        values = sorted(group["value"].unique())
        axis.set_xticks(values, [f"{value:,.0f}" for value in values])
        axis.minorticks_off()
        axis.yaxis.set_major_formatter(lambda value, _: format_seconds(value))
        axis.grid(alpha=0.3)
        axis.set_xlabel(AXIS_TITLES.get(name, name), fontsize=9)
        axis.set_ylabel("fit time, two epochs")
        _clean(axis)
    _shared_legend(figure, axes)
    return figure


def draw_search(table: pd.DataFrame) -> Any:
    """Search time against the number of candidates: a line per way to search."""
    measured = table[table["seconds"].notna() & (table["axis"] == "candidates")]
    if measured.empty:
        return None
    figure, axes = _panels(1, 1, 4.6)
    axis = axes[0]
    for peer, points in measured.groupby("peer", sort=False):
        times = points.groupby("value")["seconds"].agg(["median", "min", "max"])
        style = {"color": COLOURS[str(peer)]}
        title = points.iloc[0]["peer_title"]
        axis.plot(times.index, times["median"], marker=MARKERS[str(peer)], label=title, **style)
        axis.fill_between(times.index, times["min"], times["max"], alpha=0.2, **style)
    values = sorted(measured["value"].unique())
    axis.set(xscale="log", yscale="log", ylabel="search time", xlabel="candidates, 5 folds each")
    axis.set_xticks(values, [f"{value:,.0f}" for value in values])
    axis.minorticks_off()
    axis.yaxis.set_major_formatter(lambda value, _: format_seconds(value))
    axis.grid(alpha=0.3)
    _clean(axis)
    # Within the panel: its long labels would not fit above a single one.
    axis.legend(frameon=False, loc="upper left")
    return figure


def _shared_legend(figure: Any, axes: list[Any]) -> None:
    """One legend above all panels, with every label of any of them once."""
    handles: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper center", ncols=5, frameon=False
    )


def draw_limits(table: pd.DataFrame) -> Any:
    """A panel per large workload: every peer's share of the matrix products' rate."""
    measured = table[table["seconds"].notna()]
    workloads = list(measured.loc[measured["peer"] == "matrix-products", "workload"].unique())
    if not workloads:
        return None
    figure, axes = _panels(len(workloads), 3, 3.6)
    for axis, workload in zip(axes, workloads, strict=True):
        group = measured[measured["workload"] == workload]
        ratios = paired_ratios(group, "matrix-products").drop(index="matrix-products")
        shares = 1 / ratios["median"]
        titles = group.drop_duplicates("peer").set_index("peer")["peer_title"]
        places = np.arange(len(shares))[::-1]
        axis.barh(places, shares, color=[COLOURS.get(peer, "#999999") for peer in shares.index])
        for place, share in zip(places, shares, strict=True):
            axis.annotate(
                f"{share:.0%}",
                (share, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axis.axvline(1.0, color="#777777", ls="--", lw=1)
        axis.set_yticks(places, [titles[peer] for peer in shares.index], fontsize=8)
        axis.set_xlim(0, max(1.12, shares.max() * 1.12))
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axis.set_title(group.iloc[0]["title"], fontsize=10, loc="left")
        _clean(axis)
    figure.suptitle("Share of the float32 matrix products' rate", fontsize=11)
    return figure


def draw_memory(table: pd.DataFrame) -> Any:
    """A panel per workload, a bar per peer: peak memory above the baseline."""
    measured = table[table["peak_bytes"].notna()]
    if measured.empty:
        return None
    workloads = list(measured["workload"].unique())
    peers = measured.groupby("workload")["peer"].nunique().max()
    figure, axes = _panels(len(workloads), 3, 0.9 + 0.27 * peers)
    for axis, workload in zip(axes, workloads, strict=True):
        group = measured[measured["workload"] == workload]
        places = np.arange(len(group))[::-1]
        megabytes = group["peak_bytes"] / 1e6
        axis.barh(places, megabytes, color=[COLOURS.get(p, "#999999") for p in group["peer"]])
        for place, value in zip(places, megabytes, strict=True):
            axis.annotate(
                f"{value:,.0f} MB",
                (value, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axis.set_yticks(places, group["peer_title"], fontsize=8)
        axis.set_xlim(0, max(1.0, megabytes.max()) * 1.22)
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.tick_params(axis="x", labelsize=8)
        axis.set_title(group.iloc[0]["title"], fontsize=10, loc="left")
        _clean(axis)
    figure.suptitle("Peak memory above that before the call, MB")
    return figure
