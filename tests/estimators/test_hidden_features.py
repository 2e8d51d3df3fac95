"""The hidden layers: their values, and `HiddenFeatures`, which passes them on in a Pipeline."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from sklearn_mlp import (
    BatchedGridSearchCV,
    HiddenFeatures,
    TorchMLPClassifier,
    TorchMLPRegressor,
)

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
    logits = estimator.hidden_activations(X) @ estimator.coefs_[-1] + estimator.intercepts_[-1]
    assert_array_equal(logits.argmax(1), estimator.predict(X))


def test_forms_and_types_of_samples(make_regressor, diabetes):
    X, y = diabetes
    features = HiddenFeatures(make_regressor()).fit(X.astype(np.float32), y)
    expected = features.transform(X)
    assert expected.dtype == np.float64
    assert features.transform(X.astype(np.float32)).dtype == np.float32
    for form in (scipy.sparse.csr_array(X), scipy.sparse.csc_array(X), torch.tensor(X)):
        # Computed in float32, by products of other kinds.
        assert_allclose(features.transform(form), expected, rtol=1e-4, atol=1e-5)


def test_it_leaves_the_network_as_it_is(make_classifier, iris):
    X, y = iris
    estimator = make_classifier(hidden_layer_sizes=(6, 5)).fit(X, y)
    before = estimator.predict_proba(X)
    estimator.hidden_activations(X, 0)
    assert_array_equal(estimator.predict_proba(X), before)
    assert len(estimator.module_.layers) == 3


def test_names_and_frames(make_classifier, iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd"))
    features = HiddenFeatures(make_classifier(hidden_layer_sizes=(6, 3))).fit(frame, y)
    names = [f"hiddenfeatures{unit}" for unit in range(3)]
    assert list(features.get_feature_names_out()) == names
    assert list(features.feature_names_in_) == list("abcd")
    assert features.n_features_in_ == 4
    table = features.set_output(transform="pandas").transform(frame)
    assert list(table.columns) == names
    assert_array_equal(table, features.set_output(transform="default").transform(frame))
    assert len(features.set_params(layer=0).get_feature_names_out()) == 6
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        features.transform(X)


def test_a_network_feeds_another_model(make_classifier, make_regressor, iris, diabetes):
    X, y = iris
    pipeline = make_pipeline(HiddenFeatures(make_classifier(max_iter=30)), LogisticRegression())
    grid = {"hiddenfeatures__estimator__hidden_layer_sizes": [(4,), (8, 4)]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    assert search.score(X, y) > 0.9
    fitted = search.best_estimator_[0].estimator_
    assert search.best_estimator_[1].coef_.shape[1] == fitted.hidden_layer_sizes[-1]
    # Its end can be a network as well, under a search that stacks the ends.
    ended = make_pipeline(HiddenFeatures(make_regressor(), layer=0), make_regressor())
    grid = {"hiddenfeatures__layer": [0, -1], "torchmlpregressor__alpha": [0.1, 1.0]}
    batched = BatchedGridSearchCV(ended, grid, cv=2).fit(*diabetes)
    assert batched.best_estimator_[-1].n_features_in_ == 8
    scores = GridSearchCV(ended, grid, cv=2).fit(*diabetes).cv_results_["mean_test_score"]
    assert_allclose(batched.cv_results_["mean_test_score"], scores, atol=1e-5)


def test_the_values_are_the_estimators_own(make_classifier, make_regressor, iris, diabetes):
    for make, (X, y) in ((make_classifier, iris), (make_regressor, diabetes)):
        estimator = make(hidden_layer_sizes=(6, 5))
        for layer in (0, -1):
            features = HiddenFeatures(estimator, layer=layer)
            got = features.fit_transform(X, y)
            assert_array_equal(got, clone(estimator).fit(X, y).hidden_activations(X, layer))
            assert_array_equal(pickle.loads(pickle.dumps(features)).transform(X), got)
            assert_array_equal(clone(features).fit(X, y).transform(X), got)
        assert not hasattr(estimator, "module_")
        assert "HiddenFeatures" in features._repr_html_()


def test_a_fitted_estimator_is_frozen(make_classifier, iris):
    X, y = iris
    fitted = make_classifier(hidden_layer_sizes=(6, 3)).fit(X, y)
    features = HiddenFeatures(FrozenEstimator(fitted))
    pipeline = make_pipeline(features, LogisticRegression()).fit(X, y != 0)
    assert pipeline[0].estimator_.estimator is fitted
    assert_array_equal(pipeline[0].transform(X), fitted.hidden_activations(X))
    assert len(pipeline[:-1].get_feature_names_out()) == 3
    assert clone(pipeline).fit(X, y)[0].transform(X).shape == (150, 3)
    assert not hasattr(features, "partial_fit")
    with pytest.raises(NotFittedError):
        HiddenFeatures(FrozenEstimator(make_classifier())).fit(X, y)


def test_one_epoch_after_another(make_classifier, iris):
    X, y = iris
    features, alone = HiddenFeatures(make_classifier()), make_classifier()
    for _ in range(3):
        features.partial_fit(X, y, classes=[0, 1, 2])
        alone.partial_fit(X, y, classes=[0, 1, 2])
    assert_array_equal(features.transform(X), alone.hidden_activations(X))
    fitted = features.estimator_
    assert features.partial_fit(X, y).estimator_ is fitted
    assert features.fit(X, y).estimator_ is not fitted
    assert not hasattr(HiddenFeatures(TorchMLPClassifier(solver="lbfgs")), "partial_fit")


def test_a_fit_that_fails_changes_nothing(make_classifier, iris):
    X, y = iris
    features = HiddenFeatures(make_classifier())
    with pytest.raises(ValueError, match="NaN"):
        features.fit(np.full_like(X, np.nan), y)
    with pytest.raises(ValueError, match="classes must be passed"):
        features.partial_fit(X, y)
    assert not hasattr(features, "estimator_")
    before = features.fit(X, y).transform(X)
    with pytest.raises(ValueError, match="NaN"):
        features.fit(np.full_like(X, np.nan), y)
    assert_array_equal(features.transform(X), before)


def test_sample_weights_are_passed_on_and_routed(make_classifier, iris):
    X, y = iris
    weight = 0.5 + np.arange(len(y)) % 3
    expected = make_classifier().fit(X, y, sample_weight=weight).hidden_activations(X)
    features = HiddenFeatures(make_classifier())
    assert_array_equal(features.fit(X, y, sample_weight=weight).transform(X), expected)
    pipeline = make_pipeline(features, LogisticRegression())
    pipeline.fit(X, y, hiddenfeatures__sample_weight=weight)
    assert_array_equal(pipeline[0].transform(X), expected)
    with config_context(enable_metadata_routing=True):
        asking = HiddenFeatures(make_classifier().set_fit_request(sample_weight=True))
        pipeline = make_pipeline(asking, LogisticRegression().set_fit_request(sample_weight=False))
        pipeline.fit(X, y, sample_weight=weight)
        assert_array_equal(pipeline[0].transform(X), expected)
        with pytest.raises(ValueError, match="sample_weight"):
            features.fit(X, y, sample_weight=weight)


INNER = {"hidden_layer_sizes": (5,), "max_iter": 10, "random_state": 0}


@pytest.mark.parametrize(
    "estimator",
    [
        TorchMLPRegressor(**INNER),
        TorchMLPClassifier(**INNER, solver="lbfgs"),
        TorchMLPClassifier(**INNER),
    ],
    ids=["regressor", "lbfgs", "classifier"],
)
def test_every_check_of_scikit_learns_passes(estimator):
    results = check_estimator(HiddenFeatures(estimator), on_fail=None, on_skip=None)
    failed = {one["check_name"]: str(one["exception"]) for one in results if one["exception"]}
    # An option that has to be installed.
    failed.pop("check_array_api_input")
    if is_classifier(estimator) and hasattr(estimator, "partial_fit"):
        # The check gives the classes to classifiers only.
        unmet = failed.pop("check_n_features_in_after_fitting")
        assert unmet == "classes must be passed on the first call to partial_fit."
    assert failed == {}


def test_a_network_is_no_transformer(make_classifier, make_regressor, iris):
    X, y = iris
    names = ("transform", "fit_transform", "get_feature_names_out", "set_output")
    for estimator in (make_classifier(), make_regressor()):
        for one in (estimator, estimator.fit(X, y)):
            assert [name for name in names if hasattr(one, name)] == []
    with pytest.raises(TypeError, match="should be transformers"):
        make_pipeline(make_classifier(), make_classifier()).fit(X, y)
    for search in (GridSearchCV, BatchedGridSearchCV):
        assert not hasattr(search(make_classifier(), {}).fit(X, y), "transform")


def test_what_there_is_not(make_classifier, iris):
    X, y = iris
    with pytest.raises(NotFittedError):
        make_classifier().hidden_activations(X)
    with pytest.raises(NotFittedError):
        HiddenFeatures(make_classifier()).transform(X)
    for attribute in ("n_features_in_", "feature_names_in_"):
        assert not hasattr(HiddenFeatures(make_classifier()), attribute)
    estimator = make_classifier(hidden_layer_sizes=(6, 5)).fit(X, y)
    for layer in (2, -3):
        message = f"layer={layer} is not among the network's 2 hidden layers, 0 to 1 or -2 to -1"
        with pytest.raises(ValueError, match=message):
            estimator.hidden_activations(X, layer)
        # Before anything is trained.
        with pytest.raises(ValueError, match=message):
            HiddenFeatures(clone(estimator).set_params(max_iter=10**9), layer=layer).fit(X, y)
    with pytest.raises(TypeError, match="float"):
        estimator.hidden_activations(X, 1.0)
    with pytest.raises(ValueError, match="The 'layer' parameter of HiddenFeatures"):
        HiddenFeatures(estimator, layer=1.0).fit(X, y)
    with pytest.raises(ValueError, match="The 'estimator' parameter of HiddenFeatures must be"):
        HiddenFeatures(MLPClassifier()).fit(X, y)
    linear = TorchMLPClassifier((), max_iter=3).fit(X, y)
    with pytest.raises(ValueError, match="not among the network's 0 hidden layers"):
        linear.hidden_activations(X)
    with pytest.raises(ValueError, match="not among the network's 0 hidden layers"):
        HiddenFeatures(linear).fit(X, y)


def test_layers_of_more_than_weights(make_classifier, iris):
    X, y = iris
    settings = {"normalization": "batch", "residual": True, "dropout": 0.3}
    estimator = make_classifier(hidden_layer_sizes=(6, 6), **settings).fit(X, y)
    seen = []
    last = estimator.module_.layers[-1]
    handle = last.register_forward_pre_hook(lambda _, inputs: seen.append(*inputs))
    estimator.module_(torch.tensor(X, dtype=estimator.dtype_))
    handle.remove()
    assert_allclose(estimator.hidden_activations(X), seen[0].detach(), rtol=1e-6)


def test_a_module_of_the_users_own_has_none(make_classifier, iris):
    X, y = iris
    estimator = make_classifier(module=lambda **sizes: torch.nn.Linear(4, 3)).fit(X, y)
    with pytest.raises(AttributeError, match="has no attribute 'hidden_activations'") as error:
        estimator.hidden_activations(X)
    assert "the hidden layers of module=" in str(error.value.__cause__)
    with pytest.raises(ValueError, match=r"must be an object implementing .*hidden_activations"):
        HiddenFeatures(estimator).fit(X, y)


@pytest.mark.parametrize("layer", [None, 0.0, "0", [0], np.array([0, 1]), torch.nn.ReLU])
def test_a_layer_that_is_no_number(iris, layer):
    X, y = iris
    clf = TorchMLPClassifier((4, 3), max_iter=2, tol=1e9, n_iter_no_change=1).fit(X, y)
    with pytest.raises(TypeError, match=r"layer must be a whole number, got "):
        clf.hidden_activations(X, layer=layer)
