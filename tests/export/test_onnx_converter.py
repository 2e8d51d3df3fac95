"""Pipelines converted whole by skl2onnx, and run by onnxruntime: within 1e-6 of themselves."""

import numpy as np
import pandas as pd
import pytest
import skl2onnx
from numpy.testing import assert_allclose, assert_array_equal
from skl2onnx.common import data_types
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, scale
from test_onnx import WORDS, own_module, run_inputs

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor, register_onnx

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 1, "device": "cpu"}


@pytest.fixture(autouse=True)
def registered():
    register_onnx()


def iris(dtype=np.float32):
    X, y = load_iris(return_X_y=True)
    return X.astype(dtype), y


def convert(model, X, **options):
    return skl2onnx.to_onnx(model, X[:1], options={"zipmap": False, **options})


def test_a_pipeline_with_imputer_scaler_and_encoder():
    X, y = iris()
    X[::7, 1] = np.nan
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    frame["kind"] = np.array(["x", "y", "z"])[np.arange(len(X)) % 3]
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = make_column_transformer(
        (numbers, ["a", "b", "c", "d"]),
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), ["kind"]),
    )
    model = make_pipeline(columns, TorchMLPClassifier(**SMALL, normalization="batch"))
    model.fit(frame, WORDS[y])
    types = [(name, data_types.FloatTensorType([None, 1])) for name in "abcd"]
    types.append(("kind", data_types.StringTensorType([None, 1])))
    converted = skl2onnx.to_onnx(model, initial_types=types, options={"zipmap": False})
    for rows in (frame, frame[:1]):
        inputs = {name: rows[[name]].to_numpy() for name in rows}
        inputs["kind"] = inputs["kind"].astype(object)
        found = run_inputs(converted, inputs)
        assert_allclose(found["probabilities"], model.predict_proba(rows), atol=1e-6, rtol=0)
        assert_array_equal(found["label"], model.predict(rows))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("network", ["float32", "float64"])
def test_types_of_samples_and_networks(network, dtype):
    X, y = iris(dtype)
    model = make_pipeline(StandardScaler(), TorchMLPClassifier(**SMALL, dtype=network)).fit(X, y)
    found = run_inputs(convert(model, X), {"X": X})
    assert found["probabilities"].dtype == dtype
    atol = 1e-12 if network == "float64" and dtype == np.float64 else 1e-6
    assert_allclose(found["probabilities"], model.predict_proba(X), atol=atol, rtol=0)
    assert_array_equal(found["label"], model.predict(X))


def test_integers():
    X, y = load_iris(return_X_y=True)
    X = (10 * X).astype(np.int64)
    model = TorchMLPClassifier(**SMALL).fit(X, y > 0)
    found = run_inputs(convert(model, X), {"X": X})
    assert_allclose(found["probabilities"], model.predict_proba(X), atol=1e-6, rtol=0)
    assert_array_equal(found["label"], model.predict(X).astype(int))


def test_two_networks_in_one_model_and_a_search():
    X, y = iris()
    search = GridSearchCV(TorchMLPClassifier(**SMALL), {"alpha": [0.1]}, cv=2)
    model = make_pipeline(StandardScaler(), search).fit(X, WORDS[y])
    found = run_inputs(convert(model, X), {"X": X})
    assert_allclose(found["probabilities"], model.predict_proba(X), atol=1e-6, rtol=0)


def test_options_of_skl2onnx():
    X, y = iris()
    clf = TorchMLPClassifier(**SMALL).fit(X, WORDS[y])
    expected = clf.predict_proba(X)
    mapped = run_inputs(skl2onnx.to_onnx(clf, X[:1]), {"X": X})["output_probability"]
    assert_allclose([row["setosa"] for row in mapped], expected[:, 0], atol=1e-6)
    columns = run_inputs(convert(clf, X, zipmap="columns"), {"X": X})
    assert_allclose(columns["ssetosa"], expected[:, 0], atol=1e-6)
    found = run_inputs(convert(clf, X, nocl=True), {"X": X})
    assert_array_equal(found["label"], expected.argmax(1))
    found = run_inputs(convert(clf, X, output_class_labels=True), {"X": X})
    assert_array_equal(found["class_labels"], clf.classes_)


def test_what_becomes_scikit_learns_own_is_converted_without_being_registered():
    X, y = iris()
    clf = TorchMLPClassifier(**SMALL, dtype="float32").fit(X, WORDS[y])
    found = run_inputs(convert(clf.to_sklearn(), X), {"X": X})
    assert_allclose(found["probabilities"], clf.predict_proba(X), atol=1e-6, rtol=0)
    assert_array_equal(found["label"], clf.predict(X))


def test_multilabel():
    X, y = make_multilabel_classification(60, 6, n_classes=3, random_state=3)
    X = scale(X).astype(np.float32)
    clf = TorchMLPClassifier(**SMALL).fit(X, y)
    found = run_inputs(convert(clf, X), {"X": X})
    assert_allclose(found["probabilities"], clf.predict_proba(X), atol=1e-6, rtol=0)
    assert_array_equal(found["label"], clf.predict(X))


@pytest.mark.parametrize(
    "parameters",
    [
        {"scale_target": "standard"},
        {"loss": "poisson"},
        {"loss": "quantile", "quantile": [0.2, 0.8]},
        {"loss": "gaussian_nll", "scale_target": "standard"},
    ],
    ids=lambda parameters: parameters.get("loss", "scaled"),
)
@pytest.mark.parametrize("n_targets", [1, 2])
def test_regressors(n_targets, parameters):
    X, y = load_diabetes(return_X_y=True)
    X, y = (100 * X[:60]).astype(np.float32), y[:60] / 50
    y = y if n_targets == 1 else np.column_stack([y, 2 * y])
    model = make_pipeline(StandardScaler(), TorchMLPRegressor(**SMALL, **parameters)).fit(X, y)
    found = run_inputs(skl2onnx.to_onnx(model, X[:1]), {"X": X})["variable"]
    expected = model.predict(X)
    shape = (len(X), 1, *expected.shape[1:]) if n_targets == 1 else expected.shape
    assert_allclose(found, expected.reshape(shape), rtol=1e-5, atol=1e-5)


def test_what_is_refused():
    X, y = iris()
    with pytest.raises(ValueError, match="y had several columns of labels, for which skl2onnx"):
        convert(TorchMLPClassifier(**SMALL).fit(X, np.column_stack([y, y])), X)
    with pytest.raises(ValueError, match="user's own, OwnModule, which skl2onnx cannot be given"):
        convert(TorchMLPClassifier(**{**SMALL, **own_module()}).fit(X, y), X)
    clf = TorchMLPClassifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match="target_opset must be at least 17, got 15"):
        skl2onnx.to_onnx(clf, X[:1], target_opset=15)
    clf._codec = type(clf._codec)(np.array([0.5, 1, 2]), "multiclass")
    with pytest.raises(ValueError, match="classes_ must be strings or whole numbers"):
        convert(clf, X)
