"""Output activations: the probabilities and predictions that come of them."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from test_contract import results_of

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.export.plain import PLAIN_CLASSES
from sklearn_mlp.losses import (
    Loss,
    choose_classifier_loss,
    classification,
    custom,
    errors,
    labels,
    regression,
)
from sklearn_mlp.losses.outputs import OUTPUT_ACTIVATIONS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ACTIVATIONS = ["identity", "logistic", "softmax", "tanh"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_probabilities_are_sensible(make_classifier, iris, activation):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])
    clf = make_classifier(loss="squared_error", output_activation=activation, max_iter=40)
    clf.set_params(batch_size=30, learning_rate_init=0.02, label_smoothing=0.02)
    clf.fit(X, names[y])
    probabilities = clf.predict_proba(X)
    assert clf.out_activation_ == activation
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert_array_equal(clf.predict(X), names[probabilities.argmax(1)])
    assert clf.score(X, names[y]) > 0.8
    logits = clf.module_(torch.tensor(X, dtype=clf.dtype_)).detach().numpy()
    assert_array_equal(logits.argmax(1), probabilities.argmax(1))
    if activation == "logistic":
        outputs = 1 / (1 + np.exp(-logits))
        assert_allclose(probabilities, outputs / outputs.sum(1, keepdims=True), rtol=1e-5)
    if activation == "tanh":
        outputs = (1 + np.tanh(logits)) / 2
        expected = outputs / outputs.sum(1, keepdims=True)
        assert_allclose(probabilities, expected, rtol=1e-4, atol=1e-6)
    reopened = pickle.loads(pickle.dumps(clf))
    assert_array_equal(reopened.predict_proba(X), probabilities)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_two_classes(make_classifier, breast_cancer, activation):
    X, y = breast_cancer
    clf = make_classifier(loss="squared_error", output_activation=activation, max_iter=10)
    clf.set_params(early_stopping=True, learning_rate_init=0.02, batch_size=50).fit(X, y + 5)
    assert clf.n_outputs_ == (2 if activation == "softmax" else 1)
    probabilities = clf.predict_proba(X)
    assert probabilities.shape == (len(X), 2)
    assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert_array_equal(clf.predict(X), 5 + (probabilities[:, 1] > 0.5))
    assert clf.score(X, y + 5) > 0.85
    assert max(clf.validation_scores_) > 0.85
    again = clone(clf).set_params(early_stopping=False)
    for _ in range(2):
        again.partial_fit(X, y + 5, classes=[5, 6])
    assert again.n_outputs_ == clf.n_outputs_


def test_a_tanh_unit_compares_with_one_and_minus_one(make_classifier):
    X, y = np.array([[0.0], [1.0]]), np.array([0, 1])
    clf = make_classifier(
        loss="squared_error", output_activation="tanh", hidden_layer_sizes=(), alpha=0
    )
    clf.set_params(dtype="float64", solver="sgd", learning_rate_init=1e-9, max_iter=1).fit(X, y)
    outputs = np.tanh(X[:, 0] * clf.coefs_[0][0, 0] + clf.intercepts_[0][0])
    assert_allclose(clf.loss_, np.mean((outputs - [-1, 1]) ** 2), rtol=1e-6)
    assert_allclose(clf.predict_proba(X)[:, 1], (1 + outputs) / 2, rtol=1e-6)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh"])
def test_multilabel(make_classifier, activation):
    random = np.random.RandomState(0)
    X = random.standard_normal((200, 4))
    y = (X[:, :3] > 0).astype(int)
    clf = make_classifier(loss="squared_error", output_activation=activation, max_iter=60)
    clf.set_params(learning_rate_init=0.02).fit(X, y)
    probabilities = clf.predict_proba(X)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert_array_equal(clf.predict(X), probabilities > 0.5)
    assert clf.score(X, y) > 0.7
    with pytest.raises(ValueError, match="output_activation='softmax' cannot be used with multi"):
        make_classifier(output_activation="softmax").fit(X, y)


def test_the_nearest_probabilities_keep_the_order():
    loss = choose_classifier_loss("squared_error", "multiclass", [4], "identity", 0.0, 2.0)
    outputs = torch.tensor([[1.5, 1.2, -3, 0], [0.1, 0.2, 0.3, 0.4], [-9, -8, -9, -9]])
    expected = [[0.65, 0.35, 0, 0], [0.1, 0.2, 0.3, 0.4], [0, 1, 0, 0]]
    assert_allclose(loss.activate_(outputs, dim=1), expected, rtol=1e-6)


def test_one_of_several_logistic_outputs_with_the_log_loss(make_classifier, iris):
    X, y = iris
    clf = make_classifier(output_activation="logistic", max_iter=60, learning_rate_init=0.02)
    probabilities = clf.fit(X, y).predict_proba(X)
    assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert clf.score(X, y) > 0.9


def test_softmax_of_two_classes_is_the_logistic_function_of_their_difference(breast_cancer):
    X, y = breast_cancer
    clf = TorchMLPClassifier(5, output_activation="softmax", max_iter=3, random_state=0).fit(X, y)
    logits = clf.module_(torch.tensor(X, dtype=clf.dtype_)).detach().numpy()
    expected = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    assert_allclose(clf.predict_proba(X)[:, 1], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("activation", "low", "high"),
    [("logistic", 0, 1), ("tanh", -1, 1), ("exp", 0, np.inf), ("softmax", 0, 1)],
)
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_a_regressors_outputs_stay_in_range(make_regressor, diabetes, loss, activation, low, high):
    X, y = diabetes
    both = np.column_stack([y, -y])
    predictions = make_regressor(loss=loss, output_activation=activation).fit(X, both).predict(X)
    assert ((predictions >= low) & (predictions <= high)).all()
    if activation == "softmax":
        assert_allclose(predictions.sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    "estimator",
    [
        TorchMLPClassifier(
            loss="squared_error",
            output_activation="tanh",
            label_smoothing=0.05,
            class_weight="balanced",
            learning_rate_init=0.1,
        ),
        TorchMLPRegressor(loss="gaussian_nll", scale_target="standard", learning_rate_init=0.05),
    ],
    ids=["classifier", "regressor"],
)
def test_every_check_passes_with_options(estimator, backend):
    not_passed = results_of(estimator.set_params(max_iter=10, backend=backend), "failed")
    # partial_fit cannot balance classes that it has not seen, and says so, as SGDClassifier does.
    refused = "class_weight 'balanced' is not supported for partial_fit"
    assert {name: text for name, text in not_passed.items() if not text.startswith(refused)} == {}


LOSSES = [
    classification.MulticlassLogLoss(),
    classification.BinaryLogLoss(),
    classification.SoftTargetLogLoss(),
    classification.SoftmaxFocal(2.0),
    classification.LogisticFocal(2.0),
    *(
        labels.LabelLoss(errors.ErrorLoss(errors.MeanSquaredError(), name), is_exclusive, 4, 0.0)
        for name in OUTPUT_ACTIVATIONS
        for is_exclusive in (True, False)
        if is_exclusive or name != "softmax"
    ),
    labels.ColumnsLoss([classification.MulticlassLogLoss()] * 2, [2, 2]),
    errors.ErrorLoss(errors.Huber(1.0), "tanh"),
    custom.FunctionLoss(lambda output, target: (output - target).abs().sum(1), "exp"),
    regression.SquaredError(),
    regression.Poisson(),
    regression.Gamma(),
    regression.Quantiles((0.2, 0.8), "exp", True),
    regression.GaussianNLL(),
]


def name_of(loss):
    return f"{type(loss).__name__}-{loss.out_activation}-{getattr(loss, 'is_exclusive', '')}"


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_what_autograd_follows_is_what_is_predicted(loss):
    logits = torch.linspace(-3, 2, 20, dtype=torch.float64).reshape(5, 4).sin().requires_grad_()
    before = logits.detach().clone()
    outputs = loss.activate(logits, 1)
    assert torch.equal(logits.detach(), before)
    torch.testing.assert_close(outputs.detach(), loss.activate_(before, 1), rtol=1e-14, atol=0)
    assert torch.autograd.grad(outputs.sum(), logits)[0].isfinite().all()


def test_all_losses_are_tried():
    tried = {type(loss) for loss in LOSSES}
    assert {kind for kind in PLAIN_CLASSES.values() if issubclass(kind, Loss)} <= tried
