"""Gradients with respect to the features: against differences of the predictions themselves.

Central differences in float64 with steps of 1e-6 are within 1e-8 of the slopes of smooth networks
of this size: the step's square, and rounding over the step.
"""

import numpy as np
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import scale
from torch import nn

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

STEP = 1e-6
SMOOTH = {"hidden_layer_sizes": (6, 6), "activation": ["tanh", "silu"], "max_iter": 5}
SMOOTH |= {"random_state": 0, "dtype": "float64", "learning_rate_init": 0.02, "device": "cpu"}


def differences(predict, X):
    """Return the slopes of predictions with respect to the features, on a last axis."""
    slopes = []
    for feature in range(X.shape[1]):
        step = np.zeros(X.shape[1])
        step[feature] = STEP
        slopes.append((predict(X + step) - predict(X - step)) / (2 * STEP))
    return np.stack(slopes, -1)


def iris(n_classes=3):
    X, y = load_iris(return_X_y=True)
    return scale(X)[y < n_classes][::3], y[y < n_classes][::3]


def diabetes(n_targets):
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X)[:40, :5], y[:40] / 50
    return X, (y if n_targets == 1 else np.column_stack([y, 3 + 2 * y]))


CLASSIFIERS = {
    "multiclass": (3, {}),
    "binary": (2, {}),
    "focal": (3, {"loss": "focal", "output_activation": "logistic"}),
    "tanh": (2, {"loss": "squared_error", "output_activation": "tanh"}),
    "two outputs": (2, {"output_activation": "softmax"}),
    "batch": (3, {"normalization": "batch", "residual": True, "dropout": 0.2}),
    "layer": (3, {"normalization": "layer"}),
    "no hidden layer": (3, {"hidden_layer_sizes": (), "activation": "tanh"}),
    "module": (
        3,
        {"module": lambda n_features_in, n_outputs: nn.Linear(n_features_in, n_outputs)},
    ),
}


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_of_probabilities(kind):
    n_classes, parameters = CLASSIFIERS[kind]
    X, y = iris(n_classes)
    if kind == "module":
        parameters = {**parameters, "hidden_layer_sizes": (100,), "activation": "relu"}
    clf = TorchMLPClassifier(**{**SMOOTH, **parameters}).fit(X, y)
    expected = differences(clf.predict_proba, X)
    assert_allclose(clf.input_gradients(X), expected, atol=1e-8)
    for output in range(n_classes):
        assert_allclose(clf.input_gradients(X, output), expected[:, output], atol=1e-8)
    best = clf.predict_proba(X).argmax(1)
    assert_allclose(clf.input_gradients(X, best), expected[np.arange(len(X)), best], atol=1e-8)

    def logits(samples):
        with torch.no_grad():
            return clf.module_(torch.from_numpy(samples)).numpy()

    raw = clf.input_gradients(X, raw=True)
    assert_allclose(raw, differences(logits, X), atol=1e-7)
    assert_array_equal(clf.input_gradients(X, 0, raw=True), raw[:, 0])


@pytest.mark.parametrize("output_activation", ["logistic", "tanh"])
def test_of_labels(output_activation):
    X, y = make_multilabel_classification(40, 4, n_classes=3, random_state=3)
    parameters = {"loss": "squared_error", "output_activation": output_activation}
    clf = TorchMLPClassifier(**SMOOTH, **parameters).fit(scale(X), y)
    expected = differences(clf.predict_proba, scale(X))
    assert_allclose(clf.input_gradients(scale(X)), expected, atol=1e-8)


def test_of_columns_of_labels():
    X, y = iris()
    clf = TorchMLPClassifier(**SMOOTH).fit(X, np.column_stack([y, y > 0]))
    found = clf.input_gradients(X)
    assert [part.shape for part in found] == [(len(X), 3, 4), (len(X), 2, 4)]
    for index, part in enumerate(found):
        assert_allclose(
            part, differences(lambda s, i=index: clf.predict_proba(s)[i], X), atol=1e-8
        )
    assert_array_equal(clf.input_gradients(X, 4), found[1][:, 1])


REGRESSORS = {
    "squared_error": {},
    "scaled": {"scale_target": "standard"},
    "poisson": {"loss": "poisson"},
    "bounded": {"output_activation": "tanh"},
    "quantile": {"loss": "quantile", "scale_target": "standard"},
    "quantiles": {"loss": "quantile", "quantile": [0.2, 0.8], "scale_target": "standard"},
    "gaussian_nll": {"loss": "gaussian_nll", "scale_target": "standard"},
}


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("kind", REGRESSORS)
def test_of_numbers(kind, n_targets):
    X, y = diabetes(n_targets)
    reg = TorchMLPRegressor(**SMOOTH, **REGRESSORS[kind]).fit(X, y)
    found, expected = reg.input_gradients(X), differences(reg.predict, X)
    assert found.shape == (*reg.predict(X).shape, X.shape[1])
    assert_allclose(found, expected, atol=2e-7)
    flat = expected.reshape(len(X), -1, X.shape[1])
    for output in range(flat.shape[1]):
        assert_allclose(reg.input_gradients(X, output), flat[:, output], atol=2e-7)


def test_in_chunks_on_every_kind_of_samples(monkeypatch):
    X, y = iris()
    clf = TorchMLPClassifier(**SMOOTH).fit(X, y)
    whole, best = clf.input_gradients(X), clf.predict_proba(X).argmax(1)
    of_best = clf.input_gradients(X, best)
    monkeypatch.setattr("sklearn_mlp.data.rows._CPU_CHUNK_ROWS", 7)
    read_only = X.copy()
    read_only.flags.writeable = False
    tensor = torch.from_numpy(X.copy()).requires_grad_()
    for samples in (X, read_only, tensor, scipy.sparse.csr_matrix(X), X.tolist()):
        assert_allclose(clf.input_gradients(samples), whole, atol=1e-15)
        assert_allclose(clf.input_gradients(samples, best), of_best, atol=1e-15)
    assert tensor.grad is None
    assert clf.input_gradients(X.astype(np.float32)).dtype == np.float64
    assert all(parameter.grad is None for parameter in clf.module_.parameters())


def test_float32_and_gradients_switched_off_outside():
    X, y = iris()
    X = X.astype(np.float32)
    clf = TorchMLPClassifier(**{**SMOOTH, "dtype": "float32"}).fit(X, y)
    with torch.no_grad():
        found = clf.input_gradients(X)
    assert found.dtype == np.float32
    assert_allclose(found.sum(1), 0, atol=1e-6)  # the probabilities sum to 1


def test_saturated_probabilities_still_tell_before_the_activation():
    X, y = iris(2)
    clf = TorchMLPClassifier(hidden_layer_sizes=(), activation="tanh", max_iter=1, random_state=0)
    clf.fit(X, y).coefs_ = [1e3 * np.ones((4, 1))]
    assert_allclose(clf.input_gradients(X[:1]), 0, atol=1e-12)
    assert_allclose(clf.input_gradients(X[:1], raw=True), 1e3)


@pytest.mark.parametrize(
    ("output", "error", "message"),
    [
        (3, ValueError, "output=3 is not among the 3 outputs, which are 0 to 2"),
        (-1, ValueError, "output=-1 is not among"),
        (0.5, TypeError, r"output must be a whole number or one for each sample, got 0\.5"),
        ("a", TypeError, "output must be an array, .* got a str"),
        ([0, 1], TypeError, r"one for each of the 50 samples, got int64 of the shape \(2,\)"),
        (np.zeros(50), TypeError, "got float64 of the shape"),
    ],
    ids=["too large", "negative", "float", "word", "too few", "floats"],
)
def test_an_output_that_is_not_there(output, error, message):
    X, y = iris()
    clf = TorchMLPClassifier(**SMOOTH).fit(X, y)
    with pytest.raises(error, match=message):
        clf.input_gradients(X, output)


def test_what_autograd_cannot_follow():
    X, y = iris()
    clf = TorchMLPClassifier(**SMOOTH).fit(X, y)
    clf.module_.register_forward_hook(lambda module, given, found: found.detach())
    with pytest.raises(ValueError, match="module_ must compute its outputs from the samples by"):
        clf.input_gradients(X)
    with pytest.raises(NotFittedError):
        TorchMLPClassifier().input_gradients(X)
    with pytest.raises(ValueError, match="X has 2 features"):
        clf.input_gradients(X[:, :2])
