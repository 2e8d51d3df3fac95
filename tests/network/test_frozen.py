"""Parameters that are frozen do not move, whatever else is trained, and can be freed again."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose
from skorch.callbacks import Callback, Freezer, Unfreezer
from torch import nn

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor, fit_many

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def make_samples(n_samples=60):
    """Return samples with four features, and a target that depends on two of them."""
    X = np.random.default_rng(5).uniform(-1, 1, size=(n_samples, 4))
    return X, np.cos(2 * X[:, 0]) + X[:, 1] * X[:, 2]


def make_regressor(**parameters):
    """Return a small regressor in float64."""
    settings = {"hidden_layer_sizes": (6, 6), "max_iter": 3, "random_state": 0}
    return TorchMLPRegressor(dtype="float64", **{**settings, **parameters})


def weights_of(estimator):
    """Return copies of all parameters by name."""
    return {name: value.detach().clone() for name, value in estimator.module_.named_parameters()}


def check_moved(before, estimator, still):
    """Check which of the parameters have moved."""
    for name, value in weights_of(estimator).items():
        assert torch.equal(value, before[name]) == name.startswith(still), name


SOLVERS = [
    {"solver": "sgd"},
    {"solver": "adam"},
    {"solver": "adamw", "alpha": 0.1},
    {"solver": "rmsprop"},
    {"solver": "nadam"},
    {"solver": "muon", "alpha": 0.1},
    {"solver": "adamw", "alpha": 0.1, "solver_params": {"amsgrad": True}},
    {"solver": torch.optim.SGD, "solver_params": {"weight_decay": 0.1}},
    {"weight_averaging": "ema"},
    {"weight_averaging": "swa", "swa_start": 0.0},
    {"gradient_clip": 0.1},
    {"dropout": 0.3},
    {"normalization": "batch"},
    {"early_stopping": True, "validation_fraction": 0.2},
]


@pytest.mark.parametrize("more", SOLVERS, ids=str)
def test_a_frozen_layer_stays_and_goes_on_when_freed(backend, more):
    X, y = make_samples()
    estimator = make_regressor(backend=backend, warm_start=True, **more).fit(X, y)
    layer = estimator.module_.layers[1]
    layer.requires_grad_(False)
    before = weights_of(estimator)
    estimator.fit(X, y)
    check_moved(before, estimator, "layers.1.")
    if not estimator.early_stopping:
        estimator.partial_fit(X, y)
        check_moved(before, estimator, "layers.1.")
    assert not layer.weight.requires_grad
    layer.requires_grad_(True)
    estimator.module_.layers[0].weight.requires_grad_(False)
    before = weights_of(estimator)
    estimator.fit(X, y)
    check_moved(before, estimator, "layers.0.weight")
    assert np.isfinite(estimator.predict(X)).all()


def test_a_frozen_layer_stays_with_lbfgs():
    X, y = make_samples()
    estimator = make_regressor(solver="lbfgs", warm_start=True).fit(X, y)
    estimator.module_.layers[0].requires_grad_(False)
    before = weights_of(estimator)
    estimator.fit(X, y)
    assert estimator.engine_ == "autograd"
    check_moved(before, estimator, "layers.0.")


@pytest.mark.parametrize("solver", ["sgd", "adam", "rmsprop", "adagrad"])
def test_the_others_are_trained_as_if_they_were_all(backend, solver):
    """The moments of those that remain go on; they are told apart by name, not by place."""
    X, y = make_samples()
    settings = {"backend": backend, "solver": solver, "alpha": 0.0, "batch_size": 60}
    settings["shuffle"] = False
    whole = make_regressor(**settings).fit(X, y)
    frozen = copy.deepcopy(whole)
    # Of the same shape as those before it.
    frozen.module_.layers[2].requires_grad_(False)
    frozen.module_.layers[1].requires_grad_(False)
    whole.partial_fit(X, y)
    frozen.partial_fit(X, y)
    # All gradients of the first step are those of the same weights.
    for index in range(3):
        equal = np.allclose(whole.coefs_[index], frozen.coefs_[index], rtol=1e-9, atol=1e-12)
        assert equal == (index == 0)
    pickle.loads(pickle.dumps(frozen)).partial_fit(X, y)


def test_both_backends_train_the_rest_alike():
    X, y = make_samples()
    fitted = []
    for backend in ("torch", "skorch"):
        estimator = make_regressor(backend=backend, gradient_clip=0.2, alpha=0.1).fit(X, y)
        estimator.module_.layers[0].requires_grad_(False)
        for _ in range(3):
            estimator.partial_fit(X, y)
        fitted.append(estimator)
    assert_allclose(fitted[0].predict(X), fitted[1].predict(X), rtol=1e-9)
    assert_allclose(fitted[0].loss_curve_, fitted[1].loss_curve_, rtol=1e-9)


def test_a_gradient_is_as_long_as_that_of_the_trained_parameters(backend):
    X, y = make_samples()
    settings = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "learning_rate_init": 1.0}
    settings |= {"gradient_clip": 0.01, "batch_size": 60}
    estimator = make_regressor(backend=backend, **settings).fit(X, y)
    estimator.module_.layers[1].requires_grad_(False)
    before = weights_of(estimator)
    estimator.partial_fit(X, y)
    moved = sum(
        (value - before[name]).square().sum() for name, value in weights_of(estimator).items()
    )
    assert float(moved) ** 0.5 == pytest.approx(0.01, rel=1e-3)


def test_nothing_left_to_train(backend):
    X, y = make_samples()
    estimator = make_regressor(backend=backend).fit(X, y)
    expected = estimator.predict(X)
    estimator.module_.requires_grad_(False)
    assert_allclose(estimator.predict(X), expected)
    with pytest.raises(ValueError, match="module_ must have a parameter to train"):
        estimator.partial_fit(X, y)
    assert_allclose(estimator.predict(X), expected)
    assert estimator.fit(X, y).module_.layers[0].weight.requires_grad


# By callbacks of skorch's.


def with_callbacks(*callbacks, **parameters):
    """Return an unfitted regressor whose net has some callbacks."""
    return make_regressor(
        backend="skorch", backend_params={"callbacks": list(callbacks)}, **parameters
    )


@pytest.mark.parametrize("more", SOLVERS[:8], ids=str)
def test_freezer_keeps_a_layer_still(more):
    X, y = make_samples()
    by_callback = with_callbacks(Freezer("layers.1.*"), **more).fit(X, y)

    start = make_regressor(max_iter=1, learning_rate_init=1e-300).fit(X, y)
    assert_allclose(by_callback.coefs_[1], start.coefs_[1], rtol=1e-12)
    assert not np.allclose(by_callback.coefs_[0], start.coefs_[0], rtol=1e-6)


def test_frozen_and_freed_within_a_fit():
    X, y = make_samples()
    seen = []

    class Watch(Callback):
        """Keep the weights at each epoch's end."""

        def on_epoch_end(self, net, **kwargs):
            seen.append([layer.weight.detach().clone() for layer in net.module_.layers])

    callbacks = Freezer("layers.0.*", at=3), Unfreezer("layers.0.*", at=5), Watch()
    with_callbacks(*callbacks, max_iter=6, weight_averaging=None).fit(X, y)
    moves = [not torch.equal(one[0], other[0]) for one, other in pairwise(seen)]
    assert moves == [True, False, False, True, True]
    assert all(not torch.equal(one[1], other[1]) for one, other in pairwise(seen))


def test_freed_in_a_later_call():
    X, y = make_samples()
    callbacks = Freezer("layers.0.*"), Unfreezer("layers.0.*", at=4)
    estimator = with_callbacks(*callbacks, early_stopping=False)
    firsts = [estimator.partial_fit(X, y).coefs_[0].copy() for _ in range(5)]
    moves = [not np.array_equal(one, other) for one, other in pairwise(firsts)]
    assert moves == [False, False, True, True]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_freezer_with_sparse_samples(early_stopping):
    X, y = make_samples()
    X = np.where(abs(X) > 0.9, X, 0)
    # Few enough values to be multiplied as they are.
    X = np.hstack([X, np.zeros((60, 60))])
    settings = {"early_stopping": early_stopping, "max_iter": 5, "weight_averaging": "ema"}
    fitted = [
        with_callbacks(Freezer("layers.0.*", at=3), Unfreezer("layers.0.*", at=4), **settings).fit(
            samples, y
        )
        for samples in (X, scipy.sparse.csr_array(X))
    ]
    assert_allclose(fitted[0].predict(X), fitted[1].predict(X), rtol=1e-8)


# Where networks are made.


@pytest.mark.usefixtures("by_torch")
def test_initial_weights_may_freeze_a_layer(backend):
    X, y = make_samples()

    def freeze_the_first(layer):
        if layer.in_features == 4:
            nn.init.constant_(layer.weight, 0.5)
            layer.requires_grad_(False)

    def freeze_all(layer):
        layer.requires_grad_(False)

    estimators = [
        make_regressor(backend=backend, weight_init=freeze_the_first, random_state=seed)
        for seed in range(2)
    ]
    for estimator in fit_many(estimators, X, y):
        assert (estimator.coefs_[0] == 0.5).all()
        assert not np.allclose(estimator.coefs_[1], estimators[0].coefs_[1]) or (
            estimator is estimators[0]
        )
    with pytest.raises(ValueError, match="module_ must have a parameter to train"):
        make_regressor(backend=backend, weight_init=freeze_all).fit(X, y)


# Parameters of any kind.


class Scaled(nn.Module):
    """Scales and adds features up: only vectors and numbers."""

    def __init__(self, n_features_in, n_outputs):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(n_features_in))
        self.shift = nn.Parameter(torch.zeros(()))
        self.nothing = nn.Parameter(torch.zeros(0, 3))

    def forward(self, inputs):
        return (inputs * self.scale).sum(1, keepdim=True) + self.shift


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"solver": "sgd", "alpha": 0.0},
        {"solver": "adamw", "alpha": 0.0},
        {"solver": "muon", "learning_rate_init": 0.1},
        {"solver": torch.optim.Adam},
        {"weight_averaging": "ema", "gradient_clip": 10.0},
        {"solver": "lbfgs"},
    ],
    ids=str,
)
def test_a_module_of_vectors(backend, more):
    X, _ = make_samples()
    y = X @ [1.0, -2.0, 0.5, 0.0] + 3
    settings = {"module": Scaled, "learning_rate_init": 0.1, "max_iter": 200, "batch_size": 20}
    estimator = make_regressor(backend=backend, **{**settings, **more}).fit(X, y)
    assert estimator.score(X, y) > 0.95
    assert estimator.module_.shift.shape == ()
    estimator.module_.scale.requires_grad_(False)
    if estimator.solver != "lbfgs":
        scale = estimator.module_.scale.detach().clone()
        assert torch.equal(estimator.partial_fit(X, y + 1).module_.scale, scale)


def test_shared_and_unused_parameters(backend):
    class Tied(nn.Module):
        """One layer twice, and one that nothing is asked of."""

        def __init__(self, n_features_in, n_outputs):
            super().__init__()
            self.first = nn.Linear(n_features_in, n_features_in)
            self.second = nn.Linear(n_features_in, n_features_in)
            self.second.weight = self.first.weight
            self.unused = nn.Linear(3, 3)

        def forward(self, inputs):
            return self.second(torch.tanh(self.first(inputs))).sum(1, keepdim=True)

    X, y = make_samples()
    estimator = make_regressor(module=Tied, backend=backend, alpha=0.0).fit(X, y)
    network = estimator.module_
    assert network.first.weight is network.second.weight
    before = network.unused.weight.detach().clone()
    shared = network.first.weight.detach().clone()
    estimator.partial_fit(X, y)
    assert torch.equal(network.unused.weight, before)
    assert not torch.equal(network.first.weight, shared)


@pytest.mark.parametrize("kind", ["complex parameter", "integer parameter", "complex buffer"])
def test_parameters_that_are_no_real_numbers(backend, kind):
    class Odd(Scaled):
        """Has a parameter, or a buffer, of another kind."""

        def __init__(self, n_features_in, n_outputs):
            super().__init__(n_features_in, n_outputs)
            dtype = torch.complex64 if "complex" in kind else torch.int64
            odd = torch.ones(2, dtype=dtype)
            if "buffer" in kind:
                self.register_buffer("odd", odd)
            else:
                self.odd = nn.Parameter(odd, requires_grad=False)

    X, y = make_samples()
    message = r"module=Odd must have .* odd is of type torch\.(complex64|int64)"
    with pytest.raises(ValueError, match=message):
        make_regressor(module=Odd, backend=backend).fit(X, y)
    estimator = make_regressor(module=Scaled, backend=backend).fit(X, y)
    estimator.module_.odd = Odd(4, 1).odd
    if "buffer" not in kind:
        expected = estimator.predict(X)
        assert_allclose(expected, estimator.predict(X))
        with pytest.raises(ValueError, match=r"module_ must have .* odd is of type"):
            estimator.partial_fit(X, y)


def test_modes_that_the_user_has_left(backend):
    """Predictions are in eval mode and steps in training mode, all of a network."""
    X, y = make_samples()
    y = y > 1
    fitted = []
    for leave in (
        lambda network: None,
        lambda network: network.train(),
        lambda network: network.dropouts[1].train(),
        lambda network: network.train() and network.dropouts.eval(),
    ):
        estimator = TorchMLPClassifier(
            (6, 6), dropout=0.5, residual=True, random_state=0, max_iter=3, backend=backend
        ).fit(X, y)
        leave(estimator.module_)
        predicted = estimator.predict_proba(X)
        leave(estimator.module_)
        estimator.partial_fit(X, y, X_val=X, y_val=y)
        fitted.append([*predicted.ravel(), *estimator.history_["validation_loss"][-1:]])
        fitted[-1] += list(estimator.predict_proba(X).ravel())
    for other in fitted[1:]:
        assert_allclose(fitted[0], other, rtol=1e-6)
