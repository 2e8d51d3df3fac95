"""What is measured: data, network and training settings of every workload.

The settings are scikit-learn's, with one change: `tol=0` and no patience, so that every peer runs
exactly the epochs it is given and the times stand for the same work.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.datasets import load_digits, make_classification
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.data import DataSource, Table
from benchmarks.wording import count

SEED = 0
VALIDATION_FRACTION = 0.1
QUICK_ROWS = 4_000
QUICK_PREDICT_ROWS = 100_000

Features = Any  # ndarray or CSR matrix: scipy's classes carry no types that would help here


@dataclass(frozen=True)
class Problem:
    """Training and test data, X of shape (n, features) dense or CSR, y of shape (n,)."""

    X_train: Features
    y_train: npt.NDArray[Any]
    X_test: Features
    y_test: npt.NDArray[Any]

    @property
    def is_sparse(self) -> bool:
        """Whether X is a CSR matrix."""
        return sp.issparse(self.X_train)

    @property
    def input_bytes(self) -> int:
        """The size of the training data."""
        if self.is_sparse:
            X = self.X_train
            return int(X.data.nbytes + X.indices.nbytes + X.indptr.nbytes)
        return int(self.X_train.nbytes)

    def cast(self, dtype: str) -> "Problem":
        """The same problem with X, and a real-valued y, in another dtype."""
        if self.X_train.dtype == dtype:
            return self
        y_dtype = dtype if self.y_train.dtype.kind == "f" else self.y_train.dtype
        return Problem(
            self.X_train.astype(dtype),
            self.y_train.astype(y_dtype),
            self.X_test.astype(dtype),
            self.y_test.astype(y_dtype),
        )

    def head(self, rows: int) -> "Problem":
        """The first rows of the training and test data."""
        return Problem(
            self.X_train[:rows], self.y_train[:rows], self.X_test[:rows], self.y_test[:rows]
        )


@dataclass(frozen=True)
class Workload:
    """One thing to do, for every peer alike.

    Attributes
    ----------
    name : str
        What the command line calls it.
    title : str
        What the report calls it.
    load : callable
        Gives the `Problem` in float64.
    task : {"classification", "regression"}
        Scored by accuracy or by R2.
    hidden_layer_sizes, batch_size, epochs, solver, early_stopping
        As scikit-learn's parameters; `epochs` is its `max_iter`.
    score_margin : float
        How far the test score of a peer with its own random draws may be off.
    kind : {"fit", "predict"}
        What is timed.
    calls : int
        For `predict`: calls per timing, so that a timing is long enough to trust.
    rows : int or None
        Cuts the training data (and for `predict` the rows to predict) to so many.
    measures_limit : bool
        Also time the matrix products alone (see `benchmarks.limits`).
    section, axis, value
        Where the result belongs in the report; `axis` and `value` for points on a curve.
    """

    name: str
    title: str
    load: Callable[[DataSource], Problem]
    task: Literal["classification", "regression"] = "classification"
    hidden_layer_sizes: tuple[int, ...] = (100,)
    batch_size: int = 200
    epochs: int = 10
    solver: Literal["adam", "lbfgs"] = "adam"
    early_stopping: bool = False
    score_margin: float = 0.02
    kind: Literal["fit", "predict"] = "fit"
    calls: int = 1
    rows: int | None = None
    measures_limit: bool = False
    section: str = "workloads"
    axis: str = ""
    value: float = float("nan")

    def problem(self, source: DataSource) -> Problem:
        """Load the data and cut it to `rows`."""
        problem = self.load(source)
        return problem if self.rows is None else problem.head(self.rows)

    def sklearn_settings(self) -> dict[str, Any]:
        """The parameters for scikit-learn's classes, and for ours."""
        return {
            "hidden_layer_sizes": self.hidden_layer_sizes,
            "solver": self.solver,
            "batch_size": self.batch_size,
            "max_iter": self.epochs,
            "early_stopping": self.early_stopping,
            "validation_fraction": VALIDATION_FRACTION,
            "tol": 0.0,
            "n_iter_no_change": self.epochs + 1,
            "random_state": SEED,
        }

    def training_rows(self, n_samples: int) -> int:
        """The rows that are trained on, without those held out for early stopping."""
        held_out = ceil(VALIDATION_FRACTION * n_samples) if self.early_stopping else 0
        return n_samples - held_out

    def steps(self, n_samples: int) -> int:
        """Training steps of a whole fit, iterations for lbfgs, or calls of `predict`."""
        if self.kind == "predict":
            return self.calls
        if self.solver == "lbfgs":
            return self.epochs
        return self.epochs * ceil(self.training_rows(n_samples) / self.batch_size)

    def score(self, predictions: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
        """Accuracy or R2."""
        metric = accuracy_score if self.task == "classification" else r2_score
        return float(metric(y, predictions))

    def quick(self) -> "Workload":
        """A small version that runs in a second or two, with a wider margin for the score."""
        if self.kind == "predict":
            rows = min(self.rows or QUICK_PREDICT_ROWS, QUICK_PREDICT_ROWS)
            return replace(self, rows=rows, calls=min(self.calls, 50))
        return replace(
            self,
            epochs=min(self.epochs, 20 if self.solver == "lbfgs" else 3),
            rows=min(self.rows or QUICK_ROWS, QUICK_ROWS),
            score_margin=max(0.15, self.score_margin),
        )


def _split(X: Features, y: npt.NDArray[Any], test_size: float | int) -> Problem:
    """A random split, stratified for classes."""
    stratify = None if y.dtype.kind == "f" else y
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=test_size, random_state=SEED, stratify=stratify
    )
    return Problem(X_train, y_train, X_test, y_test)


def _standardized(problem: Problem, columns: int | None = None) -> Problem:
    """Scale the first `columns` features, and a real-valued target, by the training part's."""
    scaler = StandardScaler().fit(problem.X_train[:, :columns])
    for X in (problem.X_train, problem.X_test):
        X[:, :columns] = scaler.transform(X[:, :columns])
    if problem.y_train.dtype.kind != "f":
        return problem
    mean, deviation = problem.y_train.mean(), problem.y_train.std()
    return Problem(
        problem.X_train,
        (problem.y_train - mean) / deviation,
        problem.X_test,
        (problem.y_test - mean) / deviation,
    )


def load_small(source: DataSource) -> Problem:
    """Made-up data, 1,000 rows to train on, 10 features, 3 classes."""
    X, y = make_classification(
        n_samples=3_000,
        n_features=10,
        n_informative=8,
        n_redundant=0,
        n_classes=3,
        class_sep=1.5,
        random_state=SEED,
    )
    return _standardized(_split(X, y, test_size=2_000))


def load_digits_problem(source: DataSource) -> Problem:
    """1,600 of the 1,797 digits that ship with scikit-learn; 197 are kept for the score."""
    X, y = load_digits(return_X_y=True)
    return _standardized(_split(X, y, test_size=197))


def load_mnist(source: DataSource) -> Problem:
    """MNIST as published: 60,000 to train on, 10,000 to test."""
    X, y = source.mnist()
    return Problem(X[:60_000], y[:60_000], X[60_000:], y[60_000:])


def load_covertype(source: DataSource) -> Problem:
    """All 581,012 rows to train on; the score is that of the first 50,000 of a random order."""
    X, y = source.covertype()
    order = np.random.default_rng(SEED).permutation(len(X))
    X, y = X[order], y[order]
    problem = Problem(X, y, X[:50_000].copy(), y[:50_000].copy())
    return _standardized(problem, columns=10)


def _regression(table: Table) -> Problem:
    return _standardized(_split(*table, test_size=0.2))


def load_california(source: DataSource) -> Problem:
    """California housing, four fifths to train on."""
    return _regression(source.california_housing())


def load_diamonds(source: DataSource) -> Problem:
    """Diamonds, four fifths to train on."""
    return _regression(source.diamonds())


def load_sparse(source: DataSource) -> Problem:
    """Made-up text: 20,000 documents (and 2,000 to test), 50,000 words, 0.1 % full, 4 topics."""
    X, y = make_documents(22_000, 50_000, n_topics=4, tokens=50)
    return Problem(X[:20_000], y[:20_000], X[20_000:], y[20_000:])


def make_documents(
    n_documents: int, n_words: int, n_topics: int, tokens: int
) -> tuple[sp.csr_matrix, npt.NDArray[np.int64]]:
    """Term counts of made-up documents, each row scaled to unit length.

    Words follow a flattened Zipf law, as in text. Every topic prefers its own slice of the
    vocabulary for a fifth of its tokens, which is what makes topics learnable.
    """
    rng = np.random.default_rng(SEED)
    topics = rng.integers(n_topics, size=n_documents)
    frequencies = 1.0 / (np.arange(n_words) + 200.0)
    cumulative = np.cumsum(frequencies / frequencies.sum())
    words = np.searchsorted(cumulative, rng.random((n_documents, tokens)))
    words = np.minimum(words, n_words - 1)
    slice_size = n_words // n_topics // 10
    own = rng.integers(slice_size, size=words.shape) + topics[:, None] * slice_size
    words = np.where(rng.random(words.shape) < 0.2, own, words)
    rows = np.repeat(np.arange(n_documents), tokens)
    counts = sp.csr_matrix(
        (np.ones(words.size), (rows, words.ravel())), shape=(n_documents, n_words)
    )
    lengths = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    counts.data /= np.repeat(lengths, np.diff(counts.indptr))
    return counts, topics


def make_synthetic(n_samples: int, n_features: int, n_classes: int, n_test: int) -> Problem:
    """Normal features, classes by a random linear rule; made fast, for any number of rows."""
    rng = np.random.default_rng(SEED)
    X = rng.standard_normal((n_samples + n_test, n_features))
    y = np.argmax(X @ rng.standard_normal((n_features, n_classes)), axis=1)
    return Problem(X[:n_samples], y[:n_samples], X[n_samples:], y[n_samples:])


def _load_rows_to_predict(rows: int) -> Callable[[DataSource], Problem]:
    """1,000 rows of 50 features to fit on, `rows` to predict."""
    return lambda source: make_synthetic(1_000, n_features=50, n_classes=3, n_test=rows)


def _prediction(name: str, rows: int, calls: int) -> Workload:
    title = f"predict {count(rows, 'row')}, 50 features, (100,)"
    return Workload(
        name,
        title,
        _load_rows_to_predict(rows),
        epochs=5,
        kind="predict",
        calls=calls,
    )


WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload(
            "small",
            "1,000 x 10, (64, 32), batch 200",
            load_small,
            hidden_layer_sizes=(64, 32),
            epochs=100,
            score_margin=0.04,
            measures_limit=True,
        ),
        Workload(
            "digits",
            "digits, (100,), batch 200",
            load_digits_problem,
            epochs=50,
            measures_limit=True,
        ),
        Workload(
            "mnist-128",
            "MNIST, (128,), batch 64",
            load_mnist,
            hidden_layer_sizes=(128,),
            batch_size=64,
            epochs=5,
            measures_limit=True,
        ),
        Workload(
            "mnist-256",
            "MNIST, (256,), batch 256",
            load_mnist,
            hidden_layer_sizes=(256,),
            batch_size=256,
            epochs=5,
            measures_limit=True,
        ),
        Workload(
            "wide",
            "20,000 of MNIST, (1024, 1024), batch 512",
            load_mnist,
            hidden_layer_sizes=(1024, 1024),
            batch_size=512,
            epochs=2,
            rows=20_000,
            measures_limit=True,
        ),
        Workload(
            "california",
            "California housing, regression, (100,)",
            load_california,
            task="regression",
            epochs=10,
            score_margin=0.04,
            measures_limit=True,
        ),
        Workload(
            "diamonds",
            "diamonds, regression, (100,)",
            load_diamonds,
            task="regression",
            epochs=5,
            measures_limit=True,
        ),
        Workload("covertype", "covertype, 581,012 rows, (100,)", load_covertype, epochs=1),
        Workload(
            "sparse",
            "CSR 20,000 x 50,000, 0.1 % full, (100,)",
            load_sparse,
            epochs=1,
            score_margin=0.03,
        ),
        Workload(
            "lbfgs",
            "digits, (100,), lbfgs",
            load_digits_problem,
            solver="lbfgs",
            epochs=20,
            score_margin=0.03,
        ),
        Workload(
            "early-stopping",
            "digits, (100,), early_stopping=True",
            load_digits_problem,
            early_stopping=True,
            epochs=50,
            score_margin=0.03,
        ),
        _prediction("predict-1", 1, calls=500),
        _prediction("predict-100", 100, calls=300),
        _prediction("predict-1000000", 1_000_000, calls=1),
    )
}
