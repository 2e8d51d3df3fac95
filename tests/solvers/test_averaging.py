"""The averages of the weights: by hand, from a twin that is trained without."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.estimator_checks import check_estimator

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Every epoch is three steps, in the same order for fit and partial_fit.
STEPS = {"batch_size": 40, "shuffle": False, "dtype": "float64", "learning_rate_init": 0.02}


@pytest.fixture
def data(digits):
    return digits[0][:120], digits[1][:120]


def weights_of(estimator):
    """Return all weights and biases as one vector."""
    return np.concatenate([*map(np.ravel, estimator.coefs_), *estimator.intercepts_])


def trained(make, data, n_epochs, **parameters):
    """Return the estimators after each epoch of `partial_fit`, as weights, and the last one."""
    estimator, weights = make(**{**STEPS, **parameters}), []
    for _ in range(n_epochs):
        estimator.partial_fit(*data, classes=np.unique(data[1]))
        weights.append(weights_of(estimator))
    return np.array(weights), estimator


def exponential_average(weights, decay):
    """Return the bias-corrected average of rows, the last of which counts most."""
    shares = decay ** np.arange(len(weights))[::-1]
    return shares @ weights / shares.sum()


def test_ema_is_the_average_over_the_steps(make_classifier, data):
    settings = {"max_iter": 4, "batch_size": 120, "n_iter_no_change": 99}
    plain, _ = trained(make_classifier, data, 4, **settings)
    ema = {"weight_averaging": "ema", "ema_decay": 0.6}
    whole = make_classifier(**{**STEPS, **settings, **ema}).fit(*data)
    averages, parts = trained(make_classifier, data, 4, **settings, **ema)
    for n_steps in range(1, 5):
        expected = exponential_average(plain[:n_steps], 0.6)
        assert_allclose(averages[n_steps - 1], expected, rtol=1e-11, atol=1e-13)
    assert_allclose(weights_of(whole), averages[-1], rtol=1e-11, atol=1e-13)
    # Training itself does not know of the averages.
    plain_curve = trained(make_classifier, data, 4, **settings)[1].loss_curve_
    assert list(whole.loss_curve_) == list(parts.loss_curve_) == list(plain_curve)


def test_ema_counts_steps_and_not_epochs(make_classifier, data):
    single, _ = trained(make_classifier, data, 2, weight_averaging="ema", ema_decay=0.0)
    plain, _ = trained(make_classifier, data, 2)
    assert_array_equal(single, plain)
    # Of steps that move evenly, an average is behind by as many steps as it looks back.
    ema, _ = trained(make_classifier, data, 2, weight_averaging="ema", ema_decay=0.5)
    assert 0 < np.linalg.norm(ema[0] - plain[0]) < np.linalg.norm(plain[1] - plain[0])


def test_swa_is_the_mean_over_the_last_epochs(make_classifier, data):
    settings = {"max_iter": 8, "n_iter_no_change": 99}
    plain, _ = trained(make_classifier, data, 8, **settings)
    swa = {"weight_averaging": "swa", "swa_start": 0.5}
    whole = make_classifier(**{**STEPS, **settings, **swa}).fit(*data)
    averages, _ = trained(make_classifier, data, 8, **settings, **swa)
    assert_array_equal(averages[:4], plain[:4])
    for n_epochs in range(5, 9):
        expected = plain[4:n_epochs].mean(axis=0)
        assert_allclose(averages[n_epochs - 1], expected, rtol=1e-11, atol=1e-13)
    assert_allclose(weights_of(whole), averages[-1], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_an_average_survives_pickling_and_the_other_backend(make_classifier, data, kind):
    settings = {"weight_averaging": kind, "swa_start": 0.0, "max_iter": 4}
    expected, _ = trained(make_classifier, data, 4, **settings)
    estimator = make_classifier(**STEPS, **settings)
    for epoch in range(4):
        estimator = pickle.loads(pickle.dumps(estimator))
        estimator.partial_fit(*data, classes=np.unique(data[1]))
        # Both backends in float64.
        assert_allclose(weights_of(estimator), expected[epoch], rtol=1e-9, atol=1e-12)
        estimator.backend = "skorch" if estimator.backend == "torch" else "torch"


def test_weights_of_the_users_own_begin_a_new_average(make_classifier, data):
    _, estimator = trained(make_classifier, data, 3, weight_averaging="ema")
    _, other = trained(make_classifier, data, 3)
    for each in (estimator, other):
        each.coefs_ = [np.full_like(coef, 0.1) for coef in each.coefs_]
        each.intercepts_ = [np.zeros_like(intercept) for intercept in each.intercepts_]
        # The memory of the solver is the same, and of the average nothing is left.
        each.set_params(ema_decay=0.0).partial_fit(*data)
    assert_allclose(weights_of(estimator), weights_of(other), rtol=1e-12)


def test_a_later_fit_begins_with_the_averages(make_classifier, data):
    _, estimator = trained(make_classifier, data, 3, weight_averaging="ema")
    other = make_classifier(**STEPS, warm_start=True).fit(*data)
    other.coefs_, other.intercepts_ = estimator.coefs_, estimator.intercepts_
    estimator.set_params(warm_start=True, weight_averaging=None)
    for each in (estimator, other):
        each.fit(*data)
    assert_allclose(weights_of(estimator), weights_of(other), rtol=1e-12)


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_what_is_scored_is_the_average(make_classifier, data, kind):
    settings = {"weight_averaging": kind, "ema_decay": 0.9, "swa_start": 0.2, **STEPS}
    estimator = make_classifier(**settings, n_iter_no_change=99)
    estimator.fit(*data, X_val=data[0], y_val=data[1])
    scores = estimator.history_["validation_score"]
    assert_allclose(scores.iloc[-1], estimator.score(*data), rtol=1e-12)


def test_early_stopping_ends_with_the_best_average(make_regressor, diabetes):
    X, y = diabetes
    settings = {"weight_averaging": "ema", "ema_decay": 0.8, "learning_rate_init": 0.3}
    estimator = make_regressor(**settings, early_stopping=True, max_iter=12, n_iter_no_change=99)
    estimator.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    scores = estimator.history_["validation_score"]
    assert scores.idxmax() < 12
    assert_allclose(estimator.score(X[300:], y[300:]), scores.max(), rtol=1e-6)
    assert estimator.best_validation_score_ == scores.max()


def test_an_average_is_not_for_lbfgs(make_classifier, data):
    with pytest.raises(ValueError, match="weight_averaging='swa' cannot be used with solver='lbf"):
        make_classifier(solver="lbfgs", weight_averaging="swa", backend="torch").fit(*data)


@pytest.mark.parametrize(
    ("Estimator", "backend"), [(TorchMLPClassifier, "torch"), (TorchMLPRegressor, "skorch")]
)
def test_the_contract_holds_with_everything_on(Estimator, backend):
    # Fast to train, because some checks ask for a score.
    estimator = Estimator(
        hidden_layer_sizes=20,
        max_iter=10,
        backend=backend,
        solver="adamw",
        learning_rate="cosine",
        learning_rate_init=0.1,
        warmup=0.1,
        gradient_clip=5.0,
        weight_averaging="ema",
        ema_decay=0.9,
    )
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert failed == {}
