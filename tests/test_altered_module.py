"""What a user does to ``module_``: honoured by whatever predicts and trains, or refused."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.activations import ACTIVATIONS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def make_samples(n_samples=60):
    """Return samples with four features, and a target that depends on two of them."""
    X = np.random.default_rng(3).uniform(-1, 1, size=(n_samples, 4))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]


def make_regressor(**parameters):
    """Return a small regressor in float64."""
    settings = {"hidden_layer_sizes": (6, 6), "max_iter": 3, "random_state": 0}
    return TorchMLPRegressor(dtype="float64", **{**settings, **parameters})


def outputs_of(estimator, X):
    """What ``module_`` itself computes."""
    with torch.no_grad():
        return estimator.module_(torch.as_tensor(X, dtype=torch.float64)).numpy()[:, 0]


# Activations are modules.


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_each_layer_has_an_activation_of_its_own(activation):
    X, y = make_samples()
    network = make_regressor(activation=activation).fit(X, y).module_
    modules = list(network.activation_modules.values())
    assert [type(module) for module in modules] == [ACTIVATIONS[activation].module] * 2
    assert modules[0] is not modules[1]
    assert type(modules[0]).__module__.startswith("torch.nn.")
    assert not getattr(modules[0], "inplace", False)
    assert list(network.state_dict()) == [
        f"layers.{layer}.{name}" for layer in range(3) for name in ("weight", "bias")
    ]


@pytest.mark.parametrize("activation", ["relu", torch.sin, nn.PReLU()])
def test_a_forward_pass_calls_each_activation_once(activation):
    X, y = make_samples()
    network = make_regressor(activation=activation, residual=True, dropout=0.1).fit(X, y).module_
    calls = []
    for module in network.activation_modules.values():
        module.register_forward_hook(lambda *call: calls.append(call))
    network(torch.as_tensor(X))
    assert [module for module, _, _ in calls] == list(network.activation_modules.values())
    for _, (given,), got in calls:
        # Neither is overwritten: what explains a network compares the two.
        function = activation if callable(activation) else torch.relu
        if not isinstance(activation, nn.Module):
            assert torch.equal(function(given), got)
        assert not (given == got).all()


def test_contributions_add_up_to_the_difference_of_the_outputs():
    """The rescale rule of DeepLIFT (Shrikumar et al., 2017), by hooks on the activations."""
    X, y = make_samples()
    network = make_regressor(activation="tanh").fit(X, y).module_
    x, reference = torch.as_tensor(X[:5]), torch.zeros(5, 4, dtype=torch.float64)
    given, got = {}, {}
    hooks = []
    for module in network.activation_modules.values():

        def keep(module, inputs, outputs):
            given.setdefault(module, []).append(inputs[0].detach())
            got.setdefault(module, []).append(outputs.detach())

        def rescale(module, _, gradients):
            inputs, outputs = given[module], got[module]
            return (gradients[0] * (outputs[1] - outputs[0]) / (inputs[1] - inputs[0]),)

        hooks += [module.register_forward_hook(keep), module.register_full_backward_hook(rescale)]
    with torch.no_grad():
        network(reference)
    inputs = x.clone().requires_grad_()
    network(inputs).sum().backward()
    for hook in hooks:
        hook.remove()
    with torch.no_grad():
        difference = network(x) - network(reference)
    assert_allclose(((x - reference) * inputs.grad).sum(1), difference[:, 0], rtol=1e-9)


# Hooks.

OPTIONS = [
    {},
    {"residual": True},
    {"dropout": 0.2},
    {"normalization": "layer"},
    {"activation": torch.tanh},
]


@pytest.mark.parametrize("parameters", OPTIONS, ids=str)
@pytest.mark.parametrize("part", ["", "layers.1", "activation_modules.0", "layers.2"])
def test_a_hook_counts_in_predictions(backend, parameters, part):
    X, y = make_samples()
    estimator = make_regressor(backend=backend, **parameters).fit(X, y)
    before = estimator.predict(X)
    module = estimator.module_.get_submodule(part)
    for register in (
        lambda: module.register_forward_hook(lambda module, given, got: got.sin() + 1),
        lambda: module.register_forward_pre_hook(lambda module, given: (given[0].square(),)),
    ):
        hook = register()
        changed = estimator.predict(X)
        assert_allclose(changed, outputs_of(estimator, X), rtol=1e-9)
        assert not np.allclose(changed, before, rtol=0.01)
        hook.remove()
        assert_allclose(estimator.predict(X), before, rtol=1e-9)


def test_a_hook_on_all_modules_counts(backend):
    X, y = make_samples()
    estimator = make_regressor(backend=backend).fit(X, y)
    before, seen = estimator.predict(X), []
    hook = nn.modules.module.register_module_forward_hook(
        lambda module, given, got: seen.append(type(module))
    )
    try:
        assert_allclose(estimator.predict(X), before, rtol=1e-9)
        assert seen.count(nn.Linear) == 3
        estimator.partial_fit(X, y)
        assert estimator.engine_ == {"torch": "autograd"}.get(backend, backend)
        assert seen.count(nn.Linear) >= 6
    finally:
        hook.remove()
    estimator.partial_fit(X, y)
    assert estimator.engine_ == {"torch": "closed_form"}.get(backend, backend)


@pytest.mark.parametrize("task", [TorchMLPClassifier, TorchMLPRegressor])
def test_a_forward_of_the_users_own_counts(backend, task):
    X, y = make_samples()
    y = y > 0 if task is TorchMLPClassifier else y
    estimator = task(hidden_layer_sizes=6, max_iter=2, random_state=0, backend=backend).fit(X, y)
    before = estimator.predict(X)
    forward = estimator.module_.forward
    estimator.module_.forward = lambda inputs: -forward(inputs)
    assert_allclose(estimator.predict(X), ~before if y.dtype == bool else -before, rtol=1e-5)
