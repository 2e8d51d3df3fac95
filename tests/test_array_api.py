"""Under scikit-learn's array API dispatch tensors in give tensors out."""

import numpy as np
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.datasets import make_multilabel_classification

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
