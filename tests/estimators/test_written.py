"""Fitted attributes that users write, as they do with scikit-learn's networks."""

import copy
import pickle
import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SETTINGS = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 1}
RECORDS = ["loss_curve_", "validation_scores_", "n_iter_", "t_", "loss_", "best_loss_"]


def test_weights_of_scikit_learn_predict_before_a_fit(diabetes):
    X, y = diabetes
    theirs = MLPRegressor(**SETTINGS).fit(X, y)
    ours = TorchMLPRegressor(**SETTINGS)
    ours.coefs_ = theirs.coefs_
    assert len(ours.coefs_) == 2
    with pytest.raises(NotFittedError):
        ours.predict(X)
    ours.intercepts_ = theirs.intercepts_
    for estimator in (ours, pickle.loads(pickle.dumps(ours)), copy.deepcopy(ours)):
        assert_allclose(estimator.predict(X), theirs.predict(X), rtol=1e-10)
    assert (ours.n_layers_, ours.n_outputs_, ours.n_features_in_) == (3, 1, 10)
    assert ours.out_activation_ == "identity"
    with pytest.raises(ValueError, match="X has 9 features, but TorchMLPRegressor"):
        ours.predict(X[:, 1:])
    assert not hasattr(clone(ours), "coefs_")


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_a_classifier_is_told_its_classes_too(iris, task):
    X, y = iris
    labels = {"binary": y > 0, "multiclass": np.array(["x", "yy", "z"])[y], "multilabel": y}[task]
    if task == "multilabel":
        labels = np.column_stack([y > 0, y > 1, y == 0]).astype(int)
    theirs = MLPClassifier(**SETTINGS).fit(X, labels)
    ours = TorchMLPClassifier(**SETTINGS)
    ours.coefs_, ours.intercepts_ = theirs.coefs_, theirs.intercepts_
    with pytest.raises(NotFittedError, match="set intercepts_ and classes_, too, before it can"):
        ours.predict(X)
    ours.out_activation_, ours.classes_ = theirs.out_activation_, theirs.classes_
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-10)


def test_training_goes_on_from_written_weights(iris, diabetes, backend):
    settings = {**SETTINGS, "shuffle": False, "dtype": "float64", "backend": backend}
    for make, (X, y) in ((TorchMLPClassifier, iris), (TorchMLPRegressor, diabetes)):
        first = {"classes": [0, 1, 2]} if make is TorchMLPClassifier else {}
        source = make(**settings).fit(X, y)
        loss = make(**settings, warm_start=True).set_params(max_iter=1)
        loss.coefs_, loss.intercepts_ = source.coefs_, source.intercepts_
        loss.fit(X, y)
        told = make(**settings)
        told.coefs_, told.intercepts_ = source.coefs_, source.intercepts_
        told.partial_fit(X, y, **first)
        assert told.loss_ == loss.loss_ < source.loss_
        anew = make(**settings)
        anew.coefs_, anew.intercepts_ = source.coefs_, source.intercepts_
        assert anew.fit(X, y).loss_curve_ == source.loss_curve_


def test_averaged_weights(diabetes):
    X, y = diabetes
    parts = [TorchMLPRegressor(**SETTINGS).fit(X[rows::2], y[rows::2]) for rows in (0, 1)]
    whole = TorchMLPRegressor(**SETTINGS)
    for name in ("coefs_", "intercepts_"):
        pairs = zip(*(getattr(part, name) for part in parts), strict=True)
        setattr(whole, name, [np.mean(pair, axis=0) for pair in pairs])
    assert np.isfinite(whole.predict(X)).all()


def test_what_makes_no_network(diabetes):
    ours = TorchMLPRegressor(**SETTINGS)
    with pytest.raises(ValueError, match="coefs_ must be a list of arrays, one for each layer"):
        ours.coefs_ = 3
    with pytest.raises(ValueError, match=r"intercepts_\[0\] must be an array of numbers"):
        ours.intercepts_ = [np.zeros((2, 2))]
    ours.coefs_ = [torch.zeros(10, 4, requires_grad=True), np.zeros((4, 1), np.float32)]
    with pytest.raises(ValueError, match="must be those of layers that follow one another"):
        ours.intercepts_ = [np.zeros(4), np.zeros(2)]
    ours.intercepts_ = [np.zeros(4), np.zeros(1)]
    with pytest.raises(ValueError, match="make no network with scale_target='standard'"):
        copy.deepcopy(ours).set_params(scale_target="standard").predict(diabetes[0])
    classifier = TorchMLPClassifier(**SETTINGS)
    classifier.coefs_, classifier.intercepts_ = ours.coefs_, ours.intercepts_
    classifier.classes_ = np.arange(4)
    with pytest.raises(ValueError, match="coefs_ end in 1 outputs, but the classes ask for 4"):
        classifier.predict(diabetes[0])


def test_records_are_written_and_the_next_fit_writes_its_own(make_regressor, diabetes):
    estimator = make_regressor().fit(*diabetes)
    for name in RECORDS:
        setattr(estimator, name, "written")
        assert getattr(estimator, name) == "written"
        assert getattr(copy.deepcopy(estimator), name) == "written"
    assert len(estimator.fit(*diabetes).loss_curve_) == 5
    assert estimator.validation_scores_ is None


def test_what_the_network_has_is_not_written_otherwise(iris):
    estimator = TorchMLPClassifier(**SETTINGS).fit(*iris)
    for name, value in (("n_layers_", 2), ("n_outputs_", 1), ("out_activation_", "identity")):
        settled = getattr(estimator, name)
        setattr(estimator, name, settled)
        sentence = f"{name} is {settled!r}, as the network has it, and cannot be set to {value!r}"
        with pytest.raises(ValueError, match=re.escape(sentence)):
            setattr(estimator, name, value)
