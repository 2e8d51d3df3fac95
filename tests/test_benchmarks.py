"""The benchmark suite's own logic; no test asserts a time."""

import doctest
import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes

from benchmarks import csv_comparison, imports, limits, report, wording, workloads
from benchmarks.__main__ import main, parse
from benchmarks.agreement import compare_curves, compare_predictions, compare_scores
from benchmarks.csv_comparison import (
    Comparison,
    compare_on_table,
    disagreements,
    guess_task,
    make_folds,
    save,
    split_target,
)
from benchmarks.csv_comparison import report as csv_report
from benchmarks.data import DataSource, read_idx
from benchmarks.overhead import PEERS as OVERHEAD_PEERS
from benchmarks.overhead import run_overhead
from benchmarks.peers import REFERENCE, Peer, ScikitLearn, Trained, all_peers
from benchmarks.plots import draw_plots
from benchmarks.readme import MARKS, pages, replace_between, speed_page
from benchmarks.results import Measurement, Results
from benchmarks.runner import run_workload
from benchmarks.scaling import scaling_workloads, slopes
from benchmarks.search import PEERS as SEARCH_PEERS
from benchmarks.search import WORKLOADS as SEARCH_WORKLOADS
from benchmarks.search import run_search
from benchmarks.summary import summary_notes, summary_table
from benchmarks.tables import REFERENCE as REFERENCE_OF_TABLES
from benchmarks.tables import quality_table
from benchmarks.timing import geometric_mean, interleave, paired_ratios
from benchmarks.torch_peers import SingleThreadLoop
from benchmarks.workloads import WORKLOADS, Workload

TINY = Workload(
    "tiny",
    "tiny",
    lambda source: workloads.make_synthetic(60, n_features=4, n_classes=3, n_test=40),
    hidden_layer_sizes=(5,),
    batch_size=20,
    epochs=2,
    score_margin=1.0,
)


def silent(line: str) -> None:
    """A log that nobody reads."""


def measurement(peer: str, seconds: float, round_: int = 0, **more: object) -> Measurement:
    settings: dict[str, object] = {"steps": 10, "score": 0.9, "agrees": True, "rule": "loss curve"}
    settings |= {"deviation": 1e-8, "margin": 1e-3, "round": round_, "seconds": seconds}
    return Measurement("workloads", "tiny", "tiny", peer, peer, **(settings | more))


@pytest.fixture
def results() -> Results:
    rows = []
    for round_ in range(2):
        rows += [
            measurement("ours", 1.0 + round_, round_, is_ours=True, step_flops=1e9),
            measurement("sklearn-float64", 3.0 + 3 * round_, round_, step_flops=1e9),
            measurement("matrix-products", 0.5, round_, step_flops=1e9, best_flops=4e10),
        ]
    rows.append(measurement("skorch", float("nan"), agrees=False, note="test score off by 0.5"))
    for value in (10.0, 100.0):
        for round_ in range(2):
            seconds = (1 + round_) * value ** (2 + round_)
            row = measurement("ours", seconds, round_, axis="width", value=value)
            row.section, row.workload = "scaling", f"width={value:.0f}"
            rows.append(row)
    memory = measurement("ours", float("nan"), peak_bytes=2e6, input_bytes=1e6)
    memory.section = "memory"
    machine = {"cpu": "a processor", "cores": 2, "device": "cpu", "device_name": "a processor"}
    machine |= {"torch": "2", "scikit-learn": "1.9", "skorch": "1", "date": "2026-01-01 10:00 UTC"}
    return Results(machine, "python -m benchmarks", False, [*rows, memory])


def test_interleave_runs_in_turn_and_times_each_call():
    ticks = iter(range(100))
    order: list[str] = []
    calls = {name: (lambda name=name: order.append(name) or name) for name in "ABC"}
    laps = list(interleave(calls, 2, clock=lambda: float(next(ticks)), settle_seconds=0.0))
    assert order == list("ABCABC")
    assert [lap.round for lap in laps] == [0, 0, 0, 1, 1, 1]
    assert [lap.result for lap in laps] == order
    assert {lap.seconds for lap in laps} == {1.0}


def test_ratios_are_taken_within_a_round():
    # The machine is twice as slow in the second round, which the ratios must not see.
    table = pd.DataFrame(
        {
            "peer": ["a", "b", "a", "b", "a", "b"],
            "round": [0, 0, 1, 1, 2, 2],
            "seconds": [1.0, 3.0, 2.0, 6.0, 1.0, 4.0],
        }
    )
    ratios = paired_ratios(table, "a")
    assert ratios.loc["b"].tolist() == [3.0, 3.0, 4.0, 3.0]
    assert ratios.loc["a"].tolist() == [1.0, 1.0, 1.0, 3.0]
    assert paired_ratios(table, "absent").empty


def test_geometric_mean_leaves_out_missing_ratios():
    assert geometric_mean(pd.Series([2.0, 8.0, np.nan])) == pytest.approx(4.0)
    assert np.isnan(geometric_mean(pd.Series([], dtype=float)))


def test_a_wrong_curve_is_refused():
    reference = [1.0, 0.5]
    assert compare_curves([1.0, 0.5 + 1e-10], reference, 1e-9).holds
    wrong = compare_curves([1.0, 0.5001], reference, 1e-9)
    assert not wrong.holds
    assert wrong.note == "loss curve off by 0.0002, margin 1e-09"
    assert compare_curves([1.0], reference, 1e-3).note == "1 epoch instead of 2"
    assert not compare_curves([1.0, np.nan], reference, 1e-3).holds


def test_scores_and_predictions_are_held_to_their_margins():
    assert compare_scores(0.91, 0.90, 0.02).holds
    assert not compare_scores(0.95, 0.90, 0.02).holds
    assert not compare_scores(float("nan"), 0.90, 0.02).holds
    assert compare_predictions([0, 1], [0, 1]).holds
    assert compare_predictions([0, 0], [0, 1]).deviation == 0.5
    assert not compare_predictions([0], [0, 1]).holds


class Cheat(ScikitLearn):
    """Claims scikit-learn's trajectory, does half the epochs."""

    name, title, is_ours = "cheat", "cheat", True

    def __init__(self) -> None:
        self.curve_margin, self.input_dtype = 1e-9, "float64"

    def fit_call(self, workload, problem, device):
        return super().fit_call(replace(workload, epochs=1), problem, device)


class Broken(Peer):
    """Fails."""

    name, title = "broken", "broken"

    def fit_call(self, workload, problem, device):
        def fit() -> Trained:
            raise ValueError("out of order")

        return fit


class Absent(Broken):
    """Takes no part."""

    name, title = "absent", "absent"

    def refusal(self, workload):
        return "not installed"


def test_only_who_agrees_is_timed():
    peers = {peer.name: peer for peer in (REFERENCE, Cheat(), Broken(), Absent())}
    rows = run_workload(TINY, DataSource(), peers, repeats=2, log=silent)
    timed = [(row.peer, row.round) for row in rows if row.seconds > 0]
    assert timed == [("sklearn-float64", 0), ("sklearn-float64", 1)]
    assert all(row.steps == 6 and row.agrees for row in rows if row.seconds > 0)
    notes = {row.peer: row.note for row in rows if not row.seconds > 0}
    assert notes == {
        "cheat": "1 epoch instead of 2",
        "broken": "failed: ValueError: out of order",
        "absent": "not installed",
    }


class Rough(ScikitLearn):
    """Follows scikit-learn's trajectory, but for some per cent."""

    name, title = "rough", "rough"

    def __init__(self, exact: Peer, noise: float) -> None:
        super().__init__("float32")
        self.exact, self.noise = exact, noise

    def in_float64(self):
        return self.exact

    def fit_call(self, workload, problem, device):
        def fit() -> Trained:
            trained = fit_exactly()
            return Trained(trained.predict, trained.loss_curve * (1 + self.noise))

        fit_exactly = super().fit_call(workload, problem, device)
        return fit


@pytest.mark.parametrize(("exact", "agrees"), [(REFERENCE, True), (Cheat(), False), (None, False)])
def test_a_float32_curve_that_has_drifted_is_judged_in_float64(exact, agrees):
    peers = {"rough": Rough(exact, 0.05)}
    rows = run_workload(TINY, DataSource(), peers, repeats=1, log=silent)
    (row,) = rows
    assert row.agrees == agrees
    assert (row.seconds > 0) == agrees
    if agrees:
        assert row.rule.startswith("loss curve, in float32 5.0e-02, in float64")
        assert row.deviation == 0
        assert row.margin == 1e-9
    else:
        assert row.note == "loss curve off by 0.05, margin 0.01"


@pytest.mark.parametrize("kind", ["fit", "predict"])
def test_every_peer_does_a_tiny_workload(kind):
    rows = run_workload(replace(TINY, kind=kind), DataSource(), all_peers(), repeats=1, log=silent)
    wrong = {row.peer: row.note for row in rows if not row.agrees}
    assert wrong == {}
    assert {row.peer for row in rows} == set(all_peers())


def test_the_overhead_of_the_skorch_backend():
    threads = torch.get_num_threads()
    peers = {name: all_peers()[name] for name in OVERHEAD_PEERS}
    rows = run_overhead(TINY, DataSource(), peers, repeats=2, log=silent)
    assert torch.get_num_threads() == threads
    assert [row.peer for row in rows if row.seconds > 0] == [*OVERHEAD_PEERS] * 2
    results = Results({}, "command")
    results.measurements = rows
    text = report.overhead_section(results.table("overhead"))
    assert text.startswith("## The skorch backend beside plain skorch")
    assert f"| {TINY.title} |" in text
    assert report.overhead_section(results.table("workloads")) == ""


@pytest.mark.parametrize("change", ["sparse", "regression", "lbfgs", "early_stopping"])
def test_torch_peers_do_the_special_workloads(change):
    def load(source):
        problem = workloads.make_synthetic(60, n_features=4, n_classes=3, n_test=40)
        if change == "sparse":
            X_train, X_test = sp.csr_matrix(problem.X_train), sp.csr_matrix(problem.X_test)
            return replace(problem, X_train=X_train, X_test=X_test)
        if change == "regression":
            y_train, y_test = problem.y_train.astype(float), problem.y_test.astype(float)
            return replace(problem, y_train=y_train, y_test=y_test)
        return problem

    # Two epochs of so few rows say nothing about R2; that they ran is what is tested.
    workload = replace(TINY, load=load, score_margin=100.0)
    if change == "regression":
        workload = replace(workload, task="regression")
    elif change == "lbfgs":
        workload = replace(workload, solver="lbfgs")
    elif change == "early_stopping":
        workload = replace(workload, early_stopping=True)
    everyone = all_peers()
    names = ("skorch", "torch-dataloader", "torch-loop")
    peers = {name: everyone[name] for name in names}
    rows = run_workload(workload, DataSource(), peers, repeats=1, log=silent)
    left_out = {row.peer: row.note for row in rows if not row.seconds > 0}
    lbfgs = {"torch-dataloader": "lbfgs takes no mini-batches"}
    assert left_out == (lbfgs if change == "lbfgs" else {})


def test_steps_count_the_last_partial_batch_and_not_the_held_out_rows():
    assert TINY.steps(61) == 2 * 4
    assert replace(TINY, early_stopping=True).steps(60) == 2 * 3
    assert replace(TINY, solver="lbfgs").steps(60) == 2
    assert replace(TINY, kind="predict", calls=7).steps(60) == 7


def test_every_workload_has_a_quick_version():
    for workload in WORKLOADS.values():
        quick = workload.quick()
        assert quick.rows is not None
        assert quick.epochs <= workload.epochs


def test_documents_are_as_sparse_as_promised():
    X, topics = workloads.make_documents(500, 50_000, n_topics=4, tokens=50)
    assert X.shape == (500, 50_000)
    assert X.nnz / np.prod(X.shape) == pytest.approx(1e-3, rel=0.05)
    np.testing.assert_allclose(X.multiply(X).sum(axis=1), 1.0, rtol=1e-12)
    assert set(topics) == {0, 1, 2, 3}


def test_step_flops_are_those_of_its_products():
    sizes, batch = [784, 256, 10], 64
    products = limits.step_products(sizes, batch)
    assert limits.step_flops(sizes, batch) == sum(map(limits.product_flops, products))


def test_all_kernels_of_a_product_run():
    shapes = {name: call().shape for name, call in limits.kernels((3, 4, 5), "cpu").items()}
    transposed = {name for name in shapes if name.endswith("transposed")}
    assert all(shapes[name] == (5, 3) for name in transposed)
    assert all(shapes[name] == (3, 5) for name in shapes.keys() - transposed)


def test_kernels_of_all_libraries_give_the_same():
    calls = limits.kernels((6, 5, 4), "cpu")
    assert {"mm", "NumPy", "SciPy, b.T"} <= set(calls)
    for label in ("", ", transposed"):
        expected = calls["mm" + label]().numpy().copy()
        for name in ("NumPy", "NumPy, b.T", "SciPy", "SciPy, b.T"):
            np.testing.assert_allclose(calls[name + label](), expected, rtol=1e-5, atol=1e-6)


def test_report_says_how_near_the_limit_a_step_is(results):
    text = report.workloads_section(results.table("workloads"))
    # The products alone take half a second of one, and of two.
    assert "| over ours | range | share of the limit | score |" in text
    row = next(line for line in text.splitlines() if line.startswith("| ours |"))
    assert "| 33% |" in row


def test_slopes_are_log_log(results):
    slope = slopes(results.table("scaling")).iloc[0]
    for name in ("slope", "last_slope"):
        figures = [slope[name], slope[f"{name}_low"], slope[f"{name}_high"]]
        assert figures == pytest.approx([2.5, 2.0, 3.0])


def test_a_single_round_has_no_slope_and_no_range(results):
    results.measurements = [row for row in results.measurements if row.round < 1]
    assert slopes(results.table("scaling")).empty
    text = report.scaling_section(results.table("scaling"))
    assert "| ours | 100 s | 10000 s | – | – |" in text
    assert "\n\n1 round.\n\n" in text
    text = report.workloads_section(results.table("workloads"))
    assert "| sklearn-float64 | 300 ms | – | 3.00 | – |" in text


def test_scaling_names_its_axis_and_value():
    points = scaling_workloads(quick=True)
    assert {point.axis for point in points} == {"n_samples", "width", "depth", "batch_size"}
    deep = next(point for point in points if point.name == "depth=4")
    assert deep.hidden_layer_sizes == (100,) * 4


def test_results_survive_saving(results, tmp_path):
    results.save(tmp_path)
    again = Results.load(tmp_path / "results.json")
    pd.testing.assert_frame_equal(again.table(), results.table())
    saved = pd.read_csv(tmp_path / "results.csv")
    assert len(saved) == len(results.measurements)
    assert set(saved["cpu"]) == {"a processor"}
    json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)


def test_results_replace_only_the_same_workload(results):
    before = len(results.measurements)
    results.replace([measurement("ours", 9.0)])
    assert [row.seconds for row in results.measurements if row.section == "workloads"] == [9.0]
    assert len(results.measurements) == before - 7 + 1
    # Where they were: tables keep their order when a workload is run again.
    assert results.measurements[0].seconds == 9.0


def test_rows_say_when_they_were_measured(results, tmp_path):
    for row in results.measurements[:7]:
        row.date, row.load = "2026-01-01 09:58 UTC", 0.25
        row.command = "python -m benchmarks --repeats 2"
    for row in results.measurements[7:]:
        row.date, row.load = "2026-01-01 10:04 UTC", 1.5
        row.command = "python -m benchmarks --resume"
    results.save(tmp_path)
    assert set(pd.read_csv(tmp_path / "results.csv")["load"]) == {0.25, 1.5}
    again = Results.load(tmp_path / "results.json")
    text = report.write_report(again, tmp_path).read_text()
    assert "Measured 2026-01-01 09:58 – 10:04 UTC on a processor" in text
    commands = "`python -m benchmarks --repeats 2`, then `python -m benchmarks --resume`"
    assert f"Commands: {commands}" in text
    rounds = "0 rows, 0 features, 10 steps; 2 rounds, 2026-01-01 09:58 UTC, load 0.2."
    assert f"`tiny`: {rounds}" in text
    table = speed_page(again, "results.json")
    assert "Medians of 2 rounds, interleaved, 2026-01-01 09:58 UTC;" in table


def test_results_of_older_files_load_without_what_they_lack(results, tmp_path):
    results.save(tmp_path)
    path = tmp_path / "results.json"
    content = json.loads(path.read_text())
    for row in content["measurements"]:
        for column in ("date", "load", "command"):
            del row[column]
    path.write_text(json.dumps(content))
    again = Results.load(path)
    assert [row.date for row in again.measurements] == [""] * len(results.measurements)
    text = report.write_report(again, tmp_path).read_text()
    assert "Measured 2026-01-01 10:00 UTC" in text
    assert "Figures without a time of day are older" in text


def test_a_run_says_when_and_how_each_workload_was_measured(tmp_path, monkeypatch):
    # An empty interpreter starts in no time.
    monkeypatch.setattr(imports, "STATEMENTS", {"interpreter": "pass"})
    options = ["--sections", "imports", "--repeats", "1", "--output", str(tmp_path)]
    assert main(options) == 0
    assert main([*options, "--resume"]) == 0
    results = Results.load(tmp_path / "results.json")
    assert {row.command for row in results.measurements} == {results.command}
    assert results.command.endswith("--resume")
    assert all(row.date.endswith(" UTC") for row in results.measurements)
    results.machine["torch"] = "1.0"
    results.save(tmp_path)
    with pytest.raises(SystemExit, match=r"of the same setup; torch '1\.0' is now"):
        main([*options, "--resume"])


def test_report_has_every_section(results, tmp_path):
    names = draw_plots(results, tmp_path)
    assert names == ["time_per_step.png", "growth.png", "limit.png", "memory.png"]
    text = report.write_report(results, tmp_path, names).read_text()
    assert "| sklearn-float64 | 450 ms | 300 ms – 600 ms | 3.00 | 3.00 – 3.00 |" in text
    assert "loss curve 1.0e-08 (≤ 1e-03)" in text
    assert "| workloads | tiny | skorch | test score off by 0.5 |" in text
    # 10 GFLOP in 1 and in 2 s, against 0.5 s for the products alone.
    assert "| ours | 8 | 33% | 25% – 50% | 19% |" in text
    assert "| tiny | 1 | 2 |" in text
    assert "| ours | 1050 s | 1005000 s | 2.50 (2.00 – 3.00) | 2.50 (2.00 – 3.00) |" in text


def test_readme_and_docs_are_rewritten_from_a_folder_of_results(results, tmp_path):
    results.machine |= {"sklearn-mlp": "0.0.9"}
    results.save(tmp_path)
    marks = [mark.format(name=name) for name in ("speed", "quality") for mark in MARKS]
    made = pages(tmp_path, "before\n{}\nold\n{}\nbetween\n{}\nkept\n{}\n".format(*marks))
    readme, table = made[Path("README.md")], made[Path("docs/measured/speed.md")]
    assert "| tiny | 150 ms | 3.0 × |" in table
    assert "geometric mean of" not in table
    assert "3.0 times as fast as scikit-learn's MLP: geometric means of 1 fit" in readme
    assert "Measured with version 0.0.9" in readme
    assert "kept" in readme
    assert "old" not in readme
    assert pages(tmp_path, readme)[Path("README.md")] == readme
    with pytest.raises(ValueError, match="the README must hold"):
        replace_between("no marks", "speed", table)


def test_quality_of_tables_is_a_table_of_means(tmp_path, results):
    peers = {REFERENCE_OF_TABLES: 0.19, "ours": 0.09}
    rows = [
        {"table": table, "peer": peer, "seed": 0, "seconds": 1.0 / error, "nrmse": error}
        | {"error": error, "log_loss": error}
        for table in "ab"
        for peer, error in peers.items()
    ]
    lines = quality_table(rows).splitlines()
    assert lines[0].endswith(
        "| error, 2 tables | log-loss, 2 tables | RMSE, 2 tables | time of a fit |"
    )
    assert lines[-1] == "| TabularMLPClassifier, TabularMLPRegressor | 0.50 | 0.50 | 0.50 | 2.1 |"


def test_means_are_over_the_rows_that_no_column_lacks():
    def row(workload, peer, seconds, kind="fit"):
        made = measurement(peer, seconds, kind=kind, is_ours=peer.startswith("ours"))
        return replace(made, workload=workload, title=f"workload {workload}")

    seconds = {"ours": 1.0, "ours-skorch": 5.0, "sklearn-float64": 2.0, "torch-loop": 4.0}
    rows = [row(name, peer, value) for name in "ab" for peer, value in seconds.items()]
    rows += [row("a", "torch-loop-1-thread", 9.0), row("b", "torch-loop-1-thread", 3.0)]
    rows += [row("c", "ours", 1.0), row("c", "sklearn-float64", 100.0)]
    rows += [row("p", peer, value, "predict") for peer, value in seconds.items()]
    table = Results({}, "", False, rows).table("workloads")
    lines = summary_table(table).splitlines()
    assert lines[0] == (
        "| workload | ours, per step | vs sklearn-float64 | vs torch-loop | vs ours-skorch |"
    )
    assert lines[2:] == [
        "| workload a | 100 ms | 2.0 × | 4.0 × | 5.0 × |",
        # The loop on one thread is the faster one here.
        "| workload b | 100 ms | 2.0 × | 3.0 × | 5.0 × |",
        "| workload c | 100 ms | 100.0 × | – | – |",
        "| geometric mean of 2 fits |  | 2.0 × | 3.5 × | 5.0 × |",
        "| workload p | 100 ms | 2.0 × | 4.0 × | 5.0 × |",
    ]
    assert summary_notes(table) == (
        "*torch-loop* is timed on torch's own number of threads and on one; the faster counts. "
        "The means are over the rows that no column lacks, the same for all columns; left out: "
        "workload c."
    )


def test_the_loop_on_one_thread_leaves_the_number_of_threads_as_found():
    class Watched(SingleThreadLoop):
        def fit_call(self, workload, problem, device):
            def fit():
                seen.append(torch.get_num_threads())
                return call()

            call = super().fit_call(workload, problem, device)
            return fit

    seen: list[int] = []
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run_workload(TINY, DataSource(), {"watched": Watched()}, repeats=1, log=silent)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 1]


def test_seconds_are_readable():
    assert report.format_seconds(9.996e-4) == "1.00 ms"
    assert report.format_seconds(0.9999) == "1.00 s"
    assert report.format_seconds(3.456e-6) == "3.46 µs"


def test_read_idx(tmp_path):
    path = tmp_path / "images.gz"
    header = b"\x00\x00\x08\x03" + np.array([2, 1, 3], dtype=">i4").tobytes()
    path.write_bytes(gzip.compress(header + bytes(range(6))))
    np.testing.assert_array_equal(read_idx(path), np.arange(6).reshape(2, 1, 3))
    path.write_bytes(gzip.compress(b"\x00\x00\x0d\x01"))
    with pytest.raises(ValueError, match="no IDX file of unsigned bytes"):
        read_idx(path)


def test_data_folder_that_does_not_exist_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("SKLEARN_MLP_DATA", str(tmp_path))
    assert DataSource.from_option(None).folder == tmp_path.resolve()
    with pytest.raises(ValueError, match="does not exist"):
        DataSource.from_option(str(tmp_path / "absent"))


def test_command_line_needs_csv_and_target_together(capsys):
    with pytest.raises(SystemExit):
        parse(["--csv", "table.csv"])
    assert "--csv and --target go together" in capsys.readouterr().err


@pytest.mark.parametrize("module", [csv_comparison, limits, report, wording])
def test_examples_in_docstrings(module):
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_guess_task():
    assert guess_task(pd.Series([True, False])) == "classification"
    assert guess_task(pd.Series([1, 2, 3])) == "classification"
    assert guess_task(pd.Series(np.arange(100))) == "regression"


def test_folds_impute_encode_and_scale():
    frame = pd.DataFrame(
        {
            "number": [1.0, np.nan, 3.0, 4.0, 5.0, 6.0] * 2,
            "text": ["a", "b", None, "a", "b", "a"] * 2,
            "empty": [np.nan] * 12,
            "target": [*[0.5, 1.5, 2.5, 3.5, 4.5] * 2, 1.0, np.nan],
        }
    )
    features, target = split_target(frame, "target")
    assert features.shape == (11, 2)
    folds = make_folds(features, target, "regression", 3)
    assert all(fold.X_train.shape[1] == 3 for fold in folds)
    assert all(np.isfinite(fold.X_train).all() for fold in folds)
    np.testing.assert_allclose([fold.y_train.std() for fold in folds], 1.0)
    with pytest.raises(ValueError, match="there is no column 'absent'"):
        split_target(frame, "absent")


@pytest.mark.parametrize(
    ("load", "task"), [(load_breast_cancer, "classification"), (load_diabetes, "regression")]
)
def test_comparison_on_a_real_table(load, task, tmp_path):
    path = tmp_path / "table.csv"
    load(as_frame=True).frame.to_csv(path, index=False)
    comparison = compare_on_table(path, "target", folds=2, max_iter=3, log=silent)
    assert comparison.task == task
    assert {"scikit-learn", "sklearn_mlp"} <= set(comparison.table["peer"])
    assert "sklearn_mlp" not in comparison.left_out
    assert (comparison.table["epochs"] == 3).all()
    save(comparison, tmp_path / "out")
    written = {path.name for path in Path(tmp_path / "out").iterdir()}
    assert written == {"comparison.csv", "comparison.json", "comparison.png", "report.md"}


def test_comparison_hides_the_time_of_a_wrong_score():
    table = pd.DataFrame(
        {
            "peer": ["scikit-learn", "sklearn_mlp"] * 2,
            "round": [0, 0, 1, 1],
            "seconds": [2.0, 0.123, 2.0, 0.123],
            "epochs": 3,
            "score": [0.9, 0.7, 0.9, 0.7],
        }
    )
    left_out = disagreements(table)
    assert left_out == {"sklearn_mlp": "test score off by 0.2, margin 0.02"}
    text = csv_report(Comparison("classification", (10, 2), table, left_out))
    assert "0.123" not in text
    assert "No time for sklearn_mlp: test score off by 0.2" in text


def test_searches_are_timed_only_where_their_scores_agree(tmp_path):
    workload = replace(SEARCH_WORKLOADS["search-digits"].quick(), n_candidates=4)
    workload = replace(workload, grid={"alpha": [1e-4, 1e-2]})
    rows = run_search(workload, repeats=1, n_jobs=1, log=silent)
    assert [row.peer for row in rows] == list(SEARCH_PEERS)
    assert all(row.agrees and row.seconds > 0 for row in rows)
    results = Results({"cpu": "a processor", "cores": 1}, "", False, rows)
    text = report.search_section(results.table("search"))
    assert "BatchedGridSearchCV" in text
    assert report.search_section(results.table("workloads")) == ""
    assert "search.png" in draw_plots(results, tmp_path)
