"""How long does a whole hyperparameter search take, and does it find the same?

scikit-learn's `GridSearchCV` over its own MLP and over ours, one by one, beside our
`BatchedGridSearchCV`: the same grid, folds and epochs, scoring included, no refit, in as many
processes as there are cores. Agreement comes first: every candidate's mean score has to be that of
scikit-learn's search within a margin. The processes are warm: each search runs once, for its
scores, before any is timed::

    $ python -m benchmarks --sections search --workloads search-digits
    digits, (100,): 4 alphas, 3 rates, 5 folds, 50 epochs
      sklearn-search       the reference
      ours-one-by-one      agrees: mean scores off by 1.1e-03 (margin 1e-02)
      ours-batched         agrees: mean scores off by 1.1e-03 (margin 1e-02)
      round 1/5  sklearn-search          8.1031 s
      ...

The last workload, of growing grids on the digits, is the plot `search.png`.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier

from benchmarks.machine import available_cores
from benchmarks.results import Measurement
from benchmarks.runner import Log, verdict
from benchmarks.timing import interleave
from benchmarks.wording import count
from sklearn_mlp import BatchedGridSearchCV, TorchMLPClassifier

PEERS = {
    "sklearn-search": "scikit-learn's GridSearchCV, its MLP",
    "ours-one-by-one": "scikit-learn's GridSearchCV, our MLP",
    "ours-batched": "BatchedGridSearchCV",
}
N_FOLDS = 5
MARGIN = 0.01
"""Largest difference of a candidate's mean score: two or three of a thousand rows per fold."""

ALPHAS = [1e-5, 1e-4, 1e-3, 1e-2]
RATES = [1e-3, 3e-3, 1e-2]
CANDIDATES = (1, 4, 12, 36, 96)
"""Sizes of the grids on the curve."""


@dataclass(frozen=True)
class SearchWorkload:
    """A search.

    Attributes
    ----------
    name, title : str
        For the command line and the report.
    load : callable
        Returns X and y.
    grid : dict
        What is searched.
    settings : dict
        The estimators' other parameters.
    n_candidates : int
        The point on the curve; 0 for a workload of its own.
    """

    name: str
    title: str
    load: Callable[[], tuple[Any, Any]]
    grid: dict[str, list[Any]]
    settings: dict[str, Any] = field(default_factory=dict)
    n_candidates: int = 0

    def quick(self) -> "SearchWorkload":
        """The same with fewer epochs and rows."""
        load = self.load

        def few() -> tuple[Any, Any]:
            X, y = load()
            return X[:300], y[:300]

        return replace(self, load=few, settings={**self.settings, "max_iter": 3})

    def search(
        self, peer: str, n_jobs: int | None, device: str = "cpu"
    ) -> Callable[[], np.ndarray]:
        """Return what runs the search and returns the candidates' mean scores."""
        X, y = self.load()
        kind = MLPClassifier if peer == "sklearn-search" else TorchMLPClassifier
        more = {} if peer == "sklearn-search" else {"device": device}
        estimator = kind(random_state=0, **self.settings, **more)
        cls = BatchedGridSearchCV if peer == "ours-batched" else GridSearchCV
        search = cls(estimator, self.grid, cv=N_FOLDS, n_jobs=n_jobs, refit=False)

        def run() -> np.ndarray:
            with warnings.catch_warnings():
                # Everybody runs the same epochs: none converges.
                warnings.simplefilter("ignore")
                scores: np.ndarray = search.fit(X, y).cv_results_["mean_test_score"]
            return scores

        return run


def _digits() -> tuple[Any, Any]:
    X, y = load_digits(return_X_y=True)
    return X / 16, y


def _small() -> tuple[Any, Any]:
    X, y = make_classification(1000, 10, n_informative=6, n_classes=3, random_state=0)
    return X, y


_GRID = {"alpha": ALPHAS, "learning_rate_init": RATES}
_ALL_EPOCHS = {"max_iter": 50, "tol": 0.0, "n_iter_no_change": 50}

WORKLOADS = {
    workload.name: workload
    for workload in [
        SearchWorkload(
            "search-digits",
            "digits, (100,): 4 alphas, 3 rates, 5 folds, 50 epochs",
            _digits,
            _GRID,
            {"hidden_layer_sizes": (100,), **_ALL_EPOCHS},
        ),
        SearchWorkload(
            "search-small",
            "1,000 × 10, (64, 32): 4 alphas, 3 rates, 5 folds, 50 epochs",
            _small,
            _GRID,
            {"hidden_layer_sizes": (64, 32), **_ALL_EPOCHS},
        ),
        SearchWorkload(
            "search-widths",
            "digits, 3 widths, 4 alphas, 3 rates, 5 folds, early stopping",
            _digits,
            {"hidden_layer_sizes": [(50,), (100,), (200,)], **_GRID},
            {"max_iter": 50, "early_stopping": True},
        ),
        *(
            SearchWorkload(
                f"search-candidates={n}",
                f"digits, (100,): {count(n, 'alpha')}, 5 folds, 20 epochs",
                _digits,
                {"alpha": np.logspace(-5, -1, n).tolist()},
                {"hidden_layer_sizes": (100,), **_ALL_EPOCHS, "max_iter": 20},
                n_candidates=n,
            )
            for n in CANDIDATES
        ),
    ]
}


def run_search(
    workload: SearchWorkload, *, repeats: int = 5, n_jobs: int | None = None, log: Log = print
) -> list[Measurement]:
    """Check that the searches agree and time them in turn."""
    n_jobs = n_jobs or available_cores()
    calls: Mapping[str, Callable[[], np.ndarray]] = {
        peer: workload.search(peer, n_jobs) for peer in PEERS
    }
    rows, agreed = check_searches(workload, calls, log)
    for lap in interleave({peer: calls[peer] for peer in agreed}, repeats):
        rows.append(replace(agreed[lap.name], round=lap.round, seconds=lap.seconds))
        log(f"  round {lap.round + 1}/{repeats}  {lap.name:20s} {lap.seconds:10.4f} s")
    return rows


def check_searches(
    workload: SearchWorkload, calls: Mapping[str, Callable[[], np.ndarray]], log: Log
) -> tuple[list[Measurement], dict[str, Measurement]]:
    """Run every search once, the reference first; rows of who disagrees, and of who agrees."""
    X, _ = workload.load()
    rows: list[Measurement] = []
    agreed: dict[str, Measurement] = {}
    reference = None
    for peer, call in calls.items():
        scores = call()
        reference = scores if reference is None else reference
        deviation = float(np.abs(scores - reference).max())
        row = Measurement(
            "search",
            workload.name,
            workload.title,
            peer,
            PEERS[peer],
            is_ours=peer == "ours-batched",
            kind="search",
            axis="candidates" if workload.n_candidates else "",
            value=float(workload.n_candidates or np.nan),
            n_samples=len(X),
            n_features=X.shape[1],
            score=float(scores.max()),
            rule="mean scores",
            deviation=deviation,
            margin=MARGIN,
            agrees=deviation <= MARGIN,
        )
        if not row.agrees:
            row.note = f"mean scores off by {deviation:.2g}, margin {MARGIN:.2g}"
            rows.append(row)
        else:
            agreed[peer] = row
        log(f"  {peer:20s} {verdict(row)}")
    return rows, agreed
