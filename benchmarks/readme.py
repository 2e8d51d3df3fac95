"""The README's table, rewritten from a results file.

    python -m benchmarks.readme benchmarks/results/NAME/results.json README.md

Everything between `<!-- benchmark table: start -->` and `<!-- benchmark table: end -->` is
replaced; with `--check` nothing is written, and the exit status says whether it is up to date.
"""

import argparse
import re
import sys
from pathlib import Path

from benchmarks.results import Results
from benchmarks.summary import summary_notes, summary_table
from benchmarks.wording import period, rounds_of

START = "<!-- benchmark table: start -->"
END = "<!-- benchmark table: end -->"


def render(results: Results, source: str) -> str:
    """The table with lines on what it shows, on the machine, and on where it comes from."""
    machine, table = results.machine, results.table("workloads")
    measured = table[table["seconds"].notna()]
    where = machine["device_name"] if machine["device"] != "cpu" else machine["cpu"]
    paragraphs = [
        START,
        summary_table(table),
        f"Times faster, medians of {rounds_of(measured)}, interleaved, measured "
        f"{period(measured) or machine['date']}; {where}, {machine['cores']} CPU cores, torch "
        f"{machine['torch']}, scikit-learn {machine['scikit-learn']}, skorch "
        f"{machine['skorch']}. A time counts only where the results agree.",
        summary_notes(table),
        f"Made by `python -m benchmarks.readme {source} README.md`.",
        END,
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def replace_table(text: str, table: str) -> str:
    """The README's text with a new table between its two marks."""
    pattern = re.compile(re.escape(START) + ".*?" + re.escape(END), re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"the README must hold {START!r} and {END!r} once, in this order")
    return pattern.sub(lambda match: table, text)


def main() -> int:
    """Rewrite or check; 1 where a check finds the table out of date."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readme")
    parser.add_argument("results", type=Path, help="a results.json")
    parser.add_argument("readme", type=Path, nargs="?", default=Path("README.md"))
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    options = parser.parse_args()
    results = Results.load(options.results)
    if results.quick:
        parser.error(f"{options.results} is of a quick run, which is no result to publish")
    old = options.readme.read_text()
    new = replace_table(old, render(results, options.results.as_posix()))
    if options.check:
        return int(old != new)
    options.readme.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
