"""float32 inside, float64 outside: what the default gives for float64 X of more than 200 rows."""

import numpy as np
import pytest
import torch
from conftest import SMALL
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier

from sklearn_mlp import BatchedGridSearchCV, TorchMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# The rounding of a sum of a few probabilities in float64.
SUM_ATOL = 1e-14
KINDS = ["binary", "multiclass", "multilabel", "multioutput"]


def make_task(kind, spread=30.0):
    """Return X, y of 600 samples, 300 of them twice; the wider their spread, the surer a net."""
    random = np.random.RandomState(0)
    X = np.tile(random.standard_normal((300, 6)), (2, 1))
    scores = X @ random.standard_normal((6, 4))
    labels = {
        "binary": scores[:, 0] > 0,
        "multiclass": scores.argmax(1),
        "multilabel": scores > 0,
        "multioutput": np.column_stack([scores.argmax(1), scores[:, 0] > 0]),
    }
    return spread * X, labels[kind].astype(int)


def columns_of(probabilities):
    """Return the arrays for each column of labels; mostly there is one."""
    return probabilities if isinstance(probabilities, list) else [probabilities]


# Probabilities.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"output_activation": "logistic"},
        {"label_smoothing": 0.1},
        {"loss": "focal"},
        {"loss": "squared_error"},
        {"loss": "squared_error", "output_activation": "tanh"},
        {"loss": "squared_error", "output_activation": "identity"},
    ],
    ids=str,
)
def test_probabilities_have_the_precision_of_their_type(make_classifier, kind, parameters):
    X, y = make_task(kind)
    clf = make_classifier(**parameters).fit(X, y)
    assert clf.dtype_ == torch.float32
    for block in columns_of(clf.predict_proba(X)):
        assert block.dtype == np.float64
        assert ((block >= 0) & (block <= 1)).all()
        if kind != "multilabel":
            assert_allclose(block.sum(1), 1, rtol=0, atol=SUM_ATOL)
        if parameters.get("output_activation") != "identity":
            assert (block != block.astype(np.float32)).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_probabilities_are_those_of_the_logits(make_classifier, kind, dtype):
    X, y = make_task(kind)
    X = X.astype(dtype)
    clf = make_classifier().fit(X, y)
    assert clf.dtype_ == torch.float32
    logits = clf.module_(torch.tensor(X, dtype=torch.float32)).detach().double()
    logsigmoid = torch.nn.functional.logsigmoid
    expected = {
        "binary": lambda: [torch.cat([logsigmoid(-logits), logsigmoid(logits)], 1)],
        "multiclass": lambda: [logits.log_softmax(1)],
        "multilabel": lambda: [logsigmoid(logits)],
        "multioutput": lambda: [block.log_softmax(1) for block in logits.split([4, 2], 1)],
    }[kind]()
    blocks = columns_of(clf.predict_log_proba(X))
    # float32 has nothing between 0 and exp(-103.3).
    assert min(block.min() for block in blocks) < -104
    for block, expected_block in zip(blocks, expected, strict=True):
        assert block.dtype == dtype
        # The logits, of up to 200, are rounded in float32 by products in another order.
        assert_allclose(block, expected_block, rtol=1e-5, atol=1e-4)


def test_no_probability_is_zero_where_scikit_learn_has_none(backend):
    X, y = load_breast_cancer(return_X_y=True)
    theirs = MLPClassifier(random_state=0)
    for clf in (theirs, TorchMLPClassifier(random_state=0, backend=backend)):
        clf.fit(X[::2], y[::2])
        assert clf.predict_proba(X).min() > 0
        assert np.isfinite(clf.predict_log_proba(X)).all()


@pytest.mark.parametrize("activation", ["logistic", "tanh"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_two_classes_are_equally_precise(make_classifier, activation, dtype):
    X, y = make_task("binary", spread=10.0 if activation == "tanh" else 20.0)
    X = X.astype(dtype)
    clf = make_classifier(loss="squared_error", output_activation=activation).fit(X, y)
    before = clf.predict_proba(X)
    # 1 - p would be 0 below 1e-16, in float32 below 6e-8.
    assert 0 < before.min() < 1e-17
    of_net = clf.net_.predict_proba(X) if clf.backend == "skorch" else None
    clf.coefs_[-1], clf.intercepts_[-1] = -clf.coefs_[-1], -clf.intercepts_[-1]
    assert_array_equal(clf.predict_proba(X), before[:, ::-1])
    if of_net is not None:
        assert_array_equal(clf.net_.predict_proba(X), of_net[:, ::-1])


def test_in_float64_they_are_scikit_learns_to_the_bit(make_classifier):
    X, y = make_task("binary", spread=100.0)
    clf = make_classifier(dtype="float64").fit(X, y)
    probabilities = clf.predict_proba(X)
    assert (probabilities == 1).any(axis=0).all()
    assert (probabilities == 0).any(axis=0).tolist() == [True, False]
    assert_array_equal(probabilities[:, 0], 1 - probabilities[:, 1])
    with np.errstate(divide="ignore"):
        assert_array_equal(clf.predict_log_proba(X), np.log(probabilities))


# What uses them.


@pytest.mark.parametrize(
    ("kind", "scoring"),
    [
        *(
            (kind, scoring)
            for kind in ("binary", "multiclass")
            for scoring in (
                "neg_log_loss",
                "neg_brier_score",
                "d2_log_loss_score",
                "d2_brier_score",
                "average_precision",
                "roc_auc_ovr",
                "roc_auc_ovr_weighted",
            )
        ),
        ("binary", "roc_auc"),
        ("multiclass", "roc_auc_ovo"),
        ("multiclass", "roc_auc_ovo_weighted"),
        ("multiclass", "top_k_accuracy"),
        ("multilabel", "average_precision"),
    ],
)
def test_scikit_learns_metrics_take_them_without_a_warning(make_classifier, kind, scoring):
    X, y = make_task(kind)
    clf = make_classifier(max_iter=2)
    assert np.isfinite(cross_val_score(clf, X, y, cv=2, scoring=scoring)).all()
    assert clf.fit(X[:300], y[:300]).dtype_ == torch.float32


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_every_epoch_can_be_scored_by_them(make_classifier, kind):
    X, y = make_task(kind)
    clf = make_classifier(scoring="neg_log_loss").fit(X, y, X_val=X, y_val=y)
    assert clf.dtype_ == torch.float32
    # The weights' place in memory decides how float32 rounds.
    expected = -log_loss(y, clf.predict_proba(X))
    assert_allclose(clf.validation_scores_[-1], expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_every_candidate_can_be_scored_by_them(kind):
    X, y = make_task(kind)
    search = BatchedGridSearchCV(
        TorchMLPClassifier(**SMALL), {"alpha": [0.1, 0.01]}, cv=2, scoring="neg_log_loss"
    ).fit(X, y)
    assert search.best_estimator_.dtype_ == torch.float32
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_early_stopping_watches_what_score_returns(make_classifier, kind):
    X, y = make_task(kind, spread=1e-6)
    clf = make_classifier(max_iter=1).fit(X, y, X_val=X, y_val=y)
    assert clf.dtype_ == torch.float32
    assert clf.validation_scores_ == [clf.score(X, y)]
