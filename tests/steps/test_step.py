"""One step: worked by hand, and against autograd."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn import functional

from sklearn_mlp import TorchMLPClassifier
from sklearn_mlp.data.batches import Batch
from sklearn_mlp.losses import BinaryLogLoss, MulticlassLogLoss, Poisson, SquaredError
from sklearn_mlp.network.activations import ACTIVATIONS
from sklearn_mlp.network.initial_weights import draw_initial_weights
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.steps import general as general_step
from sklearn_mlp.steps.layers import FlatLayers

LOSSES = {
    "multiclass": MulticlassLogLoss(),
    "multilabel": BinaryLogLoss(),
    "squared_error": SquaredError(),
    "poisson": Poisson(),
}

# The same losses in torch's own words; those of losses.py are not written for autograd. Their
# squared error sums over the outputs, whose gradient is scikit-learn's.
AUTOGRAD_LOSSES = {
    "multiclass": lambda logits, codes: functional.cross_entropy(
        logits.t(), codes[0], reduction="none"
    ),
    "multilabel": lambda logits, targets: functional.binary_cross_entropy_with_logits(
        logits, targets, reduction="none"
    ).sum(0),
    "squared_error": lambda logits, targets: 0.5 * (logits - targets).square().sum(0),
    "poisson": lambda logits, targets: (logits.exp() - targets * logits).sum(0),
}


def make_step(units, activation, loss):
    network = MLP(units, activation, torch.float64)
    draw_initial_weights(network, np.random.RandomState(0))
    parameters = ParameterVector.of(network)
    gradient = parameters.empty_like()
    step = general_step.make_step(
        FlatLayers(parameters, gradient, 1), general_step.HiddenForm.of(network), loss
    )
    return network, gradient, step


def make_batch(n_samples, n_features, n_outputs, kind, shares):
    random = np.random.RandomState(1)
    inputs = torch.from_numpy(random.standard_normal((n_samples, n_features)))
    if kind == "multiclass":
        targets = torch.from_numpy(random.randint(0, n_outputs, (1, n_samples)))
    else:
        targets = torch.from_numpy(random.randint(0, 2, (n_outputs, n_samples))).double()
    return Batch(inputs, inputs.t(), targets, n_samples, shares, float(n_samples))


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("units", [(6, 4), (6, 5, 4), (6, 5, 3, 4)])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("kind", sorted(LOSSES))
def test_the_closed_form_is_autograd(kind, activation, units, is_weighted):
    loss = LOSSES[kind]
    network, gradient, step = make_step(units, activation, loss)
    shares = torch.linspace(0.01, 0.3, 9, dtype=torch.float64) if is_weighted else None
    batch = make_batch(9, 6, 4, kind, shares)
    logits = torch.empty(4, 9, dtype=torch.float64)
    with torch.inference_mode():
        step.gradient(batch, logits)

    outputs = network(batch.inputs).t()
    assert_allclose(logits, outputs.detach(), rtol=1e-13, atol=1e-14)
    per_sample = AUTOGRAD_LOSSES[kind](outputs, batch.targets)
    (per_sample * (shares if is_weighted else 1 / 9)).sum().backward()
    for layer, weight, bias in zip(
        network.linear_layers, gradient.weights, gradient.biases, strict=True
    ):
        assert_allclose(weight, layer.weight.grad, rtol=1e-11, atol=1e-14)
        assert_allclose(bias, layer.bias.grad, rtol=1e-11, atol=1e-14)


def test_gradients_of_two_halves_add_up():
    _, gradient, step = make_step((6, 5, 4), "tanh", LOSSES["multilabel"])
    whole = make_batch(8, 6, 4, "multilabel", None)
    with torch.inference_mode():
        step.gradient(whole, torch.empty(4, 8, dtype=torch.float64))
        expected = gradient.values.clone()
        for start in (0, 4):
            rows = slice(start, start + 4)
            half = Batch(
                whole.inputs[rows],
                whole.inputs[rows].t(),
                whole.targets[:, rows],
                4,
                None,
                8.0,
            )
            step.gradient(half, torch.empty(4, 4, dtype=torch.float64), is_first=start == 0)
    assert_allclose(gradient.values, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_step_worked_by_hand():
    # One sample x = 2 of class 1, no hidden layer, w = 0.5, b = -1: z = 0, p = 0.5, and so the
    # gradient is (p - 1) x = -1 for w, to which alpha w = 0.05 comes, and -0.5 for b.
    estimator = TorchMLPClassifier(
        (), solver="sgd", momentum=0, alpha=0.1, learning_rate_init=0.1, max_iter=1
    )
    estimator.partial_fit([[2.0]], [1], classes=[0, 1])
    estimator.coefs_ = [[[0.5]]]
    estimator.intercepts_ = [[-1.0]]
    estimator.partial_fit([[2.0]], [1])
    assert_allclose(estimator.coefs_[0], [[0.5 + 0.1 * 0.95]], rtol=1e-15)
    assert_allclose(estimator.intercepts_[0], [-1 + 0.1 * 0.5], rtol=1e-15)
    assert_allclose(estimator.loss_, np.log(2) + 0.5 * 0.1 * 0.25, rtol=1e-15)


@pytest.mark.parametrize("kind", sorted(LOSSES))
def test_the_value_of_each_loss_is_torchs(kind):
    logits = torch.linspace(-3, 3, 20, dtype=torch.float64).view(4, 5)
    targets = make_batch(5, 2, 4, kind, None).targets
    expected = AUTOGRAD_LOSSES[kind](logits, targets)
    if kind == "squared_error":
        expected = expected / 4
    if kind == "poisson":
        # The deviance's constant, which is 0 for a perfect prediction.
        expected = expected + (torch.special.xlogy(targets, targets) - targets).sum(0)
    for dtype, rtol in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        typed = targets if kind == "multiclass" else targets.to(dtype)
        value = LOSSES[kind].per_sample(logits.to(dtype), typed)
        assert_allclose(value, expected, rtol=rtol)
