"""Where numbers are cut in two, because that says much of the classes."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.model_selection import TimeSeriesSplit

from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp.tabular.thresholds import Thresholds

FEW = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}


def numbers(n_rows, n_columns, seed=0):
    """Return random numbers, float32."""
    return np.random.default_rng(seed).normal(size=(n_rows, n_columns)).astype(np.float32)


def found(x, labels, weights=None):
    """Return the thresholds of columns by labels."""
    labels = np.asarray(labels)
    return Thresholds.fit(x, weights, labels.reshape(len(x), -1))


def test_jumps_are_found_where_they_are():
    x = numbers(500, 3)
    labels = np.digitize(x[:, 1], [-0.5, 0.8])
    thresholds = found(x, labels)
    assert_array_equal(thresholds.column, [1, 1])
    for value, jump in zip(thresholds.value, [-0.5, 0.8], strict=True):
        assert ((x[:, 1] > value) == (x[:, 1] > jump)).all()
    code = thresholds.apply(torch.from_numpy(x)).numpy()
    assert_array_equal(code, np.where(x[:, [1, 1]] > np.float32([-0.5, 0.8]), 1, -1))


def test_neighbouring_numbers_are_told_apart():
    low = np.float32(2)
    high = np.nextafter(low, np.float32(3))
    x = np.column_stack([np.repeat([np.float32(0), low, high], 50), numbers(150, 1)])
    thresholds = found(x, x[:, 0] > low)
    assert thresholds.value.dtype == np.float32
    assert_array_equal(thresholds.apply(torch.from_numpy(x))[:, -1].numpy() > 0, x[:, 0] > low)


CHANCES = [(40, 200, 3), (300, 100, 3), (3000, 10, 3), (1000, 20, 300), (400, 30, 20)]


@pytest.mark.parametrize(("n_rows", "n_columns", "n_classes"), CHANCES)
@pytest.mark.parametrize("seed", range(3))
def test_chance_makes_none(n_rows, n_columns, n_classes, seed):
    # Each time one in a thousand would be seen.
    labels = np.random.default_rng(10 + seed).integers(0, n_classes, n_rows)
    assert not len(found(numbers(n_rows, n_columns, seed), labels).column)


def test_a_weight_of_two_is_the_row_twice():
    x = numbers(200, 4).round(1)
    labels = (x[:, 0] + 0.3 * numbers(200, 1, 1)[:, 0] > 0.2).astype(int)
    weights = np.random.default_rng(2).integers(1, 4, 200)
    repeats = np.repeat(np.arange(200), weights)
    weighted = found(x, labels, weights.astype(float))
    repeated = found(x[repeats], labels[repeats])
    assert len(weighted.column)
    assert_array_equal(weighted.column, repeated.column)
    assert_array_equal(weighted.value, repeated.value)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_weights_says_nothing(scale):
    x, weights = numbers(300, 20), scale * np.random.default_rng(4).uniform(0.5, 2, 300)
    assert not len(found(x, np.random.default_rng(5).integers(0, 2, 300), weights).column)
    assert_array_equal(found(x, x[:, 3] > 0.5, weights).column, [3])


def test_several_columns_of_labels():
    x = numbers(400, 3)
    labels = np.column_stack([x[:, 0] > 0.5, x[:, 2] > -0.5]).astype(float)
    assert_array_equal(found(x, labels).column, [0, 2])


def test_numbers_of_two_values_and_single_classes_have_none():
    x = np.column_stack([numbers(100, 1)[:, 0] > 0, numbers(100, 1)[:, 0]]).astype(np.float32)
    assert_array_equal(np.unique(found(x, x[:, 0]).column), [1])
    assert not len(found(x, np.zeros(100)).column)


def test_few_rows_are_cut_nowhere():
    for n_rows in range(1, 9):
        assert not len(found(numbers(n_rows, 2), np.arange(n_rows) % 2).column)


def test_a_classifier_shows_them_and_a_regressor_has_none():
    table = pd.DataFrame({"a": numbers(300, 1)[:, 0], "b": np.arange(300) % 7})
    label = np.where(table["a"] > 0.4, "high", "low")
    model = TabularMLPClassifier(**FEW).fit(table, label)
    names = model.encoder_.get_feature_names_out()
    assert [name for name in names if "above" in name] == ["a_above1"]
    code = model.encoder_.transform(table)
    assert_array_equal(code[:, names == "a_above1"][:, 0] > 0, label == "high")
    model = TabularMLPRegressor(**FEW).fit(table, table["a"] > 0.4)
    assert not any("above" in name for name in model.encoder_.get_feature_names_out())


def test_folds_of_time_do_not_know_of_later_jumps():
    # The labels of the last rows alone depend on anything.
    x = numbers(400, 1)
    labels = np.random.default_rng(3).integers(0, 2, 400)
    labels[300:] = x[300:, 0] > 0
    model = TabularMLPClassifier(cv=TimeSeriesSplit(4), **FEW).fit(x, labels)
    n_thresholds = [len(code.thresholds.column) for code in model._ensemble.codes]
    assert n_thresholds[:3] == [0, 0, 0]
    assert len(model.encoder_._code.thresholds.column)
