"""All workloads at a glance: the README's table, and what has to be said below it."""

import numpy as np
import pandas as pd

from benchmarks.report import dividing_peer, format_seconds, markdown_table
from benchmarks.timing import geometric_mean, paired_ratios
from benchmarks.wording import count

LOOP, LOOP_ON_ONE_THREAD = "torch-loop", "torch-loop-1-thread"
"""One column, where the faster of the two stands."""

LAST = "ours-skorch"
"""Of our own variants the one with a column."""

KINDS = {"fit": "fit", "predict": "prediction"}
"""Each has its rows and a mean of its own: a step and a call are different things."""


def times_faster(table: pd.DataFrame) -> pd.DataFrame:
    """How many times faster we are: workloads down, peers across, nan where there is no time.

    A value is the median of the ratios per round.
    """
    reference = dividing_peer(table)
    measured = table[table["seconds"].notna() & (table["peer"] != "matrix-products")]
    rows = {
        workload: paired_ratios(group, reference)["median"]
        for workload, group in measured.groupby("workload", sort=False)
        if reference in set(group["peer"])
    }
    others = measured[~measured["is_ours"] & (measured["peer"] != reference)]
    columns = [*others["peer"].unique(), LAST]
    ratios = pd.DataFrame(rows).reindex(columns).T.astype(float)
    if {LOOP, LOOP_ON_ONE_THREAD} <= set(columns):
        ratios[LOOP] = ratios[[LOOP, LOOP_ON_ONE_THREAD]].min(axis=1)
        ratios = ratios.drop(columns=LOOP_ON_ONE_THREAD)
    return ratios.dropna(axis=1, how="all")


def of_kind(table: pd.DataFrame, ratios: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The ratios of the fits, or of the predictions."""
    kinds = table.drop_duplicates("workload").set_index("workload")["kind"]
    return ratios[kinds[ratios.index] == kind]


def mean_ratios(table: pd.DataFrame, kind: str) -> tuple[pd.Series, int]:
    """The geometric means of a kind's ratios, and over how many rows: those that none lacks."""
    complete = of_kind(table, times_faster(table), kind).dropna()
    return complete.apply(geometric_mean), len(complete)


def summary_table(table: pd.DataFrame) -> str:
    """Our time per step, and how many times faster that is than each peer."""
    reference, ratios = dividing_peer(table), times_faster(table)
    peers = table.drop_duplicates("peer").set_index("peer")["peer_title"]
    workloads = table.drop_duplicates("workload").set_index("workload")["title"]
    own = table[table["peer"] == reference].groupby("workload")["seconds_per_step"].median()
    rows = []
    for kind, noun in KINDS.items():
        measured = of_kind(table, ratios, kind)
        for name, row in zip(measured.index, measured.to_numpy(), strict=True):
            rows.append([str(workloads[name]), format_seconds(own[name]), *map(_times, row)])
        means, number = mean_ratios(table, kind)
        if number > 1:
            title = f"geometric mean of {count(number, noun)}"
            rows.append([title, "", *map(_times, means)])
    titles = [f"vs {peers[peer]}" for peer in ratios]
    return markdown_table(["workload", f"{peers[reference]}, per step", *titles], rows)


def _times(ratio: float) -> str:
    return f"{ratio:.1f} ×" if np.isfinite(ratio) else "–"


def summary_notes(table: pd.DataFrame) -> str:
    """What the columns and the means stand for."""
    ratios = times_faster(table)
    notes = []
    if {LOOP, LOOP_ON_ONE_THREAD} <= set(table.loc[table["seconds"].notna(), "peer"]):
        title = table.loc[table["peer"] == LOOP, "peer_title"].iloc[0]
        notes.append(
            f"*{title}* is timed on torch's own number of threads and on one; the faster counts."
        )
    left_out = [
        str(table.loc[table["workload"] == name, "title"].iloc[0])
        for name in ratios.index[ratios.isna().any(axis=1)]
    ]
    if left_out:
        notes.append(
            "The means are over the rows that no column lacks, the same for all columns; left "
            f"out: {'; '.join(left_out)}."
        )
    return " ".join(notes)
