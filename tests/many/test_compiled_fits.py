"""Many fits at once whose epochs are compiled: each by itself, whatever they differ in."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV

from sklearn_mlp import BatchedGridSearchCV, TorchMLPClassifier, fit_many
from sklearn_mlp.compiled.library import why_not_here
from sklearn_mlp.training import native

pytestmark = [
    pytest.mark.skipif(why_not_here() is not None, reason=f"no compiled steps: {why_not_here()}"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

X, Y = make_classification(120, 8, n_informative=5, n_classes=3, random_state=0)


def make(**parameters):
    return TorchMLPClassifier(
        **{"hidden_layer_sizes": (6,), "max_iter": 4, "device": "cpu", "random_state": 0}
        | parameters
    )


def test_each_is_what_it_is_alone(monkeypatch):
    def refuse(fits):
        raise AssertionError("a stack was trained")

    monkeypatch.setattr(native, "train_stack", refuse)
    differing = [{}, {"alpha": 0.1}, {"hidden_layer_sizes": (9, 3)}, {"batch_size": 17}]
    differing += [{"max_iter": 2}, {"solver": "sgd"}, {"early_stopping": True}, {"dropout": 0.2}]
    together = fit_many([make(**one) for one in differing], X, Y)
    for one, parameters in zip(together, differing, strict=True):
        alone = make(**parameters).fit(X, Y)
        assert one.engine_ == "compiled"
        assert_array_equal(one.predict_proba(X), alone.predict_proba(X))
        assert one.loss_curve_ == alone.loss_curve_


def test_a_search_finds_what_one_by_one_fits_do():
    grid = {"alpha": [1e-4, 1.0], "hidden_layer_sizes": [(4,), (7, 3)], "batch_size": [20, 60]}
    searches = [kind(make(), grid, cv=3).fit(X, Y) for kind in (BatchedGridSearchCV, GridSearchCV)]
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    assert_allclose(*scores, rtol=1e-12)
    assert searches[0].best_params_ == searches[1].best_params_
    assert np.ptp(scores[0]) > 0
