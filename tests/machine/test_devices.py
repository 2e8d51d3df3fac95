"""What devices lack, with stand-ins for Apple's MPS and Intel's XPU, which no test machine has."""

import pickle
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from torch.overrides import TorchFunctionMode

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor, fit_many
from sklearn_mlp.data.sparse import SparseRows
from sklearn_mlp.estimators.array_api import on_device
from sklearn_mlp.machine import devices
from sklearn_mlp.machine.devices import exact_dtype_of, free_memory, home_of_samples, traits_of
from sklearn_mlp.machine.placement import resolve_dtype
from sklearn_mlp.machine.random_numbers import seeded_torch

MPS, XPU = torch.device("mps", 0), torch.device("xpu", 0)


class NoFloat64(TorchFunctionMode):
    """Refuses tensors of float64 that are made beside others, as training makes them on a device.

    What is made with ``device="cpu"`` is the host's, which has float64.
    """

    makers = (*(f"new_{kind}" for kind in ("empty", "full", "ones", "tensor", "zeros")), "sum")

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        is_made_there = isinstance((kwargs or {}).get("device"), torch.device)
        # A sum of float64 is the host's: of what was brought there.
        is_hosts = bool(args) and getattr(args[0], "dtype", None) == torch.float64
        if (function.__name__ in self.makers and not is_hosts) or is_made_there:
            assert getattr(result, "dtype", None) != torch.float64, function.__name__
        return result


@pytest.fixture
def like_mps(monkeypatch):
    """Give the CPU what MPS has, and refuse the rest."""
    traits = replace(devices._TRAITS["mps"], free_memory=lambda device: 1 << 30)
    monkeypatch.setitem(devices._TRAITS, "cpu", traits)
    with NoFloat64():
        yield


def test_what_each_kind_has():
    cuda, mps = traits_of(torch.device("cuda", 1)), traits_of(MPS)
    assert all((cuda.has_graphs, cuda.has_events, cuda.has_sparse_products))
    assert cuda.exact_dtype == torch.float64
    assert not any((mps.has_float64, mps.has_graphs, mps.has_events, mps.has_sparse_products))
    assert mps.exact_dtype == torch.float32
    assert exact_dtype_of(torch.zeros(1)) == torch.float64
    # A kind that nobody has written about yet.
    assert traits_of(torch.device("meta")).exact_dtype == torch.float64
    assert free_memory(torch.device("meta")) is None


@pytest.mark.parametrize(("has_fp64", "dtype"), [(True, torch.float64), (False, torch.float32)])
def test_some_xpus_have_no_float64(has_fp64, dtype, monkeypatch):
    properties = SimpleNamespace(has_fp64=has_fp64)
    monkeypatch.setattr(torch.xpu, "get_device_properties", lambda device: properties)
    devices._xpu_traits.cache_clear()
    try:
        assert resolve_dtype("auto", "lbfgs", XPU, 1000, 200) == dtype
        assert exact_dtype_of(SimpleNamespace(device=XPU)) == dtype
    finally:
        devices._xpu_traits.cache_clear()


def test_dtypes_on_mps():
    assert resolve_dtype("auto", "lbfgs", MPS, 100, 100) == torch.float32
    assert resolve_dtype("float32", "adam", MPS, 100, 100) == torch.float32
    with pytest.raises(ValueError, match=r"dtype='float64' is not available on device 'mps:0'"):
        resolve_dtype("float64", "adam", MPS, 100, 100)


TRAINING = [
    {"solver": solver, "batch_size": 50}
    for solver in ("sgd", "adam", "adamw", "nadam", "radam", "rmsprop", "adagrad", "muon")
]
OPTIONS = [
    {"solver": "lbfgs"},
    {"weight_averaging": "ema", "alpha": 0.1},
    {"weight_averaging": "swa", "gradient_clip": 0.5},
    {"early_stopping": True, "activation": "gelu"},
    {"dropout": 0.2, "input_dropout": 0.1},
    {"normalization": "batch"},
    {"backend": "skorch"},
    {"solver": "adamw", "solver_params": {"amsgrad": True}},
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("parameters", TRAINING + OPTIONS, ids=str)
def test_fits_without_float64(parameters, digits, like_mps):
    X, y = digits
    estimator = TorchMLPClassifier((8,), random_state=0, max_iter=3).set_params(**parameters)
    estimator.fit(X, y)
    assert estimator.dtype_ == torch.float32
    # What comes out is still of the type that scikit-learn would give.
    assert estimator.predict_proba(X).dtype == np.float64
    if parameters.get("solver") != "lbfgs" and not parameters.get("early_stopping"):
        pickle.loads(pickle.dumps(estimator)).partial_fit(X, y)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"solver": "sgd"}, {"weight_averaging": "ema"}, {"early_stopping": True, "alpha": 0.1}],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_stacks_without_float64(parameters, diabetes, like_mps):
    X, y = diabetes
    one = TorchMLPRegressor(hidden_layer_sizes=(8,), random_state=0, max_iter=3, **parameters)
    rates = (1e-3, 1e-2)
    stacked = fit_many([clone(one).set_params(learning_rate_init=rate) for rate in rates], X, y)
    for rate, fitted in zip(rates, stacked, strict=True):
        alone = clone(one).set_params(learning_rate_init=rate).fit(X, y)
        assert_allclose(fitted.loss_curve_, alone.loss_curve_, rtol=1e-4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_sparse_samples_are_made_dense_where_torch_does_not_multiply_them(like_mps):
    X = scipy.sparse.random_array((60, 40), density=0.05, format="csr", rng=0)
    y = np.arange(60) % 3
    assert not SparseRows(X, torch.float32, torch.device("cpu")).has_sparse_batches
    sparse, dense = (
        TorchMLPClassifier((8,), random_state=0, max_iter=3).fit(samples, y)
        for samples in (X, X.toarray())
    )
    assert_allclose(sparse.loss_curve_, dense.loss_curve_, rtol=1e-5)


def test_results_on_a_device_without_float64(like_mps):
    assert on_device(np.array([0.5, 0.25]), torch.device("cpu")).dtype == torch.float32


def test_generators_that_take_no_device(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: torch.tensor(3))
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda state: calls.append(state.item()))
    monkeypatch.setattr(torch.mps, "manual_seed", lambda seed: calls.append(("seed", seed)))
    before = torch.get_rng_state()
    with seeded_torch(7, MPS):
        assert calls == [("seed", 7)]
    assert calls[-1] == 3
    assert torch.equal(torch.get_rng_state(), before)


def test_generators_that_take_a_device(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.xpu, "get_device_properties", lambda device: SimpleNamespace())
    monkeypatch.setattr(torch.xpu, "get_rng_state", lambda device: torch.tensor(device.index))
    monkeypatch.setattr(torch.xpu, "set_rng_state", lambda *given: calls.append(given))
    monkeypatch.setattr(torch.xpu, "device", lambda device: nullcontext(calls.append(device)))
    monkeypatch.setattr(torch.xpu, "manual_seed", lambda seed: calls.append(seed))
    one = torch.device("xpu", 1)
    with seeded_torch(7, one):
        assert calls == [one, 7]
    state, device = calls[-1]
    assert (state.item(), device) == (1, one)
    devices._xpu_traits.cache_clear()


def test_free_memory_of_each_kind(monkeypatch):
    cuda = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100, 1000))
    # What torch keeps for its next tensors is free for ours.
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 50)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 20)
    assert free_memory(cuda) == 130
    assert home_of_samples(65, cuda) == cuda
    assert home_of_samples(66, cuda) == torch.device("cpu")
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 100)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 30)
    assert free_memory(MPS) == 70
    monkeypatch.setattr(torch.xpu, "get_device_properties", lambda device: SimpleNamespace())
    monkeypatch.setattr(torch.xpu, "mem_get_info", lambda device: (10, 20), raising=False)
    assert free_memory(XPU) == 10

    def not_supported(device):
        raise RuntimeError("not supported")

    monkeypatch.setattr(torch.xpu, "mem_get_info", not_supported)
    assert free_memory(XPU) is None
    assert home_of_samples(1 << 40, XPU) == XPU
    devices._xpu_traits.cache_clear()
