"""The validation set: where it comes from, what it is scored by, and what it decides."""

import pickle

import numpy as np
import pytest
import scipy.sparse
import torch
from conftest import native_only
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, make_scorer, mean_squared_error, r2_score, recall_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import TorchMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

EXACT = {"dtype": "float64", "device": "cpu", "learning_rate_init": 0.02}


def certainty(estimator, X, y):
    """A scorer of one's own: the mean probability of the right class."""
    codes = np.searchsorted(estimator.classes_, y)
    return estimator.predict_proba(X)[np.arange(len(y)), codes].mean()


@pytest.fixture
def parts(breast_cancer):
    """Training samples and labels, then those of a validation set."""
    X, y = breast_cancer
    X, X_val, y, y_val = train_test_split(X[:200], y[:200], test_size=60, random_state=0)
    return X, y, {"X_val": X_val, "y_val": y_val}


@pytest.fixture
def numbers(diabetes):
    """The same for a regression."""
    X, y = diabetes
    X, X_val, y, y_val = train_test_split(X[:200], y[:200], test_size=60, random_state=0)
    return X, y, {"X_val": X_val, "y_val": y_val}


def same_weights(one, other):
    """Whether two estimators have exactly the same parameters."""
    pairs = zip(one.module_.parameters(), other.module_.parameters(), strict=True)
    return all(torch.equal(mine, theirs) for mine, theirs in pairs)


# Where it comes from.


def test_a_routed_set_is_the_one_transformed_by_hand(backend):
    X, y = load_iris(return_X_y=True)
    X, X_val, y, y_val = train_test_split(X, y, random_state=0)
    settings = {"early_stopping": True, "max_iter": 12, "random_state": 0, "backend": backend}
    scaler = StandardScaler().fit(X)
    by_hand = TorchMLPClassifier(**settings).fit(
        scaler.transform(X), y, X_val=scaler.transform(X_val), y_val=y_val
    )
    with config_context(enable_metadata_routing=True):
        routed = TorchMLPClassifier(**settings).set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), routed, transform_input=["X_val"])
        pipeline.fit(X, y, X_val=X_val, y_val=y_val)
    assert same_weights(routed, by_hand)
    assert routed.validation_scores_ == by_hand.validation_scores_
    # Unscaled, the same set would have given other scores.
    assert routed.best_validation_score_ == pipeline.score(X_val, y_val)


def test_with_it_no_split_is_made(make_classifier, parts):
    X, y, validation = parts
    watched = make_classifier(early_stopping=True, **EXACT).fit(X, y, **validation)
    assert watched.t_ == watched.n_iter_ * len(X)
    assert_allclose(watched.loss_curve_, make_classifier(**EXACT).fit(X, y).loss_curve_, rtol=0)


def test_watching_alone_changes_nothing(make_classifier, parts):
    X, y, validation = parts
    watched, plain = make_classifier(), make_classifier()
    watched.fit(X, y, **validation)
    assert same_weights(watched, plain.fit(X, y))
    assert watched.best_loss_ == plain.best_loss_
    assert len(watched.validation_scores_) == 5
    assert watched.best_validation_score_ == max(watched.validation_scores_)
    assert plain.validation_scores_ is plain.best_validation_score_ is None
    assert plain.history_[["validation_loss", "validation_score"]].isna().all(axis=None)


def test_it_comes_in_every_form_that_samples_come_in(make_classifier, parts):
    X, y, validation = parts
    X_val, y_val = validation.values()
    estimator = make_classifier(**EXACT, scoring="neg_log_loss")
    expected = estimator.fit(X, y, **validation).history_
    for form in (
        {"X_val": scipy.sparse.csr_array(X_val), "y_val": y_val},
        {"X_val": torch.tensor(X_val), "y_val": torch.tensor(y_val)},
        {"X_val": X_val.tolist(), "y_val": y_val.tolist()},
    ):
        history = estimator.fit(X, y, **form).history_
        for column in ("validation_loss", "validation_score"):
            assert_allclose(history[column], expected[column], rtol=1e-9)


def test_an_incomplete_set(make_classifier, parts):
    X, y, validation = parts
    X_val, y_val = validation.values()
    for given, message in (
        ({"X_val": X_val}, "X_val is provided, but y_val was not provided"),
        ({"y_val": y_val}, "y_val is provided, but X_val was not provided"),
        ({"sample_weight_val": y_val}, "X_val and y_val were not provided"),
    ):
        with pytest.raises(ValueError, match=message):
            make_classifier().fit(X, y, **given)


def test_a_set_unlike_the_training_set(make_classifier, make_regressor, parts, numbers):
    X, y, validation = parts
    X_val, y_val = validation.values()
    for given, message in (
        ({"X_val": X_val[:, 1:], "y_val": y_val}, "X has 29 features"),
        ({"X_val": X_val, "y_val": y_val + 1}, r"not in the training set's y: \[2\]"),
        ({"X_val": X_val, "y_val": y_val[1:]}, "inconsistent numbers of samples"),
        ({"X_val": X_val * np.nan, "y_val": y_val}, "Input X contains NaN"),
    ):
        with pytest.raises(
            ValueError, match=f"In the validation set, X_val and y_val: .*{message}"
        ):
            make_classifier().fit(X, y, **given)
    X, y, validation = numbers
    with pytest.raises(ValueError, match="y has 2 columns, but y of training 1"):
        make_regressor().fit(X, y, X_val=X, y_val=np.column_stack([y, y]))


def parts_of_a_fit(estimator, X, y):
    """Return which rows a fit trains on, and which it holds out; ``X`` ends in row numbers."""
    rows = []

    def scorer(estimator, X, y):
        rows.append(X[:, -1].astype(int))
        return 0.0

    clone(estimator).set_params(scoring=scorer, max_iter=1).fit(X, y)
    return np.setdiff1d(np.arange(len(X)), rows[0]), rows[0]


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("scoring", [None, "loss"])
def test_a_part_held_out_without_weight(
    make_classifier, make_regressor, parts, numbers, task, scoring
):
    make = make_classifier if task == "classification" else make_regressor
    X, y, _ = parts if task == "classification" else numbers
    X = np.column_stack([X, np.arange(len(X))])
    estimator = make(early_stopping=True)
    trained, held_out = parts_of_a_fit(estimator, X, y)
    estimator.set_params(scoring=scoring)
    for rows, what in ((held_out, "held out for validation"), (trained, "to train on")):
        weights = np.ones(len(y))
        weights[rows] = 0
        message = (
            "Sample weights must contain at least one non-zero number among the "
            f"{len(rows)} samples {what}, got only 0."
        )
        with pytest.raises(ValueError, match=message):
            estimator.fit(X, y, weights)
        weights[rows[:1]] = 1
        assert np.isfinite(estimator.fit(X, y, weights).best_validation_score_)


def test_a_validation_set_of_classes_without_weight(make_classifier, parts):
    X, y, validation = parts
    estimator = make_classifier(class_weight={0: 0.0, 1: 1.0})
    only = y == 0
    message = (
        "In the validation set, .*non-zero number among the .* samples to be scored, got only 0"
    )
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y, X_val=X[only], y_val=y[only])
    estimator.fit(X, y, **validation)


# What it is scored by.


@pytest.mark.parametrize(
    "scoring",
    [None, "loss", "balanced_accuracy", "neg_log_loss", make_scorer(recall_score), certainty],
    ids=["None", "loss", "balanced_accuracy", "neg_log_loss", "made", "own"],
)
def test_the_best_epochs_weights_are_restored(make_classifier, parts, scoring):
    X, y, validation = parts
    settings = {**EXACT, "learning_rate_init": 0.1, "n_iter_no_change": 4, "scoring": scoring}
    stopped = make_classifier(**settings, early_stopping=True, max_iter=40)
    stopped.fit(X, y, **validation)
    best = int(np.argmax(stopped.validation_scores_)) + 1
    assert stopped.converged_
    assert best < stopped.n_iter_ < 40
    # A fit that ends there has these weights, to the last bit.
    ended = make_classifier(**settings, max_iter=best).fit(X, y, **validation)
    assert same_weights(stopped, ended)
    assert not ended.converged_
    X_val, y_val = validation.values()
    score = {
        None: lambda: stopped.score(X_val, y_val),
        "loss": lambda: -log_loss(y_val, stopped.predict_proba(X_val)),
        "neg_log_loss": lambda: -log_loss(y_val, stopped.predict_proba(X_val)),
        certainty: lambda: certainty(stopped, X_val, y_val),
    }.get(scoring)
    if score:
        assert_allclose(stopped.best_validation_score_, score(), rtol=1e-9)


def test_scorers_see_weights(make_classifier, parts):
    X, y, validation = parts
    X_val, y_val = validation.values()
    weights = np.arange(len(y_val)) % 3.0
    estimator = make_classifier(**EXACT, scoring="neg_log_loss")
    estimator.fit(X, y, **validation, sample_weight_val=weights)
    expected = log_loss(y_val, estimator.predict_proba(X_val), sample_weight=weights)
    last = estimator.history_.iloc[-1]
    assert_allclose([last["validation_loss"], -last["validation_score"]], expected, rtol=1e-9)
    accuracy = make_classifier().fit(X, y, **validation, sample_weight_val=weights)
    assert accuracy.validation_scores_[-1] == accuracy.score(X_val, y_val, weights)


def test_a_part_held_out_is_scored_by_it_too(make_classifier, breast_cancer):
    X, y = breast_cancer
    parts = {"early_stopping": True, "n_iter_no_change": 20, **EXACT}
    by_name = make_classifier(**parts, scoring="accuracy").fit(X[:200], y[:200])
    assert (
        by_name.validation_scores_
        == make_classifier(**parts).fit(X[:200], y[:200]).validation_scores_
    )


def test_regressions(make_regressor, numbers):
    X, y, validation = numbers
    X_val, y_val = validation.values()
    for scoring, score in (
        (None, r2_score),
        ("neg_mean_squared_error", lambda y, predicted: -mean_squared_error(y, predicted)),
        ("loss", lambda y, predicted: -mean_squared_error(y, predicted) / 2),
    ):
        estimator = make_regressor(**EXACT, early_stopping=True, scoring=scoring)
        estimator.fit(X, y, **validation)
        expected = score(y_val, estimator.predict(X_val))
        assert_allclose(estimator.best_validation_score_, expected, rtol=1e-9)


def test_both_backends_watch_the_same(parts):
    X, y, validation = parts
    settings = {**EXACT, "max_iter": 8, "random_state": 0, "scoring": "roc_auc"}
    native, skorch = (
        TorchMLPClassifier(**settings, early_stopping=True, backend=backend).fit(
            X, y, **validation
        )
        for backend in ("torch", "skorch")
    )
    columns = ["loss", "validation_loss", "validation_score"]
    assert_allclose(native.history_[columns], skorch.history_[columns], rtol=1e-9)


def test_a_search_over_scoring(make_classifier, parts):
    X, y, _ = parts
    search = GridSearchCV(make_classifier(early_stopping=True), {"scoring": [None, "loss"]}, cv=2)
    assert len(search.fit(X, y).cv_results_["mean_test_score"]) == 2


@native_only
def test_lbfgs_is_watched(make_classifier, parts):
    X, y, validation = parts
    estimator = make_classifier(solver="lbfgs", scoring="loss").fit(X, y, **validation)
    plain = make_classifier(solver="lbfgs").fit(X, y)
    assert same_weights(estimator, plain)
    X_val, y_val = validation.values()
    expected = log_loss(y_val, estimator.predict_proba(X_val))
    assert_allclose(estimator.history_["validation_loss"].iloc[-1], expected, rtol=1e-9)


class Scorer:
    """Gives scores from a list, one per epoch, and then 0."""

    def __init__(self, *scores):
        self.scores = list(scores)

    def __call__(self, estimator, X, y):
        return self.scores.pop(0) if self.scores else 0.0


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_early_stopping_goes_by_finite_scores(make_classifier, parts, score):
    X, y, validation = parts
    settings = {"early_stopping": True}
    message = (
        "must return a finite number where early stopping goes by it, "
        rf"got {score} after epoch 2\."
    )
    estimator = make_classifier(**settings, scoring=Scorer(0.5, score))
    with pytest.raises(ValueError, match=f"scoring=<.*Scorer object.*> {message}"):
        estimator.fit(X, y)
    assert not hasattr(estimator, "module_")
    estimator = make_classifier(**settings, scoring=Scorer(score))
    with pytest.raises(ValueError, match=r"got \S+ after epoch 1\."):
        estimator.partial_fit(X, y, classes=[0, 1], **validation)
    # Where nothing is decided by it, it is only recorded.
    watched = make_classifier(scoring=Scorer(0.5, score)).fit(X, y, **validation)
    assert_array_equal(watched.validation_scores_, [0.5, score, 0.0, 0.0, 0.0])


DIVERGING = {"solver": "sgd", "activation": "identity", "early_stopping": True, "max_iter": 20}


@pytest.mark.parametrize("rate", [1.0, 1e60])
def test_a_network_that_diverges_ends_at_its_best_as_scikit_learns(make_regressor, rate):
    X, y = load_iris(return_X_y=True)
    estimator = make_regressor(**{**EXACT, **DIVERGING, "learning_rate_init": rate}).fit(X, y)
    theirs = MLPRegressor(
        hidden_layer_sizes=(8,), random_state=0, **DIVERGING, learning_rate_init=rate
    )
    with np.errstate(all="ignore"):
        theirs.fit(X, y)
    assert np.isnan(theirs.validation_scores_[-1])
    # One to a few steps of sums of products, each rounded another way.
    assert_allclose(estimator.validation_scores_, theirs.validation_scores_, rtol=1e-9)
    assert_allclose(estimator.best_validation_score_, theirs.best_validation_score_, rtol=1e-9)
    for mine, other in zip(estimator.coefs_, theirs.coefs_, strict=True):
        assert_allclose(mine, other, rtol=1e-9)


@pytest.mark.parametrize("scoring", [None, "loss"])
def test_a_network_that_diverges_at_once_says_so(make_regressor, scoring):
    # scikit-learn ends with the initial weights, too, but in silence.
    X, y = load_iris(return_X_y=True)
    settings = {**EXACT, **DIVERGING, "learning_rate_init": 1e200, "scoring": scoring}
    message = (
        "Stochastic Optimizer: the validation score was not a finite number after any epoch, and "
        "the initial weights are put back in place. Lower learning_rate_init, or scale the data."
    )
    with pytest.warns(ConvergenceWarning, match=message):
        estimator = make_regressor(**settings).fit(X, y)
    # A loss of infinity, or none, by which number overflows first.
    assert not np.isfinite(estimator.validation_scores_).any()
    assert estimator.best_validation_score_ == -np.inf
    theirs = MLPRegressor(
        hidden_layer_sizes=(8,), random_state=0, **DIVERGING, learning_rate_init=1e200
    )
    with np.errstate(all="ignore"):
        theirs.fit(X, y)
    for mine, other in zip(estimator.coefs_, theirs.coefs_, strict=True):
        assert_array_equal(mine, other)


# partial_fit.


def test_partial_fit_stops_as_fit_does(make_classifier, parts):
    X, y, validation = parts
    # Unshuffled: an integer random_state gives every call of partial_fit the same order.
    settings = {**EXACT, "early_stopping": True, "shuffle": False, "n_iter_no_change": 3}
    at_once = make_classifier(**settings, max_iter=50).fit(X, y, **validation)
    by_calls = make_classifier(**settings)
    for _ in range(50):
        by_calls.partial_fit(X, y, classes=[0, 1], **validation)
        if by_calls.converged_:
            break
    assert len(by_calls.loss_curve_) == at_once.n_iter_ < 50
    assert by_calls.validation_scores_ == at_once.validation_scores_
    assert same_weights(by_calls, at_once)


def test_partial_fit_goes_on_from_a_pickle(make_classifier, parts):
    X, y, validation = parts
    settings = {**EXACT, "early_stopping": True, "n_iter_no_change": 2, "max_iter": 30}
    ours, loaded = make_classifier(**settings), make_classifier(**settings)
    for _ in range(12):
        ours.partial_fit(X, y, classes=[0, 1], **validation)
        loaded.partial_fit(X, y, classes=[0, 1], **validation)
        loaded = pickle.loads(pickle.dumps(loaded))
    assert loaded.validation_scores_ == ours.validation_scores_
    assert same_weights(loaded, ours)


# max_time.


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_time_is_up(make_classifier, parts, solver):
    X, y, _ = parts
    estimator = make_classifier(solver=solver, max_time=1e-9)
    with pytest.warns(ConvergenceWarning, match=r"Maximum time \(max_time=1e-09 s\) reached"):
        estimator.fit(X, y)
    assert estimator.n_iter_ == 1
    assert not estimator.converged_
    assert_array_equal(
        estimator.predict(X), make_classifier(solver=solver, max_iter=1).fit(X, y).predict(X)
    )


def test_time_enough(make_classifier, parts):
    X, y, _ = parts
    assert same_weights(make_classifier(max_time=1e9).fit(X, y), make_classifier().fit(X, y))


def test_changed_scoring_is_compared_anew(make_regressor, numbers):
    X, y, validation = numbers
    settings = {"early_stopping": True, "warm_start": True, **EXACT}
    estimator = make_regressor(**settings).fit(X, y, **validation)
    estimator.set_params(scoring="loss").fit(X, y, **validation)
    assert estimator.best_validation_score_ == max(
        estimator.validation_scores_[-estimator.n_iter_ :]
    )


def test_what_layers_remember_is_restored_too(make_classifier, parts):
    X, y, validation = parts
    settings = {**EXACT, "normalization": "batch", "dropout": 0.2, "n_iter_no_change": 3}
    settings |= {"learning_rate_init": 0.1, "scoring": "loss"}
    stopped = make_classifier(**settings, early_stopping=True, max_iter=40).fit(X, y, **validation)
    best = int(np.argmax(stopped.validation_scores_)) + 1
    assert best < stopped.n_iter_
    ended = make_classifier(**settings, max_iter=best).fit(X, y, **validation)
    assert same_weights(stopped, ended)
    X_val, y_val = validation.values()
    assert_array_equal(stopped.predict_proba(X_val), ended.predict_proba(X_val))
    expected = -log_loss(y_val, stopped.predict_proba(X_val))
    assert_allclose(stopped.best_validation_score_, expected, rtol=1e-9)


def test_partial_fit_after_fit_from_a_pickle(make_classifier, parts):
    X, y, validation = parts
    ours = make_classifier(**EXACT, early_stopping=True).fit(X, y, **validation)
    loaded = pickle.loads(pickle.dumps(ours))
    for estimator in (ours, loaded):
        estimator.partial_fit(X, y, **validation)
    assert same_weights(loaded, ours)
    assert loaded.best_validation_score_ == ours.best_validation_score_
