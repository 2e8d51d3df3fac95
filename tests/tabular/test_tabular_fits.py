"""The estimators for tables: what they learn, and scikit-learn's contract."""

import pickle
import signal
import threading
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.metrics import (
    accuracy_score,
    d2_pinball_score,
    log_loss,
    r2_score,
    roc_auc_score,
)
from sklearn.model_selection import GroupKFold, ShuffleSplit, TimeSeriesSplit
from sklearn.utils.estimator_checks import estimator_checks_generator

from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp.tabular import plan

CPU = torch.device("cpu")
OURS = [TabularMLPClassifier, TabularMLPRegressor]

# Small networks, few passes: enough to see that something is learned.
SMALL = {"hidden_layer_sizes": (16, 16), "max_iter": 15, "random_state": 0}


def mixed_table(n_rows=300, seed=0):
    """Return a table of all kinds of columns, and a number that depends on them."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "size": rng.normal(size=n_rows),
            "other": rng.normal(size=n_rows),
            "kind": rng.choice(["a", "b", "c"], n_rows),
            "at": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.uniform(0, 300, n_rows), "D"),
        }
    )
    number = table["size"] ** 2 + 2.0 * (table["kind"] == "b") - 1.5 * (table["kind"] == "c")
    table.loc[rng.uniform(size=n_rows) < 0.1, "other"] = np.nan
    return table, number.to_numpy()


def targets_of(Estimator, number):
    """Return a number as it is, or as labels."""
    if Estimator is TabularMLPRegressor:
        return number
    return np.where(number > 0.5, "large", "small")


# What is learned.


@pytest.mark.parametrize("Estimator", OURS)
def test_tables_are_learned_as_they_come(Estimator):
    table, number = mixed_table(800)
    y = targets_of(Estimator, number)
    model = Estimator(**SMALL).fit(table[:500], y[:500])
    assert model.score(table[500:], y[500:]) > 0.9
    # Held-out rows tell what to expect of new ones.
    assert model.oof_score_ == pytest.approx(model.score(table[500:], y[500:]), abs=0.06)
    assert model.n_members_ == (8 if Estimator is TabularMLPRegressor else 20)
    assert model.feature_names_in_.tolist() == ["size", "other", "kind", "at"]


def test_probabilities_are_calibrated():
    X, y = make_classification(900, flip_y=0.4, random_state=0)
    model = TabularMLPClassifier(**SMALL).fit(X[:400], y[:400])
    probability = model.predict_proba(X[400:])[:, 1]
    certain = np.maximum(probability, 1 - probability)
    is_right = (probability > 0.5) == y[400:]
    assert certain.mean() == pytest.approx(is_right.mean(), abs=0.05)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))


def test_without_calibration_temperatures_are_1():
    X, y = make_classification(100, random_state=0)
    model = TabularMLPClassifier(calibrate=False, **SMALL).fit(X, y)
    assert set(model.history_["temperature"]) == {1.0}
    mean = model.predict_members(X).reshape(2, 10, 100, 2).mean(axis=1)
    weight = model._ensemble.mixture.weights[0]
    expected = weight * mean[0] + (1 - weight) * mean[1]
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-6)


def test_multilabel_and_several_columns_of_labels():
    table, number = mixed_table(400)
    labels = np.column_stack([number > 0, table["size"] > 0, table["kind"] == "a"]).astype(int)
    model = TabularMLPClassifier(**SMALL).fit(table, labels)
    assert model.predict(table).shape == (400, 3)
    assert (model.predict(table) == labels).mean() > 0.9
    assert model.predict_proba(table).shape == model.oof_prediction_.shape == (400, 3)
    sparse = clone(model).fit(table, scipy.sparse.csr_array(labels))
    assert (sparse.predict(table).toarray() == model.predict(table)).all()
    assert sparse.oof_score_ == model.oof_score_
    columns = np.column_stack([table["kind"], np.where(number > 0, "yes", "no")])
    model.fit(table, columns)
    assert [part.shape for part in model.predict_proba(table)] == [(400, 3), (400, 2)]
    assert [part.shape for part in model.predict_members(table)] == [(20, 400, 3), (20, 400, 2)]
    assert model.score(table, columns) > 0.9
    assert model.oof_score_ > 0.8


def test_several_numbers_are_learned_together():
    X, y = make_regression(300, 5, n_targets=2, random_state=0)
    y = y * [1.0, 1e6] + [0.0, 1e9]
    model = TabularMLPRegressor(**SMALL).fit(X, y)
    assert r2_score(y, model.predict(X), multioutput="raw_values").min() > 0.9
    mean, spread = model.predict(X, return_std=True)
    assert mean.shape == spread.shape == model.oof_prediction_.shape == (300, 2)
    assert model.predict_members(X).shape == (8, 300, 2)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile", "poisson", "gamma"])
def test_losses_of_numbers(loss):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(600, 2))
    mean = np.exp(2 * X[:, 0] + 3)
    draw = {"poisson": rng.poisson, "gamma": lambda m: rng.gamma(2, m / 2)}
    y = draw.get(loss, lambda m: m + rng.normal(size=len(m)))(mean)
    model = TabularMLPRegressor(loss=loss, quantile=0.9, **SMALL).fit(X[:400], y[:400])
    predicted = model.predict(X[400:])
    if loss == "quantile":
        assert np.mean(y[400:] <= predicted) == pytest.approx(0.9, abs=0.07)
        expected = d2_pinball_score(y[400:], predicted, alpha=0.9)
        assert model.score(X[400:], y[400:]) == expected
    else:
        assert r2_score(mean[400:], predicted) > 0.9


@pytest.mark.parametrize("n_targets", [1, 2])
def test_several_quantiles_are_learned_together(n_targets):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(900, 2))
    # Noise that grows with the first column.
    y = X[:, :1] + (1.1 + X[:, :1]) * rng.normal(size=(900, n_targets))
    y = y[:, 0] if n_targets == 1 else y
    levels = [0.1, 0.5, 0.9]
    model = TabularMLPRegressor(loss="quantile", quantile=levels, **SMALL).fit(X[:600], y[:600])
    shape = (300, 3) if n_targets == 1 else (300, 2, 3)
    predicted, spread = model.predict(X[600:], return_std=True)
    assert predicted.shape == spread.shape == shape
    assert model.predict_members(X).shape == (8, 900, *shape[1:])
    assert model.oof_prediction_.shape == (600, *shape[1:])
    assert (np.diff(predicted) >= 0).all()
    shares = (y[600:, ..., None] <= predicted).mean(axis=0)
    np.testing.assert_allclose(shares, np.broadcast_to(levels, shares.shape), atol=0.09)
    # It is wider where there is more noise, as no interval of residuals is.
    width = predicted[..., -1] - predicted[..., 0]
    assert width[X[600:, 0] > 0].mean() > 1.8 * width[X[600:, 0] < 0].mean()
    assert 0.1 < model.score(X[600:], y[600:]) < 0.6
    assert model.oof_score_ == pytest.approx(model.score(X[600:], y[600:]), abs=0.1)
    with pytest.raises(ValueError, match=r"predict the quantiles .*, and 0.05 is none"):
        model.predict_interval(X)
    with pytest.raises(ValueError, match="quantile must be a number between 0 and 1, or several"):
        model.set_params(quantile=[0.9, 0.1]).fit(X, y)


def test_predictions_stay_within_the_targets_unless_told_otherwise():
    X = np.linspace(0, 1, 300)[:, None]
    y = 5 * X[:, 0]
    far = [[-5.0], [5.0]]
    clipped = TabularMLPRegressor(**SMALL).fit(X, y)
    np.testing.assert_array_equal(clipped.predict(far), [y.min(), y.max()])
    free = clone(clipped).set_params(clip=False).fit(X, y)
    assert free.predict(far)[1] > y.max()


def test_spread_is_wider_where_there_were_no_rows():
    X = np.random.default_rng(0).uniform(-1, 1, size=(300, 2))
    model = TabularMLPRegressor(**SMALL, clip=False).fit(X, X[:, 0])
    mean, spread = model.predict([[0.0, 0.0], [9.0, -9.0]], return_std=True)
    np.testing.assert_allclose(mean, model.predict([[0.0, 0.0], [9.0, -9.0]]), rtol=1e-5)
    assert spread[1] > 3 * spread[0]


# Weights, classes, folds.


@pytest.mark.parametrize("Estimator", OURS)
def test_rows_without_weight_do_not_count(Estimator):
    table, number = mixed_table(300)
    y = targets_of(Estimator, number)
    wrong = np.roll(y, 7)
    weights = np.r_[np.ones(300), np.zeros(300)]
    both = pd.concat([table, table.tail(1), table.iloc[:-1]], ignore_index=True)
    model = Estimator(**SMALL).fit(both, np.r_[y, wrong], sample_weight=weights)
    assert model.score(table, y) > 0.9
    assert model.oof_score_ > 0.8


def test_class_weights_move_the_decision():
    X, y = make_classification(300, flip_y=0.3, weights=[0.8], random_state=0)
    plain, balanced = (
        TabularMLPClassifier(class_weight=each, **SMALL).fit(X, y).predict(X).mean()
        for each in (None, "balanced")
    )
    assert balanced > plain


@pytest.mark.parametrize(("n_rows_of_a_class", "n_folds"), [(1, 10), (4, 4), (8, 8)])
def test_groups_of_classes_of_few_rows_are_held_out_together(n_rows_of_a_class, n_folds):
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(32, 3)), np.arange(32) % 16
    y = np.arange(32) // n_rows_of_a_class
    model = TabularMLPClassifier(**SMALL).fit(X, y, groups=groups)
    # No more than the largest class has rows; where each row is one of its own, none is spread.
    assert [len(held) for held in model._held] == [n_folds, n_folds]
    for held in model._held:
        assert sorted(np.concatenate(held)) == list(range(32))
        assert all(
            set(rows) == set(np.flatnonzero(np.isin(groups, groups[rows]))) for rows in held
        )


@pytest.mark.parametrize("cv", [3, GroupKFold(3)], ids=["integer", "splitter"])
def test_rows_of_a_group_are_held_out_together(cv):
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 5)
    # Each row tells which group it is of, which would tell its target.
    key = rng.normal(size=60)
    X = key[groups, None] + 1e-3 * rng.normal(size=(300, 1))
    y = rng.normal(size=60)[groups]
    model = TabularMLPRegressor(cv=cv, **SMALL).fit(X, y, groups=groups)
    assert model.oof_score_ < 0.2
    for held in model._held:
        assert sorted(np.concatenate(held)) == list(range(300))
        for rows in held:
            assert not set(groups[rows]) & set(groups[np.setdiff1d(np.arange(300), rows)])


def test_one_random_split_is_both_groups(recwarn):
    X = np.random.default_rng(0).normal(size=(240, 3))
    model = TabularMLPRegressor(cv=ShuffleSplit(1, test_size=0.2), **SMALL).fit(X, X[:, 0])
    assert model.n_members_ == 2
    assert np.isfinite(model.oof_prediction_).sum() == 48
    assert model.oof_score_ > 0.8
    assert model.predict_interval(X).shape == (240, 2)
    assert not recwarn.list


def test_the_order_of_time_is_kept():
    X = np.random.default_rng(0).normal(size=(240, 3))
    model = TabularMLPRegressor(cv=TimeSeriesSplit(3), **SMALL).fit(X, X[:, 0])
    assert model.n_members_ == 6
    first = np.isnan(model.oof_prediction_)
    np.testing.assert_array_equal(first, np.arange(240) < 60)
    assert model.oof_score_ > 0.8


def test_classes_are_spread_evenly_over_the_folds():
    X, y = make_classification(200, weights=[0.9], random_state=0)
    model = TabularMLPClassifier(**SMALL).fit(X, y)
    counts = [np.bincount(y[rows], minlength=2) for held in model._held for rows in held]
    assert np.ptp(counts, axis=0).max() <= 1


@pytest.mark.parametrize("Estimator", OURS)
def test_thirty_rows_are_enough_and_fewer_are_warned_of(Estimator):
    table, number = mixed_table(30)
    y = targets_of(Estimator, number)
    assert Estimator(**SMALL).fit(table, y).predict(table).shape == (30,)
    with pytest.warns(UserWarning, match="12 rows are too few to choose"):
        Estimator(**SMALL).fit(table[:12], y[:12])


@pytest.mark.parametrize("n_members", [1, 2, 7, 12, 20, 40])
def test_members_are_as_many_as_asked_for(n_members):
    table, number = mixed_table(200)
    y = targets_of(TabularMLPClassifier, number)
    model = TabularMLPClassifier(n_members=n_members, **SMALL).fit(table, y)
    assert model.n_members_ == len(model.predict_members(table)) == n_members
    sizes = [len(held) for held in model._held]
    assert sizes == [-(-n_members // 2), n_members // 2][: len(sizes)]
    judged = np.isfinite(model.oof_prediction_).all(axis=1).mean()
    # Of four folds or more those that both groups have.
    assert judged == pytest.approx({1: 1 / 4, 2: 1 / 4, 7: 3 / 4}.get(n_members, 1), abs=0.01)
    assert model.score(table, y) > 0.8
    if n_members == 20:
        plain = TabularMLPClassifier(**SMALL).fit(table, y)
        np.testing.assert_array_equal(plain.oof_prediction_, model.oof_prediction_)
    if n_members == 40:
        first, again = np.concatenate(model._held[0][:10]), np.concatenate(model._held[0][10:])
        assert sorted(first) == sorted(again) == list(range(200))
        assert not np.array_equal(first, again)


def test_many_rows_have_fewer_folds(monkeypatch):
    table, number = mixed_table(200)
    monkeypatch.setattr("sklearn_mlp.tabular.preparation.ROWS_OF_LONG_RUNS", 199)
    y = targets_of(TabularMLPClassifier, number)
    assert TabularMLPClassifier(**SMALL).fit(table, y).n_members_ == 12
    assert TabularMLPRegressor(**SMALL).fit(table, number).n_members_ == 8


def test_splits_of_the_users_are_repeated():
    table, number = mixed_table(200)
    model = TabularMLPRegressor(cv=GroupKFold(2), n_members=8, **SMALL)
    model.fit(table, number, groups=np.arange(200) % 7)
    (first, *_), _ = model._held
    np.testing.assert_array_equal(first, model._held[1][2])
    assert model.predict_interval(table).shape == (200, 2)


@pytest.mark.parametrize("scoring", ["roc_auc", "loss", "neg_log_loss"])
def test_a_scorer_decides_when_training_was_best(scoring):
    X, y = make_classification(300, flip_y=0.2, random_state=0)
    y = np.where(y, "yes", "no")
    weights = np.random.default_rng(0).uniform(size=300)
    model = TabularMLPClassifier(scoring=scoring, **SMALL).fit(X, y, sample_weight=weights)
    if scoring == "loss":
        assert "score" not in model.history_
        assert model.oof_score_ == accuracy_score(
            y, model.classes_[model.oof_prediction_.argmax(axis=1)], sample_weight=weights
        )
        return
    metric = {"roc_auc": roc_auc_score, "neg_log_loss": lambda *a, **k: -log_loss(*a, **k)}
    column = model.oof_prediction_[:, 1]
    expected = metric[scoring](y, column, sample_weight=weights)
    assert model.oof_score_ == pytest.approx(expected)
    best = model.history_.groupby("group")["score"].max()
    assert (best <= model.oof_score_ + 0.05).all()


def test_a_scorer_of_the_users_is_given_the_rows_held_out():
    table, number = mixed_table(200)
    seen = []

    def worst(estimator, X, y):
        seen.append(X)
        return -np.abs(estimator.predict(X) - y).max()

    model = TabularMLPRegressor(scoring=worst, cv=TimeSeriesSplit(3), **SMALL).fit(table, number)
    # Those of each fold, and of all up to it.
    assert {len(X) for X in seen} == {50, 100, 150}
    assert list(seen[0].columns) == list(table.columns)
    kept = np.isfinite(model.oof_prediction_)
    assert model.oof_score_ == -np.abs(model.oof_prediction_ - number)[kept].max()
    with pytest.raises(TypeError, match="scoring=<lambda> must return a number"):
        TabularMLPRegressor(scoring=lambda *_: None, **SMALL).fit(table, number)
    several = TabularMLPClassifier(scoring="roc_auc", **SMALL)
    with pytest.raises(
        ValueError, match="scoring='roc_auc' failed on the validation set, 200 samp"
    ):
        several.fit(table, np.arange(200) % 3)


# Training.


def test_the_learning_rate_goes_through_four_cycles():
    ends = [plan.rate_factor(part / 15) for part in (0, 1, 3, 7, 15)]
    np.testing.assert_allclose(ends, 0, atol=1e-12)
    assert plan.rate_factor((2**0.5 - 1) / 15) == pytest.approx(1)


def test_a_fifth_cycle_is_as_long_as_the_four_before_and_one_more():
    ends = [plan.rate_factor(part / 31, 5) for part in (0, 1, 3, 7, 15, 31)]
    np.testing.assert_allclose(ends, 0, atol=1e-12)
    for part in (0.4, 5.3, 11.0):
        assert plan.rate_factor(part / 31, 5) == pytest.approx(plan.rate_factor(part / 15))


def test_numbers_of_few_rows_are_gone_through_more_often_by_default():
    passes = [TabularMLPRegressor()._settings(rows, CPU).max_iter for rows in (6000, 6001)]
    assert passes == [60, 30]
    assert TabularMLPClassifier()._settings(6000, CPU).max_iter == 30
    assert TabularMLPRegressor(max_iter=70)._settings(6001, CPU).max_iter == 70


def test_networks_are_judged_at_the_ends_of_cycles_and_before():
    table, number = mixed_table(300)
    history = TabularMLPRegressor(**{**SMALL, "max_iter": 31}).fit(table, number).history_
    parts = history.loc[history["group"] == 0, "n_iter"]
    whole = [1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 15, 19, 23, 27, 31]
    np.testing.assert_allclose(parts, whole[: len(parts)], atol=0.1)
    assert len(parts) in (7, 11, 15)


def test_noise_is_learned_for_fewer_cycles_than_a_clean_function():
    rng = np.random.RandomState(0)
    X = rng.uniform(-2, 2, (400, 2))
    clean, noise = np.sin(2 * X[:, 0]) * X[:, 1], rng.normal(size=400)
    settings = {**SMALL, "max_iter": 31}
    assert TabularMLPRegressor(**settings).fit(X, noise).n_iter_ == 7
    assert TabularMLPRegressor(**settings).fit(X, clean).n_iter_ == 31


@pytest.mark.parametrize(("max_iter", "least"), [(15, 0.02), (31, 0.08)])
def test_a_cycle_that_gains_little_is_the_last(max_iter, least):
    rng = np.random.RandomState(0)
    X = rng.uniform(-2, 2, (400, 2))
    clean, noise = np.sin(2 * X[:, 0]) * X[:, 1], rng.normal(size=400)
    lasts = set()
    for share in (0, 0.3, 3):
        model = TabularMLPRegressor(**{**SMALL, "max_iter": max_iter})
        history = model.fit(X, clean + share * noise).history_
        for _, rows in history.groupby("group"):
            cycles = np.ceil(np.log2(rows["n_iter"] + 1 - 0.1))
            losses = rows["loss"].groupby(cycles).min().cummin().to_numpy()
            # Half of a fall of squares.
            gains = (1 - losses[1:] / losses[:-1]) / 2
            assert (gains[1:-1] >= least).all()
            assert len(losses) == np.log2(max_iter + 1) or gains[-1] < least
            lasts.add(len(losses))
    assert len(lasts) > 1


@pytest.mark.parametrize("n_jobs", [2, -1])
@pytest.mark.parametrize("Estimator", OURS)
def test_results_are_the_same_again_and_on_two_threads(Estimator, n_jobs):
    table, number = mixed_table(300)
    y = targets_of(Estimator, number)
    model = Estimator(**SMALL).fit(table, y)
    other = Estimator(n_jobs=n_jobs, **SMALL).fit(table, y)
    np.testing.assert_array_equal(model.predict_members(table), other.predict_members(table))
    np.testing.assert_array_equal(model.oof_prediction_, other.oof_prediction_)
    different = Estimator(**{**SMALL, "random_state": 1}).fit(table, y)
    assert not np.array_equal(model.oof_prediction_, different.oof_prediction_)


def test_batches_coded_one_by_one_are_the_same(monkeypatch):
    from sklearn_mlp.tabular import coded_rows

    table, number = mixed_table(300)
    whole = TabularMLPRegressor(**SMALL).fit(table, number).predict(table)
    monkeypatch.setattr(coded_rows, "_MOST_KEPT", 100)
    np.testing.assert_allclose(
        TabularMLPRegressor(**SMALL).fit(table, number).predict(table), whole, rtol=1e-4, atol=1e-4
    )


def test_many_rows_have_fewer_passes(monkeypatch):
    monkeypatch.setattr(plan, "_MOST_ROWS_LEARNED", 1000)
    X, y = make_regression(400, 3, random_state=0)
    model = TabularMLPRegressor(**SMALL).fit(X, y)
    assert model.n_iter_ <= 4
    assert len(model.history_) <= 8


def test_history_tells_of_groups_and_networks(capsys):
    X, y = make_classification(300, random_state=0)
    model = TabularMLPClassifier(verbose=True, cv=3, **SMALL).fit(X, y)
    history = model.history_
    assert list(history.columns[:4]) == ["group", "n_iter", "loss", "error"]
    assert {"loss_0", "loss_2", "temperature", "learning_rate", "seconds"} <= set(history.columns)
    assert set(history["group"]) == {0, 1}
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(history)
    assert printed[0].startswith("Iteration 1.0, held-out loss 0.")


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_training_ends_after_max_time_with_what_there_is(n_jobs):
    table, number = mixed_table(2000)
    model = TabularMLPRegressor(max_iter=100_000, max_time=1.0, n_jobs=n_jobs, random_state=0)
    began = time.monotonic()
    model.fit(table, number)
    assert time.monotonic() - began < 60
    assert model.predict(table).shape == (2000,)


@pytest.mark.usefixtures("ctrl_c_interrupts")
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_an_interrupt_leaves_what_has_been_reached(n_jobs):
    table, number = mixed_table(2000)
    model = TabularMLPRegressor(max_iter=1_000_000, n_jobs=n_jobs, random_state=0)

    def press():
        """Press Ctrl-C once training has begun."""
        time.sleep(0.7)
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=press)
    try:
        thread.start()
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            model.fit(table, number)
    finally:
        thread.join()
    assert model.predict(table).shape == (2000,)
    assert model.n_members_ == (4 if n_jobs is None else 8)


# scikit-learn's contract, and what is left.


@pytest.mark.filterwarnings("ignore:.*rows are too few")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize("Estimator", OURS)
def test_every_check_passes(Estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=FutureWarning)
        checks = list(estimator_checks_generator(Estimator((8,), max_iter=2)))
    for estimator, check in checks:
        name = check.func.__name__
        if name == "check_class_weight_classifiers":
            # It asks for a thousand passes.
            estimator.set_params(max_time=1.0)
        if name not in (
            "check_array_api_input",
            "check_classifiers_multilabel_output_format_decision_function",
        ):
            check(estimator)


@pytest.mark.parametrize("Estimator", OURS)
def test_pickles_are_small_and_predict_the_same(Estimator):
    table, number = mixed_table(300)
    model = Estimator(**SMALL).fit(table, targets_of(Estimator, number))
    stored = pickle.dumps(model)
    # Networks of some 2,000 to 3,000 numbers, and what is known of 300 rows.
    assert len(stored) < 13_300 * model.n_members_
    np.testing.assert_array_equal(pickle.loads(stored).predict(table), model.predict(table))
    assert not any(isinstance(value, torch.Tensor) for value in vars(model).values())


def test_what_cannot_be_learned_is_said():
    table, number = mixed_table(40)
    model = TabularMLPRegressor(**SMALL).fit(table, number)
    with pytest.raises(ValueError, match="column 'at' was dates in fit, got numbers"):
        model.predict(table.assign(at=1.0))
    with pytest.raises(ValueError, match=r"'poisson': y must be >= 0"):
        TabularMLPRegressor(loss="poisson").fit(table, number - 10)
    with pytest.raises(ValueError, match=r"cv=.*leaves a network no rows"):
        TabularMLPRegressor(cv=[]).fit(table, number)
    with pytest.raises(ValueError, match="groups must have at least 2"):
        TabularMLPRegressor().fit(table, number, groups=np.zeros(40))
    with pytest.raises(ValueError, match="n_samples=1"):
        TabularMLPRegressor().fit(table[:1], number[:1])


def test_a_failed_fit_leaves_the_estimator_as_it_was():
    table, number = mixed_table(60)
    model = TabularMLPRegressor(**SMALL).fit(table, number)
    expected = model.predict(table)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        model.fit(table[["size"]], number[:-1])
    np.testing.assert_array_equal(model.predict(table), expected)


def test_threads_and_generators_are_left_alone():
    table, number = mixed_table(60)
    before = torch.get_num_threads(), torch.random.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    TabularMLPRegressor(n_jobs=2, **{**SMALL, "random_state": None}).fit(table, number)
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])
    np.testing.assert_array_equal(np.random.get_state()[1], before[2])  # noqa: NPY002
