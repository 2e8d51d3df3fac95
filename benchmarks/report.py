"""The Markdown report: machine, times, ratios, limits, memory, growth, searches, left out."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.files import REFERENCE as IN_MEMORY
from benchmarks.files import paired_rates, rows_per_second
from benchmarks.peers import OURS, REFERENCE
from benchmarks.results import Results
from benchmarks.scaling import AXIS_TITLES, slopes
from benchmarks.search import PEERS as SEARCH_PEERS
from benchmarks.timing import paired_ratios
from benchmarks.wording import circumstances, count, period

QUICK_NOTE = (
    "**Quick run: sizes and epochs are cut, times are short and noisy. For smoke tests only.**"
)

BUSY_LOAD = 0.3
"""Load per core above which a machine is called busy."""

BUSY_NOTE = (
    "**The machine was busy when the run of {date} began (load {load} on {cores} cores): threads "
    "that wait for a core distort times and ratios. Measure again on a quiet machine.**"
)


def write_report(results: Results, folder: Path, plots: Sequence[str] = ()) -> Path:
    """Write `report.md` beside the results; `plots` are the names of pictures in the folder."""
    sections = [
        head(results),
        workloads_section(results.table("workloads")),
        limits_section(results.table("workloads")),
        memory_section(results.table("memory")),
        files_section(results.table("files")),
        imports_section(results.table("imports")),
        overhead_section(results.table("overhead")),
        scaling_section(results.table("scaling")),
        search_section(results.table("search")),
        left_out_section(results.table()),
    ]
    if plots:
        sections.append("## Plots\n\n" + "\n\n".join(f"![{name}]({name})" for name in plots))
    path = folder / "report.md"
    path.write_text("\n\n".join(section for section in sections if section) + "\n")
    return path


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1
) -> str:
    """A table whose first columns are text and whose others are figures.

    Examples
    --------
    >>> print(markdown_table(["peer", "ms"], [["a", "1.0"]]))
    | peer | ms |
    |---|--:|
    | a | 1.0 |
    """
    marks = ["---"] * text_columns + ["--:"] * (len(header) - text_columns)
    text = ["| " + " | ".join(header) + " |", "|" + "|".join(marks) + "|"]
    return "\n".join(text + ["| " + " | ".join(row) + " |" for row in rows])


def head(results: Results) -> str:
    """Title, how to read it, when and on what machine, commands."""
    machine, table = results.machine, results.table()
    names = ["numpy", "scipy", "scikit-learn", "torch", "skorch", "pandas", "sklearn-mlp"]
    versions = ", ".join(f"{name} {machine.get(name, '?')}" for name in names)
    device = machine.get("device", "cpu")
    where = "" if device == "cpu" else f", torch peers on {device} ({machine['device_name']})"
    commands = [command for command in table["command"].unique() if command]
    lines = [
        "# Benchmark report",
        f"Measured {period(table) or machine.get('date')} on {machine.get('cpu')}, "
        f"{machine.get('cores')} cores, {machine.get('memory_gb')} GB{where}. "
        f"Python {machine.get('python')}, {versions}. "
        f"torch uses {machine.get('torch_threads')} threads; {machine.get('blas')}.",
        f"{'Commands' if len(commands) > 1 else 'Command'}: "
        + ", then ".join(f"`{command}`" for command in commands or [results.command]),
        "Below each heading, or in the column *measured*, stand the rounds behind the figures, "
        "when they began, and the load then: how many processes ran on average over the minute "
        "before, this program's own among them.",
    ]
    if (table["date"] == "").any():
        lines[-1] += " Figures without a time of day are older than the others."
    if results.quick:
        lines.append(QUICK_NOTE)
    if float(machine.get("load", 0)) > BUSY_LOAD * float(machine.get("cores", 1)):
        lines.append(BUSY_NOTE.format(**machine))
    return "\n\n".join(lines)


def dividing_peer(table: pd.DataFrame) -> str:
    """The peer whose times the others are divided by: ours, else scikit-learn's."""
    measured = set(table.loc[table["seconds"].notna(), "peer"])
    return OURS.name if OURS.name in measured else REFERENCE.name


def format_seconds(seconds: float) -> str:
    """A duration with three digits and a fitting unit.

    Examples
    --------
    >>> format_seconds(0.000345), format_seconds(0.064), format_seconds(12.3)
    ('345 µs', '64.0 ms', '12.3 s')
    """
    for factor, unit in ((1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 999.5:
            return f"{_three_digits(seconds * factor)} {unit}"
    return f"{_three_digits(seconds)} s"


def spread(low: float, high: float, rounds: float, form: str | Callable[[float], str]) -> str:
    """The extremes of some rounds; a single round has none."""
    if rounds < 2:
        return "–"
    write = form.format if isinstance(form, str) else form
    return f"{write(low)} – {write(high)}"


def _three_digits(number: float) -> str:
    digits = 0 if number >= 99.95 else 1 if number >= 9.995 else 2
    return f"{number:.{digits}f}"


def workloads_section(table: pd.DataFrame) -> str:
    """One table per workload: time per step, spread, ratio to ours, score, agreement."""
    if table.empty:
        return ""
    reference = dividing_peer(table)
    intro = (
        "## Time per step\n\n"
        "Median over the rounds, then the fastest and the slowest round, where there is more than "
        "one. A step is one mini-batch "
        "(an iteration for lbfgs, a call for a prediction); its time is that of the whole fit "
        f"over its steps. *Over {reference}* is the peer's time over that of `{reference}` in "
        "the same round: median and extremes over the rounds. *Share of the limit* is the time of "
        "the matrix products alone, each by the fastest float32 kernel found, over the peer's, "
        "likewise: the median. *Agreement* is how far the result "
        "was from scikit-learn's in float64, against the margin that it had to keep."
    )
    parts = [intro]
    for workload, group in table.groupby("workload", sort=False):
        measured = group[group["seconds"].notna()]
        if measured.empty:
            continue
        first = measured.iloc[0]
        size = f"{count(first.n_samples, 'row')}, {count(first.n_features, 'feature')}, "
        size += count(first.steps, "call" if first.kind == "predict" else "step")
        rows = _workload_rows(measured, reference)
        header = ["peer", "per step", "range", f"over {reference}", "range"]
        header += ["share of the limit", "score"]
        title = f"### {first.title}\n\n`{workload}`: {size}; {circumstances(measured)}."
        parts.append(f"{title}\n\n{markdown_table([*header, 'agreement'], rows)}")
    return "\n\n".join(parts)


def _workload_rows(measured: pd.DataFrame, reference: str) -> list[list[str]]:
    ratios = paired_ratios(measured, reference)
    limits = paired_ratios(measured, "matrix-products")
    rows = []
    for peer, group in measured.groupby("peer", sort=False):
        steps, first = group["seconds_per_step"], group.iloc[0]
        cells = ["–", "–"]
        if peer in ratios.index:
            ratio = ratios.loc[peer]
            cells = [
                f"{ratio['median']:.2f}",
                spread(ratio["low"], ratio["high"], ratio["rounds"], "{:.2f}"),
            ]
        agreement = first["rule"]
        if np.isfinite(first["deviation"]):
            agreement += f" {first['deviation']:.1e} (≤ {first['margin']:.0e})"
        rows.append(
            [
                first["peer_title"],
                format_seconds(steps.median()),
                spread(steps.min(), steps.max(), len(steps), format_seconds),
                *cells,
                f"{1 / limits.loc[peer, 'median']:.0%}" if peer in limits.index else "–",
                f"{first['score']:.4f}" if np.isfinite(first["score"]) else "–",
                agreement,
            ]
        )
    return rows


def limits_section(table: pd.DataFrame) -> str:
    """Achieved rates of floating-point operations, and shares of the matrix products' rate."""
    products = table[(table["peer"] == "matrix-products") & table["seconds"].notna()]
    if products.empty:
        return ""
    intro = (
        "## Distance from the limit\n\n"
        "`matrix products alone` does the products of every step, each with the fastest kernel "
        "found, and nothing else. *Share of the products* is its time over the peer's, round by "
        "round (median, extremes); *of the best rate* divides by the fastest single product. "
        "Rates are in GFLOP/s, counting 6nP − 2nP₁ operations per step."
    )
    parts = [intro]
    for workload in products["workload"].unique():
        group = table[(table["workload"] == workload) & table["seconds"].notna()]
        kernels = products.loc[products["workload"] == workload, "note"].iloc[0]
        header = ["peer", "GFLOP/s", "share of the products", "range", "of the best rate"]
        rows = _limit_rows(group)
        title = group.iloc[0]["title"]
        parts.append(
            f"### {title}\n\n{circumstances(group)}.\n\n{markdown_table(header, rows)}\n\n"
            f"Kernels: {kernels}."
        )
    return "\n\n".join(parts)


def _limit_rows(group: pd.DataFrame) -> list[list[str]]:
    ratios = paired_ratios(group, "matrix-products")
    best = group["best_flops"].max()
    rows = []
    for peer, rounds in group.groupby("peer", sort=False):
        rate = (rounds["step_flops"] / rounds["seconds_per_step"]).median()
        ratio = ratios.loc[peer]
        rows.append(
            [
                rounds.iloc[0]["peer_title"],
                f"{rate / 1e9:.0f}",
                f"{1 / ratio['median']:.0%}",
                spread(1 / ratio["high"], 1 / ratio["low"], ratio["rounds"], "{:.0%}"),
                f"{rate / best:.0%}",
            ]
        )
    return rows


def memory_section(table: pd.DataFrame) -> str:
    """Peak memory above the baseline, workloads down, peers across."""
    measured = table[table["peak_bytes"].notna()]
    if measured.empty:
        return ""
    titles = measured.drop_duplicates("peer").set_index("peer")["peer_title"]
    rows = []
    for _, group in measured.groupby("workload", sort=False):
        peaks = group.set_index("peer")["peak_bytes"]
        rows.append(
            [
                group.iloc[0]["title"],
                f"{group['input_bytes'].max() / 1e6:.0f}",
                *(f"{peaks[peer] / 1e6:.0f}" if peer in peaks else "–" for peer in titles.index),
            ]
        )
    header = ["workload", "input", *titles]
    return (
        "## Peak memory, MB\n\n"
        "Highest resident memory during the call, above that just before it (libraries imported, "
        "data loaded in the peer's dtype, model fitted where a prediction is measured); each in a "
        "process of its own. *Input* is the size of X in float64 (for a prediction, of the rows "
        f"to predict).\n\n{circumstances(measured)}.\n\n" + markdown_table(header, rows)
    )


def files_section(table: pd.DataFrame) -> str:
    """Rows per second and memory of each peer, where the rows stay in a file or are in memory."""
    measured = table[table["seconds"].notna()]
    if measured.empty:
        return ""
    ratios, rows = paired_rates(measured, IN_MEMORY), []
    for peer, group in measured.groupby("peer", sort=False):
        rates, ratio = rows_per_second(group) / 1e6, ratios.get(peer, [])
        rows.append(
            [
                group.iloc[0]["peer_title"],
                f"{group.iloc[0]['n_samples']:,}",
                f"{rates.median():.2f}",
                spread(rates.min(), rates.max(), len(rates), "{:.2f}"),
                f"{np.median(ratio):.2f}" if len(ratio) else "–",
                f"{group['peak_bytes'].max() / 1e6:.0f}",
                f"{group['mapped_bytes'].max() / 1e6:.0f}",
                f"{group['score'].iloc[0]:.3f}",
            ]
        )
    header = ["peer", "rows", "million rows/s", "range", "slower than in memory", "own memory, MB"]
    header += ["pages of files, MB", "R²"]
    first = measured.iloc[0]
    return (
        "## Rows in a file\n\nWhole fits, checks included, each in a process of its own that may "
        "hold 2 GiB of its own memory where the rows stay in the file. *Own memory* is the most "
        "that it had, above what it had before; *pages of files* are those of libraries and of "
        "the file that the system keeps for it, and takes back when it needs them. *Slower* is by "
        f"the rates of a round.\n\n{first['title']}, {first['input_bytes'] / 1e9:.1f} GB of "
        f"float64; {circumstances(measured)}.\n\n{markdown_table(header, rows)}"
    )


def imports_section(table: pd.DataFrame) -> str:
    """Import times in fresh processes, and what the package adds to what it stands on."""
    measured = table[table["seconds"].notna()]
    if measured.empty:
        return ""
    rows = [
        [
            f"`{group.iloc[0]['peer_title']}`",
            f"{group['seconds'].median():.2f}",
            spread(group["seconds"].min(), group["seconds"].max(), len(group), "{:.2f}"),
        ]
        for _, group in measured.groupby("peer", sort=False)
    ]
    text = "## Import time, seconds in a fresh process\n\n" + f"{circumstances(measured)}.\n\n"
    text += markdown_table(["statement", "median", "range"], rows)
    by_round = measured.pivot(index="round", columns="peer", values="seconds")
    if {"sklearn_mlp", "torch-and-sklearn"} <= set(by_round):
        extra = by_round["sklearn_mlp"] - by_round["torch-and-sklearn"]
        text += f"\n\nThe package adds {extra.median():.2f} s to torch and scikit-learn"
        if len(extra) > 1:
            text += f" ({extra.min():.2f} – {extra.max():.2f} over the rounds)"
        text += "."
    return text


def overhead_section(table: pd.DataFrame) -> str:
    """What training through the skorch backend takes, beside plain skorch."""
    rows = []
    for _, group in table[table["seconds"].notna()].groupby("workload", sort=False):
        medians = group.groupby("peer")["seconds_per_step"].median() * 1e3
        if not {"ours-skorch", "skorch"} <= set(medians.index):
            continue
        ratio = paired_ratios(group, "skorch").loc["ours-skorch"]
        rows.append(
            [
                group.iloc[0]["title"],
                f"{medians['ours-skorch']:.3f}",
                f"{medians['skorch']:.3f}",
                f"{ratio['median']:.2f}",
                spread(ratio["low"], ratio["high"], ratio["rounds"], "{:.2f}"),
                circumstances(group),
            ]
        )
    if not rows:
        return ""
    header = ["workload", "ours, ms/step", "plain skorch, ms/step", "ratio", "range", "measured"]
    return (
        "## The skorch backend beside plain skorch\n\nProcessor time of whole fits on one thread, "
        f"per step.\n\n{markdown_table(header, rows)}"
    )


def scaling_section(table: pd.DataFrame) -> str:
    """Fit times along each axis with the slopes of their curves."""
    measured = table[table["seconds"].notna()]
    if measured.empty:
        return ""
    slope = slopes(measured).set_index(["axis", "peer"])
    parts = [
        "## How cost grows\n\n"
        "Median fit time of two epochs. *Slope* is that of the whole curve on log-log axes (least "
        "squares), *at the end* that between the last two points: 1 is proportional, 2 quadratic. "
        "The median of the rounds' slopes, then their extremes; where these are far apart, the "
        "slope is noise, and from a single round there is none."
    ]
    for axis, group in measured.groupby("axis", sort=False):
        values = sorted(group["value"].unique())
        medians = group.groupby(["peer", "value"])["seconds"].median()
        rows = []
        peers = group.drop_duplicates("peer")[["peer", "peer_title"]]
        for peer, title in peers.itertuples(index=False):
            times = [medians.get((peer, value), float("nan")) for value in values]
            cells = [format_seconds(time) if np.isfinite(time) else "–" for time in times]
            ends = ["–", "–"]
            if (axis, peer) in slope.index:
                fitted = slope.loc[(axis, peer)]
                ends = [_slope(fitted, "slope"), _slope(fitted, "last_slope")]
            rows.append([title, *cells, *ends])
        header = ["peer", *(f"{value:,.0f}" for value in values), "slope", "at the end"]
        title = f"### {AXIS_TITLES.get(axis, axis)}\n\n{circumstances(group)}."
        parts.append(f"{title}\n\n{markdown_table(header, rows)}")
    return "\n\n".join(parts)


def _slope(fitted: pd.Series, name: str) -> str:
    """Median and extremes."""
    low, high = fitted[f"{name}_low"], fitted[f"{name}_high"]
    return f"{fitted[name]:.2f} ({low:.2f} – {high:.2f})"


def search_section(table: pd.DataFrame) -> str:
    """Whole searches: median times, and how many times faster the batched one is."""
    measured = table[table["seconds"].notna()]
    rows = []
    for _, group in measured.groupby("workload", sort=False):
        medians = group.groupby("peer")["seconds"].median()
        cells = [group.iloc[0]["title"]]
        cells += [
            format_seconds(medians[peer]) if peer in medians else "–" for peer in SEARCH_PEERS
        ]
        for other in ("sklearn-search", "ours-one-by-one"):
            cell = "–"
            if {other, "ours-batched"} <= set(medians.index):
                # The ratios of times per round, the other's over the batched one's.
                ratio = paired_ratios(group, other).loc["ours-batched"]
                cell = f"{1 / ratio['median']:.1f}"
            cells.append(cell)
        rows.append([*cells, circumstances(group)])
    if not rows:
        return ""
    header = ["search", *SEARCH_PEERS.values(), "times faster than the first", "than the second"]
    header.append("measured")
    return (
        "## Whole searches\n\nWall time of the search with scoring, without refit, in one process "
        f"per core; medians.\n\n{markdown_table(header, rows)}"
    )


def left_out_section(table: pd.DataFrame) -> str:
    """Who has no time, and why: refusals, failures, disagreements."""
    out = table[table["seconds"].isna() & table["peak_bytes"].isna()]
    if out.empty:
        return ""
    rows = [
        [row.section, row.workload, row.peer, row.note.replace("|", "\\|")]
        for row in out.itertuples()
    ]
    return "## Left out\n\n" + markdown_table(["section", "workload", "peer", "reason"], rows, 4)
