"""Targets, weights, groups and folds as users bring them: taken, or refused before any work."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import KFold

from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp.tabular.encoder import TabularEncoder

FEW = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
N_ROWS = 24
TABLE = pd.DataFrame({"a": np.arange(N_ROWS) % 7, "k": ["u", "v"] * (N_ROWS // 2)})
NUMBER = TABLE["a"] + 2.0 * (TABLE["k"] == "u")
ONE = np.eye(N_ROWS)[0]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"groups": [None, "a", "b"] * 8}, ValueError, "8 of 24 are missing, the first in row 0"),
        ({"groups": np.ones((N_ROWS, 2))}, ValueError, r"one value for each of the 24 rows"),
        ({"groups": "k"}, TypeError, "groups must be an array"),
        ({"groups": [1, 2]}, ValueError, r"got the shape \(2,\)"),
        ({"sample_weight": ONE}, ValueError, "sample_weight has 1 of 24"),
        ({"sample_weight": ["a"] * N_ROWS}, ValueError, "In sample_weight: could not convert"),
        ({"sample_weight": {"a": 1}}, TypeError, "sample_weight must be an array"),
        ({"cv": "kfold"}, ValueError, "cv must be 'auto', an integer.*got 'kfold'"),
        ({"cv": [1, 2]}, ValueError, r"cv=\[1, 2\] must have pairs of rows"),
        ({"cv": [(range(9), [N_ROWS])]}, ValueError, "must have pairs.*none of the 24"),
        ({"cv": iter(())}, ValueError, "An iterator is spent after one fit: pass a list"),
    ],
)
def test_rows_that_cannot_be_split_are_refused_before_work(given, error, message, monkeypatch):
    monkeypatch.setattr(TabularEncoder, "_fit_table", None)
    cv = given.pop("cv", 4)
    with pytest.raises(error, match=message):
        TabularMLPRegressor(cv=cv, **FEW).fit(TABLE, NUMBER, **given)


def test_groups_of_numbers_and_strings_are_kept_together():
    groups = np.array([1, "a", 2, "1"] * 6, dtype=object)
    model = TabularMLPRegressor(**FEW).fit(TABLE, NUMBER, groups=groups)
    for rows in model._held[0]:
        assert len({(type(each), each) for each in groups[rows]}) == 1


def test_splits_may_come_from_a_generator():
    listed = TabularMLPRegressor(cv=list(KFold(3).split(TABLE)), **FEW).fit(TABLE, NUMBER)
    drawn = TabularMLPRegressor(cv=KFold(3).split(TABLE), **FEW).fit(TABLE, NUMBER)
    assert_array_equal(listed.oof_prediction_, drawn.oof_prediction_)


def test_a_splitter_is_given_what_the_user_has():
    class OnKinds:
        def split(self, X, y, groups):
            assert set(y) == {"few", "many"}
            for kind in ("u", "v"):
                is_held = (X["k"] == kind).to_numpy()
                yield np.flatnonzero(~is_held), np.flatnonzero(is_held)

    y = np.where(TABLE["a"] > 3, "many", "few")
    model = TabularMLPClassifier(cv=OnKinds(), **FEW).fit(TABLE, y)
    assert_array_equal(model._held[0][0], np.arange(0, N_ROWS, 2))


def test_rows_with_a_weight_are_spread_over_the_folds():
    weights = np.zeros(N_ROWS)
    weights[[3, 4, 10, 20]] = 1
    for seed in range(5):
        model = TabularMLPRegressor(**{**FEW, "random_state": seed})
        held = model.fit(TABLE, NUMBER, sample_weight=weights)._held[0]
        assert [weights[rows].sum() for rows in held] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("string[python]", "ab"),
        ("string[pyarrow]", "ab"),
        ("Int64", [1, 2]),
        ("boolean", [True, False]),
    ],
)
def test_labels_that_are_missing_are_refused(kind, values):
    y = pd.Series([None, *values] * 8, dtype=kind)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        TabularMLPClassifier(**FEW).fit(TABLE, y)


def test_levels_that_no_number_is_are_refused():
    model = TabularMLPRegressor(**FEW).fit(TABLE, NUMBER)
    with pytest.raises(ValueError, match=r"coverage must be a number .* got \[0.5\]"):
        model.predict_interval(TABLE, [0.5])
    with pytest.raises(ValueError, match="In quantile: could not convert"):
        model.predict_quantiles(TABLE, "a")


def test_huge_numbers_are_scored_as_in_another_unit():
    plain = TabularMLPRegressor(**FEW).fit(TABLE, NUMBER)
    huge = TabularMLPRegressor(**FEW).fit(TABLE, NUMBER * 1e300)
    assert huge.oof_score_ == pytest.approx(plain.oof_score_, rel=1e-6)
    assert huge.score(TABLE, NUMBER * 1e300) == pytest.approx(plain.score(TABLE, NUMBER))
