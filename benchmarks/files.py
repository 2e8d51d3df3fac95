"""Rows larger than memory: how fast, and in how much memory, a file is trained on.

One question: what does it cost to train on rows that stay in a file? A table of float64 numbers is
written to a file, chunk by chunk, and each peer trains the same network on it in a process of its
own, in turn. Those that leave the rows in the file may hold 2 GiB of memory of their own
(``RLIMIT_DATA``); the pages of the file that the system keeps in its cache are its own affair, and
are given up as soon as anything else needs them. The one that is given its rows in memory is there
for the rate, and takes no more than `MOST_IN_MEMORY` of them.

    python -m benchmarks --sections files                        # 0.8 GB, two epochs
    python -m benchmarks --sections files --file-gb 12.8 --repeats 2

    800 MB of float64: 1,000,000 x 100, (64,), batch 512, 2 epochs
      ours-streamed        R2 0.962     0.97 M rows/s, 201 MB of its own
      ours-in-memory       R2 0.962     1.22 M rows/s, 1235 MB of its own
      ...

A file larger than the machine's memory is read from its disk in every epoch, and takes as long as
that does: a few hundred rows in random order for each that are in the cache.
"""

import argparse
import contextlib
import gc
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.agreement import compare_scores
from benchmarks.memory import status_bytes
from benchmarks.results import Measurement
from benchmarks.runner import Log
from benchmarks.wording import count

N_FEATURES = 100
HIDDEN, BATCH_SIZE, SEED = (64,), 512, 0
N_TEST = 10_000
# Rows written, or read by a peer that reads them so, at a time: 40 MB.
CHUNK_ROWS = 50_000
LIMIT_BYTES = 2 << 30
MOST_IN_MEMORY = 2_000_000
# Of R2, on rows that nobody has seen: peers draw their own weights and orders.
SCORE_MARGIN = 0.05

Train = Callable[["Table"], Callable[[Any], Any]]


@dataclass(frozen=True)
class Table:
    """A file of samples, and what each peer is to do with it.

    Attributes
    ----------
    X : ndarray of shape (n_samples, 100)
        float64, to be read only; mapped, but for who has them in memory.
    y : ndarray of shape (n_samples,)
        float32, in memory.
    epochs : int
        How many times they are gone through.
    """

    X: npt.NDArray[np.float64]
    y: npt.NDArray[np.float32]
    epochs: int


def train_ours(table: Table) -> Callable[[Any], Any]:
    """Train our regressor on whatever the rows lie in."""
    from sklearn_mlp import TorchMLPRegressor
    from sklearn_mlp.arrays import stored

    # Files of every size are read by block here.
    stored.LARGEST_WHOLE = 0
    return TorchMLPRegressor(**sklearn_settings(table)).fit(table.X, table.y).predict


def train_sklearn(table: Table) -> Callable[[Any], Any]:
    """Hand scikit-learn's regressor a block after the other, as its documentation says."""
    from sklearn.neural_network import MLPRegressor

    settings = sklearn_settings(table)
    model = MLPRegressor(**{name: settings[name] for name in SKLEARN_SETTINGS})
    order = np.random.RandomState(SEED)
    starts = np.arange(0, len(table.X), CHUNK_ROWS)
    for _ in range(table.epochs):
        for start in order.permutation(starts):
            rows = slice(start, start + CHUNK_ROWS)
            model.partial_fit(np.array(table.X[rows], np.float32), table.y[rows])
    return model.predict


def train_skorch(table: Table) -> Callable[[Any], Any]:
    """Hand skorch a data set that reads the rows of a batch at once."""
    import torch
    from skorch import NeuralNetRegressor
    from torch.utils.data import Dataset

    from benchmarks.torch_peers import as_is, build_network

    class Rows(Dataset):
        """Rows of the file with their targets; a batch comes as a whole."""

        def __len__(self) -> int:
            return len(table.X)

        def __getitem__(self, row: int) -> Any:
            return self.__getitems__([row])

        def __getitems__(self, rows: list[int]) -> Any:
            X = torch.from_numpy(table.X[rows].astype(np.float32))
            return X, torch.from_numpy(table.y[rows]).unsqueeze(1)

    torch.manual_seed(SEED)
    net = NeuralNetRegressor(
        build_network([N_FEATURES, *HIDDEN, 1]),
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=table.epochs,
        batch_size=BATCH_SIZE,
        iterator_train__shuffle=True,
        iterator_train__collate_fn=as_is,
        train_split=None,
        callbacks__print_log=None,
        verbose=0,
    )
    net.fit(Rows(), None)
    return lambda rows: net.predict(rows.astype(np.float32)).reshape(-1)


REFERENCE = "ours-in-memory"
PEERS: dict[str, tuple[str, Train]] = {
    "ours-streamed": ("sklearn_mlp, rows in the file", train_ours),
    REFERENCE: ("sklearn_mlp, rows in memory", train_ours),
    "sklearn-blocks": ("scikit-learn, `partial_fit` on blocks", train_sklearn),
    "skorch-dataset": ("skorch, a data set that reads the file", train_skorch),
}
SKLEARN_SETTINGS = ("hidden_layer_sizes", "batch_size", "random_state")


def sklearn_settings(table: Table) -> dict[str, Any]:
    """The network and its training, in scikit-learn's words."""
    return {
        "hidden_layer_sizes": HIDDEN,
        "batch_size": BATCH_SIZE,
        "random_state": SEED,
        "max_iter": table.epochs,
        "n_iter_no_change": table.epochs + 1,
        "tol": 0.0,
    }


def make_rows(n_rows: int, seed: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Draw rows, and a number that depends on some of their features in a curved way."""
    X = np.random.default_rng(seed).standard_normal((n_rows, N_FEATURES))
    y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] / 2 + np.abs(X[:, 3:6]).sum(1) - 2.4 - X[:, 6]
    return X, y.astype(np.float32)


def write_table(folder: Path, n_rows: int) -> None:
    """Write `X.npy` and `y.npy`, of which a chunk at a time is in memory."""
    targets = []
    with (folder / "X.npy").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (n_rows, N_FEATURES)}
        np.lib.format.write_array_header_1_0(file, header)
        for number, start in enumerate(range(0, n_rows, CHUNK_ROWS)):
            X, y = make_rows(min(CHUNK_ROWS, n_rows - start), SEED + 1 + number)
            file.write(X.tobytes())
            targets.append(y)
    np.save(folder / "y.npy", np.concatenate(targets))


def run_files(
    n_bytes: float,
    *,
    epochs: int = 2,
    repeats: int = 2,
    score_margin: float = SCORE_MARGIN,
    log: Log = print,
) -> list[Measurement]:
    """One row per peer and round, section `files`: time, memory, score.

    Parameters
    ----------
    n_bytes : float
        The size of the file, which lies in the folder for temporary files and is removed.
    epochs, repeats : int
        Epochs of a fit, and rounds.
    score_margin : float
        How far a score may be from that of our regressor in memory.
    log : callable
        Takes lines.
    """
    n_rows = max(1, round(n_bytes / (8 * N_FEATURES)))
    title = f"{count(n_rows, 'row')} x {N_FEATURES}, {HIDDEN}, batch {BATCH_SIZE}, "
    title += f"{count(epochs, 'epoch')}"
    rows = []
    with tempfile.TemporaryDirectory(prefix="rows-") as folder:
        write_table(Path(folder), n_rows)
        for round_ in range(repeats):
            lap = []
            for name, (peer_title, _) in PEERS.items():
                row = Measurement("files", "files", title, name, peer_title, round=round_)
                row.is_ours, row.n_features = name.startswith("ours"), N_FEATURES
                row.input_bytes = 8.0 * n_rows * N_FEATURES
                lap.append(_measure_in_subprocess(row, folder, epochs))
                log(f"  round {round_ + 1}/{repeats}  {name:20s} {_line(lap[-1])}")
            rows += _compared(lap, score_margin)
    return rows


def rows_per_second(row: Any) -> Any:
    """How many rows a fit went through, or each of several, by its time."""
    return row.n_samples * row.value / row.seconds


def paired_rates(table: pd.DataFrame, reference: str) -> dict[str, list[float]]:
    """How many times the reference's rate is that of each peer, round by round."""
    rates = table.assign(rate=rows_per_second(table)).pivot(
        index="round", columns="peer", values="rate"
    )
    if reference not in rates:
        return {}
    return {peer: (rates[reference] / rates[peer]).dropna().tolist() for peer in rates}


def _line(row: Measurement) -> str:
    """What a measurement says, for the log."""
    if row.note:
        return row.note
    rate = rows_per_second(row) / 1e6
    return f"R2 {row.score:.3f} {rate:6.2f} M rows/s, {row.peak_bytes / 1e6:5.0f} MB of its own"


def _measure_in_subprocess(row: Measurement, folder: str, epochs: int) -> Measurement:
    command = [sys.executable, "-m", "benchmarks.files", row.peer, folder, str(epochs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return replace(row, note=f"failed: {last}")
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    steps = epochs * math.ceil(figures["n_samples"] / BATCH_SIZE)
    return replace(row, **figures, steps=steps, axis="epochs", value=float(epochs))


def _compared(lap: list[Measurement], margin: float) -> list[Measurement]:
    """Hold the scores of a round to that of our regressor in memory."""
    (reference,) = (row.score for row in lap if row.peer == REFERENCE)
    compared = []
    for row in lap:
        if not row.note:
            found = compare_scores(row.score, reference, margin)
            row = replace(row, **{**asdict(found), "agrees": found.holds})
            if not found.holds:
                row.seconds = row.peak_bytes = np.nan
        compared.append(row)
    return compared


def measure(name: str, folder: Path, epochs: int) -> dict[str, float]:
    """Train once in this process; return time, memory and score."""
    X, y = np.load(folder / "X.npy", mmap_mode="r"), np.load(folder / "y.npy")
    if name == REFERENCE:
        X, y = X[:MOST_IN_MEMORY], y[:MOST_IN_MEMORY]
    else:
        limit_memory()
    train = PEERS[name][1]
    _warm_up(train)
    gc.collect()
    before = status_bytes("RssAnon")
    with highest("RssAnon", "RssFile") as peak, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == REFERENCE:
            X = np.array(X)
        start = time.perf_counter()
        predict = train(Table(X, y, epochs))
        seconds = time.perf_counter() - start
    X_test, y_test = make_rows(N_TEST, SEED)
    residuals = predict(X_test).reshape(-1) - y_test
    return {
        "seconds": seconds,
        "n_samples": len(X),
        "score": float(1 - np.square(residuals).mean() / y_test.var()),
        "peak_bytes": float(max(0, peak["RssAnon"] - before)),
        "mapped_bytes": float(peak["RssFile"]),
    }


def _warm_up(train: Train) -> None:
    """Train on a few rows first: imports are not what is measured."""
    X, y = make_rows(2 * BATCH_SIZE, SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(Table(X, y, 1))


def limit_memory() -> None:
    """Let this process have no more than `LIMIT_BYTES` of its own, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))


@contextlib.contextmanager
def highest(*keys: str, seconds: float = 0.02) -> Iterator[dict[str, int]]:
    """Look at figures of memory every so often; keep the highest of each."""
    found = dict.fromkeys(keys, 0)
    is_over = threading.Event()

    def look() -> None:
        while True:
            found.update({key: max(found[key], status_bytes(key)) for key in keys})
            if is_over.wait(seconds):
                return

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        is_over.set()
        watcher.join()


def main() -> None:
    """Measure one peer, print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.files")
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("epochs", type=int)
    options = parser.parse_args()
    print(json.dumps(measure(options.peer, options.folder, options.epochs)))


if __name__ == "__main__":
    main()
