"""One workload, all peers: agree first, then be timed in turn.

Time per step is the time of a whole fit over its steps, not the difference of two fits of
different length: it holds against everybody what a user waits for (checking the data, drawing
weights, building an optimizer, warm buffers), and a difference of two noisy times would be noisier
than either. Epochs are chosen so that these fixed costs are a small part of the whole.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.agreement import (
    Agreement,
    compare_curves,
    compare_predictions,
    compare_scores,
)
from benchmarks.data import DataSource
from benchmarks.limits import MatrixProducts, step_flops
from benchmarks.machine import synchronize
from benchmarks.peers import REFERENCE, Peer, Result, Trained
from benchmarks.results import NAN, Measurement
from benchmarks.timing import interleave
from benchmarks.torch_peers import layer_sizes
from benchmarks.workloads import Problem, Workload

Log = Callable[[str], None]
Call = Callable[[], Result]


@dataclass
class Contestant:
    """A peer that is ready for a workload, with the row that its measurements start from."""

    peer: Peer
    call: Call
    row: Measurement
    is_timed: bool = True


def run_workload(
    workload: Workload,
    source: DataSource,
    peers: Mapping[str, Peer],
    *,
    device: str = "cpu",
    repeats: int = 5,
    log: Log = print,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Measurement]:
    """Check every peer's results, then time those that agree, interleaved.

    Parameters
    ----------
    workload : Workload
        What to do.
    source : DataSource
        Where real data comes from.
    peers : mapping of str to Peer
        Who does it. The reference is run for the comparison even where it is not among them.
    device : str, default="cpu"
        For the peers that run on torch.
    repeats : int, default=5
        Rounds of timing, after one untimed round in which the results are checked.
    log : callable, default=print
        Takes a line of progress.
    clock : callable, default=time.perf_counter
        Gives seconds.

    Returns
    -------
    list of Measurement
        One per peer and round; one without a time for each peer that refused, failed or disagreed.
    """
    problem = workload.problem(source)
    contestants, rows = enter(workload, problem, peers, device)
    for row in rows:
        log(f"  {row.peer:20s} left out: {row.note}")
    agreed = check(workload, problem, contestants, rows, log)
    calls = {name: contestants[name].call for name in agreed}
    for lap in interleave(calls, repeats, clock=clock):
        rows.append(replace(contestants[lap.name].row, round=lap.round, seconds=lap.seconds))
        log(f"  round {lap.round + 1}/{repeats}  {lap.name:20s} {lap.seconds:9.4f} s")
    return rows


def enter(
    workload: Workload, problem: Problem, peers: Mapping[str, Peer], device: str
) -> tuple[dict[str, Contestant], list[Measurement]]:
    """Prepare every peer that takes part; rows for those that do not."""
    taking_part = {**peers, REFERENCE.name: REFERENCE}
    if workload.measures_limit:
        products = MatrixProducts()
        taking_part[products.name] = products
    views = {dtype: problem.cast(dtype) for dtype in ("float64", "float32")}
    contestants, refused = {}, []
    for name, peer in taking_part.items():
        row = _empty_row(workload, problem, peer, device)
        reason = peer.refusal(workload)
        if reason:
            refused.append(replace(row, note=reason))
            continue
        call = _waiting(peer, workload, views[peer.input_dtype], device)
        is_timed = name in peers or isinstance(peer, MatrixProducts)
        contestants[name] = Contestant(peer, call, row, is_timed)
    return contestants, refused


def _waiting(peer: Peer, workload: Workload, problem: Problem, device: str) -> Call:
    """The peer's call, prepared at its first use, and done only when the device is."""
    prepared: list[Call] = []

    def call() -> Result:
        if not prepared:
            prepared.append(peer.prepare(workload, problem, device))
        result = prepared[0]()
        synchronize(device)
        return result

    return call


def _empty_row(workload: Workload, problem: Problem, peer: Peer, device: str) -> Measurement:
    n_samples, n_features = problem.X_train.shape
    is_predict = workload.kind == "predict"
    sizes = layer_sizes(workload, problem)
    return Measurement(
        workload.section,
        workload.name,
        workload.title,
        peer.name,
        peer.title,
        is_ours=peer.is_ours,
        device=device,
        kind=workload.kind,
        axis=workload.axis,
        value=workload.value,
        n_samples=problem.X_test.shape[0] if is_predict else n_samples,
        n_features=n_features,
        steps=workload.steps(n_samples),
        step_flops=NAN if is_predict else step_flops(sizes, workload.batch_size),
    )


def check(
    workload: Workload,
    problem: Problem,
    contestants: Mapping[str, Contestant],
    rows: list[Measurement],
    log: Log,
) -> list[str]:
    """Run everybody once, the reference first; the names of those whose times may count.

    Adds a row with the reason for each that failed or disagreed, and fills in score and
    agreement of the others.
    """
    reference: Result | None = None
    agreed = []
    names = sorted(contestants, key=lambda name: name != REFERENCE.name)
    for name in names:
        contestant = contestants[name]
        try:
            result = contestant.call()
        except Exception as error:  # one peer's failure must not end the run of the others
            note = f"failed: {type(error).__name__}: {error}".splitlines()[0]
            rows.append(replace(contestant.row, note=note))
            log(f"  {name:20s} {note}")
            continue
        if name == REFERENCE.name:
            reference = result
        assert reference is not None, "the reference itself failed"
        judge(workload, problem, contestant, result, reference)
        row = contestant.row
        if not row.agrees:
            appeal(workload, problem, contestant, reference)
        log(f"  {name:20s} {verdict(row)}")
        if not row.agrees:
            rows.append(row)
        elif contestant.is_timed:
            agreed.append(name)
    return [name for name in contestants if name in agreed]


def judge(
    workload: Workload,
    problem: Problem,
    contestant: Contestant,
    result: Result,
    reference: Result,
) -> None:
    """Fill in the score and the agreement of a contestant's row."""
    row = contestant.row
    if isinstance(contestant.peer, MatrixProducts):
        row.rule, row.agrees = "none, a lower bound", True
        row.best_flops, row.note = contestant.peer.best_rate(), contestant.peer.summary()
        return
    predictions: Any = result
    if isinstance(result, Trained):
        predictions = result.predict(_rows(contestant, problem))
    row.score = workload.score(np.asarray(predictions), problem.y_test)
    agreement = compare(workload, problem, contestant.peer, result, row.score, reference)
    row.rule, row.deviation = agreement.rule, agreement.deviation
    row.margin, row.agrees, row.note = agreement.margin, agreement.holds, agreement.note


def appeal(
    workload: Workload, problem: Problem, contestant: Contestant, reference: Result
) -> None:
    """Tell rounding from another trajectory, where a float32 loss curve is too far off.

    Over thousands of steps a difference of one rounding can grow: a unit that is just above zero
    in one run is just below it in the other. A peer that follows the reference in float64, to
    float64's margin, and whose float32 scores as it should, has done the same work.
    """
    row, exact = contestant.row, contestant.peer.in_float64()
    if exact is None or row.rule != "loss curve" or not isinstance(reference, Trained):
        return
    reference_score = workload.score(reference.predict(problem.X_test), problem.y_test)
    if not compare_scores(row.score, reference_score, workload.score_margin).holds:
        return
    result = exact.prepare(workload, problem, row.device)()
    agreement = compare(workload, problem, exact, result, row.score, reference)
    if agreement.holds:
        row.rule = f"loss curve, in float32 {row.deviation:.1e}, in float64"
        row.deviation, row.margin = agreement.deviation, agreement.margin
        row.agrees, row.note = True, ""


def compare(
    workload: Workload,
    problem: Problem,
    peer: Peer,
    result: Result,
    score: float,
    reference: Result,
) -> Agreement:
    """Hold one result to the reference's by the strictest rule that the peer can be held to."""
    if not isinstance(result, Trained) or not isinstance(reference, Trained):
        return compare_predictions(np.asarray(result), np.asarray(reference))
    margin = peer.curve_margin
    if margin and result.loss_curve is not None and reference.loss_curve is not None:
        rule = "final loss" if workload.solver == "lbfgs" else "loss curve"
        return compare_curves(result.loss_curve, reference.loss_curve, margin, rule)
    reference_score = workload.score(reference.predict(problem.X_test), problem.y_test)
    return compare_scores(score, reference_score, workload.score_margin)


def _rows(contestant: Contestant, problem: Problem) -> Any:
    """The test rows in the contestant's input dtype."""
    return problem.X_test.astype(contestant.peer.input_dtype, copy=False)


def verdict(row: Measurement) -> str:
    """One line on a contestant's agreement."""
    if row.agrees and np.isfinite(row.deviation):
        return f"agrees: {row.rule} off by {row.deviation:.1e} (margin {row.margin:.0e})"
    return row.note if row.agrees else f"DISAGREES, no time: {row.note}"
