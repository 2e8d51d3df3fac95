"""Epochs in compiled code: the same numbers as the steps in torch, and the same limits."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.compiled.forms import ACTIVATIONS
from sklearn_mlp.compiled.library import compiled_steps, why_not_here

pytestmark = [
    pytest.mark.skipif(why_not_here() is not None, reason=f"no compiled steps: {why_not_here()}"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

SETS = compiled_steps().instruction_sets() if why_not_here() is None else []

FEW = make_classification(97, 7, n_informative=5, n_classes=3, random_state=0)
MANY = make_classification(97, 40, n_informative=9, n_classes=3, random_state=1)
# With a feature that says nothing; first weights of 150 units are changed some at a time.
LARGE = make_classification(260, 70, n_informative=9, n_classes=3, random_state=1)
LARGE[0][:, 5] = 0
TWO = make_classification(90, 6, random_state=2)
LABELS = make_multilabel_classification(80, 9, n_classes=4, random_state=0)
NUMBERS = make_regression(90, 8, n_targets=1, noise=3.0, random_state=0)
PAIRS = make_regression(90, 8, n_targets=2, noise=3.0, random_state=0)
COUNTS = (NUMBERS[0], np.random.default_rng(0).poisson(3.0, 90).astype(float))


def scaled(data):
    X, y = data
    return X, y / np.std(y, axis=0)


def fit_both(estimator, X, y, monkeypatch, calls=1, method="fit", instructions="1", **fit_params):
    """Fit by compiled epochs, of the fastest build or a given one, and in closed form."""
    estimator.set_params(device="cpu")
    estimators = [estimator, type(estimator)(**estimator.get_params())]
    for one, switch in zip(estimators, (instructions, "0"), strict=True):
        with monkeypatch.context() as patch:
            patch.setenv("SKLEARN_MLP_COMPILED", switch)
            for _ in range(calls):
                getattr(one, method)(X, y, **fit_params)
    assert [one.engine_ for one in estimators] == ["compiled", "closed_form"]
    return estimators


def assert_equal(compiled, closed_form, X, rtol=1e-9):
    assert compiled.n_iter_ == closed_form.n_iter_
    assert_allclose(compiled.loss_curve_, closed_form.loss_curve_, rtol=rtol, atol=rtol)
    for mine, theirs in zip(
        compiled.coefs_ + compiled.intercepts_,
        closed_form.coefs_ + closed_form.intercepts_,
        strict=True,
    ):
        assert_allclose(mine, theirs, rtol=rtol, atol=rtol)
    assert_allclose(compiled.predict(X), closed_form.predict(X), rtol=rtol, atol=rtol)


EXACT = {"dtype": "float64", "max_iter": 7, "random_state": 3, "tol": 0.0}

CLASSIFIERS = [
    (FEW, {"hidden_layer_sizes": ()}),
    (FEW, {"hidden_layer_sizes": (11, 5), "batch_size": 20, "alpha": 0.1}),
    (MANY, {"hidden_layer_sizes": (6,), "batch_size": 97, "shuffle": False}),
    (MANY, {"hidden_layer_sizes": (33, 6), "batch_size": 16, "shuffle": False}),
    (MANY, {"batch_size": 1, "max_iter": 2}),
    (LARGE, {"hidden_layer_sizes": (100, 40), "batch_size": 200, "alpha": 0.0}),
    (LARGE, {"hidden_layer_sizes": (120,), "batch_size": 200, "gradient_clip": 0.1}),
    (LARGE, {"hidden_layer_sizes": (150,), "batch_size": 200}),
    (TWO, {"hidden_layer_sizes": (8,), "early_stopping": True}),
    (FEW, {"class_weight": "balanced", "batch_size": 25}),
    (FEW, {"label_smoothing": 0.1, "batch_size": 25}),
    (TWO, {"label_smoothing": 0.2, "batch_size": 25}),
    (FEW, {"loss": "squared_error", "output_activation": "identity", "batch_size": 25}),
    (LABELS, {"hidden_layer_sizes": (12,), "batch_size": 30}),
    (LABELS, {"label_smoothing": 0.1, "batch_size": 30}),
    (FEW, {"dropout": 0.3, "hidden_layer_sizes": (9, 9), "batch_size": 25}),
    (FEW, {"dropout": [0.0, 0.5], "hidden_layer_sizes": (9, 4), "batch_size": 25}),
    (MANY, {"input_dropout": 0.2, "dropout": 0.1, "batch_size": 25}),
    (FEW, {"gradient_clip": 0.05, "batch_size": 25}),
    (FEW, {"gradient_clip": 0.05, "batch_size": 25, "solver": "sgd", "alpha": 0.2}),
    (FEW, {"solver": "sgd", "batch_size": 25, "learning_rate": "invscaling"}),
    (FEW, {"solver": "sgd", "batch_size": 25, "nesterovs_momentum": False}),
    (FEW, {"solver": "sgd", "batch_size": 25, "momentum": 0.0}),
    (FEW, {"solver": "adamw", "batch_size": 25, "alpha": 0.1}),
    (FEW, {"learning_rate": "cosine", "warmup": 2, "batch_size": 25}),
    (FEW, {"weight_averaging": "ema", "ema_decay": 0.9, "batch_size": 25}),
    (FEW, {"weight_averaging": "ema", "gradient_clip": 0.1, "batch_size": 25}),
    (FEW, {"weight_averaging": "swa", "swa_start": 0.4, "batch_size": 25}),
]


@pytest.mark.parametrize(("data", "parameters"), CLASSIFIERS)
def test_classifiers_train_as_in_closed_form(data, parameters, monkeypatch):
    X, y = data
    estimator = TorchMLPClassifier(**{"hidden_layer_sizes": (10,), **EXACT, **parameters})
    assert_equal(*fit_both(estimator, X, y, monkeypatch), X)


REGRESSORS = [
    (scaled(NUMBERS), {}),
    (scaled(PAIRS), {"hidden_layer_sizes": (12, 7)}),
    (scaled(PAIRS), {"loss": "absolute_error"}),
    (scaled(PAIRS), {"loss": "huber", "huber_delta": 0.3}),
    (COUNTS, {"loss": "poisson"}),
    ((COUNTS[0], COUNTS[1] + 1), {"loss": "gamma"}),
]


@pytest.mark.parametrize(("data", "parameters"), REGRESSORS)
def test_regressors_train_as_in_closed_form(data, parameters, monkeypatch):
    X, y = data
    estimator = TorchMLPRegressor(
        **{"hidden_layer_sizes": (10,), "batch_size": 25, **EXACT, **parameters}
    )
    assert_equal(*fit_both(estimator, X, y, monkeypatch), X)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_activations_are_those_of_torch(name, dtype, monkeypatch):
    X, y = FEW
    # Far beyond where an exponential overflows, and near 0.
    X = np.vstack([X, 100 * X[:40], 1e-4 * X[:40]])
    estimator = TorchMLPClassifier(
        (12, 9), activation=name, batch_size=30, **{**EXACT, "dtype": dtype, "max_iter": 3}
    )
    fitted = fit_both(estimator, X, np.concatenate([y, y[:40], y[:40]]), monkeypatch)
    assert_equal(*fitted, X, rtol=1e-9 if dtype == "float64" else 2e-4)


@pytest.mark.parametrize("instructions", SETS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_each_build_trains_alike(instructions, dtype, monkeypatch):
    X, y = MANY
    parameters = {**EXACT, "dtype": dtype, "batch_size": 30}
    estimator = TorchMLPClassifier((21, 8), activation="gelu", **parameters)
    fitted = fit_both(estimator, X, y, monkeypatch, instructions=instructions)
    assert_equal(*fitted, X, rtol=1e-9 if dtype == "float64" else 1e-4)


@pytest.mark.parametrize("instructions", SETS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(6))
def test_products_of_any_size_are_those_of_torch(instructions, dtype, seed, monkeypatch):
    # Samples, features and units that fill no vector and no tile, few and many of them.
    random = np.random.default_rng(seed)
    n_features, first, second, batch_size = np.exp(random.uniform(0, 5.3, 4)).astype(int)
    if seed == 0:
        # Of so many samples all columns are in the same places of a cache.
        n_features, first, second, batch_size = 50, 80, 70, 256
    n_classes = int(random.integers(2, 40))
    X = random.normal(size=(2 * batch_size + n_classes, n_features))
    X[:, random.integers(n_features)] = 0
    y = np.arange(len(X)) % n_classes
    parameters = {**EXACT, "max_iter": 3, "batch_size": int(batch_size), "dtype": dtype}
    estimator = TorchMLPClassifier((first, second), activation="silu", **parameters)
    fitted = fit_both(estimator, X, y, monkeypatch, instructions=instructions)
    if dtype == "float64":
        return assert_equal(*fitted, X)
    for mine, theirs in zip(*(one.coefs_ for one in fitted), strict=True):
        # What has hardly any gradient is moved by up to a thousandth, whichever way rounding says.
        assert_allclose(mine, theirs, rtol=0, atol=2e-3)
        assert np.mean(np.abs(mine - theirs) > 1e-5) < 0.01


@pytest.mark.parametrize("instructions", SETS)
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e6])
def test_adam_takes_gradients_of_any_size(instructions, scale, monkeypatch):
    X, y = scaled(PAIRS)
    parameters = {"batch_size": 30, "max_iter": 3, "random_state": 0, "tol": 0.0, "alpha": 0.0}
    estimator = TorchMLPRegressor(hidden_layer_sizes=(16,), dtype="float32", **parameters)
    fitted = fit_both(estimator, X * scale, y, monkeypatch, instructions=instructions)
    for one, other in zip(*(each.coefs_ for each in fitted), strict=True):
        # Of weights of up to 1 that move by a thousandth at most in each of nine steps.
        assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("weights", ["random", "zeros", "none_in_a_batch"])
def test_weights_count_as_in_closed_form(weights, monkeypatch):
    X, y = FEW
    sample_weight = np.random.default_rng(0).random(len(X))
    if weights == "zeros":
        sample_weight[::3] = 0
    if weights == "none_in_a_batch":
        sample_weight[20:40] = 0
    estimator = TorchMLPClassifier(
        (10,), batch_size=20, shuffle=weights != "none_in_a_batch", dropout=0.2, **EXACT
    )
    fitted = fit_both(estimator, X, y, monkeypatch, sample_weight=sample_weight)
    assert_equal(*fitted, X)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_goes_on_where_it_was(method, solver, monkeypatch):
    X, y = FEW
    estimator = TorchMLPClassifier(
        (10,), batch_size=20, warm_start=True, solver=solver, **{**EXACT, "max_iter": 3}
    )
    classes = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    fitted = fit_both(estimator, X, y, monkeypatch, calls=4, method=method, **classes)
    assert_equal(*fitted, X)


def test_engines_can_take_turns(monkeypatch):
    X, y = FEW
    turns, one = (
        TorchMLPClassifier((10,), batch_size=20, device="cpu", **EXACT) for _ in range(2)
    )
    for switch in ("1", "0", "1", "0"):
        monkeypatch.setenv("SKLEARN_MLP_COMPILED", switch)
        turns.partial_fit(X, y, classes=[0, 1, 2])
        monkeypatch.setenv("SKLEARN_MLP_COMPILED", "0")
        one.partial_fit(X, y, classes=[0, 1, 2])
    assert_allclose(turns.coefs_[0], one.coefs_[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "lie",
    [np.asfortranarray, lambda X: np.repeat(X, 2, 0)[::2], lambda X: np.repeat(X, 2, 1)[:, ::2]],
)
@pytest.mark.parametrize("shuffle", [True, False])
def test_samples_may_lie_in_any_order(lie, dtype, shuffle):
    for X, y in (FEW, MANY):
        X = X.astype(dtype)
        fitted = [
            TorchMLPClassifier(
                (9,), batch_size=30, shuffle=shuffle, max_iter=4, random_state=0, tol=0
            ).fit(samples, y)
            for samples in (X, lie(X))
        ]
        assert fitted[1].engine_ == "compiled"
        assert_array_equal(fitted[0].coefs_[0], fitted[1].coefs_[0])


@pytest.mark.parametrize("n_threads", [2, 3])
@pytest.mark.parametrize("parameters", [{}, {"gradient_clip": 0.1}, {"dropout": 0.3}])
def test_threads_change_the_rounding_only(n_threads, parameters, monkeypatch):
    monkeypatch.setattr("sklearn_mlp.machine.threads.THREADED_WORK", 1)
    before = torch.get_num_threads()
    fitted = []
    for number in (1, n_threads, n_threads):
        torch.set_num_threads(number)
        try:
            for X, y in (FEW, MANY):
                estimator = TorchMLPClassifier((41, 2), batch_size=90, **EXACT, **parameters)
                fitted.append(estimator.fit(X, y))
        finally:
            torch.set_num_threads(before)
    for one, other in zip(fitted[:2], fitted[2:4], strict=True):
        assert_allclose(one.coefs_[0], other.coefs_[0], rtol=1e-9, atol=1e-12)
        assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-9)
    for one, other in zip(fitted[2:4], fitted[4:], strict=True):
        assert_array_equal(one.coefs_[0], other.coefs_[0])


@pytest.mark.skipif(not SETS[1:], reason="only x86 takes a detour for them")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_subnormal_numbers_become_0_within_the_steps(n_threads, monkeypatch):
    X, y = FEW
    X = np.column_stack([X, np.zeros(len(X))])
    monkeypatch.setattr("sklearn_mlp.machine.threads.THREADED_WORK", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        # The penalty takes nine tenths of the last feature's weights in each step.
        estimator = TorchMLPClassifier(
            *((6,), "relu"),
            **{"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.9, "alpha": 97},
            **{"batch_size": 97, "max_iter": 45, "tol": 0.0, "device": "cpu"},
            **{"dtype": "float32", "random_state": 0},
        ).fit(X, y)
    finally:
        torch.set_num_threads(before)
    assert estimator.engine_ == "compiled"
    assert (estimator.coefs_[0][-1] == 0).all()
    smallest = np.finfo(np.float32).tiny
    assert (np.full(40, smallest, np.float32) / 2 > 0).all()
    assert (torch.full((40,), float(smallest)) / 2 > 0).all()


def test_what_diverges_is_seen_as_by_torch(monkeypatch):
    X, y = scaled(NUMBERS)
    messages = []
    for switch in ("1", "0"):
        monkeypatch.setenv("SKLEARN_MLP_COMPILED", switch)
        estimator = TorchMLPRegressor(
            hidden_layer_sizes=(10,),
            solver="sgd",
            learning_rate_init=1e8,
            batch_size=20,
            max_iter=9,
            device="cpu",
        )
        with pytest.raises(ValueError, match="non-finite") as caught:
            estimator.fit(X, y)
        messages.append(str(caught.value).splitlines()[0])
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"solver": "rmsprop"}, "solver"),
        ({"solver": "adamw", "solver_params": {"amsgrad": True}}, "solver_params"),
        ({"residual": True, "hidden_layer_sizes": (5, 5)}, "residual"),
        ({"dtype": "bfloat16"}, "bfloat16"),
        ({"loss": "focal"}, "loss"),
        ({"loss": "squared_error"}, "the loss goes with another output activation"),
    ],
)
def test_what_is_not_compiled_runs_in_closed_form(parameters, reason):
    X, y = FEW
    estimator = TorchMLPClassifier(
        **{"hidden_layer_sizes": (5,), "max_iter": 2, "device": "cpu", **parameters}
    )
    assert estimator.fit(X, y).engine_ == "closed_form", reason


def test_large_steps_are_left_to_torch(monkeypatch):
    X, y = FEW
    engines = []
    for limit in (1 << 20, 1):
        monkeypatch.setattr("sklearn_mlp.compiled.forms._MOST_WORK", limit)
        monkeypatch.setattr("sklearn_mlp.compiled.forms._MOST_SHARED_WORK", limit)
        engines.append(TorchMLPClassifier((5,), max_iter=2, device="cpu").fit(X, y).engine_)
    assert engines == ["compiled", "closed_form"]


def test_steps_of_other_sources_are_not_used(monkeypatch):
    X, y = FEW
    monkeypatch.setattr(compiled_steps(), "BINDING", 1)
    assert "install it again" in why_not_here()
    assert TorchMLPClassifier((5,), max_iter=2, device="cpu").fit(X, y).engine_ == "closed_form"


def test_users_samples_are_only_read():
    X, y = FEW
    X = X.astype(np.float32)
    X.flags.writeable = False
    kept = X.copy()
    estimator = TorchMLPClassifier((5,), input_dropout=0.3, batch_size=20, tol=0.0, max_iter=2)
    assert estimator.fit(X, y).engine_ == "compiled"
    assert_array_equal(X, kept)
