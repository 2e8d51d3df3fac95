"""Attribution tools hook `module_`'s layers: what they attribute sums to the outputs.

To 1e-4 of outputs of size 1, as the tools themselves ask of float32; 1e-9 in float64.
"""

import numpy as np
import pytest
import torch
from engines import PLAIN
from numpy.testing import assert_allclose
from sklearn.datasets import load_diabetes, load_iris
from sklearn.preprocessing import scale

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# The activations that DeepLift's rules and SHAP's are made for.
ACTIVATIONS = ("relu", "tanh", "logistic", "softplus", "elu", "leaky_relu")


def fitted(activation, **parameters):
    """Fit a small classifier; return it with samples and what they are compared with."""
    X, y = load_iris(return_X_y=True)
    parameters = {"hidden_layer_sizes": (8, 8), "max_iter": 20, "random_state": 0, **parameters}
    clf = TorchMLPClassifier(**parameters, activation=activation, dtype="float64", device="cpu")
    X = torch.from_numpy(scale(X))
    return clf.fit(X.numpy(), y), X[::15].clone().requires_grad_(), X[5:6].clone()


def differences(clf, samples, baseline, target):
    """Return by how much an output differs from that of the baseline."""
    with torch.no_grad():
        return (clf.module_(samples) - clf.module_(baseline))[:, target].numpy()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks and attributes")
@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations")
def test_deep_lift(activation):
    attr = pytest.importorskip("captum.attr", reason="captum is not installed")
    clf, samples, baseline = fitted(activation)
    for target in range(3):
        found = attr.DeepLift(clf.module_).attribute(samples, baseline, target=target)
        expected = differences(clf, samples, baseline, target)
        assert_allclose(found.detach().sum(1), expected, atol=1e-9)


def test_deep_lift_leaves_the_network_as_it_was():
    attr = pytest.importorskip("captum.attr", reason="captum is not installed")
    clf, samples, baseline = fitted("relu")
    before = clf.predict_proba(samples)
    with pytest.warns(UserWarning, match="Setting forward, backward hooks"):
        attr.DeepLift(clf.module_).attribute(samples, baseline, target=0)
    assert clf.engine_ == PLAIN
    assert_allclose(clf.predict_proba(samples), before, rtol=0)


@pytest.mark.parametrize(
    ("activation", "options"),
    [("relu", {}), ("relu", {"residual": True}), ("gelu", {"normalization": "layer"})],
    ids=["relu", "residual", "layer"],
)
def test_integrated_gradients(activation, options):
    attr = pytest.importorskip("captum.attr", reason="captum is not installed")
    clf, samples, baseline = fitted(activation, **options)
    method = attr.IntegratedGradients(clf.module_)
    # A path of 500 steps: kinks and curvature leave 1e-3 of a difference of up to 5.
    found = method.attribute(samples, baseline, target=1, n_steps=500)
    expected = differences(clf, samples, baseline, 1)
    assert_allclose(found.detach().sum(1), expected, atol=5e-3)


def test_integrated_gradients_by_input_gradients():
    """The path integral of `input_gradients` is the same attribution."""
    attr = pytest.importorskip("captum.attr", reason="captum is not installed")
    clf, samples, baseline = fitted("tanh")
    method, n_steps = attr.IntegratedGradients(clf.module_), 50
    theirs = method.attribute(
        samples, baseline, target=1, n_steps=n_steps, method="riemann_middle"
    )
    shares = (np.arange(n_steps) + 0.5) / n_steps
    start, end = baseline.numpy(), samples.detach().numpy()
    slopes = [clf.input_gradients(start + s * (end - start), 1, raw=True) for s in shares]
    ours = (end - start) * np.mean(slopes, axis=0)
    assert_allclose(ours, theirs.detach(), atol=1e-12)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "softplus", "elu"])
def test_deep_explainer(activation):
    shap = pytest.importorskip("shap", reason="shap is not installed")
    clf, samples, _ = fitted(activation)
    samples = samples.detach()
    background = samples[:5]
    # It checks by itself that the values sum to the outputs, to 1e-2.
    values = shap.DeepExplainer(clf.module_, background).shap_values(samples)
    with torch.no_grad():
        expected = clf.module_(samples) - clf.module_(background).mean(0)
    assert_allclose(values.sum(1), expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_deep_explainer_of_numbers(dtype):
    shap = pytest.importorskip("shap", reason="shap is not installed")
    X, y = load_diabetes(return_X_y=True)
    X = scale(X).astype(dtype)
    reg = TorchMLPRegressor(hidden_layer_sizes=(8, 8), max_iter=20, random_state=0, dtype=dtype)
    reg.set_params(scale_target="standard", device="cpu").fit(X, y)
    samples = torch.from_numpy(X)
    values = shap.DeepExplainer(reg.module_, samples[:20]).shap_values(samples[20:30])
    # `module_` is in the scaled units.
    in_units = values.sum((1, 2)) * reg.target_scale_ + reg.predict(X[:20]).mean()
    assert_allclose(in_units, reg.predict(X[20:30]), rtol=1e-4 if dtype == "float32" else 1e-6)
