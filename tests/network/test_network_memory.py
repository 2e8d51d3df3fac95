"""A network that no memory holds is refused before anything is allocated."""

import pickle
import weakref

import pytest
import torch
from numpy.testing import assert_array_equal

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor, fit_many
from sklearn_mlp.estimators import base, fitted
from sklearn_mlp.machine import devices
from sklearn_mlp.network import memory as network_memory
from sklearn_mlp.network.memory import check_memory, naming_memory
from sklearn_mlp.training import native as train

X, Y = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], [0, 1, 1, 0]


@pytest.mark.parametrize("Estimator", [TorchMLPClassifier, TorchMLPRegressor])
@pytest.mark.parametrize("sizes", [2**44, (8, 10**25), [10**500], (2**33, 2**33)], ids=str)
def test_layers_that_no_machine_holds(Estimator, sizes, backend):
    with pytest.raises(MemoryError, match=r"hidden_layer_sizes=.* is too large: the weights"):
        Estimator(hidden_layer_sizes=sizes, backend=backend).fit(X, Y)


def test_what_is_free_counts(monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr(network_memory, "free_memory", lambda device: 10**9)
    check_memory((100, 10**6, 1), torch.float32, cpu)
    with pytest.raises(MemoryError, match=r"would take 1.63 GB of 1 free\."):
        check_memory((100, 2 * 10**6, 1), torch.float32, cpu)
    monkeypatch.setattr(network_memory, "free_memory", lambda device: None)
    check_memory((100, 10**9, 1), torch.float32, cpu)


@pytest.mark.parametrize(
    "error",
    [MemoryError("no room"), RuntimeError("CPUAllocator: can't allocate memory")],
    ids=repr,
)
def test_memory_that_runs_out_later_is_named(error):
    sentence = r"hidden_layer_sizes=\(3,\) with batch_size=7 takes more memory than there is: "
    with pytest.raises(MemoryError, match=sentence + str(error)), naming_memory((3,), 7):
        raise error


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="another thing"), naming_memory((3,), 7):
        raise RuntimeError("another thing")


# As CUDA says it, and MPS, which has no type for it.
FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total."),
    RuntimeError("MPS backend out of memory (MPS allocated: 3 GB)"),
]


@pytest.fixture
def held(monkeypatch):
    """Let something of the package find its device full; return weak references to its tensors."""
    references = []

    def fill(module, name, error):
        def full(*args, **kwargs):
            tensor = torch.zeros(3)
            references.append(weakref.ref(tensor))
            raise error

        monkeypatch.setattr(module, name, full)
        return references

    return fill


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "place", [(base, "first_rows"), (train, "run_epochs")], ids=["preparing", "training"]
)
def test_a_full_device_is_named_and_its_memory_given_back(error, place, held, monkeypatch):
    given_back = []
    monkeypatch.setattr(network_memory, "give_back_memory", lambda: given_back.append(True))
    estimator = TorchMLPClassifier((5,), max_iter=5, tol=9, n_iter_no_change=1, random_state=0)
    before = pickle.dumps(estimator.fit(X, Y))
    module, name = place
    tensors = held(module, name, error)
    sentence = r"a fit with hidden_layer_sizes=\(5,\), batch_size='auto', dtype='auto', "
    with pytest.raises(MemoryError, match=sentence + r"device='auto' takes more") as caught:
        estimator.fit(X, Y)
    # While the error is still there, as it is in a notebook.
    assert caught.value.__cause__ is error
    assert "lower batch_size or hidden_layer_sizes" in str(caught.value)
    assert str(caught.value).endswith(f"({'. '.join(str(error).split('. ')[:2])}).")
    assert [reference() for reference in tensors] == [None]
    assert given_back == [True]
    assert pickle.dumps(estimator) == before


def test_a_prediction_on_a_full_device(held, monkeypatch):
    estimator = TorchMLPRegressor(hidden_layer_sizes=(5,), max_iter=5, tol=9, n_iter_no_change=1)
    estimator.fit(X, Y)
    tensors = held(fitted, "predict_in_chunks", FULL[0])
    with pytest.raises(
        MemoryError, match=r"the prediction takes .* device 'cpu' .* fewer samples"
    ):
        estimator.predict(X)
    assert [reference() for reference in tensors] == [None]


@pytest.mark.usefixtures("by_torch")
def test_a_stack_on_a_full_device_is_fitted_one_by_one(held):
    seeds = [
        TorchMLPClassifier((5,), max_iter=5, tol=9, n_iter_no_change=1, random_state=seed)
        for seed in range(3)
    ]
    alone = [pickle.loads(pickle.dumps(one)).fit(X, Y) for one in seeds]
    tensors = held(train, "train_stack", FULL[0])
    fit_many(seeds, X, Y)
    assert [reference() for reference in tensors] == [None]
    for one, expected in zip(seeds, alone, strict=True):
        assert_array_equal(one.predict_proba(X), expected.predict_proba(X))


@pytest.mark.usefixtures("by_torch")
def test_nobody_is_fitted_on_a_full_device(held):
    ours = TorchMLPClassifier((5,), max_iter=5, random_state=0)
    held(base, "first_rows", FULL[0])
    with pytest.raises(MemoryError, match="a fit with hidden_layer_sizes"):
        fit_many([ours], X, Y)


def test_what_devices_keep_is_given_back(monkeypatch):
    asked = []
    for kind in ("cuda", "mps", "xpu"):
        backend = getattr(torch, kind)
        monkeypatch.setattr(backend, "is_available", lambda kind=kind: kind != "xpu")
        monkeypatch.setattr(backend, "empty_cache", lambda kind=kind: asked.append(kind))
    devices.give_back_memory()
    assert asked == ["cuda", "mps"]
