"""Normalisation, residual layers and initial weights: on every engine, saved, and going on."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse
import torch
from engines import EXACT, assert_same_fits, fit_on_every_engine
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.estimator_checks import check_estimator
from test_parity import make_task
from torch import nn

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor, fit_many
from sklearn_mlp.many.planning import why_not_stacked
from sklearn_mlp.network.mlp import MLP

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_layer_sizes": (7, 7, 5), "random_state": 0, "max_iter": 4, "batch_size": 50}
# All that a network can have, together.
EVERYTHING = {
    "activation": ["gelu", torch.tanh, nn.PReLU()],
    "dropout": [0.1, 0.0, 0.2],
    "input_dropout": 0.1,
    "normalization": "batch",
    "residual": True,
    "weight_init": "orthogonal",
}


@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    "parameters",
    [
        {"residual": True},
        {"residual": True, "solver": "lbfgs", "activation": "tanh"},
        {"residual": True, "dropout": 0.2, "activation": ["silu", "tanh", "relu"]},
        {"residual": True, "hidden_layer_sizes": (6,) * 5, "activation": "mish"},
    ],
    ids=str,
)
def test_residual_layers_give_the_same_on_every_engine(parameters, is_sparse):
    X, y = make_task("multiclass")
    X = X * (np.random.RandomState(1).uniform(size=X.shape) < 0.1)
    samples = scipy.sparse.csr_array(X) if is_sparse else X
    weights = np.random.RandomState(0).uniform(0.1, 3, len(y))
    estimator = TorchMLPClassifier(**{**SMALL, **parameters})
    fitted = fit_on_every_engine(estimator, samples, y, sample_weight=weights)
    assert_same_fits(fitted, X)


def test_a_residual_layer_worked_by_hand():
    network = MLP((2, 2, 2, 1), "relu", torch.float64, residual=True)
    identity = torch.eye(2, dtype=torch.float64)
    with torch.no_grad():
        for layer, weight in zip(
            network.linear_layers, [identity, -identity, identity], strict=True
        ):
            layer.weight.copy_(weight[: layer.out_features])
            layer.bias.zero_()
    # The first layer is not skipped, although it is as wide as the features: relu([3, -1]) is
    # [3, 0]; the second one's relu([-3, 0]) is 0, so that what it is given passes by.
    outputs = network(torch.tensor([[3.0, -1.0]], dtype=torch.float64))
    assert_array_equal(outputs.detach(), [[3.0]])


@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_normalisation_gives_the_same_on_both_backends(normalization, is_sparse):
    X, y = make_task("multioutput")
    samples = scipy.sparse.csr_array(X) if is_sparse else X
    settings = {**SMALL, **EXACT, "normalization": normalization, "dropout": 0.1}
    native, by_skorch = (
        TorchMLPRegressor(backend=backend, **settings).fit(samples, y)
        for backend in ("torch", "skorch")
    )
    assert native.engine_ == "autograd"
    assert_same_fits([native, by_skorch], X)
    for mine, other in zip(by_skorch.module_.buffers(), native.module_.buffers(), strict=True):
        assert_allclose(mine, other, rtol=1e-8)


def test_predictions_take_the_running_statistics(backend):
    X, y = make_task("regression")
    estimator = TorchMLPRegressor(normalization="batch", backend=backend, **SMALL).fit(X, y)
    together = estimator.predict(X)
    # float32, in products of other sizes.
    assert_allclose(
        [estimator.predict(X[i : i + 1])[0] for i in range(5)], together[:5], rtol=1e-4
    )


@pytest.mark.parametrize("batch_size", [1, 13])
def test_a_last_batch_of_one_sample(backend, batch_size):
    X, y = make_task("regression", 40)
    settings = {**SMALL, "batch_size": batch_size, "normalization": "batch", "max_iter": 2}
    estimator = TorchMLPRegressor(backend=backend, **settings).fit(X, y)
    assert np.isfinite(estimator.predict(X)).all()
    mean = estimator.module_.normalizations[0].running_mean
    # Alone, samples leave the running statistics as they were.
    assert (mean == 0).all() == (batch_size == 1)


def test_the_best_running_statistics_are_restored(backend):
    X, y = make_task("multiclass")
    settings = {**SMALL, "normalization": "batch", "early_stopping": True, "tol": 0.0}
    settings |= {"max_iter": 30, "n_iter_no_change": 30, "learning_rate_init": 0.1}
    estimator = TorchMLPClassifier(backend=backend, **settings).fit(X, y)
    best = int(np.argmax(estimator.validation_scores_)) + 1
    assert best < estimator.n_iter_
    stopped = TorchMLPClassifier(backend=backend, **{**settings, "max_iter": best}).fit(X, y)
    for mine, other in zip(
        estimator.module_.state_dict().items(), stopped.module_.state_dict().items(), strict=True
    ):
        if "num_batches" not in mine[0]:
            assert_array_equal(mine[1], other[1])
    assert_array_equal(estimator.predict_proba(X), stopped.predict_proba(X))


@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_normalisation_with_lbfgs(normalization):
    X, y = make_task("regression")
    settings = {"hidden_layer_sizes": 5, "solver": "lbfgs", "random_state": 0}
    for max_iter in (2, 30):
        estimator = TorchMLPRegressor(normalization=normalization, max_iter=max_iter, **settings)
        losses = estimator.fit(X, y).history_["loss"]
        assert (np.diff(losses) < 0).all()
        # Predicted as it was trained, but for the variance's n - 1, from the first iterations on.
        penalty = 1e-4 / len(y) / 2 * sum((coef**2).sum() for coef in estimator.coefs_)
        half_error = np.mean((y - estimator.predict(X)) ** 2) / 2
        assert_allclose(half_error + penalty, estimator.loss_, rtol=0.01)


def test_only_weights_are_penalised(backend):
    X, y = make_task("regression")
    settings = {**EXACT, "solver": "sgd", "momentum": 0, "learning_rate_init": 0.01}
    settings |= {"normalization": "layer", "batch_size": len(y), "random_state": 0, "max_iter": 1}
    states = [
        TorchMLPRegressor(hidden_layer_sizes=5, alpha=alpha, backend=backend, **settings)
        .fit(X, y)
        .module_.state_dict()
        for alpha in (0.0, 10.0)
    ]
    for (name, without), (_, penalised) in zip(*(one.items() for one in states), strict=True):
        assert torch.equal(without, penalised) == (without.ndim == 1), name


# Initial weights.


def test_our_linear_layers_are_torchs():
    mine = MLP((3, 2), "relu", torch.float32).linear_layers[0]
    theirs = nn.Linear(3, 2)
    assert type(mine) is nn.Linear
    assert repr(mine) == repr(theirs)
    assert vars(mine).keys() == vars(theirs).keys()
    for (name, one), (expected, other) in zip(
        mine.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert (name, one.shape, one.dtype) == (expected, other.shape, other.dtype)


def initial_coefs(weight_init, sizes=(300, 200), **parameters):
    """Return the weights and biases before training."""
    X, y = make_task("multiclass")
    estimator = TorchMLPClassifier(
        sizes, weight_init=weight_init, random_state=0, learning_rate_init=1e-12, max_iter=1
    )
    estimator.set_params(**parameters).fit(X, y)
    return estimator.coefs_, estimator.intercepts_


@pytest.mark.parametrize(
    ("weight_init", "variance"),
    [
        ("kaiming", lambda n_in, n_out: 2 / n_in),
        ("xavier_normal", lambda n_in, n_out: 2 / (n_in + n_out)),
    ],
)
def test_initial_weights_have_their_variance(weight_init, variance):
    coefs, intercepts = initial_coefs(weight_init)
    for coef, intercept in zip(coefs[:2], intercepts[:2], strict=True):
        # Of 19,200 normal numbers or more: five standard deviations are 5%.
        assert coef.var() == pytest.approx(variance(*coef.shape), rel=0.05)
        assert_allclose(intercept, 0, atol=1e-9)


def test_orthogonal_weights():
    coefs, _ = initial_coefs("orthogonal")
    for coef in coefs:
        tall = coef if coef.shape[0] >= coef.shape[1] else coef.T
        assert_allclose(tall.T @ tall, np.eye(tall.shape[1]), atol=1e-5)


def test_a_callable_draws_from_random_state_alone(backend):
    found = torch.get_rng_state()

    def draw(layer):
        nn.init.trunc_normal_(layer.weight, std=0.02)
        nn.init.constant_(layer.bias, 0.5)

    results = [initial_coefs(draw, backend=backend, random_state=seed) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), found)
    assert_array_equal(results[0][0][0], results[1][0][0])
    assert (results[0][0][0] != results[2][0][0]).any()
    assert results[0][0][0].std() == pytest.approx(0.02, rel=0.05)
    assert_allclose(results[0][1][0], 0.5)


@pytest.mark.usefixtures("by_torch")
def test_a_stack_begins_and_ends_where_fits_one_by_one_do():
    X, y = make_task("multiclass")
    forms = [("orthogonal", 0), ("kaiming", 1), ("auto", 2)]
    alone, together = (
        [
            TorchMLPClassifier(
                (7, 5), "selu", weight_init=weight_init, random_state=seed, max_iter=3, **EXACT
            )
            for weight_init, seed in forms
        ]
        for _ in range(2)
    )
    fit_many(together, X, y)
    for mine, other in zip(together, alone, strict=True):
        assert why_not_stacked(other) is None
        assert_allclose(mine.loss_curve_, other.fit(X, y).loss_curve_, rtol=1e-9)


# All together.


@pytest.mark.parametrize("Estimator", [TorchMLPClassifier, TorchMLPRegressor])
def test_check_estimator_with_everything_at_once(Estimator):
    # A dropped value parts a weight of 2 from a row repeated, hence none here.
    options = {**EVERYTHING, "dropout": 0.0, "input_dropout": 0.0, "activation": "silu"}
    options["normalization"] = "layer"
    estimator = Estimator(
        hidden_layer_sizes=(6, 6), max_iter=10, learning_rate_init=0.1, **options
    )
    check_estimator(estimator, on_skip=None)


@pytest.mark.parametrize(
    "save_and_load", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))]
)
def test_training_goes_on_as_if_never_saved(backend, save_and_load):
    X, y = make_task("multiclass")
    estimator = TorchMLPClassifier(warm_start=True, backend=backend, **SMALL, **EVERYTHING)
    loaded = save_and_load(estimator.fit(X, y))
    assert_array_equal(loaded.predict_proba(X), estimator.predict_proba(X))
    for one in (estimator, loaded):
        one.partial_fit(X, y).fit(X, y)
    assert loaded.loss_curve_ == estimator.loss_curve_
    assert_array_equal(loaded.predict_proba(X), estimator.predict_proba(X))
    assert estimator.coefs_[0].shape == (64, 7)


def test_the_size_of_a_pickle(backend):
    X, y = make_task("multiclass")
    settings = {**SMALL, "hidden_layer_sizes": (300, 300, 300), "early_stopping": True}
    estimator = TorchMLPClassifier(dtype="float32", backend=backend, **settings, **EVERYTHING)
    estimator.fit(X, y)
    weights = sum(value.nbytes for value in estimator.module_.state_dict().values())
    assert len(pickle.dumps(estimator)) <= 1.2 * weights + 64 * 1024


# What cannot be.


@pytest.mark.parametrize("sizes", [(5,), (), (5, 4, 5)], ids=str)
def test_residual_without_equal_widths(make_classifier, iris, sizes):
    message = r"residual=True needs two neighbouring hidden layers of equal width, but hidden_lay"
    with pytest.raises(ValueError, match=message):
        make_classifier(hidden_layer_sizes=sizes, residual=True).fit(*iris)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("normalization", "batch", "normalization=batch differs from None, which the network was"),
        ("residual", True, "residual=True differs from False, which the network was fitted with"),
    ],
)
def test_another_network_in_a_later_call(make_classifier, iris, name, value, shown):
    estimator = make_classifier(hidden_layer_sizes=(5, 5)).fit(*iris)
    with pytest.raises(ValueError, match=shown):
        estimator.set_params(**{name: value}).partial_fit(*iris)
