"""Inside scikit-learn's own tools: the same results as with scikit-learn's estimators.

Both are fitted in float64 from the same random_state; 1e-6 allows for what the tools add (a
logistic regression on top, a calibration), which is itself found by iteration.
"""

import json
import subprocess
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import two_jobs
from conftest import BACKENDS
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.inspection import DecisionBoundaryDisplay, partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

matplotlib.use("agg")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RTOL = 1e-6
EXACT = {"dtype": "float64", "device": "cpu"}
THEIRS = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
GRID = {"alpha": [1e-4, 1.0], "hidden_layer_sizes": [(), 4], "solver": ["adam", "sgd"]}


@pytest.fixture
def classifiers(make_classifier):
    """Ours and scikit-learn's."""
    return make_classifier(**EXACT), MLPClassifier(**THEIRS)


@pytest.fixture
def regressors(make_regressor):
    """Ours and scikit-learn's."""
    return make_regressor(**EXACT), MLPRegressor(**THEIRS)


META_CLASSIFIERS = {
    "Pipeline": lambda mlp: make_pipeline(StandardScaler(), mlp),
    "GridSearchCV": lambda mlp: GridSearchCV(mlp, GRID, cv=2),
    "RandomizedSearchCV": lambda mlp: RandomizedSearchCV(mlp, GRID, n_iter=3, random_state=0),
    "CalibratedClassifierCV": lambda mlp: CalibratedClassifierCV(mlp, cv=2),
    "CalibratedClassifierCV, isotonic": lambda mlp: CalibratedClassifierCV(
        mlp, method="isotonic", cv=2, ensemble=False
    ),
    "BaggingClassifier": lambda mlp: BaggingClassifier(mlp, 3, random_state=0),
    "AdaBoostClassifier": lambda mlp: AdaBoostClassifier(
        clone(mlp).set_params(learning_rate_init=0.1), n_estimators=3, random_state=0
    ),
    "VotingClassifier": lambda mlp: VotingClassifier(
        [("mlp", mlp), ("linear", LogisticRegression())], voting="soft"
    ),
    "StackingClassifier": lambda mlp: StackingClassifier(
        [("mlp", mlp), ("linear", LogisticRegression())], cv=2
    ),
    "OneVsRestClassifier": OneVsRestClassifier,
}

META_REGRESSORS = {
    "Pipeline": lambda mlp: make_pipeline(MinMaxScaler(), mlp),
    "GridSearchCV": lambda mlp: GridSearchCV(mlp, {"alpha": [0.0, 1.0]}, cv=2),
    "StackingRegressor": lambda mlp: StackingRegressor([("mlp", mlp), ("ridge", Ridge())], cv=2),
    "TransformedTargetRegressor": lambda mlp: TransformedTargetRegressor(
        mlp, transformer=StandardScaler()
    ),
}


@pytest.mark.parametrize("meta", META_CLASSIFIERS)
def test_meta_classifiers(classifiers, iris, meta):
    X, y = iris
    ours, theirs = (META_CLASSIFIERS[meta](mlp).fit(X, y) for mlp in classifiers)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=RTOL, atol=1e-9)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.score(X, y) == theirs.score(X, y)


def test_one_vs_one(classifiers, iris):
    X, y = iris
    ours, theirs = (OneVsOneClassifier(mlp).fit(X, y) for mlp in classifiers)
    assert_allclose(ours.decision_function(X), theirs.decision_function(X), rtol=RTOL)


@pytest.mark.parametrize("meta", META_REGRESSORS)
def test_meta_regressors(regressors, diabetes, meta):
    X, y = diabetes
    ours, theirs = (META_REGRESSORS[meta](mlp).fit(X, y) for mlp in regressors)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=RTOL, atol=1e-9)


@pytest.mark.parametrize("meta", [MultiOutputRegressor, RegressorChain])
def test_multi_output_regressors(regressors, diabetes, meta):
    X, y = diabetes
    y = np.column_stack([y, X[:, 0] - X[:, 1]])
    ours, theirs = (meta(mlp).fit(X, y) for mlp in regressors)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=RTOL, atol=1e-9)


def test_multi_output_classifier(classifiers, iris):
    X, y = iris
    y = np.column_stack([y, X[:, 0] > 0])
    ours, theirs = (MultiOutputClassifier(mlp).fit(X, y) for mlp in classifiers)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    for mine, other in zip(ours.predict_proba(X), theirs.predict_proba(X), strict=True):
        assert_allclose(mine, other, rtol=RTOL)


def test_grid_search_finds_what_it_finds_with_scikit_learn(classifiers, breast_cancer):
    X, y = breast_cancer
    ours, theirs = (GridSearchCV(mlp, GRID, cv=3).fit(X, y) for mlp in classifiers)
    assert ours.best_params_ == theirs.best_params_
    scores = [search.cv_results_["mean_test_score"] for search in (ours, theirs)]
    assert_allclose(*scores, rtol=1e-12)


def test_grid_over_our_own_parameters(make_classifier, iris):
    X, y = iris
    grid = {"dtype": ["float32", "float64"], "device": ["cpu", "auto"], "backend": BACKENDS}
    search = GridSearchCV(make_classifier(), grid, cv=2, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    # One sample of 150 may change sides for the rounding.
    assert np.ptp(scores) <= 1 / 150


def test_cross_validation(classifiers, regressors, iris, diabetes):
    for (ours, theirs), (X, y) in ((classifiers, iris), (regressors, diabetes)):
        scores = cross_val_score(ours, X, y, cv=3)
        assert_allclose(scores, cross_val_score(theirs, X, y, cv=3), rtol=RTOL, atol=1e-9)
    X, y = iris
    for method in ("predict_proba", "predict_log_proba"):
        mine, other = (cross_val_predict(mlp, X, y, cv=3, method=method) for mlp in classifiers)
        assert_allclose(mine, other, rtol=RTOL)


@pytest.mark.parametrize("scoring", ["roc_auc", "neg_log_loss", "average_precision", "f1"])
def test_scorers(classifiers, breast_cancer, scoring):
    X, y = breast_cancer
    mine, other = (cross_val_score(mlp, X, y, cv=2, scoring=scoring) for mlp in classifiers)
    assert_allclose(mine, other, rtol=RTOL)


def test_learning_curve_with_partial_fit(classifiers, digits):
    X, y = digits
    curves = [
        learning_curve(mlp, X, y, cv=2, exploit_incremental_learning=True)[1:]
        for mlp in classifiers
    ]
    assert_allclose(*curves, rtol=RTOL)


def test_inspection(regressors, diabetes):
    X, y = diabetes
    ours, theirs = (mlp.fit(X, y) for mlp in regressors)
    importances = [
        permutation_importance(mlp, X, y, n_repeats=2, random_state=0).importances
        for mlp in (ours, theirs)
    ]
    assert_allclose(*importances, rtol=RTOL, atol=1e-9)
    averages = [partial_dependence(mlp, X, [2])["average"] for mlp in (ours, theirs)]
    assert_allclose(*averages, rtol=RTOL)


@pytest.mark.parametrize("response_method", ["predict", "predict_proba", "auto"])
def test_decision_boundary(classifiers, iris, response_method):
    X, y = iris[0][:, 2:], iris[1] > 0
    responses = []
    for mlp in classifiers:
        display = DecisionBoundaryDisplay.from_estimator(
            mlp.fit(X, y), X, grid_resolution=20, response_method=response_method
        )
        responses.append(display.response)
        plt.close(display.figure_)
    assert_allclose(*responses, rtol=RTOL)


def test_frames_and_sparse_samples_through_a_pipeline(classifiers, iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    for mlp in classifiers:
        pipeline = make_pipeline(StandardScaler(), mlp).set_output(transform="pandas")
        pipeline.fit(frame, y).predict(frame)
        assert_array_equal(pipeline[-1].feature_names_in_, frame.columns)
    texts = ["a fine film", "a bad film", "fine and good", "bad and worse"] * 10
    ours, theirs = (
        make_pipeline(TfidfVectorizer(), clone(mlp)).fit(texts, [1, 0] * 20) for mlp in classifiers
    )
    assert_allclose(ours.predict_proba(texts), theirs.predict_proba(texts), rtol=RTOL)


def test_sample_weights_are_routed(make_classifier, make_regressor, breast_cancer, diabetes):
    cases = ((make_classifier(**EXACT), breast_cancer), (make_regressor(**EXACT), diabetes))
    for estimator, (X, y) in cases:
        weights = 0.5 + np.arange(len(y)) % 4
        direct = clone(estimator).fit(X, y, sample_weight=weights)
        with config_context(enable_metadata_routing=True):
            weighted = clone(estimator).set_fit_request(sample_weight=True)
            weighted.set_score_request(sample_weight=True)
            search = GridSearchCV(Pipeline([("mlp", weighted)]), {"mlp__alpha": [1e-4]}, cv=2)
            search.fit(X, y, sample_weight=weights)
            assert_array_equal(search.predict(X), direct.predict(X))
            # Weights in the score alone change the score alone.
            scored = weighted.set_fit_request(sample_weight=False)
            results = cross_validate(scored, X, y, cv=2, params={"sample_weight": weights})
            unweighted = cross_val_score(clone(estimator), X, y, cv=2)
            assert not np.allclose(results["test_score"], unweighted, rtol=1e-9)


def test_weights_that_nobody_asked_for_are_an_error(make_classifier, iris):
    X, y = iris
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(make_classifier())
        with pytest.raises(ValueError, match="sample_weight"):
            pipeline.fit(X, y, sample_weight=np.ones(len(y)))


def test_printed_forms(make_classifier, backend):
    assert repr(make_classifier(alpha=0.5)).startswith("TorchMLPClassifier(alpha=0.5")
    assert "TorchMLPClassifier" in make_classifier()._repr_html_()


# In parallel.


def assert_two_jobs_give_what_one_gives(results):
    """Compare what two_jobs.py has found."""
    for result in results:
        kind = f"{result['parallel']}, {result['backend']}"
        assert result["as_found"], kind
        scores, curves = result["alone"]
        assert result["together"][0] == scores, kind
        # Another number of threads sums in another order.
        assert_allclose(result["together"][1], curves, rtol=1e-9, err_msg=kind)


def test_two_jobs_by_forks_and_threads():
    # Run on its own, so that a hang is a failure and not the end of all tests.
    command = [sys.executable, two_jobs.__file__, "multiprocessing", "threading"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert process.returncode == 0, process.stderr
    results = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(results) == 2 * len(BACKENDS)
    assert_two_jobs_give_what_one_gives(results)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_two_jobs_of_joblibs_own_processes():
    # In this process: its helpers have imported everything for the other tests, too.
    results = list(two_jobs.results_of("loky"))
    assert len(results) == len(BACKENDS)
    assert_two_jobs_give_what_one_gives(results)
