"""Dropout: the same masks on every engine, what it leaves alone, and how it goes on."""

import pickle

import numpy as np
import pytest
import scipy.sparse
import torch
from engines import assert_same_fits, fit_on_every_engine
from numpy.testing import assert_allclose, assert_array_equal
from test_parity import make_task

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.network.dropout import Dropout, MaskSource

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_layer_sizes": (8, 6), "random_state": 0, "max_iter": 4, "batch_size": 50}
DROPPING = [
    {"dropout": 0.3},
    {"input_dropout": 0.2},
    {"dropout": [0.0, 0.5], "input_dropout": 0.1, "activation": ["gelu", "tanh"]},
    {"dropout": 0.2, "activation": "logistic", "early_stopping": True, "solver": "sgd"},
]


@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("parameters", DROPPING, ids=str)
def test_every_engine_drops_the_same(parameters, is_sparse):
    X, y = make_task("multiclass")
    X = X * (np.random.RandomState(1).uniform(size=X.shape) < 0.1)
    samples = scipy.sparse.csr_array(X) if is_sparse else X
    weights = np.random.RandomState(0).uniform(0.1, 3, len(y))
    estimator = TorchMLPClassifier(**{**SMALL, **parameters})
    assert_same_fits(fit_on_every_engine(estimator, samples, y, sample_weight=weights), X)


@pytest.mark.parametrize("zero", [0, 0.0, [0, 0.0], (0.0, 0.0)], ids=str)
def test_dropout_of_nothing_is_none(backend, zero):
    X, y = make_task("regression")
    plain = TorchMLPRegressor(backend=backend, **SMALL).fit(X, y)
    zeroed = TorchMLPRegressor(backend=backend, dropout=zero, input_dropout=0, **SMALL).fit(X, y)
    assert_array_equal(zeroed.predict(X), plain.predict(X))
    assert zeroed._state.seed is None


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_mean_is_kept_and_the_rate_is_met(rate):
    source = MaskSource()
    layer = Dropout(rate, source)
    ones = torch.ones(200, 500)
    with source.seeded(0, torch.device("cpu")):
        dropped = layer(ones)
    # Binomial: 5 standard deviations of a share of 100,000, and of its scaled mean.
    spread = 5 * np.sqrt(rate * (1 - rate) / 1e5)
    assert (dropped == 0).float().mean().item() == pytest.approx(rate, abs=spread)
    assert dropped.mean().item() == pytest.approx(1, abs=spread / (1 - rate))
    assert_allclose(dropped.unique(), [0, 1 / (1 - rate)], rtol=1e-6)
    assert layer.eval()(ones) is ones


def test_predictions_drop_nothing(backend):
    X, y = make_task("multiclass")
    estimator = TorchMLPClassifier(backend=backend, dropout=0.5, input_dropout=0.5, **SMALL)
    estimator.fit(X, y)
    inputs = torch.tensor(X, dtype=torch.float32)
    with torch.no_grad():
        expected = estimator.module_(inputs).softmax(1)
    assert_allclose(estimator.predict_proba(X), expected, rtol=1e-5, atol=1e-6)
    assert_array_equal(estimator.predict_proba(X), estimator.predict_proba(X))


def test_random_state_settles_it_and_torch_is_left_alone(backend):
    X, y = make_task("multiclass")
    found = torch.get_rng_state()
    fits = [
        TorchMLPClassifier(backend=backend, dropout=0.5, **{**SMALL, "random_state": seed})
        .fit(X, y)
        .loss_curve_
        for seed in (0, 0, 1)
    ]
    assert fits[0] == fits[1] != fits[2]
    assert torch.equal(torch.get_rng_state(), found)


def test_each_call_draws_other_masks(backend):
    X, y = make_task("regression")
    settings = {"hidden_layer_sizes": 8, "random_state": 0, "shuffle": False, "tol": 0.0}
    estimator = TorchMLPRegressor(
        backend=backend, dropout=0.5, learning_rate_init=1e-12, **settings
    )
    for _ in range(3):
        estimator.partial_fit(X, y)
    # The weights have hardly moved: only the masks differ.
    assert len({round(loss, 6) for loss in estimator.loss_curve_}) == 3


def test_training_goes_on_as_if_never_saved(backend):
    X, y = make_task("multiclass")
    estimator = TorchMLPClassifier(backend=backend, dropout=0.4, warm_start=True, **SMALL)
    loaded = pickle.loads(pickle.dumps(estimator.fit(X, y)))
    for one in (estimator, loaded):
        one.partial_fit(X, y).fit(X, y)
    assert loaded.loss_curve_ == estimator.loss_curve_
    assert_array_equal(loaded.predict_proba(X), estimator.predict_proba(X))


def test_another_rate_counts_from_the_next_call(backend):
    X, y = make_task("multiclass")
    estimator = TorchMLPClassifier(backend=backend, **SMALL).fit(X, y)
    estimator.set_params(dropout=0.9).partial_fit(X, y)
    dropped = estimator.loss_
    estimator.set_params(dropout=0.0).partial_fit(X, y)
    assert dropped > 1.2 * estimator.loss_


def test_dropout_with_lbfgs(iris):
    for name in ("dropout", "input_dropout"):
        message = rf"{name}=0.5 cannot be used with solver='lbfgs', whose line search"
        with pytest.raises(ValueError, match=message):
            TorchMLPClassifier(solver="lbfgs", **{name: 0.5}).fit(*iris)


def test_wrong_rates(make_classifier, iris):
    message = "dropout has 3 entries, but hidden_layer_sizes has 1; give one rate per hidden layer"
    with pytest.raises(ValueError, match=message):
        make_classifier(dropout=[0.1, 0.2, 0.3]).fit(*iris)
    for rate in (1.0, -0.1, "half", None):
        with pytest.raises(ValueError, match=r"dropout\[0\] must be a float in the range \[0.0"):
            make_classifier(dropout=[rate]).fit(*iris)
