"""The hidden layers as features: values, names, and a network inside a Pipeline."""

import numpy as np
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_mlp import TorchMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_activations_by_hand(make_classifier, iris, activation):
    X, y = iris
    sizes = {"hidden_layer_sizes": (6, 5, 4), "activation": activation, "dtype": "float64"}
    estimator = make_classifier(**sizes).fit(X, y)
    function = {
        "relu": lambda values: np.maximum(values, 0),
        "tanh": np.tanh,
        "logistic": lambda values: 1 / (1 + np.exp(-values)),
        "identity": lambda values: values,
    }[activation]
    expected = X
    for layer in range(3):
        expected = function(expected @ estimator.coefs_[layer] + estimator.intercepts_[layer])
        assert_allclose(estimator.hidden_activations(X, layer), expected, rtol=1e-12, atol=1e-14)
        assert_array_equal(
            estimator.hidden_activations(X, layer), estimator.hidden_activations(X, layer - 3)
        )
    assert_array_equal(estimator.transform(X), estimator.hidden_activations(X))
    logits = estimator.transform(X) @ estimator.coefs_[-1] + estimator.intercepts_[-1]
    assert_array_equal(logits.argmax(1), estimator.predict(X))


def test_forms_and_types_of_samples(make_regressor, diabetes):
    X, y = diabetes
    estimator = make_regressor().fit(X.astype(np.float32), y)
    expected = estimator.transform(X)
    assert expected.dtype == np.float64
    assert estimator.transform(X.astype(np.float32)).dtype == np.float32
    for form in (scipy.sparse.csr_array(X), scipy.sparse.csc_array(X), torch.tensor(X)):
        # Computed in float32, by products of other kinds.
        assert_allclose(estimator.transform(form), expected, rtol=1e-4, atol=1e-5)


def test_it_leaves_the_network_as_it_is(make_classifier, iris):
    X, y = iris
    estimator = make_classifier(hidden_layer_sizes=(6, 5)).fit(X, y)
    before = estimator.predict_proba(X)
    estimator.hidden_activations(X, 0)
    assert_array_equal(estimator.predict_proba(X), before)
    assert len(estimator.module_.layers) == 3


def test_names_and_frames(make_classifier, iris):
    X, y = iris
    estimator = make_classifier(hidden_layer_sizes=(6, 3)).fit(X, y)
    names = [f"torchmlpclassifier{unit}" for unit in range(3)]
    assert list(estimator.get_feature_names_out()) == names
    frame = estimator.set_output(transform="pandas").transform(X)
    assert list(frame.columns) == names
    assert_array_equal(frame, estimator.set_output(transform="default").transform(X))


def test_a_network_feeds_another_model(make_classifier, make_regressor, iris, diabetes):
    X, y = iris
    pipeline = make_pipeline(make_classifier(max_iter=30), LogisticRegression())
    grid = {"torchmlpclassifier__hidden_layer_sizes": [(4,), (8, 4)]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    assert search.score(X, y) > 0.9
    fitted = search.best_estimator_[0]
    assert search.best_estimator_[1].coef_.shape[1] == fitted.hidden_layer_sizes[-1]
    # Its end can be a network as well, which goes on to predict.
    ended = make_pipeline(make_regressor(), make_regressor()).fit(*diabetes)
    assert ended.predict(diabetes[0]).shape == (442,)
    assert ended.transform(diabetes[0]).shape == (442, 8)


def test_what_there_is_not(make_classifier, iris):
    X, y = iris
    with pytest.raises(NotFittedError):
        make_classifier().transform(X)
    estimator = make_classifier(hidden_layer_sizes=(6, 5)).fit(X, y)
    for layer in (2, -3):
        message = f"layer={layer} is not among the network's 2 hidden layers, 0 to 1 or -2 to -1"
        with pytest.raises(ValueError, match=message):
            estimator.hidden_activations(X, layer)
    with pytest.raises(TypeError, match="float"):
        estimator.hidden_activations(X, 1.0)
    linear = TorchMLPClassifier((), max_iter=3).fit(X, y)
    with pytest.raises(ValueError, match="not among the network's 0 hidden layers"):
        linear.transform(X)


def test_layers_of_more_than_weights(make_classifier, iris):
    X, y = iris
    settings = {"normalization": "batch", "residual": True, "dropout": 0.3}
    estimator = make_classifier(hidden_layer_sizes=(6, 6), **settings).fit(X, y)
    seen = []
    last = estimator.module_.layers[-1]
    handle = last.register_forward_pre_hook(lambda _, inputs: seen.append(*inputs))
    estimator.module_(torch.tensor(X, dtype=estimator.dtype_))
    handle.remove()
    assert_allclose(estimator.transform(X), seen[0].detach(), rtol=1e-6)


def test_a_module_of_the_users_own_has_none(make_classifier, iris):
    X, y = iris
    estimator = make_classifier(module=lambda **sizes: torch.nn.Linear(4, 3)).fit(X, y)
    for method in ("transform", "fit_transform", "hidden_activations", "get_feature_names_out"):
        assert not hasattr(estimator, method)
        with pytest.raises(AttributeError, match=f"has no attribute '{method}'") as error:
            getattr(estimator, method)
        assert "the hidden layers of module=" in str(error.value.__cause__)
