"""Scorers while a network is trained: what they are given, may return, and may do to it."""

import copy
import pickle

import numpy as np
import pytest
import torch
from conftest import native_only
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.metrics import accuracy_score, f1_score, make_scorer

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor, fit_many
from sklearn_mlp.machine.sklearn_internals import takes_sample_weight

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WATCHED = {"early_stopping": True, "max_iter": 4}


def accuracy(estimator, X, y):
    """The documented signature."""
    return float(np.mean(estimator.predict(X) == y))


# Sample weights.


class Weighted:
    """A scorer that is an object, and takes weights."""

    def __init__(self):
        self.given = []

    def __call__(self, estimator, X, y, sample_weight=None):
        self.given.append(sample_weight)
        return estimator.score(X, y, sample_weight)


def any_keyword(estimator, X, y, **options):
    """Hands options on."""
    return accuracy_score(y, estimator.predict(X), **options)


def hand_on(*args, **kwargs):
    """Hands everything on, to what takes no weights."""
    return accuracy(*args, **kwargs)


def hits(y_true, y_predicted):
    """A metric that takes no weights."""
    return float(np.mean(y_true == y_predicted))


def weighted_hits(y_true, y_predicted, *, sample_weight=None):
    """A metric that does."""
    return float(np.average(y_true == y_predicted, weights=sample_weight))


@pytest.mark.parametrize(
    ("scorer", "expected"),
    [
        (accuracy, False),
        (Weighted(), True),
        (any_keyword, True),
        (hand_on, False),
        (make_scorer(hits), False),
        (make_scorer(weighted_hits), True),
        (make_scorer(f1_score, average="macro"), True),
        (lambda estimator, X, y, sample_weight, /: 0.0, False),
        (max, False),
    ],
)
def test_the_signature_tells_whether_a_scorer_takes_weights(scorer, expected):
    assert takes_sample_weight(scorer) is expected


@pytest.mark.parametrize("scoring", [accuracy, hand_on, make_scorer(hits)])
@pytest.mark.parametrize("weighting", ["class_weight", "sample_weight", "X_val"])
def test_scorers_without_weights(make_classifier, iris, scoring, weighting):
    X, y = iris
    weights = np.linspace(0.5, 2, len(y))
    class_weight = "balanced" if weighting == "class_weight" else None
    estimator = make_classifier(**WATCHED, scoring=scoring, class_weight=class_weight)
    given = {} if weighting == "class_weight" else {"sample_weight": weights}
    if weighting == "X_val":
        given |= {"X_val": X[::3], "y_val": y[::3], "sample_weight_val": weights[::3]}
    estimator.fit(X, y, **given)
    assert len(estimator.validation_scores_) == 4
    if weighting == "X_val":
        estimator.partial_fit(X, y, **given)
        assert len(estimator.validation_scores_) == 5


def test_scorers_with_weights_get_them(make_classifier, iris):
    X, y = iris
    weights = np.linspace(0.5, 2, len(y))
    given = {"X_val": X, "y_val": y, "sample_weight_val": weights}
    scorer = Weighted()
    by_object = make_classifier(**WATCHED, scoring=scorer).fit(X, y, **given)
    assert len(scorer.given) == 4
    assert_array_equal(scorer.given[0], weights)
    by_metric = make_classifier(**WATCHED, scoring=make_scorer(weighted_hits)).fit(X, y, **given)
    by_name = make_classifier(**WATCHED, scoring="accuracy").fit(X, y, **given)
    for other in (by_metric, by_name):
        assert_allclose(other.validation_scores_, by_object.validation_scores_)


def test_metadata_routing_says_whether_weights_are_wanted(make_classifier, iris):
    X, y = iris
    with config_context(enable_metadata_routing=True):
        wanted = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        unwanted = make_scorer(accuracy_score).set_score_request(sample_weight=False)
    assert takes_sample_weight(wanted)
    assert not takes_sample_weight(unwanted)
    given = {"X_val": X, "y_val": y, "sample_weight_val": np.where(y == 0, 1.0, 1e-9)}
    scores = [
        make_classifier(**WATCHED, scoring=scoring).fit(X, y, **given).validation_scores_
        for scoring in (wanted, unwanted, accuracy)
    ]
    assert scores[1] == scores[2] != scores[0]


# The estimator that a scorer gets.


class Look:
    """Reads, copies and trains the estimator that it is given."""

    def __init__(self):
        self.kept = []

    def __call__(self, estimator, X, y):
        score = estimator.score(X, y)
        # What a copy of it does, and itself, is what it does.
        for other in (copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator))):
            assert other.score(X, y) == score
        self.kept.append((estimator, score))
        estimator.own_ = score
        clone(estimator).set_params(scoring=None, early_stopping=False, max_iter=1).fit(X, y)
        return score


@pytest.mark.parametrize("task", ["classifier", "regressor"])
def test_a_scorer_gets_a_fitted_estimator_of_the_epoch(
    make_classifier, make_regressor, iris, diabetes, task
):
    make, (X, y) = {
        "classifier": (make_classifier, iris),
        "regressor": (make_regressor, diabetes),
    }[task]
    look = Look()
    given = {"X_val": X[::2], "y_val": y[::2]}
    estimator = make(max_iter=3, scoring=look).fit(X, y, **given)
    plain = make(max_iter=3).fit(X, y)
    assert estimator.loss_curve_ == plain.loss_curve_
    for n_epochs, (seen, score) in enumerate(look.kept, start=1):
        alone = make(max_iter=n_epochs).fit(X, y)
        assert seen.score(given["X_val"], given["y_val"]) == score
        assert seen.own_ == score
        for mine, other in zip(seen.coefs_, alone.coefs_, strict=True):
            assert_array_equal(mine, other)
        names = ["n_iter_", "t_", "loss_", "best_loss_", "loss_curve_", "converged_", "engine_"]
        for name in [*names, "n_layers_", "n_features_in_", "out_activation_"]:
            assert getattr(seen, name) == getattr(alone, name), name
        assert list(seen.history_["learning_rate"]) == list(alone.history_["learning_rate"])
        # The score itself is not known yet.
        assert_array_equal(
            seen.validation_scores_[:-1], estimator.validation_scores_[: n_epochs - 1]
        )
        assert np.isnan(seen.validation_scores_[-1])
        assert seen.hidden_activations(X).shape == (len(X), 8)
        # Trained on, it leaves what is being trained alone.
        seen.set_params(scoring=None).partial_fit(X, y)
    assert not hasattr(estimator, "own_")


def test_a_scorer_may_train_what_it_is_given(make_classifier, iris):
    def train(estimator, X, y):
        """Train it further, and spoil it."""
        estimator.set_params(early_stopping=False, scoring=None, alpha=5.0).partial_fit(X, y)
        estimator.coefs_ = [0 * weight for weight in estimator.coefs_]
        del estimator.module_
        return 0.5

    X, y = iris
    spoilt = make_classifier(**WATCHED, n_iter_no_change=9, scoring=train).fit(X, y)
    plain = make_classifier(**WATCHED, n_iter_no_change=9, scoring=lambda *_: 0.5).fit(X, y)
    assert spoilt.loss_curve_ == plain.loss_curve_
    assert_array_equal(spoilt.predict_proba(X), plain.predict_proba(X))


def test_a_scorer_of_a_stack_gets_its_own_network(iris):
    X, y = iris
    looks = [Look(), Look()]
    estimators = [
        TorchMLPClassifier((8,), **WATCHED, random_state=seed, scoring=looks[seed].__call__)
        for seed in (0, 1)
    ]
    fit_many(estimators, X, y)
    for estimator, look in zip(estimators, looks, strict=True):
        alone = clone(estimator).set_params(scoring=None).fit(X, y)
        assert_allclose([score for _, score in look.kept[:4]], alone.validation_scores_)
        assert [seen.n_iter_ for seen, _ in look.kept[:4]] == [1, 2, 3, 4]


@native_only
def test_a_scorer_watches_lbfgs(make_regressor, diabetes):
    X, y = diabetes
    look = Look()
    estimator = make_regressor(solver="lbfgs", scoring=look).fit(X, y, X_val=X, y_val=y)
    assert [score for _, score in look.kept] == list(estimator.history_["validation_score"])
    assert [seen.n_iter_ for seen, _ in look.kept] == [1, 2, 3, 4, 5]


# What a scorer returns.


NUMBERS = [np.float32(1), np.array(1.0), np.array([1.0]), torch.tensor(1.0), torch.tensor([1.0])]
NUMBERS += [torch.tensor(1.0, requires_grad=True), True, 1, np.int64(1), np.float64(1)]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_numbers_of_any_kind(make_classifier, iris, value):
    estimator = make_classifier(**WATCHED, scoring=lambda *_: value).fit(*iris)
    assert estimator.validation_scores_ == [1.0] * 4
    assert type(estimator.validation_scores_[0]) is float


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, "NoneType"),
        ("0.5", "str"),
        ([0.5], "list"),
        ({"a": 0.5}, "dict"),
        (1j, "complex"),
        (np.ones(3), r"ndarray of shape \(3,\)"),
        (torch.ones(2, 2), r"Tensor of shape \(2, 2\)"),
        (torch.ones((), device="meta"), "Tensor"),
    ],
    ids=str,
)
def test_what_is_no_number(make_classifier, iris, value, form):
    message = f"scoring=.* must return a number for the validation set, got {form}"
    with pytest.raises(TypeError, match=message):
        make_classifier(**WATCHED, scoring=lambda *_: value).fit(*iris)


# Errors and interrupts.


@pytest.mark.parametrize("scoring", ["neg_log_loss", "top_k_accuracy", "roc_auc_ovo"])
def test_a_class_that_the_validation_set_lacks(make_classifier, iris, scoring):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    rare = names != "virginica"
    message = (
        rf"scoring='{scoring}' failed on the validation set, 100 samples of X_val and y_val, "
        r"which lack the classes \['virginica'\]: "
    )
    with pytest.raises(ValueError, match=message):
        make_classifier(**WATCHED, scoring=scoring).fit(X, names, X_val=X[rare], y_val=names[rare])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ZeroDivisionError("by nought"), ZeroDivisionError),
        (TypeError("no f"), TypeError),
        (StopIteration(), RuntimeError),
        (AssertionError(), AssertionError),
    ],
)
def test_an_error_names_scoring_and_the_set(make_regressor, diabetes, error, kind):
    def fail(estimator, X, y):
        """Fail."""
        raise error

    X, y = diabetes
    with pytest.raises(
        kind,
        match=rf"scoring=fail failed on the .* \d+ samples that early_stopping holds out: "
        rf"{error or type(error).__name__}",
    ):
        make_regressor(**WATCHED, scoring=fail).fit(X, y)


def test_an_error_of_the_users_own_kind_stays_what_it_is(make_classifier, iris):
    class Pruned(ValueError):
        """What a caller waits for."""

        def __init__(self, epoch, reason):
            super().__init__(epoch, reason)

    def prune(estimator, X, y):
        """End training by an error."""
        raise Pruned(3, "poor")

    with pytest.raises(Pruned) as caught:
        make_classifier(**WATCHED, scoring=prune).fit(*iris)
    assert caught.value.args == (3, "poor")
    assert "failed on the validation set" in caught.value.__notes__[0]


class InterruptsAt:
    """Interrupts at one epoch, as Ctrl-C within it would."""

    def __init__(self, epoch):
        self.left = epoch

    def __call__(self, estimator, X, y):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return estimator.score(X, y)


@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_interrupt_in_a_scorer_leaves_a_model(make_classifier, iris, epoch, solver):
    X, y = iris
    early = {"early_stopping": True} if solver == "adam" else {}
    estimator = make_classifier(solver=solver, scoring=InterruptsAt(epoch), **early)
    with pytest.warns(UserWarning, match="Training interrupted by user") as caught:
        estimator.fit(X, y, X_val=X, y_val=y)
    assert len(caught) == 1
    assert estimator.predict(X).shape == y.shape
    assert not estimator.module_.training
    assert len(estimator.history_) == estimator.n_iter_ == epoch - 1
    if solver == "adam":
        estimator.set_params(early_stopping=False, scoring=None).partial_fit(X, y)


def test_a_regressor_with_several_columns_is_scored(make_regressor, diabetes):
    X, _ = diabetes
    estimator = make_regressor(
        **WATCHED, scoring=lambda estimator, X, y: -np.abs(estimator.predict(X) - y).mean()
    )
    assert len(estimator.fit(X, X[:, :2]).validation_scores_) == 4
    assert isinstance(estimator, TorchMLPRegressor)
