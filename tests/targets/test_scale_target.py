"""scale_target: training in standard units, predicting in the user's."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import TorchMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_far_and_wide_targets_train_as_well_as_near_ones(diabetes, make_regressor):
    X, y = diabetes
    settings = {"max_iter": 20, "learning_rate_init": 0.02}
    near = make_regressor(**settings).fit(X, y)
    far = make_regressor(**settings, scale_target="standard").fit(X, y * 1000 + 1e6)
    assert make_regressor(**settings).fit(X, y * 1000 + 1e6).score(X, y * 1000 + 1e6) < 0
    # float32 on targets of a million: seven digits.
    assert_allclose(far.score(X, y * 1000 + 1e6), near.score(X, y), rtol=1e-3)
    assert_allclose(far.target_mean_, [1e6 + y.mean() * 1000])
    assert_allclose(far.target_scale_, [y.std() * 1000])


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_it_is_a_scaler_around_the_estimator(diabetes, backend, is_weighted, solver):
    X, y = diabetes
    both = np.column_stack([y * 100 + 3, np.exp(y)])
    weights = np.linspace(0.5, 2, len(y)) if is_weighted else None
    settings = {"max_iter": 4, "random_state": 0, "dtype": "float64", "backend": backend}
    ours = TorchMLPRegressor(
        hidden_layer_sizes=5, scale_target="standard", solver=solver, **settings
    ).fit(X, both, weights)
    scaler = StandardScaler().fit(both, sample_weight=weights)
    plain = TorchMLPRegressor(hidden_layer_sizes=5, solver=solver, **settings)
    plain.fit(X, scaler.transform(both), weights)
    assert_allclose(ours.target_mean_, scaler.mean_)
    assert_allclose(ours.target_scale_, scaler.scale_)
    # Two sums for the same mean: rounding.
    assert_allclose(ours.predict(X), scaler.inverse_transform(plain.predict(X)), rtol=1e-7)
    assert_allclose(ours.loss_, plain.loss_, rtol=1e-9)
    reopened = pickle.loads(pickle.dumps(ours))
    assert_allclose(reopened.predict(X), ours.predict(X), rtol=0)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile", "gaussian_nll"])
def test_predictions_follow_the_unit_of_y(loss, diabetes, make_regressor):
    X, y = diabetes
    settings = {"loss": loss, "quantile": [0.2, 0.8], "scale_target": "standard"}
    one = make_regressor(**settings, dtype="float64").fit(X, y)
    other = make_regressor(**settings, dtype="float64").fit(X, 100 * y + 7)
    assert_allclose(other.predict(X), 100 * one.predict(X) + 7, rtol=1e-7, atol=1e-7)
    if loss == "gaussian_nll":
        stds = [reg.predict(X, return_std=True)[1] for reg in (one, other)]
        assert_allclose(stds[1], 100 * stds[0], rtol=1e-7)


def test_partial_fit_and_warm_start_keep_the_first_scale(diabetes, make_regressor):
    X, y = diabetes
    reg = make_regressor(scale_target="standard", warm_start=True).partial_fit(X[:50], y[:50])
    mean, scale = reg.target_mean_, reg.target_scale_
    reg.partial_fit(X, y * 5).fit(X, y * 9)
    assert_allclose(reg.target_mean_, mean, rtol=0)
    assert_allclose(reg.target_scale_, scale, rtol=0)
    with pytest.raises(ValueError, match="scale_target=None is not what the network was fitted"):
        reg.set_params(scale_target=None).fit(X, y)
    reg.set_params(scale_target="standard")
    with pytest.raises(ValueError, match="y has 2 columns, but the network was fitted with 1"):
        reg.partial_fit(X, np.column_stack([y, y]))
    reg.set_params(scale_target=None, warm_start=False).fit(X, y)
    with pytest.raises(AttributeError, match="it was fitted with scale_target=None"):
        _ = reg.target_mean_


def test_a_constant_target(make_regressor):
    X, y = np.linspace(0, 1, 20)[:, None], np.full(20, 0.1)
    reg = make_regressor(scale_target="standard", max_iter=200, learning_rate_init=0.02).fit(X, y)
    assert_allclose(reg.target_scale_, [1])
    assert_allclose(reg.predict(X), y, atol=0.2)


def test_validation_is_in_the_users_units(make_regressor, diabetes):
    X, y = diabetes
    frame, y = pd.DataFrame(X).rename(columns=str), 50 * y + 1000
    reg = make_regressor(scale_target="standard", scoring="neg_mean_absolute_error", max_iter=3)
    reg.fit(frame, y, X_val=frame, y_val=y)
    expected = -np.abs(reg.predict(frame) - y).mean()
    assert_allclose(reg.validation_scores_[-1], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"loss": "poisson"}, "loss='poisson'"),
        ({"loss": "gamma"}, "loss='gamma'"),
        ({"output_activation": "tanh"}, "output_activation='tanh'"),
    ],
    ids=str,
)
def test_bounded_outputs_do_not_go_with_it(make_regressor, settings, named):
    reg = make_regressor(scale_target="standard", **settings)
    with pytest.raises(ValueError, match=f"scale_target='standard' cannot be used with {named}"):
        reg.fit([[0.0], [1.0], [2.0]], [1.0, 2.0, 3.0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("unit", [2.0**-1060, 2.0**-600, 2.0**70, 2.0**600, 2.0**1021])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_units_of_any_size_are_the_same_task(unit, dtype):
    rng = np.random.default_rng(0)
    # Few digits, so that those of a denormal number are enough.
    X, y = rng.normal(size=(40, 3)), rng.integers(-3, 5, 40).astype(float)
    settings = {"hidden_layer_sizes": 4, "max_iter": 5, "random_state": 0, "dtype": dtype}
    ours = TorchMLPRegressor(scale_target="standard", **settings).fit(X, y)
    other = TorchMLPRegressor(scale_target="standard", **settings).fit(X, y * unit)
    assert_allclose(other.loss_curve_, ours.loss_curve_, rtol=1e-4)
    assert_allclose(other.predict(X) / unit, ours.predict(X), rtol=1e-3, atol=1e-3)
    assert_allclose(other.target_scale_ / unit, ours.target_scale_, rtol=1e-3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_predictions_that_the_type_of_X_cannot_hold():
    X = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    reg = TorchMLPRegressor(hidden_layer_sizes=4, max_iter=5, scale_target="standard")
    reg.fit(X, 1e60 * X[:, 0].astype(np.float64))
    with pytest.raises(ValueError, match=r"predictions for an X of float32 must fit .* float64\."):
        reg.predict(X)
    assert np.isfinite(reg.predict(X.astype(np.float64))).all()
