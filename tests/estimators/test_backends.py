"""What each backend refuses: what it lacks, and parameters that are set twice."""

import numpy as np
import pytest

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor

X, Y = np.arange(60.0).reshape(20, 3) / 60, np.arange(20) % 2

TAKEN = {
    "module": "hidden_layer_sizes and activation",
    "module__units": "hidden_layer_sizes and activation",
    "criterion": "loss",
    "criterion__weight": "loss",
    "optimizer": "solver",
    "optimizer__momentum": "momentum",
    "lr": "learning_rate_init",
    "max_epochs": "max_iter",
    "batch_size": "batch_size",
    "iterator_train__batch_size": "batch_size",
    "iterator_train__shuffle": "shuffle",
    "train_split": "early_stopping and validation_fraction",
    "predict_nonlinearity": "loss",
    "classes": "classes",
    "warm_start": "warm_start",
    "verbose": "verbose",
    "device": "device",
}


@pytest.mark.parametrize("Estimator", [TorchMLPClassifier, TorchMLPRegressor])
@pytest.mark.parametrize(("key", "ours"), TAKEN.items())
def test_what_the_estimator_sets_itself_is_refused_with_its_name(Estimator, key, ours):
    estimator = Estimator(backend="skorch", backend_params={key: None})
    sentence = f"backend_params has '{key}', which the estimator sets itself; .*{ours}"
    with pytest.raises(ValueError, match=sentence):
        estimator.fit(X, Y)


@pytest.mark.parametrize(
    "key", ["iterator_train", "iterator_valid", "dataset", "iterator_train__sampler", "history_"]
)
def test_what_the_backend_has_to_set_is_refused(key):
    estimator = TorchMLPClassifier(backend="skorch", backend_params={key: None})
    with pytest.raises(ValueError, match=f"'{key}', which backend='skorch' has to set itself"):
        estimator.fit(X, Y)


@pytest.mark.parametrize("key", ["lambda1", "iterator_train_num_workers"])
def test_what_skorch_does_not_know_is_refused_by_skorch(key):
    estimator = TorchMLPClassifier(backend="skorch", backend_params={key: 1})
    with pytest.raises(ValueError, match=rf"unexpected argument(\(s\))? {key}"):
        estimator.fit(X, Y)


def test_the_native_backend_takes_no_parameters_of_its_own():
    estimator = TorchMLPClassifier(backend_params={"callbacks": []})
    sentence = r"backend_params=\{'callbacks': \[\]\} cannot be used with backend='torch'"
    with pytest.raises(ValueError, match=sentence):
        estimator.fit(X, Y)
    estimator.set_params(backend_params={}, max_iter=500, tol=1e-2).fit(X, Y)


@pytest.mark.parametrize("Estimator", [TorchMLPClassifier, TorchMLPRegressor])
def test_skorch_has_no_lbfgs(Estimator):
    estimator = Estimator(backend="skorch", solver="lbfgs")
    sentence = "solver='lbfgs' is not available with backend='skorch'.*use backend='torch'"
    with pytest.raises(ValueError, match=sentence):
        estimator.fit(X, Y)
    assert not hasattr(estimator, "module_")


def test_a_refusal_comes_before_anything_is_changed():
    estimator = TorchMLPClassifier(max_iter=500, tol=1e-2).fit(X, Y)
    before = estimator.predict_proba(X)
    estimator.set_params(backend="skorch", backend_params={"lr": 1.0})
    with pytest.raises(ValueError, match="learning_rate_init"):
        estimator.fit(X[:, :2], Y)
    np.testing.assert_array_equal(estimator.predict_proba(X), before)
