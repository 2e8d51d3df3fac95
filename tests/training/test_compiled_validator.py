"""What a validation set says in compiled code: what it says in torch, with the same weights."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification, make_multilabel_classification, make_regression

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.compiled.library import compiled_steps, why_not_here

pytestmark = [
    pytest.mark.skipif(why_not_here() is not None, reason=f"no compiled steps: {why_not_here()}"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

SETS = compiled_steps().instruction_sets() if why_not_here() is None else []

CLASSES = make_classification(121, 7, n_informative=5, n_classes=3, random_state=0)
WIDE = make_classification(121, 40, n_informative=9, n_classes=4, random_state=1)
TWO = make_classification(121, 6, random_state=2)
LABELS = make_multilabel_classification(121, 9, n_classes=4, random_state=0)
NUMBERS = make_regression(121, 8, n_targets=2, noise=3.0, random_state=0)
COUNTS = (NUMBERS[0], np.random.default_rng(0).poisson(3.0, 121).astype(float))

EXACT = {
    "hidden_layer_sizes": (9, 5),
    "early_stopping": True,
    "validation_fraction": 0.4,
    "dtype": "float64",
    "device": "cpu",
    "batch_size": 20,
    "max_iter": 6,
    "random_state": 3,
    "tol": 0.0,
}


def histories(estimator, X, y, monkeypatch, **fit_params):
    """Fit by compiled epochs and in closed form; return what was recorded, and the weights."""
    found = []
    for switch, engine in (("1", "compiled"), ("0", "closed_form")):
        with monkeypatch.context() as patch:
            patch.setenv("SKLEARN_MLP_COMPILED", switch)
            fitted = clone(estimator).fit(X, y, **fit_params)
        assert fitted.engine_ == engine
        history = fitted.history_
        found.append((history["validation_loss"], history["validation_score"], fitted.coefs_[0]))
    return found


def assert_same(estimator, X, y, monkeypatch, rtol=1e-9, **fit_params):
    compiled, closed_form = histories(estimator, X, y, monkeypatch, **fit_params)
    for mine, theirs in zip(compiled, closed_form, strict=True):
        assert np.isfinite(theirs).all()
        assert_allclose(mine, theirs, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(
    ("data", "parameters"),
    [
        (CLASSES, {}),
        (WIDE, {"batch_size": 60}),
        (WIDE, {"batch_size": 1, "max_iter": 2}),
        (CLASSES, {"hidden_layer_sizes": ()}),
        (CLASSES, {"label_smoothing": 0.2}),
        (CLASSES, {"loss": "squared_error", "output_activation": "identity"}),
        (CLASSES, {"dropout": 0.3, "input_dropout": 0.2}),
        (CLASSES, {"activation": "gelu", "dropout": [0.0, 0.4]}),
        (CLASSES, {"scoring": "loss"}),
        (CLASSES, {"scoring": "f1_macro"}),
        (CLASSES, {"class_weight": "balanced"}),
        (CLASSES, {"weight_averaging": "ema", "ema_decay": 0.9}),
        (CLASSES, {"weight_averaging": "swa", "swa_start": 0.4}),
        (TWO, {}),
        (TWO, {"label_smoothing": 0.2}),
        (LABELS, {}),
    ],
)
def test_classifiers_are_judged_as_in_torch(data, parameters, monkeypatch):
    X, y = data
    assert_same(TorchMLPClassifier(**{**EXACT, **parameters}), X, y, monkeypatch)


@pytest.mark.parametrize(
    ("data", "parameters"),
    [
        (NUMBERS, {}),
        (NUMBERS, {"loss": "huber", "scoring": "loss"}),
        (COUNTS, {"loss": "poisson"}),
    ],
)
def test_regressors_are_judged_as_in_torch(data, parameters, monkeypatch):
    X, y = data
    y = y if data is COUNTS else y / y.std(0)
    assert_same(TorchMLPRegressor(**{**EXACT, **parameters}), X, y, monkeypatch)


@pytest.mark.parametrize("kind", [TorchMLPClassifier, TorchMLPRegressor])
def test_samples_weigh_as_in_torch(kind, monkeypatch):
    X, y = CLASSES
    weights = np.random.default_rng(0).random(40)
    weights[::5] = 0
    fit_params = {"X_val": X[:40][:, ::-1], "y_val": y[:40], "sample_weight_val": weights}
    estimator = kind(**{**EXACT, "early_stopping": False})
    assert_same(estimator, X[40:], y[40:], monkeypatch, **fit_params)


@pytest.mark.parametrize("instructions", SETS)
def test_each_build_judges_alike(instructions, monkeypatch):
    X, y = WIDE
    estimator = TorchMLPClassifier(**{**EXACT, "dtype": "float32"})
    _, theirs = histories(estimator, X, y, monkeypatch)
    monkeypatch.setenv("SKLEARN_MLP_COMPILED", instructions)
    mine = estimator.fit(X.astype(np.float32), y)
    assert mine.engine_ == "compiled"
    assert_allclose(mine.history_["validation_loss"], theirs[0], rtol=1e-5)
    assert_array_equal(mine.history_["validation_score"], theirs[1])


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_judge_alike(n_threads, monkeypatch):
    monkeypatch.setattr("sklearn_mlp.machine.threads.THREADED_WORK", 1)
    X, y = WIDE
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        assert_same(TorchMLPClassifier(**EXACT), X, y, monkeypatch)
    finally:
        torch.set_num_threads(before)


# scikit-learn sums the samples, to see whether all are finite.
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_outputs_that_are_not_finite_are_judged_as_by_torch(monkeypatch):
    X, y = CLASSES
    fit_params = {"X_val": 1.7e308 * np.sign(X[:40]), "y_val": y[:40]}
    estimator = TorchMLPClassifier(**{**EXACT, "early_stopping": False})
    compiled, closed_form = histories(estimator, X[40:], y[40:], monkeypatch, **fit_params)
    assert not np.isfinite(closed_form[0]).any()
    assert_array_equal(compiled[0], closed_form[0])
    assert_array_equal(compiled[1], closed_form[1])
