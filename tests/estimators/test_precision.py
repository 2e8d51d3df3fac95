"""float32 inside, float64 outside: what the default gives for float64 X of more than 200 rows."""

import numpy as np
import pytest
import scipy.sparse
import torch
from conftest import SMALL
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier

from sklearn_mlp import BatchedGridSearchCV, TorchMLPClassifier
from sklearn_mlp.data.kinds import rows_to_train_on

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# The rounding of a sum of a few probabilities in float64.
SUM_ATOL = 1e-14
CPU = torch.device("cpu")
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


@pytest.mark.usefixtures("by_torch")
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


# What float32 cannot hold.

TOO_LARGE = r"{} must fit into float32.* is 3.4e\+38, but {} has 1e\+39. Scale {} first, or set"


def too_large(name):
    """Expect the error about X or y."""
    return pytest.raises(ValueError, match=TOO_LARGE.replace("{}", name))


@pytest.mark.parametrize(
    "container", [np.asarray, torch.tensor, scipy.sparse.csr_array, scipy.sparse.csc_matrix]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_samples_too_large_for_float32(make_classifier, make_regressor, container, sign):
    X, y = make_task("multiclass", spread=1.0)
    huge = X.copy()
    huge[123, 4] = sign * 1e39
    for estimator in (make_classifier(), make_regressor()):
        with too_large("X"):
            estimator.fit(container(huge), y)
        with too_large("X"):
            estimator.fit(container(X), y, X_val=container(huge), y_val=y)
        estimator.fit(container(X), y)
        with too_large("X"):
            estimator.partial_fit(container(huge), y)
        methods = ["predict", "hidden_activations"]
        if hasattr(estimator, "classes_"):
            methods += ["predict_proba", "predict_log_proba"]
        for method in methods:
            for rows in (slice(None), slice(123, 124)):
                with too_large("X"):
                    getattr(estimator, method)(container(huge[rows]))
        in_float64 = clone(estimator).set_params(dtype="float64").fit(container(X), y)
        assert np.isfinite(in_float64.hidden_activations(container(huge))).all()


def test_the_message_names_the_validation_set(make_classifier):
    X, y = make_task("multiclass")
    with pytest.raises(ValueError, match="In the validation set, X_val and y_val: X must fit"):
        make_classifier().fit(X, y, X_val=1e39 * X, y_val=y)


def test_targets_too_large_for_float32(make_regressor):
    X, y = make_task("binary")
    with too_large("y"):
        make_regressor().fit(X, 1e39 * y)
    fitted = make_regressor(scale_target="standard").fit(X, 1e39 * y)
    assert 0.1e39 < fitted.target_mean_ < 0.9e39


@pytest.mark.usefixtures("by_torch")
def test_samples_too_large_for_some_candidates():
    X, y = make_task("multiclass", spread=1e39)
    search = BatchedGridSearchCV(
        TorchMLPClassifier(**SMALL), {"alpha": [0.1, 0.01]}, cv=2, error_score="raise"
    )
    with pytest.raises(ValueError, match="X must fit into float32"):
        search.fit(X, y)


@pytest.mark.parametrize("n_rows", [3, 20_000])
@pytest.mark.parametrize("container", [np.asarray, torch.tensor])
def test_large_is_not_too_large(n_rows, container):
    # Their sum overflows; what is a little larger than float32's largest number is rounded to it.
    values = np.full((n_rows, 2), 3.4028235e38)
    converted = rows_to_train_on(container(values), torch.float32, CPU).source
    assert converted.sum().isinf()
    assert (converted == torch.finfo(torch.float32).max).all()


@pytest.mark.parametrize("n_rows", [3, 20_000])
def test_few_samples_are_laid_out_as_many(n_rows):
    values = np.asfortranarray(np.ones((n_rows, 2)))
    assert rows_to_train_on(values, torch.float32, CPU).source.is_contiguous()
