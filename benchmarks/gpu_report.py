"""The table of what was seen on a GPU: tests, aims, times; made from the JSON alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.gpu_tests import read_outcomes
from benchmarks.report import (
    QUICK_NOTE,
    format_seconds,
    left_out_section,
    markdown_table,
    spread,
    workloads_section,
)
from benchmarks.results import Results
from benchmarks.timing import paired_ratios


@dataclass(frozen=True)
class Aim:
    """What should be reached, and what was: ``value`` is NaN where it was not measured."""

    text: str
    value: float
    bound: float
    is_least: bool
    shown: str

    @property
    def verdict(self) -> str:
        """Met, missed, or not measured."""
        if pd.isna(self.value):
            return "not measured"
        is_met = self.value >= self.bound if self.is_least else self.value <= self.bound
        return "met" if is_met else "**missed**"


def aims(table: pd.DataFrame) -> list[Aim]:
    """The aims of this project on a GPU, held to the medians that were measured."""
    small = table[(table["workload"] == "small") & (table["peer"] == "ours")]
    step = float(small["seconds_per_step"].median())
    found = [
        Aim("a small step takes at most 30 µs", step, 30e-6, False, _seconds(step)),
        _ratio(
            table, "small", "skorch", "ours", 10, "a small step: skorch takes 10 times as long"
        ),
        _ratio(
            table,
            "grid",
            "sklearn-search",
            "ours-batched",
            20,
            "60 models as one stack: scikit-learn takes 20 times as long on all cores",
        ),
    ]
    titles = table.drop_duplicates("workload").set_index("workload")["title"]
    for workload, title in titles.items():
        if workload != "grid":
            text = f"{title}: no slower than a plain PyTorch loop"
            found.append(_ratio(table, str(workload), "torch-loop", "ours", 1, text))
    return found


def _ratio(
    table: pd.DataFrame, workload: str, peer: str, ours: str, bound: float, text: str
) -> Aim:
    """How many times longer a peer takes than ours, the median of the rounds."""
    ratios = paired_ratios(table[table["workload"] == workload], ours)
    value = float(ratios["median"].get(peer, float("nan")))
    return Aim(text, value, bound, True, "-" if pd.isna(value) else f"{value:.2f} times")


def _seconds(value: float) -> str:
    return "-" if pd.isna(value) else format_seconds(value)


def tests_section(outcomes: Sequence[dict[str, Any]]) -> str:
    """How many tests passed, and which did not."""
    if not outcomes:
        return "## Tests\n\nNone ran."
    counts = pd.Series([one["outcome"] for one in outcomes]).value_counts()
    lines = [
        f"- **{one['test']}** ({one['when']}): `{one['message'].splitlines()[0][:300]}`"
        for one in outcomes
        if one["outcome"] == "failed" and one["message"]
    ]
    reasons = {one["message"] for one in outcomes if one["outcome"] == "skipped"}
    lines += [f"- skipped: {reason}" for reason in sorted(reasons)]
    total = ", ".join(f"{count} {name}" for name, count in counts.items())
    return "\n\n".join(filter(None, ["## Tests", f"{total}.", "\n".join(lines)]))


def grid_section(table: pd.DataFrame) -> str:
    """The times of whole searches."""
    measured = table[(table["workload"] == "grid") & table["seconds"].notna()]
    if measured.empty:
        return ""
    rows = []
    for _, group in measured.groupby("peer", sort=False):
        seconds = group["seconds"]
        shown = spread(seconds.min(), seconds.max(), len(seconds), format_seconds)
        rows.append([group["peer_title"].iloc[0], format_seconds(seconds.median()), shown])
    header = ["search", "time", "from - to"]
    return f"## {measured['title'].iloc[0]}\n\n" + markdown_table(header, rows)


def write_gpu_report(results: Results, folder: Path) -> Path:
    """Write `report.md` beside the results."""
    machine, table = results.machine, results.table()
    names = ("torch", "numpy", "scikit-learn", "skorch", "pandas")
    versions = ", ".join(f"{name} {machine.get(name, '?')}" for name in names)
    rows = [[aim.text, aim.shown, aim.verdict] for aim in aims(table)]
    sections = [
        f"# On {machine.get('device_name')}",
        f"Measured {machine.get('date')} on device `{machine.get('device')}`, beside "
        f"{machine.get('cores')} cores of {machine.get('cpu')}. Python {machine.get('python')}, "
        f"{versions}. Command: `{results.command}`.",
        QUICK_NOTE if results.quick else "",
        "## Aims\n\n" + markdown_table(["aim", "measured", "verdict"], rows, text_columns=3),
        tests_section(read_outcomes(folder / "tests.jsonl")),
        workloads_section(table[table["section"] == "workloads"]),
        grid_section(table),
        left_out_section(table),
    ]
    path = folder / "report.md"
    path.write_text("\n\n".join(section for section in sections if section) + "\n")
    return path
