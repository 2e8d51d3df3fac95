"""Estimators of the user's own: with other constructors, with their own fit and predict."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate

from sklearn_mlp import (
    BatchedGridSearchCV,
    TorchMLPClassifier,
    TorchMLPRegressor,
    cross_validate_batched,
    fit_many,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Funnel(TorchMLPClassifier):
    """Names one parameter of its own and one of the package's."""

    def __init__(self, width=12, backend="torch"):
        sizes = (width, width // 2)
        super().__init__(
            sizes,
            backend=backend,
            max_iter=5,
            random_state=1,
            early_stopping=True,
            dtype="float64",
        )
        self.width = width


class Settled(TorchMLPRegressor):
    """Names none at all, and settles the sizes only when it is fitted."""

    def __init__(self):
        super().__init__(max_iter=4, random_state=2, solver="sgd", dtype="float64")

    def fit(self, X, y, sample_weight=None):
        self.hidden_layer_sizes = (X.shape[1],) * 2
        return super().fit(X, y, sample_weight=sample_weight)


class LogTarget(TorchMLPRegressor):
    """Trains on the logarithm; its fit takes keywords only, besides the samples."""

    def fit(self, X, y, **more):
        self.calls_ = [*getattr(self, "calls_", []), sorted(more)]
        return super().fit(X, np.log1p(y), **more)

    def predict(self, X):
        return np.expm1(super().predict(X))


class NoWeights(TorchMLPRegressor):
    """Its fit takes nothing but samples and targets."""

    def fit(self, X, y):
        return super().fit(X + 1, y)


PLAIN = {"max_iter": 5, "random_state": 1, "dtype": "float64", "early_stopping": True}


def test_fewer_parameters_are_fitted_alike(backend, iris):
    X, y = iris
    expected = TorchMLPClassifier((12, 6), backend=backend, **PLAIN).fit(X, y).predict_proba(X)
    estimator = Funnel(backend=backend)
    for fitted in (estimator.fit(X, y), clone(estimator).fit(X, y), *fit_many([estimator], X, y)):
        assert_array_equal(fitted.predict_proba(X), expected)
        assert fitted.get_params() == {"width": 12, "backend": backend}
    for again in (pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)):
        assert_array_equal(again.predict_proba(X), expected)
    assert repr(Funnel(4)) == "Funnel(width=4)"
    assert "Funnel" in estimator._repr_html_()


def test_going_on_with_fewer_parameters(diabetes):
    X, y = diabetes
    ours = Settled().fit(X, y)
    plain = TorchMLPRegressor(
        hidden_layer_sizes=(10, 10), max_iter=4, random_state=2, solver="sgd", dtype="float64"
    ).fit(X, y)
    for again in (ours, pickle.loads(pickle.dumps(ours))):
        assert_array_equal(again.predict(X), plain.predict(X))
    assert_array_equal(ours.partial_fit(X, y).predict(X), plain.partial_fit(X, y).predict(X))
    ours.warm_start = plain.warm_start = True
    assert_array_equal(ours.fit(X, y).predict(X), plain.fit(X, y).predict(X))


def test_what_a_constructor_does_not_name_is_checked(iris):
    estimator = Funnel()
    estimator.alpha = -1
    for fit in (estimator.fit, estimator.partial_fit, lambda *data: fit_many([estimator], *data)):
        with pytest.raises(ValueError, match="The 'alpha' parameter of Funnel must be"):
            fit(*iris)


def test_searches_over_other_constructors(iris):
    X, y = iris
    mine, theirs = (
        search(Funnel(), {"width": [4, 12]}, cv=2).fit(X, y)
        for search in (BatchedGridSearchCV, GridSearchCV)
    )
    for name in ("mean_test_score", "split1_test_score"):
        assert_array_equal(mine.cv_results_[name], theirs.cv_results_[name])
    assert mine.best_params_ == theirs.best_params_
    assert_array_equal(mine.predict(X), theirs.predict(X))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_many_with_a_fit_of_their_own(diabetes, weighted, n_jobs):
    X, y = diabetes[0], diabetes[1] - diabetes[1].min()
    weights = {"sample_weight": 1.0 + np.arange(len(y)) % 2} if weighted else {}
    many = [
        LogTarget(hidden_layer_sizes=(5,), max_iter=3, random_state=seed, dtype="float64")
        for seed in range(3)
    ]
    alone = [clone(one).fit(X, y, **weights) for one in many]
    for one, other in zip(fit_many(many, X, y, n_jobs=n_jobs, **weights), alone, strict=True):
        assert_allclose(one.predict(X), other.predict(X), rtol=1e-12)
        assert one.calls_ == other.calls_ == [sorted(weights)]


def test_many_whose_fit_takes_no_weights(diabetes, capsys):
    X, y = diabetes
    first, second = (
        NoWeights(hidden_layer_sizes=(5,), max_iter=3, random_state=seed) for seed in range(2)
    )
    expected = clone(first).fit(X, y).predict(X)
    fit_many([first, second], X, y, verbose=1)
    assert_array_equal(first.predict(X), expected)
    assert "NoWeights is not TorchMLPClassifier or TorchMLPRegressor itself" in (
        capsys.readouterr().out
    )
    with pytest.raises(TypeError, match="unexpected keyword argument 'sample_weight'"):
        fit_many([first], X, y, sample_weight=np.ones(len(y)))


def test_to_scikit_learns_own_and_back(iris):
    X, y = iris
    funnel = Funnel(width=8).fit(X, y)
    theirs = funnel.to_sklearn()
    assert theirs.hidden_layer_sizes == (8, 4)
    back = Funnel.from_sklearn(theirs, device="cpu")
    assert back.max_iter == 5
    assert_allclose(back.predict_proba(X), funnel.predict_proba(X), rtol=1e-9)
    assert_allclose(back.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)


def test_searches_over_a_fit_of_its_own(diabetes):
    X, y = diabetes[0], diabetes[1] - diabetes[1].min()
    estimator = LogTarget(hidden_layer_sizes=(5,), max_iter=3, random_state=0, dtype="float64")
    mine, theirs = (
        search(estimator, {"alpha": [1e-4, 1.0]}, cv=2).fit(X, y)
        for search in (BatchedGridSearchCV, GridSearchCV)
    )
    assert_array_equal(mine.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    assert_array_equal(
        cross_validate_batched(estimator, X, y, cv=2)["test_score"],
        cross_validate(estimator, X, y, cv=2)["test_score"],
    )
