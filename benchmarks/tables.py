"""How good the estimators for tables are, and how long they take, beside others.

On real tables of at most so many training rows, three splits of each, every peer is fitted on the
table as it comes and judged on held-out rows: the error and the log-loss of a classifier, the root
of the mean squared error over the deviation of the targets (nRMSE) of a regressor. scikit-learn's
MLP stands behind a scaler, an imputer and a one-hot encoding, its targets standardised; what it
has is 1, and the others are ratios, geometric means over the sets of (x + 0.01) / (mlp + 0.01).
Times are those of the process on one thread. RealMLP-TD of pytabkit and masamlp, with the same
recipe, join with `--peers ... realmlp_td masamlp` where they are installed; pytabkit works without
most of what it asks for: `pip install --no-deps pytabkit probmetrics`, and what an import misses.

    OMP_NUM_THREADS=1 python -m benchmarks.tables --data FOLDER --output FILE.jsonl
    OMP_NUM_THREADS=1 python -m benchmarks.tables --data FOLDER --output FILE.jsonl --report

The second prints the table of a file; the first goes on where it was. Cut from its output of a
Linux machine with two cores (torch 2.13, scikit-learn 1.9.1): the ratio, its range when one
table is left out, its range over the seeds, the mean rank, and the ratio of the times.

    | error | hist_gradient_boosting | 12 | 0.763 | 0.728–0.834 | 0.745–0.780 | 1.83 | 0.37 |
    | error | ours | 12 | 0.699 | 0.672–0.764 | 0.648–0.738 | 1.50 | 2.84 |
    | log_loss | hist_gradient_boosting | 12 | 0.808 | 0.775–0.885 | 0.770–0.831 | 2.33 | 0.37 |
    | log_loss | ours | 12 | 0.611 | 0.587–0.666 | 0.600–0.616 | 1.00 | 2.84 |
    | nrmse | hist_gradient_boosting | 16 | 0.735 | 0.695–0.778 | 0.686–0.785 | 2.12 | 0.26 |
    | nrmse | ours | 16 | 0.527 | 0.505–0.601 | 0.495–0.564 | 1.12 | 1.57 |
"""

import argparse
import importlib.util
import json
import math
import os
import time
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.data import DataSource, read_idx
from benchmarks.report import markdown_table
from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor

METRICS = ("error", "log_loss", "nrmse")
_MOST_TEST_ROWS = 2000

ADULT = ["age", "workclass", "fnlwgt", "education", "education_num", "marital_status"]
ADULT += ["occupation", "relationship", "race", "sex", "capital_gain", "capital_loss"]
ADULT += ["hours_per_week", "native_country", "class"]


@dataclass(frozen=True)
class TableSet:
    """A table with its target; labels are strings or integers."""

    name: str
    has_classes: bool
    read: Callable[[Path], tuple[pd.DataFrame, np.ndarray]]


def _small(name: str) -> Callable[[Path], tuple[pd.DataFrame, np.ndarray]]:
    """One of the folder's small sets."""

    def read(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
        frame = pd.read_csv(folder / "tables" / f"{name}.csv.gz")
        target = frame.pop("target").to_numpy()
        return frame, target

    return read


def _halved(
    read: Callable[[Path], tuple[pd.DataFrame, np.ndarray]],
) -> Callable[[Path], tuple[pd.DataFrame, np.ndarray]]:
    """The same table with a target above the median, or not."""

    def read_halves(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
        frame, target = read(folder)
        return frame, (target > np.median(target)).astype(int)

    return read_halves


def _adult(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    parts = [
        pd.read_csv(
            folder / "adult" / name,
            names=ADULT,
            skipinitialspace=True,
            na_values="?",
            comment="|",
        )
        for name in ("adult.data.gz", "adult.test.gz")
    ]
    frame = pd.concat(parts, ignore_index=True)
    return frame, frame.pop("class").str.rstrip(".").to_numpy()


def _covertype(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    frame = pd.read_csv(folder / "covertype" / "covtype.data.gz", header=None)
    target = frame.pop(54).to_numpy()
    frame.columns = [f"c{place}" for place in frame.columns]
    return frame, target


def _california(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    frame = pd.read_csv(folder / "california_housing" / "cal_housing.csv.gz")
    return frame, frame.pop("median_house_value").to_numpy(float)


def _bike(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    (path,) = (folder / "bike_sharing").glob("*.zip")
    with zipfile.ZipFile(path) as archive, archive.open("hour.csv") as file:
        frame = pd.read_csv(file)
    target = frame.pop("cnt").to_numpy(float)
    return frame.drop(columns=["instant", "dteday", "casual", "registered"]), target


def _diamonds(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    frame = pd.read_csv(folder / "diamonds" / "diamonds.csv.gz")
    return frame, frame.pop("price").to_numpy(float)


def _digits(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """MNIST, in means over 4 x 4 pixels."""
    images = read_idx(folder / "mnist" / "train-images-idx3-ubyte.gz")
    labels = read_idx(folder / "mnist" / "train-labels-idx1-ubyte.gz")
    means = images.reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(-1, 49)
    return pd.DataFrame(means, columns=[f"p{place}" for place in range(49)]), labels.astype(int)


_LABELS = ["german", "segment", "hypothyroid", "mammography", "pima", "ionosphere"]
_NUMBERS = ["pol", "elevators", "sml", "skillcraft", "parkinsons", "kin40k", "airfoil", "autompg"]
_NUMBERS += ["servo", "pumadyn", "autoprice", "pbc", "winered"]

SETS = [
    *(TableSet(name, True, _small(name)) for name in _LABELS),
    TableSet("adult", True, _adult),
    TableSet("covertype", True, _covertype),
    TableSet("digits", True, _digits),
    TableSet("california_halves", True, _halved(_california)),
    TableSet("elevators_halves", True, _halved(_small("elevators"))),
    TableSet("pumadyn_halves", True, _halved(_small("pumadyn"))),
    *(TableSet(name, False, _small(name)) for name in _NUMBERS),
    TableSet("california", False, _california),
    TableSet("bike", False, _bike),
    TableSet("diamonds", False, _diamonds),
]


# The peers: each makes an estimator of (has_classes, seed).


def _preprocessed(estimator: Any) -> Any:
    """A scaler and an imputer for numbers, one-hot columns for the rest."""
    return make_pipeline(
        make_column_transformer(
            (
                make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
                make_column_selector(dtype_include=["number", "bool"]),
            ),
            (
                OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                make_column_selector(dtype_exclude=["number", "bool"]),
            ),
        ),
        estimator,
    )


def _mlp(has_classes: bool, seed: int) -> Any:
    if has_classes:
        return _preprocessed(MLPClassifier(random_state=seed))
    inner = MLPRegressor(random_state=seed)
    return TransformedTargetRegressor(_preprocessed(inner), transformer=StandardScaler())


def _boosting(has_classes: bool, seed: int) -> Any:
    kind = HistGradientBoostingClassifier if has_classes else HistGradientBoostingRegressor
    return _Categorical(kind(random_state=seed))


class _Categorical:
    """Boosting on strings as categories, without the columns that are all missing: as it asks."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> "_Categorical":
        self.columns = [name for name, column in X.items() if column.notna().any()]
        self.dtypes = {
            name: pd.CategoricalDtype(X[name].dropna().unique())
            for name in self.columns
            if X[name].dtype.kind not in "fiub"
        }
        self.estimator.fit(X[self.columns].astype(self.dtypes), y)
        return self

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.estimator, name)
        if not name.startswith("predict"):
            return attribute
        return lambda X: attribute(X[self.columns].astype(self.dtypes))


def _ours(has_classes: bool, seed: int, **parameters: Any) -> Any:
    kind = TabularMLPClassifier if has_classes else TabularMLPRegressor
    return kind(random_state=seed, **parameters)


def _realmlp(has_classes: bool, seed: int) -> Any:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    kind = RealMLP_TD_Classifier if has_classes else RealMLP_TD_Regressor
    # It takes no missing numbers.
    imputed = make_column_transformer(
        (SimpleImputer(strategy="median"), make_column_selector(dtype_include=["number", "bool"])),
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    return make_pipeline(imputed, kind(random_state=seed, n_threads=1, device="cpu"))


def _masamlp(has_classes: bool, seed: int) -> Any:
    import masamlp

    kind = masamlp.MasaClassifier if has_classes else masamlp.MasaRegressor
    recipe = masamlp.realmlp_td_params("classification" if has_classes else "regression")
    return kind(**{**recipe, "random_state": seed, "n_threads": 1, "device": "cpu"})


PEERS: dict[str, Callable[[bool, int], Any]] = {
    "sklearn_mlp_behind_scaler": _mlp,
    "hist_gradient_boosting": _boosting,
    "ours": _ours,
    "ours_60": lambda has_classes, seed: _ours(has_classes, seed, max_iter=60),
    "realmlp_td": _realmlp,
    "masamlp": _masamlp,
}
REFERENCE = "sklearn_mlp_behind_scaler"
TITLES = {
    REFERENCE: "scikit-learn's MLP, in a Pipeline with a scaler, imputer and encoder",
    "hist_gradient_boosting": "scikit-learn's HistGradientBoosting",
    "ours": "TabularMLPClassifier, TabularMLPRegressor",
    "ours_60": "the same with max_iter=60",
    "realmlp_td": "RealMLP-TD",
    "masamlp": "masamlp",
}
_NEEDS = {"realmlp_td": "pytabkit", "masamlp": "masamlp"}


@dataclass
class Row:
    """One fit: what it scored and how long it took."""

    table: str
    peer: str
    seed: int
    n_rows: int
    seconds: float
    predict_seconds: float
    error: float = math.nan
    log_loss: float = math.nan
    nrmse: float = math.nan


def run_one(
    table: TableSet, frame: pd.DataFrame, target: np.ndarray, peer: str, seed: int, most: int
) -> Row:
    """Fit a peer on one split of a table."""
    labels = target if table.has_classes else None
    X, X_test, y, y_test = train_test_split(
        frame, target, test_size=0.2, random_state=seed, stratify=labels
    )
    X, y = X.iloc[:most], y[:most]
    X_test, y_test = X_test.iloc[:_MOST_TEST_ROWS], y_test[:_MOST_TEST_ROWS]
    estimator = PEERS[peer](table.has_classes, seed)
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
        fitted = time.process_time()
        row = Row(table.name, peer, seed, len(X), fitted - began, 0.0)
        if table.has_classes:
            probabilities = estimator.predict_proba(X_test)
            row.predict_seconds = time.process_time() - fitted
            classes = np.asarray(estimator.classes_)
            row.error = float(np.mean(classes[probabilities.argmax(1)] != y_test))
            is_known = np.isin(y_test, classes)
            row.log_loss = log_loss(y_test[is_known], probabilities[is_known], labels=classes)
        else:
            errors = estimator.predict(X_test) - y_test
            row.predict_seconds = time.process_time() - fitted
            row.nrmse = float(np.sqrt(np.mean(errors**2)) / np.std(y_test))
    return row


# The report.


def ratios(rows: Iterable[dict[str, Any]], metric: str, shift: float) -> pd.DataFrame:
    """A column per peer, a row per table and seed: its ratio to the reference."""
    frame = pd.DataFrame(list(rows))
    frame = frame[frame[metric].notna()]
    wide = frame.pivot_table(index=["table", "seed"], columns="peer", values=metric)
    wide = wide[wide[REFERENCE].notna()]
    return wide.add(shift).div(wide[REFERENCE] + shift, axis=0)


def _mean(values: pd.Series) -> float:
    return float(np.exp(np.log(values).mean()))


def report(rows: list[dict[str, Any]]) -> str:
    """The table: a line per peer and metric."""
    lines = ["| metric | peer | tables | ratio | one table left out | seeds | rank | fit time |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for metric in METRICS:
        every = ratios(rows, metric, 0.01)
        have = [row for row in rows if not math.isnan(row[metric])]
        times = ratios(have, "seconds", 0.0)
        ranks = every.groupby("table").mean().rank(axis=1)
        for peer in every.columns:
            found = every[peer].dropna()
            by_table = np.exp(np.log(found).groupby("table").mean())
            without = [_mean(by_table.drop(name)) for name in by_table.index]
            by_seed = [_mean(values) for _, values in found.groupby("seed")]
            lines.append(
                f"| {metric} | {peer} | {len(by_table)} | {_mean(by_table):.3f} | "
                f"{min(without, default=math.nan):.3f}–{max(without, default=math.nan):.3f} | "
                f"{min(by_seed):.3f}–{max(by_seed):.3f} | {ranks[peer].mean():.2f} | "
                f"{_mean(times[peer].dropna()):.2f} |"
            )
    return "\n".join(lines)


def quality_table(rows: list[dict[str, Any]]) -> str:
    """The README's table: a line per peer, the mean ratio of each metric, and of the times."""
    header = ["geometric mean over the tables, less is better"]
    columns: list[pd.Series] = []
    for metric, title in zip(METRICS, ("error", "log-loss", "RMSE"), strict=True):
        every = ratios(rows, metric, 0.01)
        header.append(f"{title}, {every.index.get_level_values(0).nunique()} tables")
        columns.append(every.apply(lambda found: f"{_mean(found.dropna()):.2f}"))
    header.append("time of a fit")
    columns.append(
        ratios(rows, "seconds", 0.0).apply(lambda found: f"{_mean(found.dropna()):.1f}")
    )
    lines = [
        [title, *(column.get(peer, "–") for column in columns)]
        for peer, title in TITLES.items()
        if peer in columns[-1]
    ]
    return markdown_table(header, lines)


def by_table(rows: list[dict[str, Any]]) -> str:
    """The means over seeds of each table, for the peers side by side."""
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        for metric in METRICS:
            if not math.isnan(row[metric]):
                values[f"{row['table']} {metric}", row["peer"]].append(row[metric])
    means = {key: float(np.mean(found)) for key, found in values.items()}
    return pd.Series(means).unstack().round(4).to_string()


def main() -> None:
    """Run what is not in the file yet, or report on it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder of the data sets")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--tables", nargs="+", default=[table.name for table in SETS])
    parser.add_argument(
        "--peers", nargs="+", default=[REFERENCE, "hist_gradient_boosting", "ours"]
    )
    options = parser.parse_args()
    known = options.output.read_text().splitlines() if options.output.exists() else []
    rows = [json.loads(line) for line in known]
    if options.report:
        print(report(rows), by_table(rows), sep="\n\n")
        return
    folder = DataSource.from_option(options.data).folder
    if folder is None:
        raise SystemExit("name a folder with --data or SKLEARN_MLP_DATA")
    torch.set_num_threads(1)
    done = {(row["table"], row["peer"], row["seed"]) for row in rows}
    peers = [
        peer
        for peer in options.peers
        if peer not in _NEEDS or importlib.util.find_spec(_NEEDS[peer]) is not None
    ]
    for table in SETS:
        wanted = [
            (seed, peer)
            for seed in options.seeds
            for peer in peers
            if table.name in options.tables and (table.name, peer, seed) not in done
        ]
        if not wanted:
            continue
        frame, target = table.read(folder)
        for seed, peer in wanted:
            row = run_one(table, frame, target, peer, seed, options.rows)
            with options.output.open("a") as file:
                file.write(json.dumps(asdict(row)) + "\n")
            print(f"{row}", flush=True)


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("OMP_NUM_THREADS is not 1: times are not those of one thread")
    main()
