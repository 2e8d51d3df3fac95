"""A network that no memory holds is refused before anything is allocated."""

import pytest
import torch

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor, network_memory
from sklearn_mlp.network_memory import check_memory, naming_memory

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
