"""Numbers below the smallest normal one: 0 while a network is trained, and not a moment longer."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_classification

from sklearn_mlp import TabularMLPClassifier, TorchMLPClassifier, fit_many
from sklearn_mlp.machine.subnormals import subnormals_are_zero
from sklearn_mlp.tabular import training

X, Y = make_classification(97, 6, random_state=0)
# The penalty takes nine tenths of the last feature's weights in each step.
NEVER_THERE = np.column_stack([X, np.zeros(len(X))])
SHRINKING = {
    **{"hidden_layer_sizes": (6,), "solver": "sgd", "momentum": 0.0, "random_state": 0},
    **{"learning_rate_init": 0.9, "alpha": 97, "batch_size": 97, "max_iter": 45, "tol": 0.0},
    **{"device": "cpu", "dtype": "float32", "n_iter_no_change": 45},
}


def are_zero():
    """Tell whether they are 0 here, in torch's arithmetic and in NumPy's."""
    zero = [float(torch.full((40,), 1e-38).mul(0.1).sum()) == 0]
    zero.append((np.full(40, 1e-38, np.float32) * np.float32(0.1)).sum() == 0)
    assert zero[0] == zero[1]
    return zero[0]


needs_a_processor_that_can = pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor takes no detour"
)


@needs_a_processor_that_can
def test_only_within():
    with subnormals_are_zero():
        assert are_zero()
        with subnormals_are_zero():
            assert are_zero()
        assert are_zero()
    assert not are_zero()
    with pytest.raises(KeyboardInterrupt), subnormals_are_zero():
        raise KeyboardInterrupt
    assert not are_zero()


@needs_a_processor_that_can
@pytest.mark.filterwarnings("ignore:.*Maximum iter")
def test_who_wants_it_so_has_it_afterwards():
    torch.set_flush_denormal(True)
    try:
        TorchMLPClassifier(**SHRINKING).set_params(max_iter=1, tol=9).fit(X, Y)
        assert are_zero()
    finally:
        torch.set_flush_denormal(False)


@needs_a_processor_that_can
@pytest.mark.parametrize("way", ["closed_form", "autograd", "skorch", "stack"])
@pytest.mark.filterwarnings("ignore:.*Maximum iter")
def test_weights_shrink_to_nothing(way, monkeypatch):
    monkeypatch.setenv("SKLEARN_MLP_COMPILED", "0")
    options = {"autograd": {"normalization": "layer"}, "skorch": {"backend": "skorch"}}
    estimator = TorchMLPClassifier(**SHRINKING, **options.get(way, {}))
    if way == "stack":
        estimator = fit_many([clone(estimator), estimator], NEVER_THERE, Y)[1]
    else:
        estimator.fit(NEVER_THERE, Y)
        assert estimator.engine_ == way
    assert (estimator.coefs_[0][-1] == 0).all()
    assert not are_zero()


@needs_a_processor_that_can
def test_networks_for_tables(monkeypatch):
    seen = []
    take = training._Training._take

    def spied(self, *stretch):
        seen.append(are_zero())
        take(self, *stretch)

    monkeypatch.setattr(training._Training, "_take", spied)
    TabularMLPClassifier(max_iter=1, random_state=0).fit(pd.DataFrame(X), Y)
    assert seen
    assert all(seen)
    assert not are_zero()
