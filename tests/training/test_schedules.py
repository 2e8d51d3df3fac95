"""The learning rates: torch's schedulers' where there is one, closed formulas else."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from configs import CONFIG
from numpy.testing import assert_allclose
from torch.optim import lr_scheduler

from sklearn_mlp.contract.state import TrainingState
from sklearn_mlp.training.schedules import make_schedule

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_EPOCHS, N_STEPS = 6, 5
N_ALL = N_EPOCHS * N_STEPS


def rates_of(n_epochs=N_EPOCHS, **changes):
    """Return the rates of all steps, (n_epochs, n_steps), from 0.1 on."""
    schedule = make_schedule(replace(CONFIG, **{"max_iter": N_EPOCHS, **changes}), TrainingState())
    rates = []
    for _ in range(n_epochs):
        rates.append(schedule.rates(N_STEPS))
        schedule.epoch_ended()
    return np.array(rates)


def rates_of_torch(scheduler, n_steps, **settings):
    """Return the rates that one of torch's schedulers gives so many steps."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    scheduler = scheduler(optimizer, **settings)
    rates = []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(rates)


Exponential, Step, Cosine = (
    lr_scheduler.ExponentialLR,
    lr_scheduler.StepLR,
    lr_scheduler.CosineAnnealingLR,
)
# torch's varies the momentum along with the rate, unless told not to.
OneCycle = partial(lr_scheduler.OneCycleLR, max_lr=0.1, cycle_momentum=False)


@pytest.mark.parametrize(
    ("parameters", "scheduler", "settings"),
    [
        ({"learning_rate": "exponential", "lr_decay": 0.7}, Exponential, {"gamma": 0.7}),
        ({"learning_rate": "exponential"}, Exponential, {"gamma": 0.95}),
        ({"learning_rate": "step", "lr_step_size": 2}, Step, {"step_size": 2}),
        (
            {"learning_rate": "step", "lr_step_size": 3, "lr_decay": 0.5},
            Step,
            {"step_size": 3, "gamma": 0.5},
        ),
    ],
)
def test_rates_that_are_torchs_from_epoch_to_epoch(parameters, scheduler, settings):
    expected = rates_of_torch(scheduler, N_EPOCHS, **settings)
    assert_allclose(rates_of(**parameters), np.repeat(expected[:, None], N_STEPS, 1), rtol=1e-12)


@pytest.mark.parametrize(
    ("parameters", "scheduler", "settings"),
    [
        ({"learning_rate": "cosine"}, Cosine, {"T_max": N_ALL}),
        ({"learning_rate": "cosine", "lr_min": 0.01}, Cosine, {"T_max": N_ALL, "eta_min": 0.01}),
        ({"learning_rate": "one_cycle"}, OneCycle, {"total_steps": N_ALL}),
        (
            {"learning_rate": "one_cycle", "warmup": 0.4},
            OneCycle,
            {"total_steps": N_ALL, "pct_start": 0.4},
        ),
        (
            {"learning_rate": "one_cycle", "warmup": 1},
            OneCycle,
            {"total_steps": N_ALL, "pct_start": 1 / N_EPOCHS},
        ),
    ],
)
def test_rates_that_are_torchs_from_step_to_step(parameters, scheduler, settings):
    # torch goes from one rate of a cosine to the next, which adds up rounding.
    expected = rates_of_torch(scheduler, N_ALL, **settings)
    assert_allclose(rates_of(**parameters).ravel(), expected, rtol=1e-9)


@pytest.mark.parametrize("warmup", [2, 2 / N_EPOCHS])
@pytest.mark.parametrize("name", ["constant", "cosine", "exponential", "step"])
def test_a_warmup_goes_before_the_rest(name, warmup):
    settings = {"learning_rate": name, "lr_decay": 0.5, "lr_step_size": 2}
    rates = rates_of(warmup=warmup, **settings)
    assert_allclose(rates[:2].ravel(), 0.1 * np.arange(1, 11) / 10, rtol=1e-12)
    assert_allclose(rates[2:], rates_of(4, max_iter=4, **settings), rtol=1e-12)


@pytest.mark.parametrize("name", ["cosine", "one_cycle", "exponential", "step"])
def test_after_its_end_a_plan_stays_at_its_lowest_rate(name):
    rates = rates_of(80, learning_rate=name, lr_min=0.02, lr_step_size=5)
    assert (rates[70:] == 0.02).all()
    # Where one_cycle begins is no lowering.
    assert_allclose(rates.min(), 0.1 / 25 if name == "one_cycle" else 0.02)


def test_a_plateau_lowers_the_rate_as_torch_does():
    losses = [5, 4, 4, 4, 4, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2.5, 2.5]
    config = replace(CONFIG, learning_rate="plateau", lr_decay=0.5, lr_patience=1, lr_min=0.01)
    state = TrainingState()
    schedule = make_schedule(config, state)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    theirs = lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=1, threshold=0, min_lr=0.01
    )
    best, rates, expected = np.inf, [], []
    for loss in losses:
        # What the monitor keeps count of.
        state.no_improvement_count = 0 if loss < best else state.no_improvement_count + 1
        best = min(best, loss)
        schedule.epoch_ended()
        theirs.step(loss)
        rates += schedule.rates(1)
        expected.append(optimizer.param_groups[0]["lr"])
    assert_allclose(rates, expected, rtol=1e-12)
    assert rates[-1] == 0.01


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_fit_follows_the_plan(make_classifier, digits, solver):
    settings = {"learning_rate": "cosine", "warmup": 1, "batch_size": 75, "n_iter_no_change": 99}
    estimator = make_classifier(solver=solver, learning_rate_init=0.1, **settings).fit(*digits)
    # 4 batches an epoch; the history tells the rate of an epoch's last step.
    steps = np.arange(1, 17)
    expected = [0.1, *(0.05 * (1 + np.cos(np.pi * (steps[3::4] - 1) / 16)))]
    assert_allclose(estimator.history_["learning_rate"], expected, rtol=1e-12)


def test_a_step_takes_its_own_rate(make_regressor, diabetes):
    # Without momentum nor penalty, steps in fixed order: by hand on a linear model.
    X, y = diabetes[0][:60], diabetes[1][:60]
    settings = {"solver": "sgd", "momentum": 0, "alpha": 0, "shuffle": False, "dtype": "float64"}
    estimator = make_regressor(
        hidden_layer_sizes=(),
        learning_rate="cosine",
        learning_rate_init=0.1,
        max_iter=3,
        batch_size=20,
        **settings,
    )
    estimator.partial_fit(X, y)
    weight, bias = estimator.coefs_[0][:, 0].copy(), float(estimator.intercepts_[0][0])
    estimator.partial_fit(X, y).partial_fit(X, y)
    for step in range(3, 9):
        rows = slice(step % 3 * 20, step % 3 * 20 + 20)
        error = X[rows] @ weight + bias - y[rows]
        rate = 0.05 * (1 + np.cos(np.pi * step / 9))
        weight, bias = weight - rate * X[rows].T @ error / 20, bias - rate * error.mean()
    assert_allclose(estimator.coefs_[0][:, 0], weight, rtol=1e-12)
    assert_allclose(estimator.intercepts_[0], bias, rtol=1e-12)


def test_partial_fit_goes_through_the_plan_of_a_fit(make_classifier, digits):
    X, y = digits
    settings = {"learning_rate": "one_cycle", "warmup": 0.5, "max_iter": 6, "batch_size": 64}
    whole = make_classifier(n_iter_no_change=99, **settings).fit(X, y)
    parts = make_classifier(**settings)
    for _ in range(6):
        parts.partial_fit(X, y, classes=np.unique(y))
    assert list(parts.history_["learning_rate"]) == list(whole.history_["learning_rate"])
    # A later fit begins anew.
    parts.set_params(warm_start=True).fit(X, y)
    rates = list(parts.history_["learning_rate"])
    assert rates[:6] == rates[6:]


def test_plateau_in_a_fit(make_classifier, digits):
    estimator = make_classifier(
        learning_rate="plateau", lr_patience=1, n_iter_no_change=4, tol=9.0, max_iter=20
    )
    estimator.fit(*digits)
    # The first epoch improves on nothing; 2 and 4 later ones without improvement each lower it.
    assert_allclose(
        estimator.history_["learning_rate"], [1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5], rtol=1e-12
    )


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"warmup": 6}, "warmup=6 epochs are more than max_iter=5 allows"),
        (
            {"learning_rate": "plateau", "lr_patience": 10},
            "lr_patience=10 never lowers the rate, because n_iter_no_change=10 stops",
        ),
        ({"lr_min": 0.1}, r"lr_min=0\.1 is above learning_rate_init=0\.001"),
    ],
)
def test_schedules_that_cannot_be(make_classifier, digits, parameters, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_classifier(**parameters).fit(*digits)
