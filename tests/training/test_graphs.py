"""The captured epoch, with a stand-in for the capture that runs the same calls on the CPU.

What these tests cannot show is that CUDA captures the calls; they show that replaying them, with
everything that changes read from the device, gives the numbers of the step-by-step epoch.
"""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from configs import CONFIG
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from torch.utils._python_dispatch import TorchDispatchMode

from sklearn_mlp import TorchMLPClassifier, fit_many
from sklearn_mlp.contract.state import TrainingState
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.solvers.choice import OWN_SOLVERS, make_solver
from sklearn_mlp.training import graphs, stack
from sklearn_mlp.training import native as train


class NothingOfTheHost(TorchDispatchMode):
    """Refuses what a capture cannot hold: numbers read from the device, or brought to it."""

    refused = ("_local_scalar_dense", "lift_fresh", "is_nonzero", "nonzero", "masked_select")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function.overloadpacket.__name__ not in self.refused, function
        return function(*args, **(kwargs or {}))


@pytest.fixture
def replayed(monkeypatch):
    """Make every fit of fixed views a captured one; return the list of captures made."""
    # On the CPU, where these run, compiled steps would take the place of captured ones.
    monkeypatch.setenv("SKLEARN_MLP_COMPILED", "0")
    captures = []

    def capture(body, device):
        captures.append(body)

        def replay():
            with NothingOfTheHost():
                body()

        return replay

    def can_capture(batches, solver, device):
        return batches.has_fixed_views and solver.can_be_captured

    for module in (train, stack):
        monkeypatch.setattr(module, "can_capture", can_capture)
        monkeypatch.setattr(
            module, "EpochGraph", lambda *parts: graphs.EpochGraph(*parts, capture=capture)
        )
    return captures


def fit(**parameters):
    X, y = load_digits(return_X_y=True)
    settings = {"random_state": 0, "max_iter": 8, "dtype": "float64", "batch_size": 100, "tol": 0}
    weights = parameters.pop("weights", None)
    estimator = TorchMLPClassifier((20, 10), **{**settings, **parameters})
    return estimator.fit(X[:450] / 16, y[:450], sample_weight=weights)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "adam"},
        {"solver": "adam", "alpha": 0.0},
        {"solver": "adam", "early_stopping": True},
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"solver": "sgd", "nesterovs_momentum": False},
        {"solver": "adamw", "alpha": 0.3},
        {"solver": "rmsprop"},
        {"solver": "adagrad", "alpha": 0.3},
        {"solver": "sgd", "gradient_clip": 0.3, "learning_rate": "cosine"},
        {"solver": "adam", "gradient_clip": 0.3, "warmup": 3, "weight_averaging": "ema"},
        {"solver": "adam", "weights": np.linspace(0.5, 2, 450)},
        {"solver": "sgd", "shuffle": False, "weights": np.repeat([0.0, 1.0, 2.0], 150)},
    ],
)
def test_a_captured_epoch_gives_the_same_numbers(parameters, replayed, monkeypatch):
    captured = fit(**parameters)
    # One capture, whatever the number of epochs; none if a batch has no weight at all.
    n_captures = len(replayed)
    monkeypatch.undo()
    monkeypatch.setenv("SKLEARN_MLP_COMPILED", "0")
    plain = fit(**parameters)
    assert n_captures == (0 if 0.0 in parameters.get("weights", ()) else 1)
    # Both in float64; the update's operations come in another order.
    assert_allclose(captured.loss_curve_, plain.loss_curve_, rtol=1e-11)
    for mine, other in zip(captured.coefs_, plain.coefs_, strict=True):
        assert_allclose(mine, other, rtol=1e-9, atol=1e-11)


def test_partial_fit_after_captured_epochs_counts_on(replayed):
    X, y = load_digits(return_X_y=True)
    estimator = fit(n_iter_no_change=3, max_iter=200, tol=0.1)
    assert len(replayed) == 1
    step = estimator._state.optimizer.step
    assert step == estimator.n_iter_ * 5
    estimator.set_params(tol=0).partial_fit(X[:450] / 16, y[:450])
    assert estimator._state.optimizer.step == step + 5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "adam"},
        {"solver": "adam", "alpha": 0.0, "gradient_clip": 0.3},
        {"solver": "adam", "early_stopping": True, "n_iter_no_change": 2, "max_iter": 25},
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"solver": "adamw", "alpha": 0.3},
        {"solver": "rmsprop", "alpha": 0.3},
        {"solver": "adagrad"},
    ],
    ids=str,
)
@pytest.mark.parametrize("seeds", [(0, 0, 0), (0, 1, 1)])
def test_a_captured_stack_gives_the_same_numbers(parameters, seeds, replayed, monkeypatch):
    X, y = load_digits(return_X_y=True)
    X, y = X[:450] / 16, y[:450]

    def fitted():
        settings = {"max_iter": 9, "dtype": "float64", "batch_size": 100, "tol": 0, **parameters}
        rates = (1e-3, 3e-3, 3e-2)
        estimators = [
            TorchMLPClassifier((20, 10), random_state=seed, learning_rate_init=rate, **settings)
            for seed, rate in zip(seeds, rates, strict=True)
        ]
        return fit_many(estimators, X, y)

    captured, n_captures = fitted(), len(replayed)
    assert n_captures == 1 or (n_captures and "early_stopping" in parameters)
    monkeypatch.undo()
    monkeypatch.setenv("SKLEARN_MLP_COMPILED", "0")
    for mine, other in zip(captured, fitted(), strict=True):
        assert_allclose(mine.loss_curve_, other.loss_curve_, rtol=1e-11)
        for weights, expected in zip(mine.coefs_, other.coefs_, strict=True):
            assert_allclose(weights, expected, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize(("max_iter", "n_captures"), [(7, 0), (8, 1)])
def test_few_epochs_are_not_captured(max_iter, n_captures, replayed):
    with pytest.warns(ConvergenceWarning):
        fit(max_iter=max_iter)
    assert len(replayed) == n_captures


class FixedBatches:
    """Stands for batches that lie in the same memory in every epoch."""

    has_fixed_views = True


def solver_of(name, **parameters):
    """Make the solver that an estimator with these parameters would have."""
    vector = ParameterVector.of(MLP((2, 2), "relu", torch.float64))
    config = replace(CONFIG, solver=name, **parameters)
    return make_solver(vector, vector.empty_like(), config, TrainingState())


@pytest.mark.parametrize("gradient_clip", [None, 1.0])
def test_a_solver_that_the_host_has_a_part_in_is_not_captured(gradient_clip):
    cuda = torch.device("cuda", 0)
    captured = {
        name
        for name in OWN_SOLVERS
        if graphs.can_capture(FixedBatches, solver_of(name, gradient_clip=gradient_clip), cuda)
    }
    assert captured == set(OWN_SOLVERS) - {"nadam", "radam"}
    theirs = solver_of("adamw", solver_params={"amsgrad": True}, gradient_clip=gradient_clip)
    assert not graphs.can_capture(FixedBatches, theirs, cuda)
    with pytest.raises(NotImplementedError, match="TorchSolver cannot be captured"):
        theirs.update_captured(*torch.ones(3))


def test_nothing_is_captured_without_cuda(monkeypatch):
    adam, cuda = solver_of("adam"), torch.device("cuda", 0)
    assert not graphs.can_capture(FixedBatches, adam, torch.device("cpu"))
    assert graphs.can_capture(FixedBatches, adam, cuda)
    monkeypatch.setenv("SKLEARN_MLP_CUDA_GRAPHS", "0")
    assert not graphs.can_capture(FixedBatches, adam, cuda)


def test_capturing_is_done_on_the_tensors_device(monkeypatch):
    calls, cuda = [], torch.device("cuda", 1)

    class Graph:
        def replay(self):
            calls.append("replay")

    def entering(name):
        def enter(*args, **options):
            calls.append((name, *(args[1:] if name == "graph" else args), options))
            return nullcontext()

        return enter

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(torch.cuda, "device", entering("device"))
    monkeypatch.setattr(torch.cuda, "graph", entering("graph"))
    graphs._stream_of.cache_clear()
    replay = graphs.capture_cuda(lambda: calls.append("body"), cuda)
    replay()
    graphs._stream_of.cache_clear()
    options = {"stream": "stream of cuda:1", "capture_error_mode": "thread_local"}
    on_device = ("device", cuda, {})
    assert calls == [on_device, ("graph", options), "body", on_device, "replay"]
