"""Labels and numbers of every kind as y and as classes: taken as by scikit-learn, or refused."""

import re
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_array_equal
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch.utils.data import DataLoader, Subset, TensorDataset

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor, fit_many
from sklearn_mlp.targets.labels import join_columns, show

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SETTINGS = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}
N = 42
X = np.random.RandomState(0).standard_normal((N, 3))
CODES = np.arange(N) % 3
WORDS = np.array(["oak", "elm", "larch"])
FLAGS = np.column_stack([CODES == 0, CODES > 0, np.arange(N) % 2]).astype(int)


def frame(values, missing=False):
    """A Series, with one value missing if asked."""
    return values.where(values.index > 0) if missing else values


KINDS = {
    "integers": CODES,
    "many classes": np.arange(N) % 30,
    "all different": np.arange(N),
    "many words": np.array([f"w{code % 30}" for code in range(N)]),
    "whole floats": CODES * 1.0,
    "float16": CODES.astype(np.float16),
    "int8": (CODES - 1).astype(np.int8),
    "booleans": CODES > 1,
    "words": WORDS[CODES],
    "objects, words": WORDS.astype(object)[CODES],
    "objects, numbers": CODES.astype(object),
    "objects, booleans": (CODES > 1).astype(object),
    "list": CODES.tolist(),
    "list of words and numbers": ["a", 1] * (N // 2),
    "tuple": tuple(CODES.tolist()),
    "one class": np.zeros(N, int),
    "column": CODES[:, np.newaxis],
    "bytes": np.array([b"a", b"b", b"c"])[CODES],
    "words and numbers": np.array(["a", 1, 2], dtype=object)[CODES],
    "numbers and words": np.array([1, "a", 2], dtype=object)[CODES],
    "words and None": np.array(["a", None, "b"], dtype=object)[CODES],
    "numbers and None": np.array([1, None, 2], dtype=object)[CODES],
    "NaN": np.where(CODES == 1, np.nan, 1.0),
    "objects, NaN": np.array([1.0, np.nan, 2.0], dtype=object)[CODES],
    "infinity": np.where(CODES == 1, np.inf, 1.0),
    "fractions": X[:, 0],
    "complex": CODES + 1j,
    "decimals": np.array([Decimal(int(code)) for code in CODES]),
    "dates": np.array(["2020-01-01", "2021-01-01", "2022-01-01"], "M8[D]")[CODES],
    "Series": pd.Series(CODES),
    "Series of words": pd.Series(WORDS[CODES]),
    "string": pd.Series(WORDS[CODES]).astype("string"),
    "category": pd.Series(WORDS[CODES]).astype("category"),
    "category of integers": pd.Series(CODES).astype("category"),
    "Categorical": pd.Categorical(WORDS[CODES]),
    "Int64": pd.Series(CODES).astype("Int64"),
    "Int64, missing": frame(pd.Series(CODES).astype("Int64"), missing=True),
    "boolean": pd.Series(CODES > 1).astype("boolean"),
    "boolean, missing": frame(pd.Series(CODES > 1).astype("boolean"), missing=True),
    "category, missing": frame(pd.Series(WORDS[CODES]).astype("category"), missing=True),
    "Index": pd.Index(CODES),
    "DataFrame": pd.DataFrame({"y": CODES}),
    "too short": CODES[1:],
    "three axes": np.zeros((N, 2, 2)),
    "empty": np.zeros(0),
    "ragged": [[0], [0, 1]] * (N // 2),
    "None": None,
    "flags": FLAGS,
    "flags, bool": FLAGS.astype(bool),
    "flags, DataFrame": pd.DataFrame(FLAGS),
    "flags, list": FLAGS.tolist(),
    "flags, CSR": scipy.sparse.csr_matrix(FLAGS),
    "flags, CSC": scipy.sparse.csc_array(FLAGS),
    "flags, COO": scipy.sparse.coo_matrix(FLAGS),
    "flags, LIL": scipy.sparse.lil_matrix(FLAGS),
    "sparse numbers": scipy.sparse.csr_matrix(FLAGS * 3 + CODES[:, np.newaxis]),
}


def outcome(make, train, y):
    """What became of it: a summary or an error's type, and the warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            result = train(make(**SETTINGS), y)
        except Exception as error:
            kinds = [kind for kind in (TypeError, ValueError) if isinstance(error, kind)]
            result = kinds[0].__name__ if kinds else type(error).__name__
            message = str(error)
        else:
            message = ""
    told = {(w.category.__name__, str(w.message)) for w in seen}
    return result, {each for each in told if each[0] != "ConvergenceWarning"}, message


def fit_and_predict(model, y):
    predicted = model.fit(X, y).predict(X)
    classes = getattr(model, "classes_", np.zeros(0))
    return classes.tolist(), classes.dtype, predicted.dtype, predicted.shape


def fit_and_score(model, y):
    model.fit(X, y)
    return np.isfinite(model.score(X, y))


def fit_twice(model, y):
    model.set_params(warm_start=True).fit(X, y).fit(X, y)


@pytest.mark.parametrize("train", [fit_and_predict, fit_and_score, fit_twice])
@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_taken_and_warned_of_as_by_scikit_learn(kind, train):
    theirs, ours = (
        outcome(make, train, KINDS[kind]) for make in (MLPClassifier, TorchMLPClassifier)
    )
    if theirs[0] == "TypeError" and "missing" in kind:
        # "boolean value of NA is ambiguous".
        theirs = ("ValueError", *theirs[1:])
    assert ours[:2] == theirs[:2], (ours, theirs)
    assert not ours[2] or re.search(r"\by\b|n_samples|samples|feature", ours[2])


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if not scipy.sparse.issparse(KINDS[kind])]
)
def test_numbers_are_taken_and_warned_of_as_by_scikit_learn(kind):
    theirs, ours = (
        outcome(make, fit_and_score, KINDS[kind]) for make in (MLPRegressor, TorchMLPRegressor)
    )
    if kind == "numbers and None":
        # There the weights become NaN.
        assert ours[2] == "Input y contains NaN."
    assert ours[:2] == theirs[:2], (ours, theirs)
    assert not ours[2] or re.search(r"\by\b|n_samples|samples|feature", ours[2])


@pytest.mark.parametrize("form", ["csr_matrix", "csc_array", "coo_array", "lil_matrix"])
def test_sparse_numbers_are_made_dense(make_regressor, form):
    Y = scipy.sparse.random(N, 2, density=0.4, random_state=0)
    sparse = getattr(scipy.sparse, form)(Y)
    estimator = make_regressor().fit(X, sparse)
    assert_array_equal(estimator.predict(X), make_regressor().fit(X, Y.toarray()).predict(X))
    assert estimator.score(X, sparse) == estimator.score(X, Y.toarray())
    estimator.partial_fit(X, sparse, X_val=X, y_val=sparse)


def test_no_mask_is_left_off(make_classifier, make_regressor):
    masked = np.ma.array(CODES, mask=CODES == 1)
    for make in (make_classifier, make_regressor):
        with pytest.raises(ValueError, match="y must not be masked, but 14 of its 42 values are"):
            make().fit(X, masked)
        make().fit(X, np.ma.array(CODES))


# Columns of labels.


def mixed_columns():
    """Columns of integers, words and booleans, as they come out of a DataFrame."""
    columns = {"a": CODES, "b": WORDS[CODES], "c": CODES > 1}
    return pd.DataFrame(columns)


FORMS = {
    "DataFrame": lambda table: table,
    "array": lambda table: table.to_numpy(),
    "rows": lambda table: table.to_numpy().tolist(),
    "tuples": lambda table: list(table.itertuples(index=False, name=None)),
    "categories": lambda table: table.astype("category"),
    "nullable": lambda table: table.convert_dtypes(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("train", ["fit", "partial_fit", "warm_start"])
def test_columns_keep_their_types(make_classifier, form, train):
    y = FORMS[form](mixed_columns())
    estimator = make_classifier(max_iter=20, learning_rate_init=0.2, warm_start=train != "fit")
    samples = np.column_stack([np.eye(3)[CODES], X])
    if train == "partial_fit":
        classes = [[2, 1, 0], {"elm", "oak", "larch"}, (False, True)]
        for _ in range(20):
            estimator.partial_fit(samples, y, classes=classes)
    else:
        estimator.fit(samples, y)
        if train == "warm_start":
            estimator.fit(samples, y, X_val=samples, y_val=y)
    assert [classes.dtype.kind for classes in estimator.classes_] == ["i", "U", "b"]
    predicted = estimator.predict(samples)
    assert predicted.dtype == object
    assert [type(label) for label in predicted[0]] == [int, str, bool]
    assert estimator.score(samples, y) > 0.9
    is_right = (predicted == mixed_columns().to_numpy()).all(axis=1)
    assert is_right.mean() == estimator.score(samples, y)


def test_words_of_other_lengths_are_other_words(make_classifier):
    y = np.column_stack([WORDS[CODES], WORDS[::-1][CODES]])
    estimator = make_classifier().partial_fit(X, y, classes=[list(WORDS)] * 2)
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`.*larches"):
        estimator.partial_fit(X, np.where(y == "larch", "larches", y))


def test_joined_columns():
    whole, words = np.array([1, 2]), np.array(["a", "b"])
    assert join_columns([whole, whole.astype(np.int8)]).dtype == np.int64
    assert join_columns([whole, whole * 1.0]).dtype == np.float64
    assert join_columns([words, np.array(["long", "longer"])]).dtype == "<U6"
    for other in (words, whole > 1, (whole + 2**62).astype(np.uint64) * 2):
        joined = join_columns([whole, other])
        assert joined.dtype == object
        assert joined[:, 1].tolist() == other.tolist()


@pytest.mark.parametrize(
    "column",
    [np.array([1, "a", 2], object)[CODES], np.array(["b", None, "a"], object)[CODES]],
    ids=["words and numbers", "None"],
)
def test_a_column_of_several_types(make_classifier, column):
    y = np.empty((N, 2), dtype=object)
    y[:, 0], y[:, 1] = WORDS[CODES], column
    with pytest.raises(TypeError, match=r"y\[:, 1\] must be labels of one type, all strings or"):
        make_classifier().fit(X, y)


# The parameter classes.

CLASSES = {
    "lists": [["elm", "larch", "oak"], [3, 4]],
    "tuples": (("oak", "elm", "larch"), (4, 3)),
    "arrays": [WORDS, np.array([3, 4])],
    "Series": [pd.Series(WORDS), pd.Series([3, 4])],
    "Index": [pd.Index(WORDS), pd.Index([3, 4])],
    "Categorical": [pd.Categorical(WORDS), pd.Categorical([3, 4])],
    "category": [pd.Series(WORDS).astype("category"), pd.Series([4, 3]).astype("category")],
    "nullable": [pd.Series(WORDS).astype("string"), pd.array([4, 3], dtype="Int64")],
    "sets": [set(WORDS.tolist()), frozenset([4, 3])],
    "keys and ranges": [dict.fromkeys(WORDS).keys(), range(3, 5)],
    "tensor": [list(WORDS), torch.tensor([4, 3])],
    "repeated": [list(WORDS) * 2, [4, 3, 4]],
    "Series of arrays": pd.Series([WORDS, np.array([3, 4])]),
}


@pytest.mark.parametrize("form", CLASSES)
def test_classes_of_columns_in_every_form(make_classifier, form):
    y = pd.DataFrame({"a": WORDS[CODES], "b": 3 + CODES // 2})
    estimator = make_classifier().partial_fit(X, y, classes=CLASSES[form])
    assert [classes.tolist() for classes in estimator.classes_] == [
        ["elm", "larch", "oak"],
        [3, 4],
    ]
    expected = make_classifier().partial_fit(X, y, classes=CLASSES["lists"])
    assert_array_equal(estimator.predict(X), expected.predict(X))
    for other in CLASSES.values():
        estimator.partial_fit(X, y, classes=other)


@pytest.mark.parametrize(
    ("y", "classes", "message"),
    [
        (FLAGS + 1, [[1, 2]], "classes has the classes of 1 columns of labels, but y has 3"),
        (CODES, [[0, 1], [2]], "classes has the classes of 2 columns of labels, but y has 1"),
        (FLAGS * CODES[:, None], [0, 1, 2], "list of the classes of each of the 3 columns of y"),
        (FLAGS * CODES[:, None], [[0], [1], []], r"classes\[2\] must be the classes of one col"),
        (CODES, [0, [1, 2]], r"\bclasses\b"),
        (CODES, [0.5, 1.5], "Unknown label type: continuous.*: classes must be strings or whole"),
        (CODES, "012", "classes must be the classes of one column of labels, .* got str"),
        (CODES, [], "classes must be the classes of one column of labels"),
        (FLAGS, [0, 1], r"numbers of the columns where y is an indicator matrix, \[0 1 2\], got"),
        (FLAGS, [0, 1, 2, 3], "numbers of the columns where y is an indicator matrix"),
        (FLAGS, ["a", "b", "c"], "numbers of the columns where y is an indicator matrix"),
    ],
)
def test_classes_that_do_not_fit(make_classifier, y, classes, message):
    estimator = make_classifier()
    with pytest.raises(ValueError, match=message):
        estimator.partial_fit(X, y, classes=classes)
    assert not hasattr(estimator, "classes_")


def test_classes_of_several_types(make_classifier):
    for classes in ([0, "1"], [0, None], np.array([0, "1"], dtype=object)):
        with pytest.raises(TypeError, match="classes must be labels of one type, all strings or"):
            make_classifier().partial_fit(X, CODES, classes=classes)


def test_many_classes_are_not_all_shown(make_classifier):
    many = list(range(5000))
    estimator = make_classifier().partial_fit(X, np.arange(N), classes=many)
    for call in (
        lambda: estimator.partial_fit(X, CODES, classes=many[1:]),
        lambda: estimator.partial_fit(X, np.arange(N) + 5000),
        lambda: make_classifier().partial_fit(X, FLAGS, classes=many),
        lambda: make_classifier().fit(X, CODES, X_val=X, y_val=np.arange(N) + 10),
    ):
        with pytest.raises(ValueError, match="classes") as caught:
            call()
        assert len(str(caught.value)) < 500
    assert show([many, many]).count("...") == 2


# Forms that change between calls.


@pytest.mark.parametrize(
    ("first", "later", "message"),
    [
        (CODES, FLAGS, "y has an indicator matrix of 3 columns, but the classifier was fitted"),
        (FLAGS, CODES, "y has one column of labels, but the classifier was fitted with an ind"),
        (FLAGS, FLAGS[:, :2], "y has 2 label columns, but the classifier was fitted with 3"),
        (FLAGS, FLAGS + CODES[:, None], "y has 3 columns of labels, but .* an indicator matrix"),
        (CODES, scipy.sparse.csr_matrix(FLAGS), "y has an indicator matrix of 3 columns, but"),
        (FLAGS + CODES[:, None], scipy.sparse.csr_matrix(FLAGS), "y is sparse, but the classif"),
        (FLAGS + CODES[:, None], CODES, "y has 1 columns of labels, but the classifier was"),
    ],
)
def test_another_form_later(make_classifier, first, later, message):
    estimator = make_classifier(warm_start=True).fit(X, first)
    for call in (
        lambda: estimator.partial_fit(X, later),
        lambda: estimator.fit(X, later),
        lambda: make_classifier().fit(X, first, X_val=X, y_val=later),
    ):
        with pytest.raises(ValueError, match=message):
            call()


# score takes what fit takes.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_score_takes_tensors(make_classifier, make_regressor, dtype):
    samples = torch.tensor(X, dtype=torch.float32, requires_grad=True)
    weights = torch.linspace(0.5, 1, N, requires_grad=True)
    numbers = torch.tensor(X[:, 0], dtype=dtype, requires_grad=True)
    labels = torch.tensor(CODES, dtype=dtype, requires_grad=True)
    columns = torch.tensor(FLAGS + CODES[:, None])
    for make, y in ((make_regressor, numbers), (make_classifier, labels)):
        estimator = make().fit(samples, y, sample_weight=weights)
        plain = y.detach().float() if dtype == torch.bfloat16 else y.detach()
        arrays = (plain.numpy(), weights.detach().numpy())
        assert estimator.score(samples, y, weights) == estimator.score(samples.detach(), *arrays)
        assert type(estimator.score(samples, y)) is float
    estimator = make_classifier().fit(samples, columns)
    score = estimator.score(samples, columns, sample_weight=weights)
    assert score == estimator.score(samples, columns.numpy(), weights.detach().numpy())
    quantiles = make_regressor(loss="quantile", quantile=[0.1, 0.9]).fit(samples, numbers)
    assert np.isfinite(quantiles.score(samples, numbers, sample_weight=weights))


# What is no array.

DATASET = TensorDataset(torch.tensor(X), torch.tensor(CODES))


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ((row for row in X), "a generator; an iterator can be read only once"),
        (map(list, X), "a map; an iterator can be read only once"),
        ("table.csv", "a str; read the file, and pass what is in it"),
        ({"a": X[:, 0]}, "a dict; make a DataFrame, or an array, of it"),
        ({1, 2}, "a set; a set has no order"),
        (object(), "an object; make an array of it"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_array(make_regressor, values, advice):
    message = "must be an array, a tensor, a DataFrame, a sparse matrix or a list, got " + advice
    estimator = make_regressor().fit(X, CODES)
    for call in (
        lambda: make_regressor().fit(values, CODES),
        lambda: estimator.partial_fit(values, CODES),
        lambda: estimator.predict(values),
        lambda: estimator.score(values, CODES),
    ):
        with pytest.raises(TypeError, match="X " + message):
            call()
    with pytest.raises(TypeError, match="y " + message):
        make_regressor().fit(X, values)


@pytest.mark.parametrize(
    "values",
    [DATASET, Subset(DATASET, [0, 1]), DataLoader(DATASET)],
    ids=lambda value: type(value).__name__,
)
def test_what_brings_its_own_targets(make_regressor, values):
    advice = f"got a {type(values).__name__}; pass it in the place of X, without y, to the fit of"
    estimator = make_regressor().fit(X, CODES)
    for call in (
        lambda: make_regressor().fit(values, CODES),
        lambda: estimator.partial_fit(values, CODES),
        lambda: make_regressor().fit(X, values),
        lambda: fit_many([make_regressor()], values, CODES),
    ):
        with pytest.raises(TypeError, match=advice):
            call()


def test_a_table_that_is_read_later(make_classifier):
    class Lazy:
        def collect(self):
            return X

    with pytest.raises(TypeError, match="got a Lazy; call its method collect first"):
        make_classifier().fit(Lazy(), CODES)
    make_classifier().fit(Lazy().collect(), CODES)
