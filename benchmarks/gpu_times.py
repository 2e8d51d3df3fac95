"""The times that are taken on a GPU: parts, each within seconds of its own, kept lap by lap.

A part checks first that results agree, on few epochs: over thousands of steps rounding grows until
two correct programs part. Then it times as many rounds as its seconds allow, on enough epochs for
what is done once per fit to be little of it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from benchmarks.data import DataSource
from benchmarks.gpu_peers import BFLOAT16, COMPILED, OURS, WITHOUT_GRAPHS, gpu_peers
from benchmarks.machine import available_cores, date_now, load_before
from benchmarks.peers import Peer
from benchmarks.results import Measurement
from benchmarks.runner import Log, check, enter
from benchmarks.search import WORKLOADS as SEARCHES
from benchmarks.search import check_searches
from benchmarks.timing import Lap, interleave
from benchmarks.workloads import WORKLOADS, Problem, Workload, make_synthetic

ROUNDS = 5
QUICK_ROUNDS = 1
EAGER_SHARE = 0.65
"""The share of a part's time for all but torch.compile."""

QUICK_ROWS = 600

T = TypeVar("T")
Record = Callable[[Measurement], None]


def load_images(source: DataSource) -> Problem:
    """Made-up data of MNIST's shape: 60,000 rows to train on, 10,000 to test, in 10 classes."""
    return make_synthetic(60_000, n_features=784, n_classes=10, n_test=10_000)


def load_few(source: DataSource) -> Problem:
    """What a quick run trains on."""
    return make_synthetic(QUICK_ROWS, n_features=10, n_classes=3, n_test=QUICK_ROWS)


@dataclass(frozen=True)
class Part:
    """One thing to time.

    Attributes
    ----------
    seconds : float
        What it may take, with the import of everything.
    workload : Workload
        What is checked, and timed with other epochs.
    epochs : int
        Of the timed fits.
    more : tuple of Peer
        Who takes part besides those who always do.
    """

    seconds: float
    workload: Workload
    epochs: int
    more: tuple[Peer, ...] = ()


PARTS = {
    "small": Part(50, WORKLOADS["small"], 300, (WITHOUT_GRAPHS,)),
    "mnist-128": Part(
        60,
        replace(
            WORKLOADS["mnist-128"],
            title="20,000 x 784 made up, (128,), batch 64",
            load=load_images,
            rows=20_000,
            epochs=1,
            score_margin=0.1,
            measures_limit=False,
        ),
        10,
        (WITHOUT_GRAPHS,),
    ),
    "wide": Part(
        45,
        replace(
            WORKLOADS["wide"],
            title="20,000 x 784 made up, (1024, 1024), batch 512",
            load=load_images,
            epochs=1,
            score_margin=0.1,
            measures_limit=False,
        ),
        5,
        (BFLOAT16,),
    ),
    "predict": Part(40, WORKLOADS["predict-1000000"], 5),
}
"""What is timed by `run_part`, by name; the search is apart."""

GRID = "grid"
GRID_SECONDS = 35.0
SEARCHERS = ("sklearn-search", "ours-batched", "ours-one-by-one")


def seconds_of(name: str) -> float:
    """What a part may take."""
    return GRID_SECONDS if name == GRID else PARTS[name].seconds


def run_part(
    name: str,
    device: str,
    deadline: float,
    record: Record,
    *,
    quick: bool = False,
    log: Log = print,
) -> None:
    """Check and time one part.

    Parameters
    ----------
    name : str
        One of `PARTS`, or `GRID`.
    device : str
        Where all but scikit-learn run.
    deadline : float
        On the clock `time.monotonic`; no round is begun that would end after it.
    record : callable
        Is given each measurement as soon as it is there.
    quick : bool, default=False
        Small sizes and one round.
    log : callable, default=print
        Takes a line of progress.
    """
    date, load = date_now(), load_before()

    def dated(row: Measurement) -> None:
        record(replace(row, date=date, load=load))

    if name == GRID:
        time_grid(device, deadline, dated, quick=quick, log=log)
        return
    part = PARTS[name]
    checked = part.workload
    if quick:
        checked = replace(checked.quick(), load=load_few, rows=None, epochs=2, score_margin=1.0)
    timed = checked if quick else replace(checked, epochs=part.epochs)
    problem = checked.problem(DataSource())
    group = Group(checked, timed, problem, device)
    if quick or checked.kind == "predict":
        group.time(gpu_peers(*part.more), deadline, dated, QUICK_ROUNDS if quick else ROUNDS)
        return
    now = time.monotonic()
    first = now + EAGER_SHARE * (deadline - now)
    n_rounds = group.time(gpu_peers(*part.more), first, dated, ROUNDS)
    # Compiling may take long, or fail: what was measured before is kept by then.
    compiled = {peer.name: peer for peer in (OURS, COMPILED)}
    group.time(compiled, deadline, dated, ROUNDS, first_round=n_rounds)


@dataclass(frozen=True)
class Group:
    """Peers that are checked on one workload, and timed on another of more epochs."""

    checked: Workload
    timed: Workload
    problem: Problem
    device: str
    log: Log = print

    def time(
        self,
        peers: Mapping[str, Peer],
        deadline: float,
        record: Record,
        n_rounds: int,
        first_round: int = 0,
    ) -> int:
        """Check peers, and time those that agree; return the number of the next round."""
        contestants, refused = enter(self.checked, self.problem, peers, self.device)
        agreed = check(self.checked, self.problem, contestants, refused, self.log)
        for row in refused:
            record(row)
        rows = {name: contestants[name].row for name in agreed}
        if self.timed != self.checked:
            contestants, _ = enter(self.timed, self.problem, peers, self.device)
            rows = {
                name: replace(row, steps=contestants[name].row.steps) for name, row in rows.items()
            }
        calls = {name: contestants[name].call for name in agreed}
        last = first_round - 1
        for lap in rounds_within(calls, n_rounds, deadline):
            last = first_round + lap.round
            record(replace(rows[lap.name], round=last, seconds=lap.seconds))
            self.log(f"  round {last + 1}  {lap.name:20s} {lap.seconds:9.4f} s")
        return last + 1


def time_grid(
    device: str, deadline: float, record: Record, *, quick: bool, log: Log = print
) -> None:
    """Time 60 models as one stack on the device, and scikit-learn's search on all cores."""
    workload = replace(SEARCHES["search-digits"], name=GRID)
    if quick:
        workload = replace(workload.quick(), grid={"alpha": [1e-4, 1e-2]})
    n_jobs = {"sklearn-search": 1 if quick else available_cores()}
    peers = ("sklearn-search", "ours-batched") if quick else SEARCHERS
    calls = {peer: workload.search(peer, n_jobs.get(peer), device) for peer in peers}
    rows, agreed = check_searches(workload, calls, log)
    for row in rows:
        record(replace(row, device=device))
    calls = {peer: calls[peer] for peer in agreed}
    for lap in rounds_within(calls, QUICK_ROUNDS if quick else ROUNDS, deadline):
        row = replace(agreed[lap.name], device=device, round=lap.round, seconds=lap.seconds)
        record(row)
        log(f"  round {lap.round + 1}  {lap.name:20s} {lap.seconds:9.4f} s")


def rounds_within(
    calls: Mapping[str, Callable[[], T]],
    n_rounds: int,
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Lap[T]]:
    """Go through rounds of calls, but begin none that would end after the deadline.

    The first is taken to last as long as nothing: something has to be measured.
    """
    longest = 0.0
    for round_ in range(n_rounds):
        began = clock()
        if began + longest > deadline:
            return
        for lap in interleave(calls, 1):
            yield replace(lap, round=round_)
        longest = max(longest, clock() - began)
