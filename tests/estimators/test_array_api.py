"""Under scikit-learn's array API dispatch tensors in give tensors out."""

import pickle

import numpy as np
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_multilabel_classification
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PREDICTING = ["predict", "predict_proba", "predict_log_proba", "hidden_activations"]


@pytest.fixture(autouse=True)
def scipy_too(monkeypatch):
    """scikit-learn demands that SciPy be told as well; what is tested here does not use it."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")


def methods(estimator):
    """The methods of an estimator that take samples alone."""
    return [getattr(estimator, name) for name in PREDICTING if hasattr(estimator, name)]


def test_tensors_in_tensors_out(make_classifier, make_regressor, iris, breast_cancer, diabetes):
    cases = [(make_classifier, iris), (make_classifier, breast_cancer), (make_regressor, diabetes)]
    for make, (X, y) in cases:
        samples, targets = torch.tensor(X), torch.tensor(y)
        with config_context(array_api_dispatch=True):
            estimator = make().fit(samples, targets)
            tensors = [method(samples) for method in methods(estimator)]
            arrays = [method(X) for method in methods(estimator)]
            score = estimator.score(samples, targets)
        alone = make().fit(samples, targets)
        expected = [method(samples) for method in methods(alone)]
        for tensor, array, alike in zip(tensors, arrays, expected, strict=True):
            assert isinstance(tensor, torch.Tensor)
            assert tensor.device == samples.device
            assert not tensor.is_inference()
            assert type(array) is type(alike) is np.ndarray
            assert_array_equal(tensor.numpy(), alike)
            assert tensor.numpy().dtype == alike.dtype
        assert float(score) == pytest.approx(alone.score(X, y), rel=1e-6)


def test_labels_that_no_tensor_can_hold(make_classifier, iris):
    X, y = iris
    with config_context(array_api_dispatch=True):
        estimator = make_classifier().fit(X, np.array(["a", "b", "c"])[y])
        predicted = estimator.predict(torch.tensor(X))
        assert isinstance(predicted, np.ndarray)
        assert set(predicted) <= set("abc")
        assert isinstance(estimator.predict_proba(torch.tensor(X)), torch.Tensor)


def test_watching_on_tensors(make_classifier, iris):
    X, y = (torch.tensor(part) for part in iris)
    settings = {"early_stopping": True, "scoring": "accuracy"}
    with config_context(array_api_dispatch=True):
        estimator = make_classifier(**settings).fit(X, y, X_val=X, y_val=y)
    assert (
        estimator.validation_scores_
        == make_classifier(**settings).fit(X, y, X_val=X, y_val=y).validation_scores_
    )


def test_sparse_labels_stay_on_the_host_under_array_api_dispatch(make_classifier):
    X, y = make_multilabel_classification(90, 6, n_classes=3, random_state=0)
    estimator = make_classifier(device="cpu").fit(X, scipy.sparse.csr_matrix(y))
    with config_context(array_api_dispatch=True):
        predicted = estimator.predict(torch.tensor(X))
    assert (predicted != estimator.predict(X)).nnz == 0


def test_classes_are_of_the_kind_of_the_labels(make_classifier, iris):
    X, y = (torch.tensor(part) for part in iris)
    flags = torch.stack([y > 0, y > 1], dim=1).int()
    columns = torch.stack([y, y + 3], dim=1)
    with config_context(array_api_dispatch=True):
        estimator = make_classifier().fit(X, y)
        assert isinstance(estimator.classes_, torch.Tensor)
        assert torch.equal(estimator.classes_, torch.arange(3))
        # Its own: what becomes of it does not change what is predicted.
        estimator.classes_ += 7
        assert set(estimator.predict(X).tolist()) <= {0, 1, 2}
        streamed = make_classifier().partial_fit(X, y, classes=torch.arange(3))
        assert torch.equal(streamed.partial_fit(X, y).classes_, torch.arange(3))
        assert isinstance(make_classifier().fit(X, flags).classes_, torch.Tensor)
        several = make_classifier().fit(X, columns)
        assert [classes.tolist() for classes in several.classes_] == [[0, 1, 2], [3, 4, 5]]
        assert all(isinstance(classes, torch.Tensor) for classes in several.classes_)
        copied = pickle.loads(pickle.dumps(several))
        assert all(isinstance(classes, np.ndarray) for classes in copied.classes_)
        assert isinstance(make_classifier().fit(X, y.numpy()).classes_, np.ndarray)
        names = make_classifier().fit(X, np.array(["a", "b", "c"])[y])
        assert isinstance(names.classes_, np.ndarray)
    assert isinstance(make_classifier().fit(X, y).classes_, np.ndarray)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_predictions_of_folds(make_classifier, breast_cancer, method):
    X, y = breast_cancer
    settings = {"cv": KFold(3), "method": method}
    alone = cross_val_predict(make_classifier(), X, y, **settings)
    with config_context(array_api_dispatch=True):
        predicted = cross_val_predict(
            make_classifier(), torch.tensor(X), torch.tensor(y), **settings
        )
    assert isinstance(predicted, torch.Tensor)
    assert_array_equal(predicted.numpy(), alone)


def test_searches_and_calibration_of_tensors(make_classifier, breast_cancer):
    X, y = breast_cancer
    samples, targets = torch.tensor(X), torch.tensor(y)
    search = GridSearchCV(make_classifier(), {"alpha": [0, 1]}, cv=KFold(2))
    with config_context(array_api_dispatch=True):
        search.fit(samples, targets)
        assert isinstance(search.predict(samples), torch.Tensor)
        calibrated = CalibratedClassifierCV(
            make_classifier(), method="temperature", cv=KFold(2), ensemble=False
        ).fit(samples.float(), targets)
        assert isinstance(calibrated.predict_proba(samples.float()), torch.Tensor)
