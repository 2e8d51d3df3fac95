"""Folds that leave rows out, such as those of time: nothing is known of these rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, TimeSeriesSplit
from test_callbacks_of_tables import Recorder
from test_tabular_fits import OURS, SMALL, mixed_table, targets_of

import sklearn_mlp
from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp.tabular.folds import RowsToSplit, split_rows

N_ROWS, NOW, FIRST = 250, 150, 50
TABLE, NUMBER = mixed_table(N_ROWS)
FOLDS = {**SMALL, "cv": TimeSeriesSplit(4)}


def changed_later(table, number):
    """Return a table and a number whose later rows are nothing like those before."""
    rng = np.random.default_rng(1)
    table, number = table.copy(), number.copy()
    n_later = len(table) - NOW
    table.loc[NOW:, "size"] = rng.normal(size=n_later) * 1e9
    table.loc[NOW:, "other"] = np.nan
    table.loc[NOW:, "kind"] = "new"
    table.loc[NOW:, "at"] = pd.Timestamp("2100-01-01")
    number[NOW:] = 1e6 * rng.uniform(1, 2, size=n_later)
    return table, number


CASES = {
    "numbers": (TabularMLPRegressor, {}),
    "no clipping": (TabularMLPRegressor, {"clip": False, "n_members": 9}),
    "a scorer": (TabularMLPRegressor, {"scoring": "neg_mean_absolute_error"}),
    "in units of deviations": (TabularMLPRegressor, {"loss": "huber"}),
    "counts": (TabularMLPRegressor, {"loss": "poisson"}),
    "quantiles": (TabularMLPRegressor, {"loss": "quantile", "quantile": [0.1, 0.9]}),
    "labels": (TabularMLPClassifier, {}),
    "balanced labels": (TabularMLPClassifier, {"class_weight": "balanced"}),
}


@pytest.mark.parametrize(("Estimator", "parameters"), CASES.values(), ids=CASES.keys())
def test_what_comes_later_changes_nothing_before(Estimator, parameters):
    found = []
    for table, number in ((TABLE, abs(NUMBER)), changed_later(TABLE, abs(NUMBER))):
        model = Estimator(**{**FOLDS, "max_iter": 4}, **parameters).fit(
            table, targets_of(Estimator, number)
        )
        found.append(model.oof_prediction_.reshape(N_ROWS, -1))
    assert_array_equal(found[0][:NOW], found[1][:NOW])
    assert np.isnan(found[0][:FIRST]).all()
    assert np.isfinite(found[0][FIRST:]).all()
    assert not np.array_equal(found[0][NOW:], found[1][NOW:])


@pytest.mark.parametrize("Estimator", OURS)
def test_rows_that_are_never_held_out_count_in_no_score(Estimator):
    y, weights = targets_of(Estimator, NUMBER), np.linspace(0.5, 2, N_ROWS)
    model = Estimator(**FOLDS).fit(TABLE, y, sample_weight=weights)
    assert model.n_members_ == 8
    held = model.oof_prediction_[FIRST:]
    expected = (
        r2_score(y[FIRST:], held, sample_weight=weights[FIRST:])
        if Estimator is TabularMLPRegressor
        else np.average(model.classes_[held.argmax(axis=1)] == y[FIRST:], weights=weights[FIRST:])
    )
    assert model.oof_score_ == pytest.approx(expected)
    assert model.oof_score_ > 0.5
    assert {f"loss_{member}" for member in range(4)} <= set(model.history_)


def test_units_are_those_of_the_targets_whatever_the_folds_say():
    # A scale that grows a hundredfold over time, and the same in other units.
    y = NUMBER * np.linspace(1, 100, N_ROWS)
    model = TabularMLPRegressor(**FOLDS).fit(TABLE, y)
    other = TabularMLPRegressor(**FOLDS).fit(TABLE, 1024 * y - 4096)
    assert_allclose(other.predict(TABLE), 1024 * model.predict(TABLE) - 4096, rtol=1e-2)
    members = model.predict_members(TABLE)
    assert members.shape == (8, N_ROWS)
    # Each says of its own rows what was found while it was trained, in the mean with its pair.
    interval = model.predict_interval(TABLE[:3], 0.5)
    assert (interval[:, 0] < interval[:, 1]).all()
    constant = TabularMLPRegressor(**FOLDS).fit(TABLE, np.full(N_ROWS, 3.0))
    assert_allclose(constant.predict(TABLE), 3)


@pytest.mark.parametrize("Estimator", OURS)
def test_networks_of_different_codes_are_saved_and_asked_for_importances(Estimator, tmp_path):
    # The first rows have neither missing numbers nor the third level.
    table, y = TABLE.copy(), targets_of(Estimator, NUMBER)
    table.loc[:FIRST, "other"] = 1.0
    table.loc[:FIRST, "kind"] = "a"
    model = Estimator(**FOLDS, n_jobs=2).fit(table, y)
    assert_array_equal(Estimator(**FOLDS).fit(table, y).predict(table), model.predict(table))
    path = tmp_path / "model.safetensors"
    model.save(path, leave_out=["cv"])
    loaded = sklearn_mlp.load(path, cv=model.cv)
    for other in (pickle.loads(pickle.dumps(model)), loaded):
        assert_array_equal(other.predict_members(table), model.predict_members(table))
    worth = model.feature_importances(table, y, n_repeats=1, random_state=0).importances_mean
    assert worth[0] > 0.05
    assert worth[0] > max(worth[1], worth[3])


def test_callbacks_and_time_end_training_with_the_networks_so_far():
    recorder = Recorder(stop_at=7, X=TABLE)
    model = TabularMLPRegressor(**FOLDS).set_callbacks(recorder).fit(TABLE, NUMBER)
    assert len(model.history_) == 7
    for fitted in (*recorder.models, model):
        assert np.isfinite(fitted.predict(TABLE)).all()
    hurried = TabularMLPRegressor(**FOLDS, max_time=1e-9).fit(TABLE, NUMBER)
    assert hurried.n_members_ == 2
    assert np.isfinite(hurried.predict(TABLE)).all()
    assert np.isfinite(hurried.oof_prediction_).sum() == FIRST


def test_fewer_networks_are_those_of_the_last_folds():
    model = TabularMLPRegressor(**FOLDS, n_members=4).fit(TABLE, NUMBER)
    assert_array_equal(np.isfinite(model.oof_prediction_), np.arange(N_ROWS) >= NOW)


def test_splits_of_all_rows_share_one_code():
    rows = RowsToSplit(np.zeros((40, 1)), np.zeros(40)), np.random.RandomState(0)
    assert not split_rows(4, *rows).is_apart
    assert not split_rows(KFold(3), *rows).is_apart
    assert split_rows(TimeSeriesSplit(3), *rows).is_apart
    model = TabularMLPRegressor(**SMALL, cv=KFold(3)).fit(TABLE, NUMBER)
    assert not model._ensemble.codes


def test_splits_of_other_rows_are_told():
    folds = [(np.arange(100), np.arange(200, 260))]
    with pytest.raises(ValueError, match="has rows that are none of the 250"):
        TabularMLPRegressor(**SMALL, cv=folds).fit(TABLE, NUMBER)
