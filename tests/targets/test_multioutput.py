"""Several columns of labels at once."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

from sklearn_mlp import TorchMLPClassifier, fit_many

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def columns(iris):
    """Iris with its species, and whether a petal is long, as labels."""
    X, y = iris
    return X, np.column_stack([y, np.where(X[:, 2] > 0.5, 7, 3)])


def test_what_comes_out_has_a_forests_form(columns, make_classifier):
    X, y = columns
    clf = make_classifier(max_iter=20, learning_rate_init=0.02, batch_size=30).fit(X, y)
    forest = RandomForestClassifier(2, random_state=0).fit(X, y)
    assert [list(c) for c in clf.classes_] == [list(c) for c in forest.classes_]
    assert clf.n_outputs_ == 5
    assert clf.out_activation_ == "softmax"
    predictions, theirs = clf.predict(X), forest.predict(X)
    assert predictions.shape == theirs.shape
    probabilities = clf.predict_proba(X)
    assert [p.shape for p in probabilities] == [p.shape for p in forest.predict_proba(X)]
    for column, classes, p in zip(predictions.T, clf.classes_, probabilities, strict=True):
        assert_allclose(p.sum(1), 1, rtol=1e-6)
        assert_array_equal(column, classes[p.argmax(1)])
    logs = clf.predict_log_proba(X)
    assert_allclose(logs[1], np.log(probabilities[1]), rtol=1e-12)
    assert clf.score(X, y) == (predictions == y).all(1).mean()
    assert clf.score(X, y) > 0.8
    weights = np.linspace(0, 1, len(y))
    expected = np.average((predictions == y).all(1), weights=weights)
    assert_allclose(clf.score(X, y, weights), expected)
    assert cross_val_score(clf, X, y, cv=2).shape == (2,)
    assert_array_equal(pickle.loads(pickle.dumps(clf)).predict(X), predictions)


def test_lbfgs_fits_all_columns(columns):
    X, y = columns
    clf = TorchMLPClassifier((), solver="lbfgs", random_state=0, max_iter=100, tol=1e-2).fit(X, y)
    assert clf.score(X, y) > 0.9


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "squared_error", "output_activation": "logistic"},
        {"loss": "focal", "label_smoothing": 0.1},
        {"early_stopping": True, "class_weight": "balanced"},
    ],
    ids=str,
)
def test_options(columns, make_classifier, options):
    X, y = columns
    clf = make_classifier(max_iter=30, batch_size=30, learning_rate_init=0.03, **options).fit(X, y)
    assert clf.score(X, y) > 0.7
    if "early_stopping" in options:
        assert max(clf.validation_scores_) > 0.7


def test_backends_agree(columns):
    X, y = columns
    settings = {"hidden_layer_sizes": 6, "max_iter": 3, "random_state": 0, "dtype": "float64"}
    ours, theirs = (
        TorchMLPClassifier(**settings, backend=backend, early_stopping=True).fit(X, y)
        for backend in ("torch", "skorch")
    )
    assert_allclose(np.hstack(ours.predict_proba(X)), np.hstack(theirs.predict_proba(X)), 1e-9)
    assert_array_equal(theirs.net_.predict(X), theirs.predict(X))
    assert_allclose(theirs.net_.predict_proba(X)[0], theirs.predict_proba(X)[0], rtol=1e-6)


def test_a_frame_of_strings_and_numbers(iris, make_classifier):
    X, y = iris
    labels = pd.DataFrame({"name": np.array(["a", "b", "c"])[y], "number": y % 2})
    clf = make_classifier(max_iter=20, learning_rate_init=0.02, batch_size=30).fit(X, labels)
    assert [list(classes) for classes in clf.classes_] == [["a", "b", "c"], [0, 1]]
    predictions = clf.predict(X)
    assert predictions.shape == (len(X), 2)
    assert set(predictions[:, 0]) <= {"a", "b", "c"}
    assert clf.score(X, labels) > 0.8
    strings = clf.fit(X, labels.astype(str)).predict(X)
    assert set(strings[:, 1]) <= {"0", "1"}


def test_partial_fit_is_told_the_classes_of_each_column(columns, make_classifier):
    X, y = columns
    clf = make_classifier(dtype="float64")
    # The first batch has one class in each column.
    clf.partial_fit(X[:40], y[:40], classes=[[0, 1, 2], [3, 7]])
    clf.partial_fit(X, y).partial_fit(X, y, classes=[[0, 1, 2], [7, 3]])
    assert [list(classes) for classes in clf.classes_] == [[0, 1, 2], [3, 7]]
    assert clf.predict(X).shape == y.shape
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        clf.partial_fit(X, y, classes=[[0, 1, 2], [3, 8]])
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`"):
        clf.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="y has 1 columns of labels, but the classifier was fit"):
        clf.partial_fit(X, y[:, 0])
    one = make_classifier().fit(X, y[:, 0])
    with pytest.raises(ValueError, match="y has 2 columns of labels, but the classifier was fit"):
        one.partial_fit(X, y)


def test_warm_start_and_validation_sets(columns, make_classifier):
    X, y = columns
    clf = make_classifier(warm_start=True).fit(X, y).fit(X, y, X_val=X, y_val=y)
    assert_allclose(clf.validation_scores_[-1], clf.score(X, y))
    with pytest.raises(ValueError, match="y has classes that are not in the training set's y"):
        clf.fit(X, y, X_val=X, y_val=y + 1)
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same"):
        clf.fit(X, np.where(y == 7, 8, y))


def test_an_indicator_matrix_stays_multilabel(make_classifier):
    X = np.linspace(0, 1, 40).reshape(20, 2)
    clf = make_classifier().fit(X, (X > 0.5).astype(int))
    assert clf.out_activation_ == "logistic"
    assert clf.predict_proba(X).shape == (20, 2)


@pytest.mark.usefixtures("by_torch")
def test_many_at_once(columns):
    X, y = columns
    settings = {"hidden_layer_sizes": 5, "max_iter": 3, "dtype": "float64"}
    many = [TorchMLPClassifier(**settings, random_state=seed) for seed in range(3)]
    for seed, clf in enumerate(fit_many(many, X, y)):
        alone = TorchMLPClassifier(**settings, random_state=seed).fit(X, y)
        assert_allclose(
            np.hstack(clf.predict_proba(X)), np.hstack(alone.predict_proba(X)), rtol=1e-9
        )
