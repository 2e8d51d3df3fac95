"""What the rows that networks have not learned from tell: intervals, quantiles, importances."""

import numpy as np
import pandas as pd
import pytest

import sklearn_mlp
from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp.tabular.intervals import HeldResiduals

SMALL = {"hidden_layer_sizes": (16, 16), "max_iter": 15, "random_state": 0}


def noisy(n_rows, seed=0):
    """Return a table and a number with noise of deviation 0.5."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"x": rng.uniform(-2, 2, n_rows), "kind": rng.choice(["a", "b"], n_rows)})
    signal = np.sin(table["x"]) + (table["kind"] == "a")
    return table, signal.to_numpy() + rng.normal(scale=0.5, size=n_rows)


@pytest.fixture(scope="module")
def model():
    """A regressor that has learned from noisy numbers."""
    return TabularMLPRegressor(**SMALL).fit(*noisy(600))


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_intervals_hold_as_many_new_targets_as_they_say(model, coverage):
    table, y = noisy(3000, seed=1)
    lower, upper = model.predict_interval(table, coverage).T
    held = np.mean((lower <= y) & (y <= upper))
    # Twice the error of a share among 600 residuals.
    assert held == pytest.approx(coverage, abs=2 * np.sqrt(coverage * (1 - coverage) / 600))


def test_quantiles_rise_and_have_the_shares_that_they_say(model):
    table, y = noisy(3000, seed=1)
    levels = [0.1, 0.5, 0.9]
    found = model.predict_quantiles(table, levels)
    assert found.shape == (3000, 3)
    assert (np.diff(found) > 0).all()
    np.testing.assert_allclose((y[:, None] <= found).mean(axis=0), levels, atol=0.05)
    np.testing.assert_array_equal(model.predict_quantiles(table, 0.9), found[:, 2])


@pytest.mark.parametrize("quantile", [0, 1.0, [0.5, 2], [], [[0.5]], "x"])
def test_levels_that_are_none_are_refused(model, quantile):
    with pytest.raises(ValueError, match=r"quantile must be|could not convert"):
        model.predict_quantiles(noisy(2)[0], quantile)


def test_coverage_has_to_be_a_share(model):
    with pytest.raises(ValueError, match="coverage must be a number between 0 and 1, got 90"):
        model.predict_interval(noisy(2)[0], 90)


def test_sums_by_hand():
    residuals = np.array([[1.0], [-2.0], [3.0], [np.nan]])
    held = [[np.array([0, 1]), np.array([2, 3])], [np.array([0, 2]), np.array([1, 3])]]
    kept = HeldResiduals.of(residuals, None, held)
    first, second = np.array([[[10.0]], [[20.0]]]), np.array([[[0.0]], [[100.0]]])
    # Half of each group, by the networks that have not seen the row.
    sums = np.array([5.0 + 1, 5 + 50 - 2, 10 + 3])
    found = kept.quantiles([first, second], [0.5, 0.5], [0.25, 0.5, 0.75])
    np.testing.assert_allclose(found[0, 0], np.sort(sums))


def test_weights_are_residuals_repeated():
    rng = np.random.default_rng(0)
    residuals, counts = rng.normal(size=(30, 1)), rng.integers(0, 4, 30)
    values = [np.zeros((1, 5, 1))]
    weighted = HeldResiduals.of(residuals, counts.astype(float), [[np.arange(30)]])
    again = residuals.repeat(counts, axis=0)
    repeated = HeldResiduals.of(again, np.ones(len(again)), [[np.arange(len(again))]])
    levels = [0.1, 0.5, 0.9]
    np.testing.assert_allclose(
        weighted.quantiles(values, [1.0], levels), repeated.quantiles(values, [1.0], levels)
    )


def test_intervals_of_several_targets():
    table, y = noisy(300)
    both = TabularMLPRegressor(**SMALL).fit(table, np.column_stack([y, 100 * y]))
    interval = both.predict_interval(table)
    assert interval.shape == (300, 2, 2)
    width = np.diff(interval)[..., 0].mean(axis=0)
    assert width[1] / width[0] == pytest.approx(100, rel=0.2)
    assert both.predict_quantiles(table, 0.5).shape == (300, 2)


@pytest.fixture(scope="module")
def several():
    """A regressor of three quantiles, of noise that is three times as wide where x is positive."""
    table, y = uneven(800)
    return TabularMLPRegressor(loss="quantile", quantile=[0.05, 0.5, 0.95], **SMALL).fit(table, y)


def uneven(n_rows, seed=0):
    """Return a table and a number whose noise depends on the table."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"x": rng.uniform(-2, 2, n_rows), "other": rng.normal(size=n_rows)})
    return table, table["x"].to_numpy() + rng.normal(size=n_rows) * np.where(table["x"] > 0, 3, 1)


def test_intervals_of_several_quantiles_hold_and_are_wide_where_noise_is(several):
    table, y = uneven(4000, seed=1)
    lower, upper = several.predict_interval(table, 0.9).T
    held = (lower <= y) & (y <= upper)
    assert held.mean() == pytest.approx(0.9, abs=0.03)
    is_noisy = (table["x"] > 0).to_numpy()
    assert held[is_noisy].mean() == pytest.approx(0.9, abs=0.05)
    assert held[~is_noisy].mean() == pytest.approx(0.9, abs=0.05)
    width = upper - lower
    assert width[is_noisy].mean() > 2 * width[~is_noisy].mean()


def test_several_quantiles_have_the_shares_that_they_say(several):
    table, y = uneven(4000, seed=1)
    found = several.predict_quantiles(table, [0.95, 0.05, 0.5])
    shares = (y[:, None] <= found).mean(axis=0)
    # Three times the error of each share among 800 residuals: one of the three is further off by
    # chance in one of 120 draws, at twice the error it was one in 7.
    levels = np.array([0.95, 0.05, 0.5])
    errors = np.sqrt(levels * (1 - levels) / 800)
    assert (np.abs(shares - levels) <= 3 * errors).all()
    assert (found[:, 1] <= found[:, 2]).all()
    assert (found[:, 2] <= found[:, 0]).all()
    # Near what predict returns.
    assert np.abs(found[:, [1, 2, 0]] - several.predict(table)).mean() < 0.5
    assert several.predict_quantiles(table[:2], 0.5).shape == (2,)


def test_levels_that_the_networks_do_not_predict_are_told(several):
    table, _ = uneven(3)
    for ask in (
        lambda: several.predict_interval(table, 0.8),
        lambda: several.predict_quantiles(table, 0.1),
    ):
        with pytest.raises(ValueError, match=r"quantiles \[0.05, 0.5, 0.95\], and 0.1 is none"):
            ask()


def test_several_quantiles_of_several_targets_are_saved(tmp_path):
    table, y = uneven(120)
    settings = {**SMALL, "max_iter": 2, "loss": "quantile", "quantile": [0.25, 0.75]}
    model = TabularMLPRegressor(**settings).fit(table, np.column_stack([y, -y]))
    assert model.predict_interval(table, 0.5).shape == (120, 2, 2)
    assert model.predict_quantiles(table, [0.75]).shape == (120, 2, 1)
    model.save(tmp_path / "model.safetensors")
    loaded = sklearn_mlp.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(
        loaded.predict_interval(table, 0.5), model.predict_interval(table, 0.5)
    )


@pytest.mark.parametrize("Estimator", [TabularMLPClassifier, TabularMLPRegressor])
def test_columns_that_matter_are_told_from_those_that_do_not(Estimator, capsys):
    table, y = noisy(800)
    table = table.assign(noise=np.random.default_rng(5).normal(size=800), constant=1.0)
    table.insert(0, "day", pd.date_range("2024-01-01", periods=800))
    y = y > 0.5 if Estimator is TabularMLPClassifier else y
    fitted = Estimator(**SMALL).fit(table, y)
    result = fitted.feature_importances(table, y, n_repeats=3, random_state=0, verbose=True)
    assert result.importances.shape == (5, 3)
    means = dict(zip(table.columns, result.importances_mean, strict=True))
    assert min(means["x"], means["kind"]) > 0.05 > 0.03 > max(means["noise"], means["day"])
    assert means["constant"] == 0
    assert "permutations" in capsys.readouterr().err
    with pytest.raises(ValueError, match="must be what was passed to fit, 800 rows, got 10"):
        fitted.feature_importances(table[:10], y[:10])
    with pytest.raises(ValueError, match="n_repeats must be at least 1, got 0"):
        fitted.feature_importances(table, y, n_repeats=0)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[800, 3\]"):
        fitted.feature_importances(table, y, np.ones(3))
