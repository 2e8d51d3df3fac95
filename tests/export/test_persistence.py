"""An estimator that was saved and loaded is the one that was not, to the last bit."""

import copy
import io
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from conftest import BACKENDS, SMALL
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_mlp import TorchMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def through_joblib(estimator):
    """Save and load with joblib."""
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


WAYS = {
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
    "oldest pickle": lambda estimator: pickle.loads(pickle.dumps(estimator, protocol=2)),
    "joblib": through_joblib,
    "deepcopy": copy.deepcopy,
}


@pytest.fixture(params=WAYS.values(), ids=WAYS.keys())
def save_and_load(request):
    """The ways to save an estimator and load it again."""
    return request.param


def assert_same(one, other, X):
    """Compare two fitted estimators to the last bit."""
    assert_array_equal(one.predict(X), other.predict(X))
    for name in ("coefs_", "intercepts_"):
        for mine, theirs in zip(getattr(one, name), getattr(other, name), strict=True):
            assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
    for name in ("n_iter_", "t_", "loss_", "out_activation_", "device_", "dtype_"):
        assert getattr(one, name) == getattr(other, name)
    assert one.history_.equals(other.history_)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loaded_estimator_is_the_same(
    make_regressor, diabetes, save_and_load, solver, early_stopping, dtype
):
    X, y = diabetes
    estimator = make_regressor(solver=solver, early_stopping=early_stopping, dtype=dtype)
    estimator.fit(X, y)
    loaded = save_and_load(estimator)
    assert_same(loaded, estimator, X)
    assert loaded.get_params() == estimator.get_params()
    if solver != "lbfgs":
        assert loaded.loss_curve_ == estimator.loss_curve_
        assert loaded.validation_scores_ == estimator.validation_scores_
    assert not loaded.module_.training
    assert loaded.score(X, y) == estimator.score(X, y)


def test_a_loaded_classifier_knows_its_classes(make_classifier, iris, save_and_load):
    X, codes = iris
    y = np.array(["setosa", "versicolor", "virginica"], dtype=object)[codes]
    estimator = make_classifier().fit(X, y)
    loaded = save_and_load(estimator)
    assert_same(loaded, estimator, X)
    assert_array_equal(loaded.classes_, estimator.classes_)
    assert_array_equal(loaded.predict_proba(X), estimator.predict_proba(X))


@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_goes_on_as_if_never_saved(
    make_classifier, digits, save_and_load, solver, learning_rate
):
    X, y = (part[:100] for part in digits)
    # A tolerance that is never met makes the adaptive schedule divide in every third epoch.
    estimator = make_classifier(
        solver=solver, learning_rate=learning_rate, tol=10.0, n_iter_no_change=1, batch_size=32
    )
    for _ in range(4):
        estimator.partial_fit(X, y, classes=np.arange(10))
    loaded = save_and_load(estimator)
    for _ in range(4):
        estimator.partial_fit(X, y)
        loaded.partial_fit(X, y)
    columns = ["loss", "learning_rate"]
    assert loaded.history_[columns].equals(estimator.history_[columns])
    assert_array_equal(loaded.predict_proba(X), estimator.predict_proba(X))
    assert loaded.t_ == estimator.t_ == 8 * len(X)
    if learning_rate != "constant" and solver == "sgd":
        assert estimator.history_["learning_rate"].nunique() > 2


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_warm_start_goes_on_as_if_never_saved(
    make_regressor, diabetes, save_and_load, solver, early_stopping
):
    X, y = diabetes
    estimator = make_regressor(solver=solver, early_stopping=early_stopping, warm_start=True)
    loaded = save_and_load(estimator.fit(X, y))
    estimator.fit(X, y)
    loaded.fit(X, y)
    assert_array_equal(loaded.predict(X), estimator.predict(X))
    assert list(loaded.history_["loss"]) == list(estimator.history_["loss"])


def test_partial_fit_after_fit_goes_on_as_if_never_saved(make_regressor, diabetes, save_and_load):
    X, y = diabetes
    estimator = make_regressor(loss="poisson").fit(X, np.exp(y))
    loaded = save_and_load(estimator)
    assert_array_equal(
        loaded.partial_fit(X, np.exp(y)).predict(X),
        estimator.partial_fit(X, np.exp(y)).predict(X),
    )


def test_a_copy_shares_nothing_with_the_original(make_regressor, diabetes, save_and_load):
    X, y = diabetes
    estimator = make_regressor(dtype="float64").fit(X, y)
    before, loss_curve = estimator.predict(X), estimator.loss_curve_[:]
    loaded = save_and_load(estimator)
    loaded.coefs_[0][...] = 0
    loaded.partial_fit(X, y)
    assert_array_equal(estimator.predict(X), before)
    assert estimator.loss_curve_ == loss_curve
    assert len(loaded.loss_curve_) == len(loss_curve) + 1


def test_assigned_weights_are_saved(make_regressor, diabetes, save_and_load):
    X, y = diabetes
    estimator = make_regressor().fit(X, y)
    estimator.intercepts_[-1] = [7.0]
    estimator.coefs_[-1] = np.zeros((8, 1))
    assert_array_equal(save_and_load(estimator).predict(X), np.full(len(X), 7.0))


def test_an_unfitted_estimator_survives(make_classifier, iris, save_and_load):
    loaded = save_and_load(make_classifier(alpha=0.5))
    assert loaded.alpha == 0.5
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        loaded.predict(iris[0])
    loaded.fit(*iris)


def test_a_clone_is_unfitted_and_fits_the_same(make_classifier, iris):
    X, y = iris
    estimator = make_classifier(activation="tanh").fit(X, y)
    copied = clone(estimator)
    assert copied.get_params() == estimator.get_params()
    assert not hasattr(copied, "module_")
    assert_array_equal(copied.fit(X, y).predict_proba(X), estimator.predict_proba(X))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("parameters", "factor"),
    [
        ({"solver": "lbfgs"}, 1.2),
        ({"solver": "adam", "early_stopping": True}, 1.2),
        ({"solver": "sgd", "early_stopping": True}, 1.2),
        ({"solver": "sgd"}, 3.2),
        ({"solver": "adam"}, 3.2),
    ],
    ids=str,
)
def test_the_size_of_a_pickle(make_classifier, digits, parameters, factor, dtype):
    X, y = digits
    estimator = make_classifier(hidden_layer_sizes=(300, 300), max_iter=2, dtype=dtype)
    estimator.set_params(**parameters).fit(X, y)
    weights = sum(tensor.nbytes for tensor in estimator.module_.state_dict().values())
    assert len(pickle.dumps(estimator)) <= factor * weights + 64 * 1024
    file = io.BytesIO()
    joblib.dump(estimator, file)
    assert file.tell() <= factor * weights + 64 * 1024


def test_a_pickle_does_not_grow_with_the_data(make_classifier, digits):
    X, y = digits
    sizes = [
        len(pickle.dumps(make_classifier(dtype="float32").fit(np.tile(X, (n, 1)), np.tile(y, n))))
        for n in (1, 10)
    ]
    # Up to an integer that needs a byte more.
    assert abs(sizes[1] - sizes[0]) < 64


def test_a_device_that_is_not_there_becomes_the_cpu(make_classifier, digits, save_and_load):
    X, y = digits
    estimator = make_classifier(device="cpu").fit(X, y)
    expected = estimator.predict_proba(X)
    going_on = copy.deepcopy(estimator).partial_fit(X, y).predict_proba(X)
    # As if it had been fitted on another machine.
    estimator.device_ = torch.device("cuda:7")
    loaded = save_and_load(estimator)
    assert loaded.device_ == torch.device("cpu")
    assert_array_equal(loaded.predict_proba(X), expected)
    assert_array_equal(loaded.partial_fit(X, y).predict_proba(X), going_on)


def test_a_device_asked_for_that_is_not_there_still_predicts(make_classifier, iris):
    X, y = iris
    estimator = make_classifier(device="cpu").fit(X, y)
    estimator.set_params(device="cuda:7").device_ = torch.device("cuda:7")
    loaded = pickle.loads(pickle.dumps(estimator))
    assert loaded.device == "cuda:7"
    assert loaded.score(X, y) == estimator.score(X, y)
    with pytest.raises(ValueError, match="device='cuda:7' is not available on this machine"):
        loaded.fit(X, y)


LOAD_AND_GO_ON = """
import sys
import joblib

estimators, X, y = joblib.load(sys.argv[1])
before = [estimator.predict_proba(X) for estimator in estimators]
after = [estimator.partial_fit(X, y).predict_proba(X) for estimator in estimators]
joblib.dump((before, after), sys.argv[1])
"""


def test_another_process_goes_on(digits, tmp_path):
    X, y = digits
    settings = {**SMALL, "dtype": "float64", "device": "cpu"}
    estimators = [TorchMLPClassifier(**settings, backend=one).fit(X, y) for one in BACKENDS]
    path = tmp_path / "estimators.joblib"
    joblib.dump((estimators, X, y), path)
    subprocess.run([sys.executable, "-c", LOAD_AND_GO_ON, path], check=True, timeout=120)
    for estimator, before, after in zip(estimators, *joblib.load(path), strict=True):
        # Not to the last bit: the processes may differ in their number of threads.
        assert_allclose(before, estimator.predict_proba(X), rtol=1e-12)
        assert_allclose(after, estimator.partial_fit(X, y).predict_proba(X), rtol=1e-12)
