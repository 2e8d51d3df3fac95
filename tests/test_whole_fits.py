"""A fit either happens or does not: interrupts at any line of it, and errors late in it."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone

import sklearn_mlp
from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor, fit_many
from sklearn_mlp.training import checkpoint

PACKAGE = str(Path(sklearn_mlp.__file__).parent)

X, y = np.random.RandomState(0).randn(40, 40), np.arange(40) % 3
OTHER_X, OTHER_Y = np.random.RandomState(1).randn(36, 5), np.array([*"abcd"])[np.arange(36) % 4]

# Of each scenario's some 900 lines every so many are tried; all of them take minutes.
STRIDE = 47

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge"),
    pytest.mark.filterwarnings("ignore:Training interrupted"),
    pytest.mark.filterwarnings("ignore:X has feature names"),
]


def call_traced(function, place=None):
    """Call a function; raise at one of the package's lines that it runs, counted from 0.

    Returns the numbers of those that are run for the first time.
    """
    first_runs, n_lines = {}, 0

    def trace(frame, event, argument):
        nonlocal n_lines
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            first_runs.setdefault((frame.f_code, frame.f_lineno), n_lines)
            n_lines += 1
            if n_lines - 1 == place:
                raise KeyboardInterrupt
        return trace

    tracer = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(tracer)
    return list(first_runs.values())


def samples_for(estimator):
    """The samples that a fitted estimator was fitted on."""
    return X if estimator.n_features_in_ == X.shape[1] else OTHER_X


def describe(estimator):
    """All that users see of an estimator; None of one that is not fitted. Everything must fit."""
    if not hasattr(estimator, "module_"):
        names = ("classes_", "n_features_in_", "feature_names_in_", "history_", "loss_curve_")
        assert not any(hasattr(estimator, name) for name in names)
        return None
    samples = samples_for(estimator)
    outputs = estimator.predict_proba(samples)
    assert outputs.shape == (len(samples), len(estimator.classes_))
    assert not estimator.module_.training
    n_epochs = len(estimator.history_)
    curve = getattr(estimator, "loss_curve_", [])
    if curve:
        assert len(curve) == n_epochs
        assert estimator.loss_ == curve[-1]
    if curve and estimator.early_stopping and not estimator.warm_start:
        assert estimator.best_validation_score_ == max(estimator.validation_scores_)
    assert_array_equal(pickle.loads(pickle.dumps(estimator)).predict_proba(samples), outputs)
    assert clone(estimator).get_params().keys() == estimator.get_params().keys()
    names = getattr(estimator, "feature_names_in_", ())
    numbers = (n_epochs, estimator.n_iter_, estimator.t_, *curve, *names)
    return (outputs.tolist(), list(estimator.classes_), samples.shape, numbers)


def process_state():
    """What torch has of settings and random numbers, and must have again."""
    return (
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_rng_state().tolist(),
    )


@pytest.fixture(autouse=True)
def two_threads():
    """Two of torch's threads, of which a fit of this size takes one."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(n_threads)


WATCHED = {"early_stopping": True, "validation_fraction": 0.3, "dropout": 0.3}

# Parameters, whether it is fitted before, and the call.
SCENARIOS = {
    "fit": ({}, False, lambda one: one.fit(X, y)),
    "refit": (WATCHED, True, lambda one: one.fit(OTHER_X, OTHER_Y)),
    "first_partial_fit": ({}, False, lambda one: one.partial_fit(X, y, classes=[0, 1, 2])),
    "partial_fit": ({"solver": "sgd"}, True, lambda one: one.partial_fit(X, y)),
    "partial_fit_otherwise": (
        {"normalization": "batch", "weight_averaging": "ema"},
        True,
        lambda one: one.set_params(dropout=0.2, activation="tanh").partial_fit(X, y),
    ),
    "warm_fit": ({"warm_start": True, **WATCHED}, True, lambda one: one.fit(X, y)),
    "lbfgs_fit": ({"solver": "lbfgs", "warm_start": True}, True, lambda one: one.fit(X, y)),
}


@pytest.mark.parametrize(("settings", "is_fitted", "call"), SCENARIOS.values(), ids=SCENARIOS)
def test_an_interrupt_at_any_line(make_classifier, settings, is_fitted, call):
    offset = sum(map(ord, str(settings))) % STRIDE
    settings = {"hidden_layer_sizes": (40,), "max_iter": 2, "batch_size": 20, **settings}
    earlier = make_classifier(**settings)
    if is_fitted:
        earlier.fit(X, y)
    saved = pickle.dumps(earlier)
    whole = pickle.loads(saved)
    lines = call_traced(lambda: call(whole))
    before, after = describe(earlier), describe(whole)
    found = process_state()
    for place in lines[offset::STRIDE]:
        estimator = pickle.loads(saved)
        try:
            call_traced(lambda one=estimator: call(one), place)
        except KeyboardInterrupt:
            assert describe(estimator) in (before, after)
        else:
            # Within training it ends training, with the epochs so far.
            assert describe(estimator) is not None
            assert estimator.n_iter_ <= whole.n_iter_
        assert process_state() == found


def test_an_interrupt_of_many_fits():
    def make():
        settings = {"max_iter": 2, "batch_size": 20, "random_state": 0, **WATCHED}
        return [TorchMLPClassifier((4,), alpha=alpha, **settings).fit(X, y) for alpha in (0, 1)]

    whole = make()
    before = [describe(one) for one in whole]
    saved = pickle.dumps(whole)
    lines = call_traced(lambda: fit_many(whole, OTHER_X, OTHER_Y))
    after = [describe(one) for one in whole]
    found = process_state()
    for place in lines[:: 2 * STRIDE]:
        estimators = pickle.loads(saved)
        try:
            call_traced(lambda these=estimators: fit_many(these, OTHER_X, OTHER_Y), place)
        except KeyboardInterrupt:
            described = [describe(one) for one in estimators]
            assert all(one in pair for one, *pair in zip(described, before, after, strict=True))
        assert process_state() == found


class Failure(Exception):
    """What a user's code raises."""


class FailsInCall:
    """A scorer that fails in one of its calls."""

    def __init__(self, number):
        self.number = number

    def __call__(self, estimator, X, y):
        self.number -= 1
        if self.number == 0:
            raise Failure
        return 0.5


class FailsInStep:
    """A loss that fails in one of its calls, in the middle of an epoch."""

    def __init__(self, number):
        self.number = number

    def __call__(self, outputs, targets):
        self.number -= 1
        if self.number == 0:
            raise Failure
        return (outputs - targets).square().mean(1)


NAMES = [f"pixel{number}" for number in range(X.shape[1])]

# What fails late, in the order of a fit: parameters set, and the samples.
LATE = {
    "labels": ({"dtype": "float32"}, X * 1e39, np.array([*"xyz"])[y]),
    "features": ({"loss": FailsInStep(1)}, np.c_[X, X], y),
    "names": ({"loss": FailsInStep(1)}, pd.DataFrame(X, columns=NAMES), y),
    "range": ({"dtype": "float32"}, X * 1e39, y),
    "loss": ({"loss": FailsInStep(2)}, X, y),
    "scorer": ({"scoring": FailsInCall(1), "early_stopping": True}, X, y),
    "weights": ({"learning_rate_init": 1e300}, X, y),
}


@pytest.mark.parametrize("call", ["fit", "warm_fit", "partial_fit"])
@pytest.mark.parametrize("late", LATE)
def test_a_fit_that_fails_late(make_classifier, late, call):
    settings = {"max_iter": 2, "batch_size": 20, "output_activation": "softmax"}
    settings |= {"warm_start": call == "warm_fit"}
    estimator, twin = (make_classifier(**settings).fit(X, y) for _ in range(2))
    before, found, network = describe(estimator), process_state(), estimator.module_
    parameters, samples, labels = LATE[late]
    parameters = pickle.loads(pickle.dumps(parameters))
    arguments = {"X_val": X, "y_val": y} if late == "scorer" else {}
    estimator.set_params(**parameters)
    train = estimator.partial_fit if call == "partial_fit" else estimator.fit
    with pytest.raises((Failure, ValueError)):
        train(samples, labels, **arguments)
    estimator.set_params(**{name: getattr(twin, name) for name in parameters})
    assert describe(estimator) == before
    assert process_state() == found
    assert estimator.module_ is network
    assert not hasattr(estimator, "feature_names_in_")
    # Training goes on as if nothing had been.
    for one in (estimator, twin):
        one.partial_fit(X, y)
    assert describe(estimator) == describe(twin)


def test_a_large_network_gives_up_the_memory_of_its_solver(make_classifier, monkeypatch):
    monkeypatch.setattr(checkpoint, "_FEW_NUMBERS", 100)
    estimator = make_classifier(batch_size=20).fit(X, y)
    before = describe(estimator)
    estimator.set_params(scoring=FailsInCall(1))
    # What fails before training leaves the memory, too.
    with pytest.raises(ValueError, match="is expecting 40 features"):
        estimator.partial_fit(OTHER_X, y[:36])
    assert estimator._state.optimizer.step == 10
    with pytest.raises(Failure):
        estimator.partial_fit(X, y, X_val=X, y_val=y)
    assert estimator._state.optimizer is None
    estimator.set_params(scoring=None)
    assert describe(estimator) == before
    assert len(estimator.partial_fit(X, y).history_) == 6


@pytest.mark.parametrize("late", LATE)
def test_a_first_fit_that_fails_late(make_classifier, late):
    parameters, samples, labels = pickle.loads(pickle.dumps(LATE[late]))
    estimator = make_classifier(output_activation="softmax", **parameters)
    with pytest.raises((Failure, ValueError)):
        estimator.fit(samples, labels)
    assert describe(estimator) is None


def test_classes_of_a_first_partial_fit_that_fails(make_classifier):
    estimator = make_classifier(dtype="float32")
    with pytest.raises(ValueError, match="X must fit into float32"):
        estimator.partial_fit(X * 1e39, y, classes=[0, 1, 2])
    assert describe(estimator) is None
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        estimator.partial_fit(X, y)


def test_units_of_a_refit_that_fails(make_regressor):
    estimator = make_regressor(scale_target="standard").fit(X, X[:, 0])
    before = estimator.predict(X), estimator.target_mean_, estimator.target_scale_
    with pytest.raises(ValueError, match="X must fit into float32"):
        estimator.set_params(dtype="float32").fit(X * 1e39, 1000 * X[:, 1] + 5)
    after = estimator.predict(X), estimator.target_mean_, estimator.target_scale_
    for one, other in zip(after, before, strict=True):
        assert_array_equal(one, other)


def test_a_refit_forgets_names(make_classifier):
    estimator = make_classifier().fit(pd.DataFrame(X, columns=NAMES), y)
    assert_array_equal(estimator.feature_names_in_, NAMES)
    estimator.fit(X, y)
    assert not hasattr(estimator, "feature_names_in_")


def test_a_net_of_skorch_is_put_back():
    settings = {"max_iter": 3, "batch_size": 20, "random_state": 0, "backend": "skorch"}
    estimator = TorchMLPClassifier((8,), **settings).fit(X, y)
    net = estimator.net_
    losses, outputs = net.history[:, "train_loss"], net.predict_proba(X)
    for parameters in ({"loss": FailsInStep(1)}, {"learning_rate_init": 1e300}):
        earlier = {name: getattr(estimator, name) for name in parameters}
        with pytest.raises((Failure, ValueError)):
            estimator.set_params(**parameters, output_activation="softmax").partial_fit(X, y)
        estimator.set_params(**earlier, output_activation="auto")
        assert estimator.net_ is net
        assert net.history[:, "train_loss"] == losses
        assert_array_equal(net.predict_proba(X), outputs)


def test_many_fits_of_which_one_fails_late():
    good = TorchMLPRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=0)
    fitted = clone(good).fit(X, X[:, 0])
    outputs = fitted.predict(X)
    fitted.set_params(solver="sgd", learning_rate_init=1e300)
    with pytest.raises(ValueError, match="non-finite"):
        fit_many([good, fitted], OTHER_X, OTHER_X[:, 0])
    assert good.n_features_in_ == OTHER_X.shape[1]
    assert_array_equal(fitted.predict(X), outputs)
