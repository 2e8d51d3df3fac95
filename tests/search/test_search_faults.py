"""Searches in which something fails: what scikit-learn's would give, warn of and raise.

Each fault goes through scikit-learn's search and ours over the same estimator, with every way of
treating errors.
"""

import re
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import SMALL
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, KFold, RandomizedSearchCV, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sklearn_mlp import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    TorchMLPClassifier,
    TorchMLPRegressor,
    cross_validate_batched,
)

EXACT = {**SMALL, "max_iter": 3, "dtype": "float64", "device": "cpu"}
ALPHAS = [1e-3, 1.0]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
CODES = np.arange(60) % 3
NUMBERS = X @ [1.0, -2.0, 0.5]

pytestmark = pytest.mark.usefixtures("by_torch")


def classifier(**parameters):
    return TorchMLPClassifier(**{**EXACT, **parameters})


def regressor(**parameters):
    return TorchMLPRegressor(**{**EXACT, **parameters})


def piped(*steps, end=None):
    """Return a pipeline, the last step of which is named ``mlp``."""
    named = [(f"step{number}", step) for number, step in enumerate(steps)]
    return Pipeline([*named, ("mlp", classifier() if end is None else end)])


def with_value(row, value):
    """Return the samples with a value in a row, of the last fold."""
    changed = X.copy()
    changed[row, 1] = value
    return changed


def without_row(row):
    """Return three folds that are not trained on a row."""
    return [(train[train != row], test) for train, test in KFold(3).split(X)]


class FailsOn(TransformerMixin, BaseEstimator):
    """Fails to be fitted, or to transform, where it is given the first row."""

    def __init__(self, method="fit", first=X[0, 0]):
        self.method = method
        self.first = first

    def fit(self, X, y=None):
        return self._check("fit", X)

    def transform(self, X):
        self._check("transform", X)
        return X

    def _check(self, method, X):
        if method == self.method and (np.asarray(X)[:, 0] == self.first).any():
            raise OverflowError(f"{method} has met the first row")
        return self


class CrossFitted(TransformerMixin, BaseEstimator):
    """Transforms the samples that it is fitted on in another way than others."""

    def fit(self, X, y=None):
        return self

    def fit_transform(self, X, y=None):
        return -np.asarray(X)

    def transform(self, X):
        return np.asarray(X) * 2


def scorer_that_fails(estimator, X, y):
    raise LookupError("no score today")


def scorer_that_fails_on_the_first_row(estimator, X, y):
    if (np.asarray(X)[:, 0] == FailsOn().first).any():
        raise LookupError("no score of the first row")
    return float(estimator.score(X, y))


def metric_that_fails(y_true, y_pred):
    raise ZeroDivisionError("a metric divides\nby nothing")


def text_scorer(estimator, X, y):
    return "good"


def scorer_of_two(estimator, X, y):
    return {"one": estimator.score(X, y), "other": 0.5}


def scorer_of_two_that_fails(estimator, X, y):
    if (np.asarray(X)[:, 0] == FailsOn().first).any():
        raise LookupError("no scores of the first row")
    return scorer_of_two(estimator, X, y)


def not_a_number(values):
    raise FloatingPointError("this candidate is not meant to be")


def doubled(values):
    return values * 2


@dataclass
class Fault:
    """A search in which something fails."""

    name: str
    estimator: Any = field(default_factory=classifier)
    grid: Any = field(default_factory=lambda: {"alpha": ALPHAS})
    X: Any = field(default_factory=lambda: X)
    y: Any = field(default_factory=lambda: CODES)
    options: dict = field(default_factory=dict)
    fit: dict = field(default_factory=dict)


OF_PIPELINE = {"mlp__alpha": ALPHAS}
BAD_SCORERS = {"good": "accuracy", "bad": make_scorer(metric_that_fails)}
COLOURS = pd.DataFrame({"colour": list("rrgg") * 10 + ["b"] * 20, "size": list("sml") * 20})

FAULTS = [
    # Samples.
    Fault("NaN to score", X=with_value(50, np.nan), options={"cv": without_row(50)}),
    Fault("NaN to train on", X=with_value(50, np.nan)),
    Fault("infinity", regressor(), X=with_value(0, np.inf), y=NUMBERS),
    Fault("text", X=with_value(5, 0).astype(object) + 1j),
    Fault("NaN for a scaler", piped(StandardScaler()), OF_PIPELINE, with_value(1, np.nan)),
    Fault("too large for float32", classifier(dtype="float32"), X=with_value(50, 1e300)),
    Fault("object samples", X=with_value(50, 0).astype(object).tolist()),
    Fault("one feature too few is none", regressor(), X=X[:, :0], y=NUMBERS),
    # Targets.
    Fault("None among labels", y=np.array(["a", None, "b"] * 20, dtype=object)),
    Fault("labels of two types", y=np.array([1, "1", 2] * 20, dtype=object)),
    Fault(
        "None to score only",
        y=np.array(["a", "b"] * 29 + [None] * 2, dtype=object),
        options={"cv": [(np.arange(40), np.arange(40, 60)), (np.arange(40), np.arange(20))]},
    ),
    Fault(
        "NaN to score among labels",
        y=np.r_[CODES[:-1] * 1.0, np.nan],
        options={"cv": [(np.arange(40), np.arange(40, 60)), (np.arange(40), np.arange(20))]},
    ),
    Fault("continuous labels", y=NUMBERS, options={"cv": KFold(3)}),
    Fault("NaN among numbers", regressor(), y=np.r_[NUMBERS[:-1], np.nan]),
    Fault("numbers as text", regressor(), y=np.array(["a", "b"] * 30)),
    Fault("a class only to score", y=np.r_[np.arange(40) % 2, [2] * 20], options={"cv": KFold(3)}),
    Fault(
        "a class only to score, by loss",
        y=np.r_[np.arange(40) % 2, [2] * 20],
        options={"cv": KFold(3), "scoring": "neg_log_loss"},
    ),
    Fault("one class to train on", y=np.r_[[0] * 40, [1] * 20], options={"cv": KFold(3)}),
    # Parameters.
    Fault("a negative alpha", grid={"alpha": [-1.0, 1.0]}),
    Fault("an array for a flag", grid={"verbose": [np.array([0, 1]), False]}),
    Fault("a flag that is none", grid={"warm_start": [np.array([1, 2]), False]}),
    Fault("two errors", grid=[{"hidden_layer_sizes": [(0,)]}, {"alpha": [1.0, -2.0]}]),
    Fault("one by one and stacked", grid=[{"solver": ["lbfgs"], "tol": [-1]}, {"alpha": [-2.0]}]),
    Fault("divergence", regressor(solver="sgd", learning_rate_init=1e200), y=NUMBERS),
    Fault("no such parameter", grid={"beta": [1]}),
    # Preprocessing.
    Fault(
        "a category only to score",
        piped(OneHotEncoder(), end=regressor()),
        OF_PIPELINE,
        COLOURS,
        NUMBERS,
        {"cv": KFold(3)},
    ),
    Fault("a step fails to be fitted", piped(FailsOn()), OF_PIPELINE),
    Fault("a step fails to transform", piped(FailsOn("transform")), OF_PIPELINE),
    Fault("the second step fails", piped(StandardScaler(), PCA(99)), OF_PIPELINE),
    Fault(
        "one setting of a step fails",
        piped(PCA()),
        {"step0__n_components": [2, 99], **OF_PIPELINE},
    ),
    Fault(
        "a function that fails",
        piped(FunctionTransformer()),
        {"step0__func": [doubled, not_a_number], **OF_PIPELINE},
    ),
    Fault(
        "a function that cannot be pickled",
        piped(FunctionTransformer()),
        {"step0__func": [doubled, lambda values: values * 3], **OF_PIPELINE},
    ),
    Fault("no transformer", piped(LogisticRegression()), OF_PIPELINE),
    Fault("no transformer before one", piped(LogisticRegression(), PCA()), OF_PIPELINE),
    Fault("cross-fitted samples", piped(CrossFitted()), OF_PIPELINE),
    # Scores.
    Fault("a scorer fails", options={"scoring": scorer_that_fails}),
    Fault("a scorer fails on a fold", options={"scoring": scorer_that_fails_on_the_first_row}),
    Fault(
        "it fails behind a step",
        piped(StandardScaler()),
        OF_PIPELINE,
        options={"scoring": scorer_that_fails_on_the_first_row},
    ),
    Fault("a metric fails", options={"scoring": make_scorer(metric_that_fails)}),
    Fault("one metric of two fails", options={"scoring": BAD_SCORERS, "refit": "good"}),
    Fault(
        "one of two fails behind a step",
        piped(StandardScaler()),
        OF_PIPELINE,
        options={"scoring": BAD_SCORERS, "refit": "good"},
    ),
    Fault(
        "several and NaN",
        X=with_value(50, np.nan),
        options={
            "cv": without_row(50),
            "scoring": ["accuracy", "neg_log_loss"],
            "refit": "accuracy",
        },
    ),
    Fault("a score that is no number", options={"scoring": text_scorer}),
    Fault("a scorer of two fails", options={"scoring": scorer_of_two_that_fails, "refit": "one"}),
    Fault(
        "two scores, failed fits",
        grid={"alpha": [-1.0, 1.0]},
        options={"scoring": scorer_of_two, "refit": "one"},
    ),
    Fault("scores of a regressor", regressor(), y=NUMBERS, options={"scoring": "accuracy"}),
    # Arguments of the fit, and folds.
    Fault("weights of another length", fit={"sample_weight": np.ones(7)}),
    Fault("weights that are negative", fit={"sample_weight": -np.ones(60)}),
    Fault(
        "weights in a fold only",
        fit={"sample_weight": np.r_[np.zeros(40), np.ones(20)]},
        options={"cv": KFold(3)},
    ),
    Fault("no such argument", fit={"colour": 1}),
    Fault("no rows to train on", options={"cv": [(np.arange(0), np.arange(60))] * 2}),
    Fault("no rows to score", options={"cv": [(np.arange(60), np.arange(0))] * 2}),
    Fault("rows that are not there", options={"cv": [(np.arange(60), np.arange(70))] * 2}),
    Fault("folds as masks", options={"cv": [(CODES > 0, CODES == 0), (CODES < 2, CODES == 2)]}),
    Fault("another length of y", y=CODES[:-1]),
]


def errors_in(message):
    """Return the lines of a message that name an error."""
    return {line.strip() for line in re.findall(r"^\w*(?:Error|Warning): .*$", message, re.M)}


def what_is_told(caught):
    """Return what a search has warned of, but for tracebacks and convergence."""
    told = []
    for one in caught:
        if issubclass(one.category, ConvergenceWarning):
            continue
        message = str(one.message).strip()
        told.append((one.category.__name__, message.splitlines()[0], sorted(errors_in(message))))
    # Stacks come in another order.
    return sorted(told)


def run(function):
    """Return what a function returns, or the error's type and first line, and what is told."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = function()
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            result = type(error).__name__, lines[0]
    return result, what_is_told(caught)


def assert_same(mine, theirs):
    """Compare results by name."""
    assert list(mine) == list(theirs)
    for name, expected in theirs.items():
        if name.startswith(("split", "mean_t", "std_t", "rank", "test_", "train_")):
            assert_allclose(mine[name], expected, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("error_score", [np.nan, "raise"], ids=str)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_search(fault, error_score):
    options = {"cv": 3, "return_train_score": True, "error_score": error_score, **fault.options}

    def search(kind):
        fitted = kind(clone(fault.estimator), fault.grid, **options)
        fitted.fit(fault.X, fault.y, **fault.fit)
        best = getattr(fitted, "best_params_", None)
        return {"best": repr(best), **fitted.cv_results_}

    (mine, told), (theirs, told_by_theirs) = (
        run(lambda kind=kind: search(kind)) for kind in (BatchedGridSearchCV, GridSearchCV)
    )
    if isinstance(theirs, tuple):
        assert mine == theirs
    else:
        assert not isinstance(mine, tuple), mine
        assert mine["best"] == theirs["best"]
        assert_same(mine, theirs)
    assert told == told_by_theirs


NAMED = {fault.name: fault for fault in FAULTS}


@pytest.mark.parametrize(
    "name", ["a step fails to be fitted", "one metric of two fails", "labels of two types"]
)
def test_a_search_in_processes(name):
    fault = NAMED[name]
    options = {"cv": 3, "n_jobs": 2, **fault.options}
    mine, theirs = (
        run(lambda: kind(clone(fault.estimator), fault.grid, **options).fit(fault.X, fault.y))[0]  # noqa: B023
        for kind in (BatchedGridSearchCV, GridSearchCV)
    )
    if isinstance(theirs, tuple):
        assert mine == theirs
    else:
        assert_same(mine.cv_results_, theirs.cv_results_)


def test_a_search_at_random():
    fault = NAMED["a category only to score"]
    options = {"n_iter": 2, "random_state": 0, **fault.options}
    (mine, told), (theirs, told_by_theirs) = (
        run(lambda: kind(clone(fault.estimator), fault.grid, **options).fit(fault.X, fault.y))  # noqa: B023
        for kind in (BatchedRandomizedSearchCV, RandomizedSearchCV)
    )
    assert_same(mine.cv_results_, theirs.cv_results_)
    assert told == told_by_theirs


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_cross_validation(fault):
    options = {"cv": 3, "return_train_score": True, "error_score": -1.0, **fault.options}
    options.pop("refit", None)
    if fault.fit:
        options["params"] = fault.fit

    def validate(function):
        return function(clone(fault.estimator), fault.X, fault.y, **options)

    (mine, told), (theirs, told_by_theirs) = (
        run(lambda one=one: validate(one)) for one in (cross_validate_batched, cross_validate)
    )
    if isinstance(theirs, tuple):
        assert mine == theirs
    else:
        assert not isinstance(mine, tuple), mine
        assert_same(mine, theirs)
    assert told == told_by_theirs
