"""Activations beyond scikit-learn's: the same numbers in closed form and by autograd."""

import re

import numpy as np
import pytest
import scipy.sparse
import torch
from engines import PLAIN, assert_same_fits, fit_on_every_engine
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network import MLPRegressor
from sklearn.utils.estimator_checks import check_estimator
from test_parity import make_task
from torch import nn

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.network.activations import ACTIVATIONS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NEW = sorted(set(ACTIVATIONS) - {"identity", "logistic", "tanh", "relu"})
MIXED = ["gelu", "tanh", "selu"]


def cubic(values):
    """An activation that is not in the table."""
    return values + 0.1 * values**3


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("activation", [*NEW, MIXED], ids=str)
def test_every_engine_gives_the_same_numbers(activation, solver):
    X, y = make_task("multioutput")
    weights = np.random.RandomState(0).uniform(0.1, 3, len(y))
    estimator = TorchMLPRegressor(
        "squared_error", (6, 5, 4), activation, solver=solver, max_iter=4, random_state=0
    )
    fitted = fit_on_every_engine(estimator, X, y, sample_weight=weights)
    assert_same_fits(fitted, X)


@pytest.mark.parametrize("activation", ["mish", MIXED], ids=str)
def test_sparse_samples_give_the_same_numbers(activation):
    X, y = make_task("multiclass")
    X = X * (np.random.RandomState(1).uniform(size=X.shape) < 0.1)
    estimator = TorchMLPClassifier((6, 5, 4), activation, max_iter=3, random_state=0)
    sparse = fit_on_every_engine(estimator, scipy.sparse.csr_array(X), y)
    assert_same_fits([*sparse, *fit_on_every_engine(estimator, X, y)], X)
    assert_allclose(sparse[0].predict_proba(scipy.sparse.csr_array(X)), sparse[0].predict_proba(X))


def test_a_list_of_one_name_is_that_name(backend):
    X, y = make_task("regression")
    settings = {"random_state": 0, "max_iter": 3, "backend": backend}
    for name in ("relu", "logistic", "gelu"):
        single = TorchMLPRegressor("squared_error", (5, 4), name, **settings).fit(X, y)
        several = TorchMLPRegressor("squared_error", (5, 4), (name, name), **settings).fit(X, y)
        assert_array_equal(several.predict(X), single.predict(X))


def test_a_callable_is_the_name_of_the_same_function(backend):
    X, y = make_task("regression")
    settings = {"hidden_layer_sizes": (5, 4), "random_state": 0, "max_iter": 4}
    theirs = MLPRegressor(activation="tanh", **settings).fit(X, y)
    ours = TorchMLPRegressor(activation=torch.tanh, dtype="float64", backend=backend, **settings)
    ours.fit(X, y)
    assert ours.engine_ == ("autograd" if backend == "torch" else "skorch")
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-8, atol=1e-10)


def test_a_callable_with_lbfgs():
    X, y = make_task("regression")
    settings = {"hidden_layer_sizes": 5, "random_state": 0, "max_iter": 20, "solver": "lbfgs"}
    theirs = MLPRegressor(activation="tanh", **settings).fit(X, y)
    ours = TorchMLPRegressor(activation=torch.tanh, **settings).fit(X, y)
    assert ours.dtype_ == torch.float64
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6, atol=1e-6)


def test_a_module_among_the_activations_is_trained(backend):
    X, y = make_task("regression")
    prelu = nn.PReLU(init=0.2)
    estimator = TorchMLPRegressor(
        hidden_layer_sizes=(6, 5),
        activation=[prelu, cubic],
        random_state=0,
        max_iter=20,
        backend=backend,
    ).fit(X, y)
    slope = estimator.module_.activation_modules["0"].weight
    assert slope.item() != pytest.approx(0.2)
    assert prelu.weight.item() == pytest.approx(0.2)  # the user's own is left alone
    before = slope.item()
    estimator.partial_fit(X, y)
    assert slope.item() != before
    assert abs(slope.item() - before) < 0.01  # from where it was, not from anew


def test_another_activation_counts_from_the_next_call(backend):
    X, y = make_task("regression")
    estimator = TorchMLPRegressor(
        hidden_layer_sizes=(5, 4), random_state=0, max_iter=2, backend=backend
    ).fit(X, y)
    for activation in ("gelu", ["elu", "mish"], torch.tanh, "relu"):
        estimator.set_params(activation=activation).partial_fit(X, y)
        expected = "autograd" if callable(activation) else PLAIN
        assert estimator.engine_ == (expected if backend == "torch" else "skorch")
        inputs = torch.tensor(X, dtype=estimator.dtype_)
        with torch.no_grad():
            logits = estimator.module_(inputs)[:, 0]
        assert_allclose(estimator.predict(X), logits, rtol=1e-5, atol=1e-6)


def test_initial_weights_have_the_gain_of_their_layer(backend):
    X, y = make_task("regression")
    settings = {"hidden_layer_sizes": (50, 50), "random_state": 0, "max_iter": 1}
    bounds = []
    for activation in ("logistic", "gelu", ["logistic", "gelu"]):
        estimator = TorchMLPRegressor(
            activation=activation, learning_rate_init=1e-9, backend=backend, **settings
        )
        bounds.append([np.abs(coef).max() for coef in estimator.fit(X, y).coefs_])
    logistic, gelu, mixed = bounds
    assert_allclose(gelu, np.sqrt(3) * np.array(logistic), rtol=1e-4)
    assert_allclose(mixed, [logistic[0], gelu[1], gelu[2]], rtol=1e-4)


@pytest.mark.parametrize("Estimator", [TorchMLPClassifier, TorchMLPRegressor])
def test_check_estimator(Estimator):
    estimator = Estimator(activation="gelu", max_iter=10, learning_rate_init=0.1)
    check_estimator(estimator, on_skip=None)


def test_a_list_of_another_length(make_classifier, iris):
    message = "activation has 3 entries, but hidden_layer_sizes has 1; give one activation per"
    with pytest.raises(ValueError, match=message):
        make_classifier(activation=MIXED).fit(*iris)


@pytest.mark.parametrize("entry", ["swish", None, 3])
def test_a_wrong_entry(make_classifier, iris, entry):
    message = r"activation\[1\] must be a str among \[.*\] or a callable. Got "
    with pytest.raises(ValueError, match=message):
        make_classifier(hidden_layer_sizes=(3, 3), activation=["relu", entry]).fit(*iris)


def test_a_class_is_no_activation(make_classifier, iris):
    message = r"activation must be called on tensors, got the class GELU; .* such as GELU\(\)"
    with pytest.raises(ValueError, match=message):
        make_classifier(activation=nn.GELU).fit(*iris)


SHAPE = "must return a tensor of the shape and type that it is given, "
UNUSABLE = [
    (lambda values: values[:, :2], SHAPE + "(2, 3) and torch.float64, got (2, 2) and "),
    (lambda values: values.sum(), SHAPE + "(2, 3) and torch.float64, got () and "),
    (lambda values: values.sum(1), SHAPE + "(2, 3) and torch.float64, got (2,) and "),
    (lambda values: values[:1], SHAPE + "(2, 3) and torch.float64, got (1, 3) and torch.float64."),
    (lambda values: values > 0, SHAPE + "(2, 3) and torch.float64, got (2, 3) and torch.bool."),
    (lambda values: [values], SHAPE + "(2, 3) and torch.float64, got list."),
    (nn.GLU(), "GLU(dim=-1) must take tensors of shape (n_samples, n_units) by operations of "),
    (np.tanh, "must take tensors of shape (n_samples, n_units) by operations of torch, so that "),
    (nn.PReLU(7), "it raised RuntimeError: Mismatch of parameter numbers"),
    (lambda values: values.no_such_thing(), "it raised AttributeError: 'Tensor' object has no"),
]


@pytest.mark.parametrize(("function", "sentence"), UNUSABLE)
def test_a_callable_that_cannot_be_trained_through(make_classifier, iris, function, sentence):
    settings = {"hidden_layer_sizes": (3,), "dtype": "float64", "device": "cpu"}
    with pytest.raises(ValueError, match=re.escape(sentence)) as error:
        make_classifier(activation=function, **settings).fit(*iris)
    assert str(error.value).startswith(f"activation={function!r} must ")
    if "it raised" in str(error.value):
        assert type(error.value.__cause__).__name__ in str(error.value)
    settings["hidden_layer_sizes"] = (5, 3)
    with pytest.raises(ValueError, match=re.escape(sentence)) as error:
        make_classifier(activation=["relu", function], **settings).fit(*iris)
    assert str(error.value).startswith(f"activation[1]={function!r} must ")


def test_an_activation_that_cannot_go_on_leaves_the_network_as_it_was(make_classifier, iris):
    X, y = iris
    estimator = make_classifier().fit(X, y)
    expected = estimator.predict_proba(X)
    for function, _ in UNUSABLE[:2]:
        estimator.set_params(activation=function)
        with pytest.raises(ValueError, match="must return a tensor of the shape and type that"):
            estimator.partial_fit(X, y)
        assert_array_equal(estimator.predict_proba(X), expected)


def test_a_callable_may_change_what_it_is_given(make_classifier, iris):
    X, y = iris
    in_place = make_classifier(activation=lambda values: values.relu_(), dtype="float64").fit(X, y)
    assert_allclose(
        in_place.predict_proba(X),
        make_classifier(dtype="float64").fit(X, y).predict_proba(X),
        rtol=1e-9,
    )


def test_trying_an_activation_draws_nothing(make_classifier, iris):
    found = torch.get_rng_state()
    noisy = make_classifier(activation=lambda values: values + torch.randn_like(values))
    noisy.fit(*iris)
    assert torch.equal(torch.get_rng_state(), found)
