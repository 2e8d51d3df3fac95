"""The step by autograd gives what the closed form gives, alone and in a whole fit."""

import numpy as np
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose
from test_parity import CLASSIFICATION, REGRESSION, make_pair, make_task
from test_step import LOSSES, make_batch, make_step
from torch import nn

from sklearn_mlp.estimators import base
from sklearn_mlp.losses import SquaredError
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.steps.autograd import AutogradStep

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def fit_both_ways(monkeypatch):
    """Fit an estimator in closed form, and its clone by autograd."""

    def fit(make, X, y, **fit_params):
        with monkeypatch.context() as patch:
            patch.setenv("SKLEARN_MLP_COMPILED", "0")
            closed = make().fit(X, y, **fit_params)
        assert closed.engine_ == "closed_form"
        with monkeypatch.context() as patch:
            patch.setattr(base, "choose_engine", lambda *_: "autograd")
            by_autograd = make().fit(X, y, **fit_params)
        assert by_autograd.engine_ == "autograd"
        return closed, by_autograd

    return fit


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("kind", sorted(LOSSES))
def test_one_step_is_the_closed_form(kind, is_weighted):
    network, gradient, closed = make_step((6, 5, 3, 4), "tanh", LOSSES[kind])
    parameters = ParameterVector.of(network)
    mine = parameters.empty_like()
    step = AutogradStep(network, parameters, mine, LOSSES[kind], 4)
    shares = torch.linspace(0.01, 0.3, 9, dtype=torch.float64) if is_weighted else None
    batch = make_batch(9, 6, 4, kind, shares)
    logits = torch.empty(2, 4, 9, dtype=torch.float64)
    with closed.quiet():
        closed.gradient(batch, logits[0])
    with step, step.quiet():
        step.gradient(batch, logits[1])
        once = mine.values.clone()
        step.gradient(batch, logits[1], is_first=False)
    assert_allclose(logits[1], logits[0], rtol=1e-13, atol=1e-14)
    assert_allclose(once, gradient.values, rtol=1e-11, atol=1e-14)
    assert_allclose(mine.values, 2 * once, rtol=1e-14)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("task", CLASSIFICATION + REGRESSION)
def test_a_whole_fit_is_the_closed_forms(fit_both_ways, task, solver, is_sparse):
    X, y = make_task(task)
    if is_sparse:
        X = scipy.sparse.csr_array(X * (np.random.RandomState(1).uniform(size=X.shape) < 0.05))
    weights = np.random.RandomState(0).uniform(0.1, 3, len(y))

    def make():
        settings = {"solver": solver, "early_stopping": solver == "sgd", "batch_size": 30}
        return make_pair(
            task, "torch", random_state=0, max_iter=5, hidden_layer_sizes=(7, 5), **settings
        )[1]

    closed, by_autograd = fit_both_ways(make, X, y, sample_weight=weights)
    # Both in float64; products and sums come in another order.
    assert_allclose(by_autograd.history_["loss"], closed.history_["loss"], rtol=1e-10)
    assert_allclose(by_autograd.predict(X), closed.predict(X), rtol=1e-8)
    for mine, other in zip(by_autograd.coefs_, closed.coefs_, strict=True):
        assert_allclose(mine, other, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_goes_on_from_one_step_to_the_other(monkeypatch, iris, solver):
    X, y = iris
    alone, mixed = (
        make_pair("multiclass", "torch", solver=solver, random_state=0)[1] for _ in "ab"
    )
    for epoch in range(4):
        alone.partial_fit(X, y, classes=[0, 1, 2])
        with monkeypatch.context() as patch:
            if epoch % 2:
                patch.setattr(base, "choose_engine", lambda *_: "autograd")
            mixed.partial_fit(X, y, classes=[0, 1, 2])
    assert_allclose(mixed.loss_curve_, alone.loss_curve_, rtol=1e-11)


def test_frozen_and_shared_parameters_are_left_alone():
    shared = nn.Linear(3, 3)
    network = nn.Sequential(shared, nn.Tanh(), shared, nn.Linear(3, 2), nn.BatchNorm1d(2))
    network[3].bias.requires_grad_(False)
    frozen = network[3].bias.clone()
    vector = ParameterVector.of(network)
    assert vector.layout.weights == ((3, 3), (2, 3))
    assert vector.layout.biases == ((3,), (2,), (2,))
    assert vector.layout.buffers == ((2,), (2,))
    assert len(vector.values) == 9 + 6 + 3 + 2 + 2
    assert len(vector.memory) == len(vector.values) + 4
    step = AutogradStep(network, vector, vector.empty_like(), SquaredError(), 2)
    batch = make_batch(5, 3, 2, "squared_error", None)
    batch.inputs, batch.targets = batch.inputs.float(), batch.targets.float()
    with step, step.quiet():
        kept = vector.memory.clone()
        step.gradient(batch, torch.empty(2, 5))
        assert (vector.memory != kept).any()  # the running statistics, in place
        vector.memory.copy_(kept)
    assert_allclose(network[4].running_var, 1)
    assert_allclose(network[3].bias, frozen, rtol=0)


def test_a_batch_of_one_sample_takes_the_running_statistics():
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    vector = ParameterVector.of(network)
    gradient = vector.empty_like()
    step = AutogradStep(network, vector, gradient, SquaredError(), 2)
    batch = make_batch(1, 3, 2, "squared_error", None)
    batch.inputs, batch.targets = batch.inputs.float(), batch.targets.float()
    with step, step.quiet():
        logits = torch.empty(2, 1)
        step.gradient(batch, logits)
    assert_allclose(logits.t(), network.eval()(batch.inputs).detach(), rtol=1e-6)
    assert_allclose(network[1].running_mean, 0)
    assert gradient.values.isfinite().all()
