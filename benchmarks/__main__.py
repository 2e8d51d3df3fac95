"""The command line; see `python -m benchmarks --help`."""

import argparse
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.data import ENVIRONMENT_VARIABLE, DataSource, DataUnavailable
from benchmarks.files import SCORE_MARGIN, run_files
from benchmarks.imports import run_imports
from benchmarks.machine import (
    PACKAGES,
    available_cores,
    date_now,
    describe_machine,
    device_name,
    load_before,
)
from benchmarks.memory import run_memory
from benchmarks.overhead import PEERS as OVERHEAD_PEERS
from benchmarks.overhead import WORKLOADS as OVERHEAD_WORKLOADS
from benchmarks.overhead import run_overhead
from benchmarks.peers import Peer, all_peers
from benchmarks.report import BUSY_LOAD, BUSY_NOTE, write_report
from benchmarks.results import Measurement, Results
from benchmarks.runner import run_workload
from benchmarks.scaling import PEERS as SCALING_PEERS
from benchmarks.scaling import scaling_workloads
from benchmarks.search import WORKLOADS as SEARCH_WORKLOADS
from benchmarks.search import run_search
from benchmarks.summary import summary_notes, summary_table
from benchmarks.torch_peers import SingleThreadLoop
from benchmarks.workloads import WORKLOADS, Workload

SECTIONS = ("workloads", "memory", "files", "imports", "overhead", "scaling", "search")
RESULTS = Path(__file__).parent / "results"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time sklearn_mlp against its peers, side by side, and check that the results "
        "agree.",
    )
    choose = parser.add_argument_group("what to run")
    choose.add_argument(
        "--sections", nargs="+", choices=SECTIONS, default=SECTIONS, help="default: all"
    )
    choose.add_argument(
        "--workloads", nargs="+", choices=[*WORKLOADS, *SEARCH_WORKLOADS], metavar="NAME"
    )
    choose.add_argument("--peers", nargs="+", choices=all_peers(), metavar="NAME")
    choose.add_argument("--axes", nargs="+", metavar="NAME", help="curves of the section scaling")
    choose.add_argument(
        "--file-gb", type=float, help="size of the section files; default: 0.8, quick: 0.008"
    )
    choose.add_argument("--device", default="cpu", help="for torch peers; default: cpu")
    choose.add_argument("--repeats", type=int, help="timed rounds; default: 5, quick: 2")
    choose.add_argument("--quick", action="store_true", help="cut sizes, for a smoke test")
    choose.add_argument("--list", action="store_true", help="name workloads and peers, and stop")
    files = parser.add_argument_group("files")
    files.add_argument(
        "--data", metavar="FOLDER", help=f"data sets; default: ${ENVIRONMENT_VARIABLE}, OpenML"
    )
    files.add_argument("--output", type=Path, metavar="FOLDER", help="default: by the machine")
    files.add_argument(
        "--resume", action="store_true", help="keep what the output folder has, redo what is named"
    )
    own = parser.add_argument_group("your own table")
    own.add_argument("--csv", type=Path, metavar="FILE")
    own.add_argument("--target", metavar="COLUMN")
    own.add_argument("--task", choices=("classification", "regression"), help="default: guessed")
    own.add_argument("--folds", type=int, default=5)
    own.add_argument("--max-iter", type=int, default=200)
    own.add_argument("--separator", default=",")
    options = parser.parse_args(arguments)
    if (options.csv is None) != (options.target is None):
        parser.error("--csv and --target go together")
    if options.repeats is None:
        options.repeats = 2 if options.quick else 5
    if options.file_gb is None:
        options.file_gb = 0.008 if options.quick else 0.8
    options.command = shlex.join(["python", "-m", "benchmarks", *(arguments or sys.argv[1:])])
    return options


def print_line(line: str) -> None:
    """Print at once, also into a file or a pipe."""
    print(line, flush=True)


def default_output(options: argparse.Namespace) -> Path:
    """A folder named after the machine."""
    name = f"{device_name(options.device)} {available_cores()} cores {options.device}"
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower().replace("(r)", "").replace("(tm)", ""))
    return RESULTS / (slug.strip("-") + ("-quick" if options.quick else ""))


def own_table(options: argparse.Namespace) -> int:
    """The comparison on a user's table."""
    from benchmarks.csv_comparison import compare_on_table, report, save

    comparison = compare_on_table(
        options.csv,
        options.target,
        task=options.task,
        folds=options.folds,
        max_iter=options.max_iter,
        separator=options.separator,
        device=options.device,
        log=print_line,
    )
    folder = options.output or RESULTS / f"csv-{options.csv.name.split('.')[0]}"
    save(comparison, folder)
    print_line(f"\n{report(comparison)}\n\nSaved in {folder}")
    return 0


class Suite:
    """A run of the chosen sections, saved after every workload."""

    def __init__(self, options: argparse.Namespace, results: Results, folder: Path) -> None:
        self.options, self.results, self.folder = options, results, folder
        self.source = DataSource.from_option(options.data)
        everyone = all_peers()
        self.peers = {name: everyone[name] for name in options.peers or everyone}
        names = options.peers or SCALING_PEERS
        self.scaling_peers = {name: everyone[name] for name in names}

    def run(self) -> None:
        """Every chosen section in its order."""
        for section in SECTIONS:
            if section in self.options.sections:
                getattr(self, f"run_{section}")()

    def keep(self, title: str, measure: Callable[[], list[Measurement]]) -> None:
        """Measure one thing and save; data that cannot be had is said and left out.

        Every row says when this began, the load then, and what command it was.
        """
        print_line(f"\n{title}")
        date, load = date_now(), load_before()
        try:
            self.results.replace(
                [
                    replace(row, date=date, load=load, command=self.options.command)
                    for row in measure()
                ]
            )
        except DataUnavailable as reason:
            print_line(f"  skipped: {reason}")
        self.results.save(self.folder)

    def run_workloads(self) -> None:
        """The chosen workloads with the chosen peers."""
        for name in self.named(WORKLOADS):
            workload = WORKLOADS[name].quick() if self.options.quick else WORKLOADS[name]
            self.keep(workload.title, lambda: self.time(workload, self.peers))  # noqa: B023

    def run_memory(self) -> None:
        """Peak memory; a quick run takes few workloads, for every figure costs an import."""
        # One thread holds the same in memory as two.
        peers = {name: peer for name, peer in self.peers.items() if name != SingleThreadLoop.name}
        names = self.named(WORKLOADS)
        if self.options.quick and not self.options.workloads:
            names, peers = ["digits"], self.scaling_peers
        for name in names:
            self.keep(
                f"Peak memory: {WORKLOADS[name].title}",
                lambda: run_memory(
                    WORKLOADS[name],  # noqa: B023
                    self.source,
                    peers.values(),
                    device=self.options.device,
                    quick=self.options.quick,
                    log=print_line,
                ),
            )

    def run_files(self) -> None:
        """Rows that stay in a file."""
        self.keep(
            "Rows in a file",
            lambda: run_files(
                1e9 * self.options.file_gb,
                repeats=self.options.repeats,
                # A few steps say little.
                score_margin=1.0 if self.options.quick else SCORE_MARGIN,
                log=print_line,
            ),
        )

    def run_imports(self) -> None:
        """Import times."""
        self.keep("Import time", lambda: run_imports(self.options.repeats, print_line))

    def run_overhead(self) -> None:
        """The skorch backend beside plain skorch."""
        everyone = all_peers()
        peers = {name: everyone[name] for name in OVERHEAD_PEERS}
        for name in self.named(OVERHEAD_WORKLOADS, WORKLOADS):
            workload = WORKLOADS[name].quick() if self.options.quick else WORKLOADS[name]
            self.keep(
                f"Skorch backend: {workload.title}",
                lambda: run_overhead(
                    workload,  # noqa: B023
                    self.source,
                    peers,
                    repeats=self.options.repeats,
                    log=print_line,
                ),
            )

    def run_scaling(self) -> None:
        """The points of every curve."""
        for workload in scaling_workloads(self.options.quick):
            if not self.options.axes or workload.axis in self.options.axes:
                self.keep(
                    f"Growth: {workload.title}",
                    lambda: self.time(workload, self.scaling_peers),  # noqa: B023
                )

    def run_search(self) -> None:
        """Whole searches."""
        for name in self.named(SEARCH_WORKLOADS):
            workload = SEARCH_WORKLOADS[name]
            workload = workload.quick() if self.options.quick else workload
            self.keep(
                f"Search: {workload.title}",
                lambda: run_search(workload, repeats=self.options.repeats, log=print_line),  # noqa: B023
            )

    def named(self, default: Iterable[str], possible: Iterable[str] | None = None) -> list[str]:
        """The workloads named on the command line, of those possible; else the default ones."""
        chosen = self.options.workloads
        if not chosen:
            return list(default)
        among = set(default if possible is None else possible)
        return [name for name in chosen if name in among]

    def time(self, workload: Workload, peers: dict[str, Peer]) -> list[Measurement]:
        """One workload against peers."""
        return run_workload(
            workload,
            self.source,
            peers,
            device=self.options.device,
            repeats=self.options.repeats,
            log=print_line,
        )


def finish(results: Results, folder: Path) -> int:
    """Write report and plots; 1 where something of ours disagreed or failed."""
    from benchmarks.plots import draw_plots

    plots = draw_plots(results, folder)
    path = write_report(results, folder, plots)
    workloads = results.table("workloads")
    if workloads["seconds"].notna().any():
        print_line(f"\n{summary_table(workloads)}\n\n{summary_notes(workloads)}")
    print_line(f"\nReport: {path}")
    table = results.table()
    wrong = table[table["is_ours"] & ~table["agrees"] & (table["margin"].notna())]
    failed = table[table["is_ours"] & table["note"].str.startswith("failed")]
    for row in [*wrong.itertuples(), *failed.itertuples()]:
        print_line(f"OURS IS WRONG: {row.workload}, {row.peer}: {row.note}")
    return int(len(wrong) + len(failed) > 0)


def refuse_other_machine(earlier: dict[str, Any], now: dict[str, Any]) -> None:
    """A report names one machine and one set of versions, so all its rows must come from there."""
    changed = [
        f"{key} {earlier[key]!r} is now {now[key]!r}"
        for key in ("cpu", "cores", "torch_threads", "device", "device_name", "python", *PACKAGES)
        if key in earlier and earlier[key] != now[key]
    ]
    if changed:
        raise SystemExit(f"--resume adds to measurements of the same setup; {', '.join(changed)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    options = parse(arguments)
    if options.list:
        print_line("workloads: " + ", ".join([*WORKLOADS, *SEARCH_WORKLOADS]))
        print_line("peers: " + ", ".join(all_peers()))
        return 0
    if options.csv:
        return own_table(options)
    folder = options.output or default_output(options)
    results = Results(describe_machine(options.device), options.command, options.quick)
    if options.resume and (folder / "results.json").exists():
        earlier = Results.load(folder / "results.json")
        refuse_other_machine(earlier.machine, results.machine)
        results.measurements = earlier.measurements
    if results.machine["load"] > BUSY_LOAD * results.machine["cores"]:
        print_line(BUSY_NOTE.format(**results.machine).strip("*"))
    Suite(options, results, folder).run()
    return finish(results, folder)


if __name__ == "__main__":
    sys.exit(main())
