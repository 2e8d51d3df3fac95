"""What can be passed as X and y: all that scikit-learn takes, and torch tensors.

Equal means to 1e-9 in float64: another layout in memory changes the order of summation.
"""

import itertools
import pickle
import re

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import DataConversionWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.validation import validate_data

from sklearn_mlp.arrays.checks import validate_samples
from sklearn_mlp.arrays.tensors import as_tensor
from sklearn_mlp.data.sparse import SparseRows
from sklearn_mlp.estimators import backends

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CPU = torch.device("cpu")
EXACT = {"dtype": "float64", "device": "cpu"}
SPARSE = [
    scipy.sparse.csr_array,
    scipy.sparse.csr_matrix,
    scipy.sparse.csc_array,
    scipy.sparse.csc_matrix,
]
THEIRS = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}


def assert_same_fit(one, other, X):
    """Compare two classifiers fitted in float64."""
    assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-9)
    with torch.no_grad():
        outputs = [estimator.module_(torch.as_tensor(X).double()) for estimator in (one, other)]
    assert_allclose(outputs[0], outputs[1], rtol=1e-9, atol=1e-9)


@pytest.fixture
def given_to_training(monkeypatch, backend):
    """Collect what the backend is given to train on."""
    seen, train = [], backends.BACKENDS[backend]

    def spy(fits):
        seen.extend(fit.data for fit in fits)
        train(fits)

    monkeypatch.setitem(backends.BACKENDS, backend, spy)
    return seen


# Labels.


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes"]),
        np.array(["setosa", "versicolor", "virginica"]),
        np.array(["b", "a", "c"], dtype=object),
        np.array([5, 7]),
        np.array([-3, 0, 12], dtype=np.int32),
        np.array([3, 1, 2], dtype=np.uint8),
        np.array([1, 2**40, -(2**40)]),
        np.array([0.0, 1.0, 2.0], dtype=np.float32),
        np.array([False, True]),
        np.array([7]),
    ],
    ids=str,
)
def test_labels_come_back_as_they_went_in(make_classifier, iris, labels):
    X, codes = iris
    y = labels[codes % len(labels)]
    ours = make_classifier(**EXACT).fit(X, y)
    theirs = MLPClassifier(**THEIRS).fit(X, y)
    assert_array_equal(ours.classes_, theirs.classes_)
    assert ours.classes_.dtype == theirs.classes_.dtype
    assert ours.predict(X).dtype == theirs.predict(X).dtype
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.score(X, y) == theirs.score(X, y)


@pytest.mark.parametrize("dtype", ["category", "string", "object", "Int64", "boolean"])
def test_labels_in_a_series(make_classifier, iris, dtype):
    X, codes = iris
    labels = {"Int64": [1, 2, 3], "boolean": [True, False, True]}.get(dtype, ["one", "two", "3"])
    y = pd.Series(np.array(labels)[codes], dtype=dtype)
    ours = make_classifier(**EXACT).fit(X, y)
    theirs = MLPClassifier(**THEIRS).fit(X, y)
    assert_array_equal(ours.classes_, theirs.classes_)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.predict(X).dtype == theirs.predict(X).dtype


def test_labels_in_a_list(make_classifier, iris):
    X, y = iris
    one = make_classifier(**EXACT).fit(X.tolist(), y.tolist())
    assert_same_fit(one, make_classifier(**EXACT).fit(X, y), X)


@pytest.mark.parametrize(
    "make_y", [np.asarray, scipy.sparse.csr_array, pd.DataFrame, np.ndarray.tolist]
)
def test_multilabel(make_classifier, make_y):
    X, y = make_multilabel_classification(80, 10, n_classes=4, random_state=0)
    ours = make_classifier(**EXACT).fit(X, make_y(y))
    theirs = MLPClassifier(**THEIRS).fit(X, make_y(y))
    assert_array_equal(ours.classes_, theirs.classes_)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
    predicted, expected = ours.predict(X), theirs.predict(X)
    assert type(predicted) is type(expected)
    assert predicted.shape == y.shape
    assert predicted.dtype == expected.dtype
    if make_y is scipy.sparse.csr_array:
        predicted, expected = predicted.toarray(), expected.toarray()
    assert_array_equal(predicted, expected)


@pytest.mark.parametrize("n_outputs", [1, 2, 3])
def test_regression_targets(make_regressor, diabetes, n_outputs):
    X, y = diabetes
    y = y if n_outputs == 1 else np.column_stack([y, X[:, 0], X[:, 2]][:n_outputs])
    ours = make_regressor(**EXACT).fit(X, y)
    theirs = MLPRegressor(**THEIRS).fit(X, y)
    assert ours.predict(X).shape == y.shape
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int8, np.uint16, ">f8", object])
def test_types_of_regression_targets(make_regressor, diabetes, dtype):
    X, y = diabetes
    y = np.rint(10 + 5 * y)
    one = make_regressor(**EXACT).fit(X, y.astype(dtype))
    assert_allclose(one.predict(X), make_regressor(**EXACT).fit(X, y).predict(X), rtol=1e-9)


def test_a_column_of_targets_warns(make_classifier, make_regressor, iris, diabetes):
    sentence = "A column-vector y was passed when a 1d array was expected"
    for estimator, (X, y) in ((make_classifier(), iris), (make_regressor(), diabetes)):
        flat = estimator.fit(X, y).predict(X)
        for column in (y.reshape(-1, 1), pd.DataFrame({"target": y}), torch.tensor(y)[:, None]):
            with pytest.warns(DataConversionWarning, match=sentence):
                estimator.fit(X, column)
            assert_array_equal(estimator.predict(X), flat)


# DataFrames.


def test_feature_names_are_checked(make_classifier, iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    estimator = make_classifier(**EXACT).fit(frame, pd.Series(y))
    assert_array_equal(estimator.feature_names_in_, ["a", "b", "c", "d"])
    assert_same_fit(estimator, make_classifier(**EXACT).fit(X, y), X)
    with pytest.raises(ValueError, match="The feature names should match those that were passed"):
        estimator.predict(frame.rename(columns={"d": "e"}))
    with pytest.raises(ValueError, match="Feature names must be in the same order as they were"):
        estimator.predict_proba(frame[["d", "c", "b", "a"]])
    with pytest.raises(ValueError, match="The feature names should match those that were passed"):
        estimator.partial_fit(frame.rename(columns=str.upper), y)
    for nameless in (X, torch.tensor(X)):
        with pytest.warns(UserWarning, match="X does not have valid feature names, but TorchMLPC"):
            estimator.predict(nameless)


def test_names_without_a_fit_on_names(make_classifier, iris):
    X, y = iris
    estimator = make_classifier().fit(X, y)
    assert not hasattr(estimator, "feature_names_in_")
    with pytest.warns(UserWarning, match="X has feature names, but TorchMLPClassifier was fitted"):
        estimator.predict(pd.DataFrame(X, columns=["a", "b", "c", "d"]))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "Int64", "Float32", "bool"])
def test_types_of_frames(make_classifier, iris, dtype):
    X, y = iris
    values = X > 0 if dtype == "bool" else np.rint(10 * X)
    frame = pd.DataFrame(values, columns=["a", "b", "c", "d"]).astype(dtype)
    ours = make_classifier(**EXACT).fit(frame, y)
    theirs = MLPClassifier(**THEIRS).fit(frame, y)
    assert ours.predict_proba(frame).dtype == theirs.predict_proba(frame).dtype
    rtol = 1e-3 if "32" in dtype else 1e-9  # scikit-learn computes in float32 there
    assert_allclose(ours.predict_proba(frame), theirs.predict_proba(frame), rtol=rtol)


def test_a_frame_of_mixed_types(make_classifier, iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    frame = frame.astype({"a": "float32"}).assign(d=X[:, 3] > 0, e=np.arange(len(X)) % 3)
    ours = make_classifier(**EXACT).fit(frame, y)
    theirs = MLPClassifier(**THEIRS).fit(frame, y)
    assert_allclose(ours.predict_proba(frame), theirs.predict_proba(frame), rtol=1e-9)


# Arrays to predict.


@pytest.mark.parametrize(
    "X",
    [
        np.ones((3, 4)),
        np.ones((2, 4), dtype=np.float16, order="F"),
        np.full((3, 4), 3e307),
        np.ones((1, 4), dtype=bool),
        np.full((2, 4), 2**62),
    ],
    ids=lambda X: f"{X.dtype}-{X.shape}",
)
def test_an_array_to_predict_is_taken_as_it_is(make_classifier, iris, X):
    estimator = make_classifier().fit(*iris)
    assert validate_samples(estimator, X) is X
    assert validate_data(estimator, X, reset=False) is X


@pytest.mark.filterwarnings("ignore:invalid value encountered in reduce")
@pytest.mark.parametrize(
    "X",
    [
        np.ones((0, 4)),
        np.ones(4),
        np.ones((2, 3)),
        np.ones((2, 2, 4)),
        np.array([[1.0, np.nan, 2.0, 3.0]]),
        np.array([[np.inf, -np.inf, 0.0, 0.0]], dtype=np.float32),
        np.array([["a", "b", "c", "d"]]),
    ],
    ids=lambda X: f"{X.dtype}-{X.shape}",
)
def test_an_array_to_predict_is_refused_as_by_scikit_learn(make_classifier, iris, X):
    estimator = make_classifier().fit(*iris)
    with pytest.raises(ValueError, match=r"array|X") as theirs:
        validate_data(estimator, X, reset=False)
    with pytest.raises(ValueError, match=f"^{re.escape(str(theirs.value))}$"):
        validate_samples(estimator, X)


# Sparse samples.


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("make_X", SPARSE)
@pytest.mark.parametrize("share_kept", [1.0, 0.05])
def test_sparse_equals_dense(make_classifier, digits, make_X, solver, share_kept):
    X, y = digits
    # Of half the pixels that are not 0 in the first place; some rows and columns are empty.
    X = np.where(np.random.RandomState(0).uniform(size=X.shape) < share_kept, X, 0)
    parameters = {**EXACT, "solver": solver, "batch_size": 64}
    dense = make_classifier(**parameters).fit(X, y)
    sparse = make_classifier(**parameters).fit(make_X(X), y)
    rtol = 1e-7 if solver == "lbfgs" else 1e-9  # it divides by curvatures
    for samples in (X, make_X(X), make_X(X.astype(np.float32))):
        assert_allclose(sparse.predict_proba(samples), dense.predict_proba(X), rtol=rtol)


def test_sparse_with_early_stopping_and_weights(make_regressor, diabetes):
    X, y = diabetes
    X = np.where(X > 0.5, X, 0)
    weights = 1 + np.arange(len(X)) % 3
    estimator = make_regressor(**EXACT, early_stopping=True)
    dense = estimator.fit(X, y, sample_weight=weights).validation_scores_
    sparse = estimator.fit(scipy.sparse.csc_array(X), y, sample_weight=weights)
    assert_allclose(sparse.validation_scores_, dense, rtol=1e-9)


def test_sparse_integers_and_partial_fit(make_classifier, digits):
    X, y = digits
    X = np.rint(16 * X).astype(int)
    one = make_classifier(**EXACT).partial_fit(X, y, classes=range(10))
    two = make_classifier(**EXACT).partial_fit(scipy.sparse.csr_array(X), y, classes=range(10))
    assert_same_fit(one.partial_fit(X, y), two.partial_fit(scipy.sparse.csc_array(X), y), X)


@pytest.mark.parametrize("density", [0.01, 0.3])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("make_X", SPARSE)
def test_sparse_is_never_made_dense_as_a_whole(
    make_classifier, monkeypatch, make_X, solver, density
):
    n_samples = 5000
    dense_rows = []

    def watch(container, name):
        original = getattr(container, name)

        def make_dense(self, *args, **kwargs):
            dense_rows.append(self.shape[0])
            return original(self, *args, **kwargs)

        monkeypatch.setattr(container, name, make_dense)

    for container in SPARSE:
        watch(container, "toarray")
    watch(torch.Tensor, "to_dense")
    X = make_X(scipy.sparse.random_array((n_samples, 600), density=density, rng=0))
    y = np.arange(n_samples) % 3
    estimator = make_classifier(solver=solver, max_iter=1, early_stopping=True)
    estimator.fit(X, y).predict(X)
    assert max(dense_rows, default=0) < n_samples
    # The watch works.
    X.toarray()
    assert max(dense_rows) == n_samples


def test_other_sparse_formats_are_converted(make_classifier, digits):
    X, y = digits
    dense = make_classifier(**EXACT).fit(X, y)
    assert_same_fit(make_classifier(**EXACT).fit(scipy.sparse.coo_array(X), y), dense, X)


# Types of numbers.

GIVEN_TYPES = [np.float16, np.float32, np.float64, np.uint8, np.int16, np.int32, ">f4", bool]


@pytest.mark.parametrize("fitted", [np.float32, np.float64, np.int64, np.float16, bool])
@pytest.mark.parametrize("dtype", ["auto", "float64"])
def test_output_types_are_scikit_learns(make_classifier, make_regressor, digits, fitted, dtype):
    X, y = digits[0][:60] * 3, digits[1][:60]
    pairs = [
        (make_classifier(max_iter=1, dtype=dtype), MLPClassifier(**THEIRS)),
        (make_regressor(max_iter=1, dtype=dtype), MLPRegressor(**THEIRS)),
    ]
    for ours, theirs in pairs:
        for estimator in (ours, theirs.set_params(max_iter=1)):
            estimator.fit(X.astype(fitted), y)
        assert [coef.dtype for coef in ours.coefs_] == [coef.dtype for coef in theirs.coefs_]
        assert ours.intercepts_[0].dtype == theirs.intercepts_[0].dtype
        for given, method in itertools.product(
            GIVEN_TYPES, ("predict", "predict_proba", "predict_log_proba")
        ):
            if hasattr(theirs, method):
                expected = getattr(theirs, method)(X.astype(given))
                found = getattr(ours, method)(X.astype(given))
                assert found.dtype == expected.dtype, (given, method)
                if given != ">f4":
                    tensor = torch.tensor(X.astype(given))
                    found = getattr(ours, method)(tensor)
                    assert found.dtype == expected.dtype, (given, method)


@pytest.mark.parametrize(
    "dtype",
    [
        "f2",
        "f4",
        "f8",
        "g",
        ">f4",
        ">f8",
        "i1",
        "i2",
        "i4",
        "i8",
        ">i4",
        "u1",
        "u2",
        "u4",
        "u8",
        "?",
        "O",
    ],
)
def test_any_type_of_numbers(make_classifier, digits, dtype):
    X, y = digits
    X = (4 * X).astype(dtype)
    estimator = make_classifier(**EXACT).fit(X, y)
    as_float = X.astype(float)
    assert_same_fit(estimator, make_classifier(**EXACT).fit(as_float, y), as_float)
    assert_array_equal(estimator.predict(X), estimator.predict(as_float))


# Memory.


def layouts(X):
    """The same samples, laid out in memory in many ways."""
    read_only = X.copy()
    read_only.flags.writeable = False
    wide = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)
    return {
        "read-only": read_only,
        "columns first": np.asfortranarray(X),
        "every other": wide[::2, ::3],
        "backwards": X[::-1, ::-1].copy()[::-1, ::-1],
        "read-only and backwards": read_only[::-1].copy()[::-1],
        "broadcast": np.broadcast_to(X, (1, *X.shape))[0],
        "unaligned": np.frombuffer(b"x" + X.tobytes(), offset=1, dtype=X.dtype).reshape(X.shape),
    }


@pytest.mark.parametrize("layout", layouts(np.eye(2)))
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_any_layout_in_memory(make_classifier, digits, layout, dtype):
    X, y = digits
    X = np.rint(X * 16).astype(dtype)
    estimator = make_classifier(**EXACT).fit(X, y)
    laid_out = layouts(X)[layout]
    y.flags.writeable = False
    assert_same_fit(make_classifier(**EXACT).fit(laid_out, y), estimator, X)
    # Where X is float32 so are the probabilities.
    rtol = 1e-6 if dtype is np.float32 else 1e-9
    assert_allclose(estimator.predict_proba(laid_out), estimator.predict_proba(X), rtol=rtol)
    assert_array_equal(laid_out, X)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_memory_map_that_is_read_only(make_regressor, diabetes, tmp_path, solver):
    X, y = diabetes
    joblib.dump({"X": X, "y": y, "weights": np.abs(y)}, tmp_path / "data.joblib")
    data = joblib.load(tmp_path / "data.joblib", mmap_mode="r")
    assert not data["X"].flags.writeable
    mapped = make_regressor(**EXACT, solver=solver)
    mapped.fit(data["X"], data["y"], sample_weight=data["weights"])
    plain = make_regressor(**EXACT, solver=solver).fit(X, y, sample_weight=np.abs(y))
    assert_allclose(mapped.predict(data["X"]), plain.predict(X), rtol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    "make_X", [np.float32, np.float64, torch.tensor, scipy.sparse.csr_array, pd.DataFrame]
)
def test_what_is_passed_is_left_unchanged(
    make_regressor, diabetes, solver, early_stopping, make_X
):
    X, y = diabetes
    weights = np.abs(y)
    given = make_X(X), y.copy(), weights.copy()
    estimator = make_regressor(solver=solver, early_stopping=early_stopping, max_iter=2)
    estimator.fit(*given)
    estimator.predict(given[0])
    samples = given[0].toarray() if scipy.sparse.issparse(given[0]) else np.asarray(given[0])
    assert_array_equal(samples, np.asarray(make_X(X)) if make_X is np.float32 else X)
    assert_array_equal(given[1], y)
    assert_array_equal(given[2], weights)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_array_of_the_training_type_is_not_copied(
    make_classifier, digits, given_to_training, dtype
):
    X, y = digits
    for samples in (X.astype(dtype), layouts(X.astype(dtype))["read-only"]):
        make_classifier(dtype=np.dtype(dtype).name, device="cpu").fit(samples, y)
        assert np.shares_memory(given_to_training[-1].inputs.source.numpy(), samples)


def test_a_tensor_of_the_training_type_is_not_copied(make_classifier, digits, given_to_training):
    X, y = torch.tensor(digits[0], dtype=torch.float32), torch.tensor(digits[1])
    make_classifier(dtype="float32", device="cpu").fit(X, y)
    assert given_to_training[-1].inputs.source.data_ptr() == X.data_ptr()


def test_as_tensor_shares_memory_where_it_can(digits):
    X = digits[0].astype(np.float32)
    for samples in (X, X[::2], X[:, ::-1][:, ::-1], layouts(X)["read-only"], np.asfortranarray(X)):
        tensor = as_tensor(samples, torch.float32, CPU)
        assert np.shares_memory(tensor.numpy(), samples)
        assert_array_equal(tensor.numpy(), samples)
    converted = as_tensor(X, torch.float64, CPU)
    assert not np.shares_memory(converted.numpy(), X)
    assert_array_equal(converted.numpy(), X)


# Tensors.


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool]
)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_tensors_equal_arrays(make_classifier, digits, dtype, early_stopping):
    X, y = torch.tensor(4 * digits[0]).to(dtype), torch.tensor(digits[1])
    parameters = {**EXACT, "early_stopping": early_stopping}
    tensors = make_classifier(**parameters).fit(X, y, sample_weight=torch.ones(len(y)) * 2)
    arrays = make_classifier(**parameters).fit(
        X.numpy(), y.numpy(), sample_weight=y.numpy() * 0 + 2
    )
    assert_same_fit(tensors, arrays, X)
    assert tensors.predict_proba(X).dtype == arrays.predict_proba(X.numpy()).dtype
    assert tensors.coefs_[0].dtype == arrays.coefs_[0].dtype
    assert_array_equal(tensors.predict(X), arrays.predict(X.numpy()))
    assert tensors.score(X, y) == arrays.score(X.numpy(), y.numpy())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_tensors_of_half_precision(make_classifier, make_regressor, digits, dtype):
    X, y = torch.tensor(digits[0], dtype=dtype), torch.tensor(digits[1])
    half = make_classifier(**EXACT).fit(X, y)
    assert_same_fit(half, make_classifier(**EXACT).fit(X.double(), y), X.double())
    assert_allclose(half.predict_proba(X), half.predict_proba(X.double()), rtol=1e-6)
    regressor = make_regressor(**EXACT).fit(X, y.to(dtype), sample_weight=y.to(dtype))
    expected = make_regressor(**EXACT).fit(X.double(), y.double(), sample_weight=y)
    assert_allclose(regressor.predict(X.double()), expected.predict(X.double()), rtol=1e-9)


def test_tensors_that_require_grad(make_classifier, make_regressor, digits):
    X = torch.tensor(digits[0], requires_grad=True)
    y = torch.tensor(digits[1])
    estimator = make_classifier(**EXACT).fit(X, y)
    assert_same_fit(estimator, make_classifier(**EXACT).fit(X.detach(), y), X)
    make_regressor().fit(X, y.double().requires_grad_(), sample_weight=X[:, 20].exp())
    assert X.grad is None


def test_tensors_that_are_views(make_classifier, digits):
    X, y = torch.tensor(digits[0]), torch.tensor(digits[1])
    expected = make_classifier(**EXACT).fit(X, y)
    for view in (X.t().contiguous().t(), X.repeat(1, 2)[:, :64], X.expand(2, *X.shape)[1]):
        assert_same_fit(make_classifier(**EXACT).fit(view, y), expected, X)


def test_tensors_as_multilabel_and_multioutput_targets(make_classifier, make_regressor):
    X, y = make_multilabel_classification(80, 10, n_classes=4, random_state=0)
    tensors = torch.tensor(X), torch.tensor(y)
    classifier = make_classifier(**EXACT).fit(*tensors)
    assert_same_fit(classifier, make_classifier(**EXACT).fit(X, y), X)
    regressor = make_regressor(**EXACT).fit(*tensors)
    expected = make_regressor(**EXACT).fit(X, y).predict(X)
    assert_allclose(regressor.predict(tensors[0]), expected, rtol=1e-9)


def test_tensors_in_partial_fit(make_classifier, digits):
    X, y = torch.tensor(digits[0]), torch.tensor(digits[1])
    tensors = make_classifier(**EXACT).partial_fit(X, y, classes=torch.arange(10))
    arrays = make_classifier(**EXACT).partial_fit(*digits, classes=np.arange(10))
    assert_array_equal(tensors.classes_, arrays.classes_)
    assert_same_fit(tensors.partial_fit(X, y), arrays.partial_fit(*digits), X)


def test_a_sparse_batch_without_a_value_has_no_gradient():
    rows = SparseRows(scipy.sparse.csr_array((3, 4)), torch.float64, torch.device("cpu"))
    out = torch.full((4, 2), torch.nan, dtype=torch.float64)
    rows.batch(slice(0, 3)).add_transposed_times(torch.ones(3, 2).double(), out, beta=0)
    assert_array_equal(out, 0)


# Sparse labels.


@pytest.mark.parametrize(
    "make_y", [*SPARSE, scipy.sparse.coo_array], ids=lambda make: make.__name__
)
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_sparse_labels_are_predicted_sparse(make_classifier, make_y, call):
    X, y = make_multilabel_classification(90, 6, n_classes=3, random_state=0)
    ours, dense = make_classifier(**EXACT), make_classifier(**EXACT)
    theirs = MLPClassifier((8,), max_iter=5, random_state=0)
    for estimator, labels in ((ours, make_y(y)), (theirs, make_y(y)), (dense, y)):
        classes = {} if call == "fit" else {"classes": [0, 1, 2]}
        getattr(estimator, call)(X, labels, **classes)
    predicted, expected = ours.predict(X), theirs.predict(X)
    assert type(predicted) is type(expected)
    assert predicted.dtype == expected.dtype
    assert_array_equal(predicted.toarray(), expected.toarray())
    assert_array_equal(predicted.toarray(), dense.predict(X))
    assert_array_equal(ours.predict_proba(X), dense.predict_proba(X))
    assert ours.score(X, make_y(y)) == ours.score(X, y) == dense.score(X, y)
    loaded = pickle.loads(pickle.dumps(ours))
    assert (loaded.predict(X) != predicted).nnz == 0
    # The first call decides.
    assert type(ours.partial_fit(X, y).predict(X)) is type(predicted)
    assert isinstance(dense.partial_fit(X, make_y(y)).predict(X), np.ndarray)
    assert isinstance(ours.fit(X, y).predict(X), np.ndarray)


@pytest.mark.parametrize("scoring", [None, "f1_macro"])
def test_sparse_labels_are_watched(make_classifier, scoring):
    X, y = make_multilabel_classification(90, 6, n_classes=3, random_state=0)
    settings = {**EXACT, "early_stopping": True, "scoring": scoring}
    sparse = make_classifier(**settings).fit(X, scipy.sparse.csr_matrix(y))
    dense = make_classifier(**settings).fit(X, y)
    assert sparse.validation_scores_ == dense.validation_scores_
    if sparse.backend == "skorch":
        predicted = sparse.net_.predict(X)
        assert (predicted != sparse.predict(X)).nnz == 0
