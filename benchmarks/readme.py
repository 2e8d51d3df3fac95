"""What the README and the docs show of a run: picture, tables and the lines below them.

    python -m benchmarks.readme benchmarks/results/NAME

From the folder's `results.json`, and `tables.jsonl` of `benchmarks.tables` if it is there, this
rewrites what stands between the marks in README.md, the picture docs/images/speed.png and the
fragments in docs/measured/. With `--check` nothing is written, and the exit status says whether
the texts are up to date.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from benchmarks.plots import draw_speedups
from benchmarks.results import Results
from benchmarks.summary import mean_ratios, summary_notes, summary_table
from benchmarks.tables import quality_table
from benchmarks.wording import count, period, rounds_of
from sklearn_mlp import __version__

ROOT = Path(__file__).parents[1]
MARKS = "<!-- {name}: start -->", "<!-- {name}: end -->"
PICTURE = Path("docs/images/speed.png")
MEASURED = Path("docs/measured")
NAMES = {
    "sklearn-float64": "scikit-learn's MLP",
    "torch-loop": "a plain PyTorch loop",
    "skorch": "skorch",
}
"""The peers that the README names, in this order."""


def circumstances(results: Results, measured: pd.DataFrame) -> str:
    """Rounds, dates, machine and versions; and whether the version is another than this one."""
    machine = results.machine
    where = machine["device_name"] if machine["device"] != "cpu" else machine["cpu"]
    said = (
        f"Medians of {rounds_of(measured)}, interleaved, "
        f"{period(measured) or machine['date']}; {where}, {machine['cores']} CPU cores, torch "
        f"{machine['torch']}, scikit-learn {machine['scikit-learn']}, skorch {machine['skorch']}."
    )
    version = machine.get("sklearn-mlp", __version__)
    if version != __version__:
        said += f" Measured with version {version}; {__version__} has yet to be."
    return said


def in_short(results: Results) -> str:
    """The means, and what they are of."""
    table = results.table("workloads")
    measured = table[table["seconds"].notna() & (table["kind"] == "fit")]
    means, number = mean_ratios(table, "fit")
    faster = [
        f"{means[peer]:.1f} times as fast as {NAMES[peer]}" for peer in NAMES if peer in means
    ]
    return (
        f"On average {', '.join(faster)}: geometric means of {count(number, 'fit')} whose "
        f"results agree. {circumstances(results, measured)}"
    )


def speed_page(results: Results, source: str) -> str:
    """The table of all workloads, with its notes and where it comes from."""
    table = results.table("workloads")
    paragraphs = [
        summary_table(table),
        "Times faster. " + circumstances(results, table[table["seconds"].notna()]),
        "A time counts only where the results agree. " + summary_notes(table),
        f"Made by `python -m benchmarks.readme {source}`.",
    ]
    return "\n\n".join(paragraphs) + "\n"


def replace_between(text: str, name: str, new: str) -> str:
    """The README's text with something else between two marks."""
    start, end = (mark.format(name=name) for mark in MARKS)
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"the README must hold {start!r} and {end!r} once, in this order")
    return pattern.sub(lambda match: f"{start}\n\n{new}\n\n{end}", text)


def pages(folder: Path, readme: str) -> dict[Path, str]:
    """What each file is to hold, by its path in the checkout."""
    source = folder.as_posix()
    results = Results.load(folder / "results.json")
    short = in_short(results)
    shown = f"![How many times faster than its peers a fit is]({PICTURE.as_posix()})\n\n{short}"
    readme = replace_between(readme, "speed", shown)
    made = {
        MEASURED / "in_short.md": short + "\n",
        MEASURED / "speed.md": speed_page(results, source),
    }
    tables = folder / "tables.jsonl"
    if tables.exists():
        rows: list[dict[str, Any]] = [json.loads(line) for line in tables.open()]
        quality = quality_table(rows)
        readme = replace_between(readme, "quality", quality)
        made[MEASURED / "tables.md"] = quality + "\n"
    return {Path("README.md"): readme, **made}


def main() -> int:
    """Rewrite or check; 1 where a check finds a text out of date."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readme")
    parser.add_argument("folder", type=Path, help="a folder of results")
    parser.add_argument("--check", action="store_true", help="only say what is out of date")
    options = parser.parse_args()
    results = Results.load(options.folder / "results.json")
    if results.quick:
        parser.error(f"{options.folder} is of a quick run, which is no result to publish")
    made = pages(options.folder, (ROOT / "README.md").read_text())
    stale = {
        path: text
        for path, text in made.items()
        if not (ROOT / path).exists() or (ROOT / path).read_text() != text
    }
    for path, text in stale.items():
        print(path)
        if not options.check:
            (ROOT / path).write_text(text)
    if not options.check:
        figure = draw_speedups(results.table("workloads"), NAMES)
        figure.savefig(ROOT / PICTURE, dpi=110)
        plt.close(figure)
    return int(options.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
