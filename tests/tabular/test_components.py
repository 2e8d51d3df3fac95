"""Principal components of a table's columns, as inputs of networks."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import TabularEncoder, TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp.tabular.components import Components
from sklearn_mlp.tabular.numbers import CLIP

FEW = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}


def alike(n_rows=400, n_columns=5, seed=0):
    """Return columns of numbers that say nearly the same, float32."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n_rows, 1))
    return (common + 0.3 * rng.normal(size=(n_rows, n_columns))).astype(np.float32)


def found(x, weights=None, n_most=256):
    """Return the components of columns."""
    return Components.fit(x, weights, n_most)


def applied(components, x):
    """Return the code of columns, in float64."""
    return components.apply(torch.from_numpy(np.asarray(x, np.float64))).numpy()


def test_they_are_those_of_scikit_learn():
    x = alike()
    pca = PCA(svd_solver="full").fit(StandardScaler().fit_transform(x))
    expected = pca.transform(StandardScaler().fit_transform(x))
    variances = expected.var(axis=0)
    expected /= np.sqrt(variances + 0.01)
    expected /= np.sqrt(1 + (expected / CLIP) ** 2)
    code = applied(found(x), x)
    signs = np.sign((code * expected).sum(axis=0))
    assert_allclose(code, expected * signs, atol=1e-4)


def test_each_has_the_same_variance_and_no_other_says_it():
    x = alike(3000)
    x[:, 2] *= 100
    code = applied(found(x), x)
    # Of what is shared, two parts in a hundred are lost; of small differences some more.
    assert_allclose(np.cov(code.T), np.diag([0.98] + [0.88] * 4), atol=0.03)


def test_a_sign_is_that_of_the_largest_part():
    matrix = found(alike()).matrix
    assert (matrix[np.abs(matrix).argmax(axis=0), range(5)] > 0).all()


def test_what_is_constant_or_said_twice_adds_nothing():
    x = alike()
    n_components = found(np.column_stack([x, x[:, 0], np.ones(400, np.float32)])).n_columns
    assert n_components == 5
    assert found(np.ones((10, 3), np.float32)).n_columns == 0


@pytest.mark.parametrize("n_rows", [1, 2, 3, 20])
def test_more_columns_than_rows(n_rows):
    x = np.random.default_rng(n_rows).normal(size=(n_rows, 30)).astype(np.float32)
    components = found(x)
    assert components.n_columns == n_rows - 1
    assert np.isfinite(applied(components, x)).all()


@pytest.mark.parametrize(("n_columns", "n_most"), [(0, 256), (1, 256), (1001, 256), (4, 0)])
def test_where_there_are_none(n_columns, n_most):
    x = np.random.default_rng(0).normal(size=(50, n_columns)).astype(np.float32)
    components = found(x, n_most=n_most)
    assert applied(components, x).shape == (50, 0)


def test_the_first_of_many_have_most_variance():
    x = alike(n_columns=8)
    few, all_ = found(x, n_most=3), found(x)
    assert_array_equal(few.matrix, all_.matrix[:, :3])
    assert all_.matrix.shape == (8, 8)


def test_of_many_numbers_some_rows_are_taken(monkeypatch):
    x = alike(4000)
    expected = found(x[::4]).matrix
    monkeypatch.setattr("sklearn_mlp.tabular.components._MOST_NUMBERS", 6000)
    assert_array_equal(found(x).matrix, expected)


def test_a_weight_of_two_is_the_row_twice():
    x = alike(60)
    weights = np.random.default_rng(2).integers(1, 4, 60)
    weighted = found(x, weights=weights.astype(float))
    repeated = found(np.repeat(x, weights, axis=0))
    assert_allclose(weighted.matrix, repeated.matrix, rtol=1e-6)
    assert_allclose(weighted.center, repeated.center, rtol=1e-6)


def test_what_is_far_away_is_clipped():
    x = alike()
    code = applied(found(x), np.full((1, 5), 1e6))
    assert (np.abs(code) <= CLIP).all()


def test_the_encoder_names_them():
    table = pd.DataFrame(alike(n_columns=2), columns=["a", "component1"])
    table["pet"] = np.where(np.arange(400) % 3, "cat", "dog")
    encoder = TabularEncoder(n_bins=0, n_octaves=0).fit(table)
    names = ["a", "component1", "pet_cat", "component1_2", "component2"]
    assert encoder.get_feature_names_out().tolist() == names
    code = encoder.transform(table)
    assert_allclose(code[:, 3:].std(axis=0), 1, atol=0.15)
    assert_allclose(encoder.transform(table[:1]), code[:1], rtol=1e-5)


def test_a_classifiers_networks_with_bins_have_them():
    x = alike()
    model = TabularMLPClassifier(**FEW).fit(x, x[:, 0] > 0)
    names = model.encoder_.get_feature_names_out()
    is_wave, is_last = (
        np.array([any(part in name for part in parts) for name in names])
        for parts in (("sin", "cos"), ("bin", "above", "component"))
    )
    assert sum("component" in name for name in names) == 5
    for group in model._ensemble.groups:
        takes = (~is_wave | group.part.has_waves) & (~is_last | group.part.has_bins)
        assert group.members.weights[0].shape[2] == takes.sum()
    assert [group.part.has_bins for group in model._ensemble.groups] == [True, False]


def test_a_regressors_have_none():
    x = alike()
    model = TabularMLPRegressor(**FEW).fit(x, x[:, 0])
    assert not any("component" in name for name in model.encoder_.get_feature_names_out())
