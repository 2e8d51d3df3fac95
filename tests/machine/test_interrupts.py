"""Ctrl-C among many fits ends them all; in a single fit it leaves a model (test_errors.py)."""

import pytest
from joblib import parallel_config
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sklearn_mlp import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    TorchMLPRegressor,
    cross_validate_batched,
    fit_many,
)
from sklearn_mlp.machine.interrupts import interrupts_end_all
from sklearn_mlp.training.monitor import EpochMonitor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ALPHAS = [0.1, 1.0]


class Own(TorchMLPRegressor):
    """Fitted by itself, never in a stack."""


@pytest.fixture
def interrupt(monkeypatch):
    """Return a function by which the n-th epoch that ends from now on is interrupted."""

    def at(n):
        ended, left = EpochMonitor.epoch_ended, iter(range(n - 1))

        def epoch_ended(self, *args):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return ended(self, *args)

        monkeypatch.setattr(EpochMonitor, "epoch_ended", epoch_ended)

    return at


@pytest.mark.parametrize("n", [1, 3, 14])
@pytest.mark.parametrize("kind", [BatchedGridSearchCV, BatchedRandomizedSearchCV])
def test_a_search_is_left_unfitted(make_classifier, iris, interrupt, kind, n):
    options = {"n_iter": 2} if kind is BatchedRandomizedSearchCV else {}
    search = kind(make_classifier(), {"alpha": ALPHAS}, cv=2, **options)
    interrupt(n)
    with pytest.raises(KeyboardInterrupt):
        search.fit(*iris)
    with pytest.raises(NotFittedError):
        check_is_fitted(search)
    assert not hasattr(search, "cv_results_")


def test_a_search_keeps_what_it_was(make_classifier, iris, interrupt):
    X, y = iris
    search = BatchedGridSearchCV(make_classifier(), {"alpha": ALPHAS}, cv=2).fit(X, y)
    results, labels = search.cv_results_, search.predict(X)
    interrupt(2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X[:100], y[:100])
    assert search.cv_results_ is results
    assert_array_equal(search.predict(X), labels)


def test_the_refit_is_part_of_a_search(make_regressor, diabetes, interrupt):
    search = BatchedGridSearchCV(make_regressor(), {"alpha": ALPHAS}, cv=2)
    # Four fits of five epochs come before it.
    interrupt(22)
    with pytest.raises(KeyboardInterrupt):
        search.fit(*diabetes)
    assert not hasattr(search, "best_params_")


@pytest.mark.parametrize("solver", ["adam", "adamw"], ids=["stacked", "one by one"])
def test_a_cross_validation(make_classifier, iris, interrupt, solver):
    estimator = make_classifier(solver=solver)
    for one in (estimator, make_pipeline(StandardScaler(), estimator)):
        interrupt(3)
        with pytest.raises(KeyboardInterrupt):
            cross_validate_batched(one, *iris, cv=2)


@pytest.mark.parametrize("solver", ["adam", "adamw"], ids=["stacked", "one by one"])
def test_many_fits(make_regressor, diabetes, interrupt, solver):
    many = [make_regressor(solver=solver, random_state=seed) for seed in range(3)]
    interrupt(8)
    with pytest.raises(KeyboardInterrupt):
        fit_many(many, *diabetes)
    fitted = [hasattr(one, "module_") for one in many]
    assert not all(fitted)
    assert all(one.n_iter_ == 5 for one, is_fitted in zip(many, fitted, strict=True) if is_fitted)


def test_many_of_a_class_of_ones_own(diabetes, interrupt):
    many = [Own(hidden_layer_sizes=(4,), max_iter=5, random_state=seed) for seed in range(2)]
    interrupt(7)
    with pytest.raises(KeyboardInterrupt):
        fit_many(many, *diabetes)
    assert [hasattr(one, "module_") for one in many] == [True, False]


def interrupting(shape, fan_in=None, fan_out=None, generator=None):
    """Stand for initial weights, in whatever process they are drawn."""
    raise KeyboardInterrupt


def test_other_processes(iris):
    estimator = TorchMLPRegressor(hidden_layer_sizes=(4,), max_iter=3, weight_init=interrupting)
    search = BatchedGridSearchCV(estimator, {"alpha": ALPHAS}, cv=2, n_jobs=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(*iris)
    assert not hasattr(search, "cv_results_")


def test_other_threads(iris, interrupt):
    many = [TorchMLPRegressor(solver="adamw", max_iter=5, random_state=seed) for seed in range(3)]
    interrupt(7)
    with parallel_config(backend="threading"), pytest.raises(KeyboardInterrupt):
        fit_many(many, *iris, n_jobs=2)


def test_lbfgs_among_others(iris):
    X, y = iris
    calls = iter(range(1000))

    def loss(outputs, targets):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return ((outputs - targets) ** 2).sum(1)

    estimator = TorchMLPRegressor(loss, (4,), solver="lbfgs", random_state=0)
    with interrupts_end_all(), pytest.raises(KeyboardInterrupt):
        estimator.fit(X, y * 1.0)
    assert not hasattr(estimator, "module_")


def test_a_single_fit_within_reach_of_a_search_is_none_of_it(make_classifier, iris, interrupt):
    search = BatchedGridSearchCV(make_classifier(), {"alpha": [0.1]}, cv=2).fit(*iris)
    interrupt(3)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        fitted = search.best_estimator_.fit(*iris)
    assert fitted.n_iter_ in (2, 3)
