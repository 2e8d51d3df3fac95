"""The benchmark of rows in a file: what is written, measured and reported."""

import numpy as np
import pytest

from benchmarks import files, report
from benchmarks.__main__ import parse
from benchmarks.results import Measurement, Results
from sklearn_mlp.arrays import stored


def silent(line):
    """A log that nobody reads."""


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    """Take no memory from this process, and put back what the peers set in theirs."""
    monkeypatch.setattr(files, "limit_memory", lambda: None)
    monkeypatch.setattr(stored, "LARGEST_WHOLE", stored.LARGEST_WHOLE)


def test_a_table_is_written_by_chunks_as_it_would_be_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "CHUNK_ROWS", 300)
    files.write_table(tmp_path, 700)
    X, y = np.load(tmp_path / "X.npy", mmap_mode="r"), np.load(tmp_path / "y.npy")
    assert (X.shape, X.dtype, y.shape, y.dtype) == ((700, 100), np.float64, (700,), np.float32)
    chunks = [files.make_rows(n, 1 + k) for k, n in enumerate((300, 300, 100))]
    np.testing.assert_array_equal(X, np.concatenate([one for one, _ in chunks]))
    np.testing.assert_array_equal(y, np.concatenate([one for _, one in chunks]))


@pytest.mark.parametrize("name", files.PEERS)
def test_every_peer_trains_on_the_file(name, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "CHUNK_ROWS", 1000)
    files.write_table(tmp_path, 2500)
    figures = files.measure(name, tmp_path, 2)
    assert figures["n_samples"] == 2500
    assert figures["seconds"] > 0
    # Ten steps from weights of one's own.
    assert -2 < figures["score"] < 1
    assert figures["peak_bytes"] >= 0
    assert figures["mapped_bytes"] >= 0


def test_a_peer_is_measured_in_a_process_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setattr(files, "PEERS", {files.REFERENCE: files.PEERS[files.REFERENCE]})
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    (row,) = files.run_files(1e6, epochs=1, repeats=1, log=silent)
    assert row.note == ""
    assert (row.n_samples, row.steps, row.input_bytes, row.agrees) == (1250, 3, 1e6, True)
    assert list(tmp_path.iterdir()) == []


def made_rows():
    """Two rounds of two peers, the second round on a machine that is half as fast."""
    rows = []
    for round_ in range(2):
        for name, seconds in ((files.REFERENCE, 1.0), ("ours-streamed", 1.25)):
            row = Measurement("files", "files", "rows", name, name, True, round=round_)
            row.seconds, row.score, row.n_samples = seconds * (1 + round_), 0.5, 10**6
            row.axis, row.value, row.peak_bytes, row.mapped_bytes = "epochs", 2.0, 3e8, 1e9
            row.input_bytes = 8e8
            rows.append(row)
    return rows


def test_who_scores_otherwise_gets_no_time():
    lap = made_rows()[:2]
    lap[1].score = 0.4
    first, second = files._compared(lap, 0.05)
    assert (first.agrees, first.seconds) == (True, 1.0)
    assert not second.agrees
    assert np.isnan(second.seconds)
    assert second.note == "test score off by 0.1, margin 0.05"


def test_report_has_rates_and_memory():
    results = Results({}, "command")
    results.measurements = made_rows()
    text = report.files_section(results.table("files"))
    line = "| ours-streamed | 1,000,000 | 1.20 | 0.80 – 1.60 | 1.25 | 300 | 1000 | 0.500 |"
    assert line in text
    assert "rows, 0.8 GB of float64; 2 rounds" in text
    assert report.files_section(results.table("workloads")) == ""
    assert files.paired_rates(results.table("files"), "absent") == {}


def test_size_of_the_file():
    assert parse(["--quick"]).file_gb == 0.008
    assert parse([]).file_gb == 0.8
    assert parse(["--file-gb", "12.8"]).file_gb == 12.8
