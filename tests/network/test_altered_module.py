"""What a user does to ``module_``: honoured by whatever predicts and trains, or refused."""

import copy

import numpy as np
import pytest
import torch
from engines import PLAIN
from numpy.testing import assert_allclose
from torch import nn
from torch.nn.utils import prune

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.network.activations import ACTIVATIONS
from sklearn_mlp.network.mlp import MLP

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


# A function's text has its address, by which processes would tell the tests apart.
@pytest.mark.parametrize("parameters", OPTIONS, ids=lambda one: next(iter(one), "plain"))
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
    assert estimator.engine_ == {"torch": PLAIN}.get(backend, backend)


@pytest.mark.parametrize("task", [TorchMLPClassifier, TorchMLPRegressor])
def test_a_forward_of_the_users_own_counts(backend, task):
    X, y = make_samples()
    y = y > 0 if task is TorchMLPClassifier else y
    estimator = task(hidden_layer_sizes=6, max_iter=2, random_state=0, backend=backend).fit(X, y)
    before = estimator.predict(X)
    forward = estimator.module_.forward
    estimator.module_.forward = lambda inputs: -forward(inputs)
    assert_allclose(estimator.predict(X), ~before if y.dtype == bool else -before, rtol=1e-5)


@pytest.mark.parametrize("part", ["", "layers.0", "layers.1", "layers.2"])
def test_a_hook_counts_in_hidden_activations(backend, part):
    X, y = make_samples()
    estimator = make_regressor(backend=backend, residual=True).fit(X, y)
    before = estimator.hidden_activations(X)
    module = estimator.module_.get_submodule(part)
    module.register_forward_pre_hook(lambda module, given: (given[0] + 1,))
    changed = estimator.hidden_activations(X)
    if part == "":
        assert_allclose(changed, make_unhooked(estimator).hidden_activations(X + 1), rtol=1e-9)
    # What the output layer's hook does comes after the hidden layers.
    assert np.allclose(changed, before) == (part == "layers.2")


def make_unhooked(estimator):
    """Return an estimator with the same weights in a new network."""
    other = make_regressor(residual=True, max_iter=1).fit(*make_samples())
    other.coefs_, other.intercepts_ = estimator.coefs_, estimator.intercepts_
    return other


def test_a_network_whose_forward_passes_its_layers_by_has_no_hidden_activations():
    X, y = make_samples()
    estimator = make_regressor().fit(X, y)
    estimator.module_.forward = lambda inputs: inputs[:, :1]
    assert_allclose(estimator.predict(X), X[:, 0])
    with pytest.raises(ValueError, match=r"forward that does not call layers\[2\]"):
        estimator.hidden_activations(X)


def test_gradient_hooks_count_in_training(backend):
    X, y = make_samples()
    for register in (
        lambda network: network.layers[0].weight.register_hook(torch.zeros_like),
        lambda network: network.activation_modules["0"].register_full_backward_hook(
            lambda module, given, got: (torch.zeros_like(given[0]),)
        ),
    ):
        estimator = make_regressor(backend=backend, alpha=0.0, solver="sgd", momentum=0.0)
        estimator.fit(X, y)
        before = [coef.copy() for coef in estimator.coefs_]
        register(estimator.module_)
        estimator.partial_fit(X, y)
        assert_allclose(estimator.coefs_[0], before[0], rtol=1e-12)
        assert not np.allclose(estimator.coefs_[1], before[1], rtol=1e-12)


# Other layers.


def replace_activation(network):
    network.activation_modules["1"] = nn.Tanh()


def change_activation(network):
    network.activation_modules["1"].negative_slope = 0.7


def replace_layer(network):
    network.layers[1] = nn.Sequential(nn.Linear(6, 3), nn.Linear(3, 6)).double()


def leave_out_a_bias(network):
    network.layers[0].bias = None


def make_wider(network):
    network.layers[1] = nn.Linear(6, 9).double()
    network.layers[2] = nn.Linear(9, 1).double()


def add_a_layer(network):
    network.layers.append(nn.Linear(1, 1).double())
    network.activation_modules["2"] = nn.Identity()


def share_a_layer(network):
    network.layers[1] = nn.Linear(6, 6).double()
    network.layers.insert(1, network.layers[1])
    network.activation_modules["2"] = nn.ReLU()


def add_a_parameter(network):
    network.extra = nn.Parameter(torch.ones(3, 3))


def add_a_lazy_layer(network):
    network.layers[2] = nn.LazyLinear(1)


def prune_a_layer(network):
    prune.l1_unstructured(network.layers[1], "weight", amount=0.5)


def normalize_weights(network):
    nn.utils.parametrizations.weight_norm(network.layers[1])


def normalize_weights_by_hook(network):
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(network.layers[1])


ALTERATIONS = [
    replace_activation,
    change_activation,
    replace_layer,
    leave_out_a_bias,
    make_wider,
    add_a_layer,
    share_a_layer,
    add_a_parameter,
    add_a_lazy_layer,
    prune_a_layer,
    normalize_weights,
    normalize_weights_by_hook,
]


@pytest.mark.filterwarnings("ignore:.*Lazy modules:UserWarning")
@pytest.mark.parametrize("alter", ALTERATIONS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_altered_network_predicts_and_trains_as_it_is(backend, alter, solver):
    X, y = make_samples()
    estimator = make_regressor(
        backend=backend, solver=solver, activation="leaky_relu", warm_start=True, max_iter=5
    ).fit(X, y)
    torch.manual_seed(0)
    alter(estimator.module_)
    if alter is not add_a_lazy_layer:
        assert_allclose(estimator.predict(X), outputs_of(estimator, X), rtol=1e-9)
    # Its parameters are others now: what the solver remembers is not taken for theirs.
    for train in (estimator.fit, estimator.fit if solver == "lbfgs" else estimator.partial_fit):
        is_lazy = any(isinstance(layer, nn.LazyLinear) for layer in estimator.module_.layers)
        parameters = [] if is_lazy else estimator.module_.parameters()
        before = [value.detach().clone() for value in parameters]
        train(X, y)
        predictions = estimator.predict(X)
        assert_allclose(predictions, outputs_of(estimator, X), rtol=1e-9)
        after = list(estimator.module_.parameters())
        if alter is add_a_parameter:
            before, after = before[:-1], after[:-1]
        assert not any(map(torch.equal, before, after))
    assert "Parameters</th>" in estimator._repr_html_()
    assert np.isfinite(predictions).all()


def test_layers_that_do_not_fit_are_refused(backend):
    X, y = make_samples()

    def refused(alter, predicting, training):
        estimator = make_regressor(backend=backend).fit(X, y)
        alter(estimator.module_)
        with pytest.raises((ValueError, TypeError), match=predicting):
            estimator.predict(X)
        with pytest.raises(ValueError, match=training):
            estimator.partial_fit(X, y)

    def narrow(network):
        network.layers[1] = nn.Linear(3, 6).double()

    def end_with_three(network):
        network.layers[2] = nn.Linear(6, 3).double()

    def append(network):
        network.layers.append(nn.Linear(1, 1).double())

    def return_two(network):
        network.register_forward_hook(lambda module, given, got: (got, got))

    refused(narrow, r"layers\[1\] must take 6 features", "module_ must take a tensor")
    refused(end_with_three, r"must return 1 outputs .* \(60, 3\)", "module_ must return a tensor")
    refused(append, "activation_modules must have 3 entries for the 4 layers", "3 entries")
    refused(return_two, "must return a tensor of real numbers, got tuple", "module_ must return")


def test_types_of_the_users_own(backend):
    X, y = make_samples(300)
    estimator = make_regressor(backend=backend).set_params(dtype="auto").fit(X, y)
    expected = estimator.predict(X)
    assert estimator.dtype_ == torch.float32
    estimator.module_.double()
    assert_allclose(estimator.predict(X), expected, rtol=1e-4, atol=1e-6)
    estimator.partial_fit(X, y)
    assert estimator.dtype_ == torch.float64
    assert estimator.module_.layers[0].weight.dtype == torch.float64

    expected = estimator.predict(X)
    estimator.module_.layers[0].float()
    with pytest.raises(ValueError, match="module_ must have its parameters in one type"):
        estimator.predict(X)
    estimator.module_.bfloat16()
    assert_allclose(estimator.predict(X), expected, atol=0.05)
    assert estimator.hidden_activations(X).dtype == np.float64
    assert estimator.coefs_[0].dtype == np.float64
    with pytest.raises(ValueError, match="module_ must be in float32 or float64 for training"):
        estimator.partial_fit(X, y)
    estimator.set_params(dtype="float32").partial_fit(X, y)
    assert estimator.dtype_ == torch.float32


def test_another_network_in_its_place(backend):
    X, y = make_samples()
    estimator = make_regressor(backend=backend).fit(X, y)
    other = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    estimator.module_ = other
    assert_allclose(estimator.predict(X), outputs_of(estimator, X), rtol=1e-9)
    before = other[0].weight.detach().clone()
    estimator.partial_fit(X, y)
    assert estimator.module_ is other
    assert not torch.equal(other[0].weight, before)
    assert_allclose(estimator.predict(X), outputs_of(estimator, X), rtol=1e-9)


# Weights as scikit-learn shows them.


@pytest.mark.parametrize("alter", [prune_a_layer, normalize_weights, normalize_weights_by_hook])
def test_a_computed_weight_is_shown_as_it_is_and_not_assigned(backend, alter):
    X, y = make_samples()
    estimator = make_regressor(backend=backend).fit(X, y)
    alter(estimator.module_)
    estimator.partial_fit(X, y)
    shown = estimator.coefs_
    given = []
    estimator.module_.layers[1].register_forward_hook(
        lambda layer, inputs, outputs: given.append((inputs[0], outputs))
    )
    estimator.predict(X)
    inputs, outputs = given[0]
    assert_allclose(inputs.numpy() @ shown[1] + estimator.intercepts_[1], outputs, rtol=1e-9)
    with pytest.raises(ValueError, match=r"coefs_\[1\] cannot be assigned: .* other parameters"):
        estimator.coefs_ = [np.zeros_like(coef) for coef in shown]
    with pytest.raises(ValueError, match=r"coefs_\[-2\] cannot be assigned"):
        estimator.coefs_[-2] = shown[1]
    with pytest.raises(ValueError, match="read-only"):
        shown[1][0, 0] = 1
    assert (estimator.coefs_[0] == shown[0]).all()
    estimator.coefs_[0] = 0 * shown[0]
    assert (estimator.module_.layers[0].weight == 0).all()
    if alter is not normalize_weights:
        assert_allclose(copy.deepcopy(estimator).predict(X), estimator.predict(X))


def test_coefficients_of_other_layers():
    X, y = make_samples()
    estimator = make_regressor().fit(X, y)
    estimator.module_.layers[0].bias = None
    assert (estimator.intercepts_[0] == 0).all()
    with pytest.raises(ValueError, match=r"intercepts_\[0\] cannot be assigned: .* has no bias"):
        estimator.intercepts_[0] = np.ones(6)
    replace_layer(estimator.module_)
    with pytest.raises(AttributeError, match=r"no coefs_: module_.layers\[1\] is a Sequential"):
        _ = estimator.coefs_


class _AlwaysEvaluated(nn.Identity):
    """Stays in the mode of predictions, as a frozen normalisation does, and counts who asks."""

    asked = 0

    def train(self, mode=True):
        self.asked += 1
        return super().train(False)


def test_the_mode_reaches_parts_that_were_put_in_and_those_that_have_a_train_of_their_own():
    network = MLP((3, 4, 2), "relu", torch.float32)
    network.activation_modules["0"] = part = _AlwaysEvaluated()
    for times in (1, 2):
        assert network.train().layers[0].training
        assert (part.training, part.asked) == (False, times)
    network.activation_modules["0"] = late = nn.Sequential(nn.ReLU()).eval()
    network.train()
    assert late.training
    assert late[0].training
    late[0].eval()
    network.train()
    assert late[0].training
    network.eval()
    assert not any(module.training for module in network.modules())
