"""A network of the user's own: trained by the same loop, searched by a grid, saved."""

import copy
import functools
import pickle
import re

import numpy as np
import pytest
import scipy.sparse
import torch
from engines import EXACT
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from test_parity import CLASSIFICATION, REGRESSION, make_task
from torch import nn

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"random_state": 0, "max_iter": 4, "batch_size": 50}


class Net(nn.Module):
    """A network with what our own do not have: a product of two layers."""

    def __init__(self, n_features_in, n_outputs, hidden=6, dropout=0.0):
        super().__init__()
        self.gate = nn.Linear(n_features_in, hidden)
        self.value = nn.Linear(n_features_in, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, n_outputs, bias=False)

    def forward(self, inputs):
        """Return the logits."""
        values = self.gate(inputs).sigmoid() * self.value(inputs)
        return self.head(self.dropout(self.norm(values)))


def plain(n_features_in, n_outputs, hidden=8):
    """Make a network of our own form."""
    return nn.Sequential(nn.Linear(n_features_in, hidden), nn.ReLU(), nn.Linear(hidden, n_outputs))


def lazy(n_features_in, n_outputs):
    """Make a network that does not know its features yet."""
    return nn.Sequential(nn.LazyLinear(4), nn.Tanh(), nn.LazyLinear(n_outputs))


def make_estimator(task, **parameters):
    """Return an unfitted estimator for a task."""
    if task in CLASSIFICATION:
        return TorchMLPClassifier(**parameters)
    loss = "poisson" if task == "poisson" else "squared_error"
    return TorchMLPRegressor(loss, **parameters)


@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("task", CLASSIFICATION + REGRESSION)
def test_both_backends_train_it_alike(task, is_sparse):
    X, y = make_task(task)
    samples = scipy.sparse.csr_array(X * (X > 0)) if is_sparse else X
    weights = np.random.RandomState(0).uniform(0.1, 3, len(y))
    settings = {**SMALL, **EXACT, "module": Net, "module__dropout": 0.2}
    native, by_skorch = (
        make_estimator(task, backend=backend, **settings).fit(samples, y, sample_weight=weights)
        for backend in ("torch", "skorch")
    )
    assert (native.engine_, by_skorch.engine_) == ("autograd", "skorch")
    assert_allclose(by_skorch.loss_curve_, native.loss_curve_, rtol=1e-9)
    assert_allclose(by_skorch.predict(samples), native.predict(samples), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_module_of_our_own_form_is_trained_alike(solver):
    X, y = make_task("multiclass")
    settings = {"hidden_layer_sizes": 8, "random_state": 0, "max_iter": 8, "solver": solver}

    def from_where_it_began(n_features_in, n_outputs):
        """Make the network with our own initial weights."""
        start = TorchMLPClassifier(**EXACT, **{**settings, "max_iter": 1})
        start.set_params(solver="sgd", learning_rate_init=1e-300, momentum=0).fit(X, y)
        network = plain(n_features_in, n_outputs).double()
        for layer, coef, intercept in zip(
            (network[0], network[2]), start.coefs_, start.intercepts_, strict=True
        ):
            layer.weight.data = torch.tensor(coef.T.copy())
            layer.bias.data = torch.tensor(intercept)
        return network

    theirs = TorchMLPClassifier(module=from_where_it_began, shuffle=False, **EXACT, **settings)
    own = TorchMLPClassifier(shuffle=False, **EXACT, **settings).fit(X, y)
    theirs.fit(X, y)
    assert_allclose(theirs.history_["loss"], own.history_["loss"], rtol=1e-9)
    assert_allclose(theirs.predict_proba(X), own.predict_proba(X), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("module", [Net, plain, lazy, functools.partial(Net, hidden=3)])
def test_random_state_settles_it_and_torch_is_left_alone(backend, module):
    X, y = make_task("multiclass")
    found = torch.get_rng_state()
    settings = {"module": module, "backend": backend, "max_iter": 2}
    if module is Net:
        settings["module__dropout"] = 0.5
    curves = [
        TorchMLPClassifier(random_state=seed, **settings).fit(X, y).loss_curve_
        for seed in (0, 0, 1)
    ]
    assert curves[0] == curves[1] != curves[2]
    assert torch.equal(torch.get_rng_state(), found)


def test_what_only_our_own_networks_have(backend):
    X, y = make_task("multiclass")
    estimator = TorchMLPClassifier(module=Net, backend=backend, **SMALL).fit(X, y)
    assert type(estimator.module_) is Net
    assert estimator.n_outputs_ == 10
    for name in ("coefs_", "intercepts_", "n_layers_"):
        assert not hasattr(estimator, name)
        message = f"has no attribute '{name}': it was fitted with a network of the user's own, Net"
        with pytest.raises(AttributeError, match=message):
            getattr(estimator, name)
    with pytest.raises(AttributeError, match="has no attribute 'coefs_'"):
        estimator.coefs_ = [X]
    # A later fit without a module has them again.
    assert len(estimator.set_params(module=None).fit(X, y).coefs_) == 2


@pytest.mark.parametrize(
    "save_and_load", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))]
)
def test_training_goes_on_as_if_never_saved(backend, save_and_load):
    X, y = make_task("multiclass")
    estimator = TorchMLPClassifier(
        module=Net, module__dropout=0.3, warm_start=True, backend=backend, **SMALL
    )
    loaded = save_and_load(estimator.fit(X, y))
    assert loaded.get_params() == estimator.get_params()
    for one in (estimator, loaded):
        one.partial_fit(X, y).fit(X, y)
    assert loaded.loss_curve_ == estimator.loss_curve_
    assert_array_equal(loaded.predict_proba(X), estimator.predict_proba(X))


def test_a_pickle_holds_the_weights_once():
    X, y = make_task("multiclass")
    estimator = TorchMLPClassifier(
        module=plain, module__hidden=2000, early_stopping=True, dtype="float32", **SMALL
    ).fit(X, y)
    weights = sum(value.nbytes for value in estimator.module_.state_dict().values())
    assert len(pickle.dumps(estimator)) <= 1.2 * weights + 64 * 1024


def test_early_stopping_restores_statistics_too(backend):
    X, y = make_task("multiclass")
    settings = {"module": Net, "early_stopping": True, "tol": 0.0, "random_state": 0}
    settings |= {"learning_rate_init": 0.03, "batch_size": 50, "backend": backend}
    estimator = TorchMLPClassifier(max_iter=18, n_iter_no_change=18, **settings).fit(X, y)
    best = int(np.argmax(estimator.validation_scores_)) + 1
    assert best < estimator.n_iter_
    stopped = TorchMLPClassifier(max_iter=best, **settings).fit(X, y)
    assert_array_equal(estimator.predict_proba(X), stopped.predict_proba(X))


def test_frozen_layers_stay(backend):
    def with_a_frozen_layer(n_features_in, n_outputs):
        network = plain(n_features_in, n_outputs)
        network[0].requires_grad_(False)
        nn.init.constant_(network[0].weight, 0.1)
        return network

    X, y = make_task("multiclass")
    estimator = TorchMLPClassifier(
        module=with_a_frozen_layer, alpha=1.0, backend=backend, dtype="float32", **SMALL
    ).fit(X, y)
    assert (estimator.module_[0].weight == 0.1).all()
    assert estimator.module_[2].weight.requires_grad
    assert len(set(estimator.loss_curve_)) == 4


# Its parameters.


def test_parameters_of_the_module():
    estimator = TorchMLPClassifier(module=Net, module__hidden=3)
    assert estimator.get_params()["module__hidden"] == 3
    assert "module__hidden=3" in repr(estimator)
    assert estimator.set_params(module__dropout=0.5, alpha=1.0) is estimator
    copied = clone(estimator)
    assert copied.get_params() == estimator.get_params()
    assert {"module__hidden", "module__dropout"} < copied.get_params().keys()
    copied.set_params(module__hidden=9)
    assert estimator.get_params()["module__hidden"] == 3
    assert not {name for name in TorchMLPClassifier().get_params() if name.startswith("module__")}


def test_a_grid_reaches_them(iris, backend):
    X, y = iris
    estimator = make_pipeline(
        StandardScaler(), TorchMLPClassifier(module=Net, backend=backend, **SMALL)
    )
    grid = {"torchmlpclassifier__module__hidden": [2, 5]}
    search = GridSearchCV(estimator, grid, cv=2, error_score="raise").fit(X, y)
    best = search.best_params_["torchmlpclassifier__module__hidden"]
    assert search.best_estimator_[-1].module_.gate.out_features == best


@pytest.mark.parametrize("Estimator", [TorchMLPClassifier, TorchMLPRegressor])
def test_check_estimator(Estimator):
    estimator = Estimator(module=plain, module__hidden=50, max_iter=10, learning_rate_init=0.1)
    check_estimator(estimator, on_skip=None)


# What cannot be.


def test_arguments_that_it_does_not_take(make_classifier, iris):
    message = (
        "module=Net is called with n_features_in, n_outputs, hiden by keyword, but got an "
        "unexpected keyword argument 'hiden'"
    )
    with pytest.raises(TypeError, match=message):
        make_classifier(module=Net, module__hiden=3).fit(*iris)
    with pytest.raises(
        TypeError, match="module=Linear is called with n_features_in, n_outputs by"
    ):
        make_classifier(module=nn.Linear).fit(*iris)


def ending(last):
    """Return a function that makes a network whose last layer is given."""
    return lambda n_features_in, n_outputs: nn.Sequential(
        nn.Linear(n_features_in, n_outputs), last
    )


@pytest.mark.parametrize(
    ("last", "n_classes", "named"),
    [
        (nn.Softmax(1), 3, "'softmax' .+ ends in a Softmax"),
        (nn.Sigmoid(), 3, "'softmax' .+ ends in a Sigmoid"),
        (nn.Sigmoid(), 2, "'logistic' .+ ends in a Sigmoid"),
        (nn.LogSigmoid(), 2, "'logistic' .+ ends in a LogSigmoid"),
    ],
)
def test_an_output_activation_is_not_applied_twice(make_classifier, iris, last, n_classes, named):
    X, y = iris[0], iris[1] % n_classes
    with pytest.raises(ValueError, match=named):
        make_classifier(module=ending(last), **SMALL).fit(X, y)


def test_activations_that_do_no_harm(make_classifier, iris):
    X, y = iris
    make_classifier(module=ending(nn.LogSoftmax(1)), **SMALL).fit(X, y)
    as_it_is = {"loss": "squared_error", "output_activation": "identity", **SMALL}
    fitted = make_classifier(module=ending(nn.Softmax(1)), **as_it_is).fit(X, y)
    outputs = fitted.module_(torch.as_tensor(X, dtype=fitted.dtype_)).detach()
    assert_allclose(fitted.predict_proba(X), outputs, atol=1e-6)


def test_two_outputs_for_two_classes(make_classifier, iris):
    X, y = iris[0], iris[1] % 2
    module = functools.partial(lambda n_features_in, n_outputs: nn.Linear(n_features_in, 2))
    with pytest.raises(ValueError, match="Two classes have one output, the logit of the second"):
        make_classifier(module=module).fit(X, y)
    fitted = make_classifier(module=module, output_activation="softmax", **SMALL).fit(X, y)
    assert fitted.predict_proba(X).shape == (len(X), 2)


def test_parameters_without_a_module(make_classifier, iris):
    with pytest.raises(ValueError, match="module__hidden=3 is for module, which is None; set mod"):
        make_classifier(module__hidden=3).fit(*iris)


def test_an_instance_is_no_module_to_make(make_classifier, iris):
    message = "got an instance of Net; pass module=Net and its arguments as module__<argument>"
    with pytest.raises(ValueError, match=message):
        make_classifier(module=Net(4, 3)).fit(*iris)


def test_what_does_not_return_a_module(make_classifier, iris):
    with pytest.raises(TypeError, match=r"module=<lambda> must return a torch.*, got list"):
        make_classifier(module=lambda n_features_in, n_outputs: []).fit(*iris)


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda n_in, n_out: nn.Linear(n_in, n_out + 1), r"\(2, 4\)"),
        (lambda n_in, n_out: nn.Sequential(nn.Linear(n_in, 1), nn.Flatten(0)), r"\(2,\)"),
        (lambda n_in, n_out: nn.LSTM(n_in, n_out), "tuple"),
    ],
)
def test_outputs_of_another_shape(make_classifier, iris, make, got):
    message = rf"must return a tensor of shape \(n_samples, n_outputs\), .*, got {got}"
    with pytest.raises(ValueError, match=message):
        make_classifier(
            module=lambda n_features_in, n_outputs: make(n_features_in, n_outputs)
        ).fit(*iris)


class Wide(nn.Module):
    """A network for another number of features than there are."""

    def __init__(self, n_features_in, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_features_in + 3, n_outputs)

    def forward(self, inputs):
        return self.layer(inputs)


class ByNumPy(nn.Module):
    """A network that autograd cannot follow."""

    def __init__(self, n_features_in, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_features_in, n_outputs)

    def forward(self, inputs):
        return torch.from_numpy(np.tanh(self.layer(inputs).detach().numpy()))


def test_a_module_for_other_samples(make_classifier, iris):
    message = (
        "module=Wide must take a tensor of shape (n_samples, n_features_in), but for one of shape "
        "(2, 4) and type torch.float64 it raised RuntimeError: mat1 and mat2 shapes cannot be"
    )
    estimator = make_classifier(module=Wide, dtype="float64", device="cpu")
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        estimator.fit(*iris)
    assert isinstance(error.value.__cause__, RuntimeError)


def test_a_module_that_autograd_cannot_follow(make_classifier, iris):
    message = "module=ByNumPy must compute its outputs from its parameters by operations of torch"
    with pytest.raises(ValueError, match=message):
        make_classifier(module=ByNumPy, device="cpu").fit(*iris)


def test_nothing_to_train(make_classifier, iris):
    with pytest.raises(ValueError, match="module=<lambda> must have a weight to train, got none"):
        make_classifier(
            module=lambda n_features_in, n_outputs: plain(n_features_in, n_outputs).requires_grad_(
                False
            )
        ).fit(*iris)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dropout", 0.5),
        ("input_dropout", 0.5),
        ("normalization", "batch"),
        ("residual", True),
        ("weight_init", "kaiming"),
    ],
)
def test_what_only_our_own_layers_can_do(make_classifier, iris, name, value):
    message = rf"{name}={value!r} cannot be used with module, whose layers are its own; set {name}"
    with pytest.raises(ValueError, match=message):
        make_classifier(module=Net, **{name: value}).fit(*iris)


def test_another_module_in_a_later_call(make_classifier, iris):
    estimator = make_classifier(module=plain).fit(*iris)
    for parameters in ({"module": None}, {"module": Net}, {"module__hidden": 3}):
        changed = copy.deepcopy(estimator).set_params(**parameters)
        with pytest.raises(ValueError, match=r"differs from .* which the network was fitted with"):
            changed.partial_fit(*iris)
