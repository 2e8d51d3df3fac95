"""The program that tests and times on a GPU, tried on the CPU; no test asserts a time."""

import json
import os
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import gpu, gpu_report, gpu_tests, gpu_times, gpu_wheels
from benchmarks.gpu_peers import GRAPHS, OURS, WITHOUT_GRAPHS, CompiledLoop
from benchmarks.results import Measurement, Results
from benchmarks.timing import Lap
from benchmarks.workloads import Workload, make_synthetic


def measured(workload, peer, *seconds, steps=1):
    """Rows of a peer's rounds."""
    row = Measurement("workloads", workload, workload, peer, peer, steps=steps, agrees=True)
    return [replace(row, round=place, seconds=each) for place, each in enumerate(seconds)]


def test_a_quick_run_on_the_cpu(tmp_path, capsys, monkeypatch):
    # The one test that the program runs needs no plugin that is installed by chance, and is here.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setattr(gpu_tests, "FILES", gpu_tests.FILES[:1])
    parts = ("small", "grid")
    arguments = ["--device", "cpu", "--quick", "--output", str(tmp_path), "--parts", *parts]
    assert gpu.main([*arguments, "--wheels", str(tmp_path / "none")]) == 0
    results = Results.load(tmp_path / "results.json")
    table = results.table()
    assert set(table.loc[table["seconds"] > 0, "workload"]) == {"small", "grid"}
    assert {"ours", "ours-no-graphs", "skorch", "torch-loop"} <= set(table["peer"])
    assert [one["outcome"] for one in gpu_tests.read_outcomes(tmp_path / "tests.jsonl")] == [
        "passed"
    ]
    report = (tmp_path / "report.md").read_text()
    assert "a small step takes at most 30 µs" in report
    assert "1 passed." in report
    assert "BatchedGridSearchCV" in report
    assert "aim" not in capsys.readouterr().err


def test_without_cuda_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main(["--wheels", "none"]) == 2
    assert "no CUDA GPU" in capsys.readouterr().out


def test_what_takes_too_long_is_ended(tmp_path):
    # With what it has started.
    script = (
        "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', "
        "'import time; time.sleep(60)']); print(p.pid, flush=True); time.sleep(60)"
    )
    path = tmp_path / "log"
    with open(path, "w") as log:
        status = gpu_tests.run_limited([sys.executable, "-c", script], 2.0, dict(os.environ), log)
    assert status is None
    child = int(path.read_text())
    for _ in range(100):
        state = Path(f"/proc/{child}/stat")
        # Whose parent has ended, and whom nobody has asked yet how it went, is a zombie.
        if not state.exists() or state.read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("the child is still there")


def test_a_program_from_the_checkout_says_how_it_ended(tmp_path):
    command = [sys.executable, "-c", "import benchmarks, sys; sys.exit(3)"]
    assert gpu_tests.run_limited(command, 60, dict(os.environ)) == 3


def test_outcomes_that_were_cut_short(tmp_path):
    path = tmp_path / "tests.jsonl"
    assert gpu_tests.read_outcomes(path) == []
    path.write_text('{"test": "a", "outcome": "passed"}\n{"test": "b", "outc')
    assert gpu_tests.read_outcomes(path) == [{"test": "a", "outcome": "passed"}]


def test_each_measurement_is_saved_as_it_comes(tmp_path):
    results = Results({"device": "cpu"}, "command")
    record = gpu.recorder(results, tmp_path)
    for n_rows, row in enumerate(measured("small", "ours", 1.0, 2.0), start=1):
        record(row)
        assert len(Results.load(tmp_path / "results.json").measurements) == n_rows
    assert not list(tmp_path.glob("*.part"))


def test_no_round_is_begun_that_would_end_too_late():
    now = [0.0]

    def call():
        now[0] += 4.0

    laps = list(gpu_times.rounds_within({"a": call, "b": call}, 5, 18.0, clock=lambda: now[0]))
    # The third would end at 24.
    assert [(lap.round, lap.name) for lap in laps] == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]
    assert isinstance(laps[0], Lap)
    assert not list(gpu_times.rounds_within({"a": call}, 5, 1.0, clock=lambda: now[0]))


def test_aims_are_held_to_what_was_measured():
    rows = [
        *measured("small", "ours", 0.05, 0.06, 0.07, steps=5000),
        *measured("small", "skorch", 0.5, 0.9, 0.5, steps=5000),
        *measured("small", "torch-loop", 0.06, 0.05, 0.05, steps=5000),
        *measured("grid", "ours-batched", 1.0),
        *measured("grid", "sklearn-search", 21.0),
    ]
    found = gpu_report.aims(Results({}, "", False, rows).table())
    assert [(aim.shown, aim.verdict) for aim in found] == [
        ("12.0 µs", "met"),
        ("10.00 times", "met"),
        ("21.00 times", "met"),
        ("0.83 times", "**missed**"),
    ]
    nothing = gpu_report.aims(Results({}, "", False, []).table())
    assert {aim.verdict for aim in nothing} == {"not measured"}


def test_failed_tests_are_told():
    failed = {"test": "tests/a", "outcome": "failed", "when": "call", "message": "E\nmore"}
    skipped = {"test": "tests/b", "outcome": "skipped", "when": "setup", "message": "no"}
    text = gpu_report.tests_section([failed, skipped, {**skipped, "test": "tests/c"}])
    assert text == ("## Tests\n\n2 skipped, 1 failed.\n\n- **tests/a** (call): `E`\n- skipped: no")
    assert gpu_report.tests_section([]) == "## Tests\n\nNone ran."


TINY = Workload(
    "tiny",
    "tiny",
    lambda source: make_synthetic(60, n_features=4, n_classes=3, n_test=40),
    hidden_layer_sizes=(5,),
    batch_size=20,
    epochs=2,
    score_margin=1.0,
)


def test_graphs_are_off_for_the_time_of_a_call(monkeypatch):
    seen = []
    monkeypatch.setattr(
        type(OURS), "fit_call", lambda *_: lambda: seen.append(os.environ.get(GRAPHS))
    )
    monkeypatch.setenv(GRAPHS, "1")
    for peer in (OURS, WITHOUT_GRAPHS):
        peer.prepare(TINY, TINY.load(None), "cpu")()
    assert seen == ["1", "0"]
    assert os.environ[GRAPHS] == "1"


def test_the_compiled_loop_is_the_plain_one_compiled(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda network: compiled.append(network) or network)
    trained = CompiledLoop().fit_call(TINY, TINY.load(None).cast("float32"), "cpu")()
    assert len(compiled) == 1
    assert trained.predict(np.zeros((2, 4), np.float32)).shape == (2,)


def test_wheels_are_asked_for_in_the_pinned_versions():
    options = gpu_wheels.parse(["--python", "3.13", "--also", "numpy", "--without", "scipy"])
    command = gpu_wheels.download_command(options)
    pinned = gpu_wheels.pinned_versions()
    assert "--no-deps" in command
    assert not any(word.startswith("scipy") for word in command)
    assert {f"scikit-learn=={pinned['scikit-learn']}", f"numpy=={pinned['numpy']}"} <= set(command)
    assert command[command.index("--python-version") + 1] == "3.13"


def make_wheel(folder, name, version):
    """Write the smallest wheel there is, of one module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)


def test_what_is_missing_comes_from_the_wheels(tmp_path, monkeypatch):
    make_wheel(tmp_path, "sklearn_mlp_not_there", "1.0")
    make_wheel(tmp_path, "tqdm", "0.1")
    before = list(sys.path)
    assert gpu_wheels.lacking(tmp_path) == ["sklearn-mlp-not-there"]
    with gpu_wheels.wheels_on_path(tmp_path) as target:
        import sklearn_mlp_not_there

        assert sklearn_mlp_not_there.VERSION == "1.0"
        assert not (target / "tqdm.py").exists()
    assert sys.path == before
    assert not target.exists()
    # What is there, but too old, comes from them, too.
    monkeypatch.setattr(gpu_wheels, "least_versions", lambda: {"tqdm": "999.0"})
    assert gpu_wheels.lacking(tmp_path) == ["sklearn-mlp-not-there", "tqdm"]


def test_demands_are_read_from_the_project():
    least = gpu_wheels.least_versions()
    assert least["scikit-learn"] == "1.9"
    assert "pytest" in least
    with gpu_wheels.wheels_on_path(gpu_wheels.CHECKOUT / "no such folder") as target:
        assert target is None


def test_the_report_is_made_from_json_alone(tmp_path):
    rows = measured("small", "ours", 0.05, steps=5000)
    Results({"device": "cuda", "device_name": "a GPU"}, "command", False, rows).save(tmp_path)
    (tmp_path / "tests.jsonl").write_text(json.dumps({"outcome": "passed", "message": ""}))
    path = gpu_report.write_gpu_report(Results.load(tmp_path / "results.json"), tmp_path)
    assert "# On a GPU" in path.read_text()
    assert "1 passed." in path.read_text()
