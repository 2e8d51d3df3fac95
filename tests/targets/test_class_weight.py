"""class_weight: what scikit-learn means by it, together with sample_weight."""

import re
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.metrics import recall_score
from sklearn.utils.class_weight import compute_sample_weight

from sklearn_mlp import TorchMLPClassifier
from sklearn_mlp.targets.class_weights import weigh_classes

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# One batch, so that a weight and a repeated row are the same thing; float64 for the comparison.
WHOLE = {"batch_size": 1000, "dtype": "float64", "max_iter": 5, "random_state": 0}
quiet = pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1")


@quiet
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_class_weight_is_as_many_repeated_rows(iris, backend, solver):
    X, y = iris
    weighted = TorchMLPClassifier(
        8, class_weight={0: 1, 1: 3, 2: 2}, solver=solver, backend=backend, alpha=0, **WHOLE
    ).fit(X, y)
    times = np.array([1, 3, 2])[y]
    repeated = TorchMLPClassifier(8, solver=solver, backend=backend, alpha=0, **WHOLE)
    repeated.fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    # The same sums in another order.
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0, 1: 0.5}])
def test_class_weights_are_sample_weights(breast_cancer, backend, class_weight):
    X, y = breast_cancer
    clf = TorchMLPClassifier(5, max_iter=3, random_state=0, dtype="float64", backend=backend)
    expected = clf.fit(X, y, compute_sample_weight(class_weight, y)).predict_proba(X)
    clf.set_params(class_weight=class_weight)
    assert_allclose(clf.fit(X, y).predict_proba(X), expected, rtol=1e-9)
    # With both, they are multiplied.
    weights = np.linspace(0.5, 2, len(y))
    if class_weight != "balanced":
        both = clf.fit(X, y, weights).predict_proba(X)
        clf.set_params(class_weight=None)
        product = weights * compute_sample_weight(class_weight, y)
        assert_allclose(both, clf.fit(X, y, product).predict_proba(X), rtol=1e-9)


@quiet
def test_balanced_counts_with_the_sample_weights(iris, backend):
    X, y = iris
    times = np.random.RandomState(0).randint(0, 3, len(y))
    clf = TorchMLPClassifier(5, class_weight="balanced", alpha=0, backend=backend, **WHOLE)
    weighted = clf.fit(X, y, sample_weight=times).predict_proba(X)
    repeated = clf.fit(np.repeat(X, times, axis=0), np.repeat(y, times)).predict_proba(X)
    assert_allclose(weighted, repeated, rtol=1e-9)


def test_balanced_ignores_a_class_without_weight():
    codes, weights = np.array([0, 0, 1, 2]), np.array([1.0, 1.0, 1.0, 0.0])
    combined = weigh_classes("balanced", [(np.arange(3), codes)], weights)
    assert_allclose(combined, [0.75, 0.75, 1.5, 0])


def test_balanced_finds_more_of_a_rare_class(backend):
    random = np.random.RandomState(0)
    X = random.standard_normal((400, 2))
    y = np.where(X[:, 0] + random.standard_normal(400) > 1.8, "rare", "common")
    clf = TorchMLPClassifier(5, max_iter=20, random_state=0, backend=backend)
    clf.set_params(learning_rate_init=0.02)
    plain = recall_score(y, clf.fit(X, y).predict(X), pos_label="rare")
    clf.set_params(class_weight="balanced")
    assert recall_score(y, clf.fit(X, y).predict(X), pos_label="rare") > plain + 0.3


@pytest.mark.parametrize("class_weight", ["balanced", [{0: 1, 1: 5}, {0: 2, 1: 1}]], ids=str)
def test_several_columns_multiply(class_weight, backend):
    random = np.random.RandomState(0)
    X, y = random.standard_normal((60, 3)), random.randint(0, 2, (60, 2))
    clf = TorchMLPClassifier(5, max_iter=3, random_state=0, dtype="float64", backend=backend)
    for labels in (y, y + np.array([0, 1])):
        settings = class_weight
        if isinstance(class_weight, list) and labels is not y:
            settings = [class_weight[0], {1: 2, 2: 1}]
        clf.set_params(class_weight=None)
        clf.fit(X, labels, compute_sample_weight(settings, labels))
        expected = np.hstack(clf.predict_proba(X))
        clf.set_params(class_weight=settings).fit(X, labels)
        assert_allclose(np.hstack(clf.predict_proba(X)), expected, rtol=1e-9)


def test_frames_and_strings(backend):
    X = pd.DataFrame({"a": np.linspace(0, 1, 30), "b": np.linspace(1, 0, 30) ** 2})
    y = pd.Series(["no"] * 25 + ["yes"] * 5)
    clf = TorchMLPClassifier(
        5, class_weight={"no": 1, "yes": 5}, max_iter=3, backend=backend, early_stopping=True
    ).fit(X, y)
    assert set(clf.predict(X)) <= {"no", "yes"}


def test_partial_fit_takes_a_dict(iris, backend):
    X, y = iris
    settings = {"max_iter": 3, "random_state": 0, "dtype": "float64", "backend": backend}
    weighted = TorchMLPClassifier(5, class_weight={0: 2, 1: 1, 2: 0.5}, **settings)
    plain = TorchMLPClassifier(5, **settings)
    for rows in (slice(0, 70), slice(70, 150)):
        weighted.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        plain.partial_fit(X[rows], y[rows], np.array([2, 1, 0.5])[y[rows]], classes=[0, 1, 2])
    assert_allclose(weighted.predict_proba(X), plain.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("class_weight", ["balanced", ["balanced"]], ids=str)
def test_partial_fit_refuses_balanced(make_classifier, iris, class_weight):
    X, y = iris
    sentence = "class_weight 'balanced' is not supported for partial_fit. In order to use"
    with pytest.raises(ValueError, match=sentence):
        make_classifier(class_weight=class_weight).partial_fit(X, y, classes=[0, 1, 2])


def test_partial_fit_refuses_balanced_for_one_of_several_columns(make_classifier, iris):
    X, y = iris
    estimator = make_classifier(class_weight=[{0: 1, 1: 2, 2: 1}, "balanced"])
    labels = np.column_stack([y, y % 2])
    with pytest.raises(ValueError, match="class_weight 'balanced' is not supported for partial"):
        estimator.partial_fit(X, labels, classes=[[0, 1, 2], [0, 1]])
    estimator.set_params(class_weight=[{0: 1, 1: 2, 2: 1}, None])
    estimator.partial_fit(X, labels, classes=[[0, 1, 2], [0, 1]])


def test_a_list_may_mix_what_a_column_can_have(backend, iris):
    X, y = iris
    labels = np.column_stack([y, y % 2, y])
    class_weight = ["balanced", {0: 2, 1: 3}, None]
    clf = TorchMLPClassifier(4, max_iter=2, random_state=0, dtype="float64", backend=backend)
    weights = compute_sample_weight(class_weight, labels)
    expected = np.hstack(clf.fit(X, labels, weights).predict_proba(X))
    clf.set_params(class_weight=class_weight).fit(X, labels)
    assert_allclose(np.hstack(clf.predict_proba(X)), expected, rtol=1e-9)


@pytest.mark.parametrize("entry", ["foo", "Balanced", 1, [{0: 1}], {0, 1}], ids=repr)
def test_an_entry_of_a_list_that_is_no_class_weight(make_classifier, iris, entry):
    X, y = iris
    sentence = re.escape(f"must be a dict, 'balanced' or None, got {entry!r}.")
    one = make_classifier(class_weight=[entry])
    with pytest.raises(ValueError, match=rf"class_weight\[0\] {sentence}"):
        one.fit(X, y)
    with pytest.raises(ValueError, match=rf"class_weight\[0\] {sentence}"):
        one.partial_fit(X, y, classes=[0, 1, 2])
    several = make_classifier(class_weight=["balanced", entry])
    with pytest.raises(ValueError, match=rf"class_weight\[1\] {sentence}"):
        several.fit(X, np.column_stack([y, (y + 1) % 3]))


def test_weights_of_classes_that_are_not_there(make_classifier, iris):
    X, y = iris
    with pytest.raises(ValueError, match=r"The classes, \[0, 1, 2\], are not in class_weight"):
        make_classifier(class_weight={7: 2}).fit(X, y)
    labels = np.column_stack([y, (y + 1) % 3])
    with pytest.raises(ValueError, match="For multi-output, class_weight should be a list"):
        make_classifier(class_weight={0: 2}).fit(X, labels)
    with pytest.raises(ValueError, match=r"Got 1 element\(s\) while having 2 outputs"):
        make_classifier(class_weight=[{0: 2}]).fit(X, labels)


@pytest.mark.parametrize("weight", [-0.5, np.nan, -np.inf, np.inf, np.float32("nan")], ids=str)
@pytest.mark.parametrize("in_list", [False, True])
def test_a_weight_that_no_sample_can_count(make_classifier, iris, weight, in_list):
    X, y = iris
    setting = {0: 2, 2: weight}
    name = "class_weight[0]" if in_list else "class_weight"
    message = re.escape(f"{name}[2] must be a finite weight, 0 or larger, got {weight!r}")
    estimator = make_classifier(class_weight=[setting] if in_list else setting)
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y)
    with pytest.raises(ValueError, match=message):
        estimator.partial_fit(X, y, classes=[0, 1, 2])


@pytest.mark.parametrize("weight", [None, "3", b"3", [3.0], np.array([3.0]), 1j, {}], ids=str)
def test_a_weight_that_is_no_number(make_classifier, iris, weight):
    with pytest.raises(TypeError, match=r"class_weight\[1\] must be a number, got"):
        make_classifier(class_weight={0: 1, 1: weight}).fit(*iris)


def test_numbers_of_any_kind_are_weights():
    codes = np.array([0, 1, 2, 3, 4])
    setting = {
        0: np.float32(0.5),
        1: torch.tensor(2.0),
        2: Fraction(1, 4),
        3: True,
        4: np.array(3),
    }
    weights = weigh_classes(setting, [(np.arange(5), codes)], None)
    assert weights.tolist() == [0.5, 2, 0.25, 1, 3]


def test_strings_of_digits_are_named_as_they_are():
    columns = [(np.array(["1", "2"]), np.array([0, 1]))]
    for setting in ({"1": 5, "2": 1}, {1: 5, 2: 1}):
        assert weigh_classes(setting, columns, None).tolist() == [5, 1]
    with pytest.raises(ValueError, match=r"The classes, \['1'\], are not in class_weight, which"):
        weigh_classes({"0": 5, "2": 1}, columns, None)


def test_weights_of_classes_that_are_not_there_do_no_harm(iris):
    columns = [(np.arange(3), iris[1])]
    assert set(weigh_classes({0: 1, 1: 2, 2: 1, 7: 3}, columns, None)) == {1, 2}
