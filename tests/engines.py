"""Fits of one estimator on every engine, to be compared."""

import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone

from sklearn_mlp.compiled.library import why_not_here
from sklearn_mlp.estimators import base

# What trains a plain network on the CPU: where there was a compiler, what it has made.
PLAIN = "closed_form" if why_not_here() else "compiled"

EXACT = {"dtype": "float64", "device": "cpu"}


def fit_on_every_engine(estimator, X, y, **fit_params):
    """Fit clones in each way there is.

    Compiled where that can be done, in closed form, by autograd and, but for lbfgs, by skorch.
    """
    estimator = clone(estimator).set_params(**EXACT)
    fitted = {}
    compiled = clone(estimator).fit(X, y, **fit_params)
    if compiled.engine_ == "compiled":
        fitted["compiled"] = compiled
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKLEARN_MLP_COMPILED", "0")
        fitted["closed_form"] = clone(estimator).fit(X, y, **fit_params)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "choose_engine", lambda *_: "autograd")
        fitted["autograd"] = clone(estimator).fit(X, y, **fit_params)
    if estimator.solver != "lbfgs":
        fitted["skorch"] = clone(estimator).set_params(backend="skorch").fit(X, y, **fit_params)
    assert [one.engine_ for one in fitted.values()] == list(fitted)
    return list(fitted.values())


def assert_same_fits(fitted, X, rtol=1e-8):
    """Compare losses, weights and predictions, which products in another order part a little."""
    first, *others = fitted
    for other in others:
        assert other.n_iter_ == first.n_iter_
        assert_allclose(other.history_["loss"], first.history_["loss"], rtol=rtol)
        for mine, theirs in zip(other.coefs_, first.coefs_, strict=True):
            assert_allclose(mine, theirs, rtol=rtol, atol=rtol)
        assert_allclose(other.predict(X), first.predict(X), rtol=rtol, atol=rtol)
