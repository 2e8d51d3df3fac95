"""A GPU in use: tensors, pickles, threads and processes, memory that runs out, what is not there.

``--gpu-device cpu`` runs on the CPU what makes sense there.
"""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from forked_programs import run_forked
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.model_selection import cross_val_score

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.machine.devices import available_devices

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

SMALL = {"hidden_layer_sizes": (20,), "max_iter": 8, "batch_size": 50, "random_state": 0}


@pytest.fixture
def gpu(gpu_device):
    """The device, which must not be the CPU."""
    if gpu_device.type == "cpu":
        pytest.skip("makes sense on a GPU only")
    return gpu_device


@pytest.fixture
def cuda(gpu):
    """The device, which must be of CUDA."""
    if gpu.type != "cuda":
        pytest.skip("of torch.cuda")
    return gpu


def test_the_best_device_is_taken_by_itself(gpu, digits):
    estimator = TorchMLPClassifier(**SMALL).fit(*digits)
    assert str(estimator.device_) == available_devices()[0]


def test_a_device_that_is_not_there(gpu_device, digits):
    kind = "cuda" if gpu_device.type == "cpu" else gpu_device.type
    with pytest.raises(ValueError, match=f"device='{kind}:99' is not available") as caught:
        TorchMLPClassifier(device=f"{kind}:99").fit(*digits)
    assert ", ".join(available_devices()) in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_in_and_out(dtype, backend, digits, gpu_device, monkeypatch):
    if gpu_device.type == "mps" and dtype == torch.float64:
        pytest.skip("no float64 on mps")
    # scikit-learn demands that SciPy be told as well.
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    X, y = digits
    samples, labels = (torch.tensor(X, dtype=dtype, device=gpu_device), torch.tensor(y))
    labels = labels.to(gpu_device)
    estimator = TorchMLPClassifier(**SMALL, device=gpu_device, backend=backend)
    with config_context(array_api_dispatch=True):
        estimator.fit(samples, labels)
        predicted, probable = estimator.predict(samples), estimator.predict_proba(samples)
        score = estimator.score(samples, labels)
    assert predicted.device == probable.device == gpu_device
    assert probable.dtype == dtype
    alone = TorchMLPClassifier(**SMALL, device=gpu_device, backend=backend)
    alone.fit(X.astype("float32" if dtype == torch.float32 else "float64"), y)
    assert_allclose(probable.cpu().numpy(), alone.predict_proba(X), rtol=1e-3, atol=1e-4)
    assert float(score) == pytest.approx(alone.score(X, y), abs=0.01)
    # Without dispatch tensors are taken, and arrays returned.
    assert type(estimator.predict(samples)) is np.ndarray


ELSEWHERE = """
import pickle, sys
import numpy as np, torch
assert not torch.cuda.is_available()
with open(sys.argv[1], "rb") as file:
    estimators, X, y = pickle.load(file)
for estimator in estimators:
    assert estimator.device_.type == "cpu", estimator.device_
results = [estimator.predict_proba(X) for estimator in estimators]
for estimator in estimators:
    estimator.set_params(device="cpu").partial_fit(X, y)
with open(sys.argv[1], "wb") as file:
    pickle.dump((estimators, results), file)
"""


def test_pickles_open_on_a_cpu_and_go_back(digits, gpu_device, tmp_path):
    X, y = digits
    settings = {**SMALL, "device": gpu_device, "weight_averaging": "ema"}
    fitted = [
        TorchMLPClassifier(**settings, backend=backend).fit(X, y)
        for backend in ("torch", "skorch")
    ]
    path = tmp_path / "estimators.pickle"
    path.write_bytes(pickle.dumps((fitted, X, y)))
    done = run_forked(ELSEWHERE, path, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stderr
    returned, results = pickle.loads(path.read_bytes())
    for one, back, result in zip(fitted, returned, results, strict=True):
        assert_allclose(result, one.predict_proba(X), rtol=1e-3, atol=1e-5)
        one.partial_fit(X, y)
        back.set_params(device=gpu_device)
        assert_allclose(back.loss_, one.loss_, rtol=1e-3)
        one.partial_fit(X, y)
        back.partial_fit(X, y)
        assert back.device_ == gpu_device
        assert_allclose(back.predict_proba(X), one.predict_proba(X), rtol=1e-2, atol=1e-4)


def test_fits_in_threads(digits, gpu_device):
    X, y = digits

    def fit(seed):
        settings = {**SMALL, "random_state": seed, "device": gpu_device}
        return TorchMLPClassifier(**settings).fit(X, y).predict_proba(X)

    alone = [fit(seed) for seed in range(6)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(fit, range(6)))
    for one, expected in zip(together, alone, strict=True):
        assert_allclose(one, expected, rtol=1e-3, atol=1e-5)


def test_fits_in_processes(digits, gpu):
    X, y = digits
    estimator = TorchMLPClassifier(**SMALL, device=gpu)
    scores = [cross_val_score(estimator, X, y, cv=3, n_jobs=n_jobs) for n_jobs in (1, 2)]
    assert_allclose(scores[0], scores[1], atol=0.01)


def test_compiled_networks(digits, cuda):
    X, y = digits
    estimator = TorchMLPClassifier(**SMALL, device=cuda, normalization="layer")
    plain = estimator.fit(X, y).loss_curve_
    assert_allclose(estimator.set_params(compile=True).fit(X, y).loss_curve_, plain, rtol=1e-3)


def test_another_device_than_the_current_one(digits, cuda):
    last = torch.cuda.device_count() - 1
    if last == 0:
        pytest.skip("needs two GPUs")
    X, y = digits
    settings = {**SMALL, "device": f"cuda:{last}"}
    estimator = TorchMLPClassifier(**settings).fit(X, y)
    assert estimator.device_ == torch.device("cuda", last)
    assert torch.cuda.current_device() == 0
    first = TorchMLPClassifier(**{**settings, "device": "cuda:0"}).fit(X, y)
    assert_array_equal(estimator.predict(X), first.predict(X))


@pytest.fixture
def little_memory(cuda):
    """Let torch have some 200 MB more of the GPU than it holds."""
    torch.cuda.init()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(cuda).total_memory
    allowed = torch.cuda.memory_reserved(cuda) + 200e6
    torch.cuda.set_per_process_memory_fraction(allowed / total, cuda)
    yield cuda
    torch.cuda.set_per_process_memory_fraction(1.0, cuda)


def test_a_fit_that_takes_too_much(little_memory, backend, digits):
    X, y = digits
    estimator = TorchMLPClassifier(**SMALL, device=little_memory, backend=backend).fit(X, y)
    expected, before = estimator.predict(X), torch.cuda.memory_allocated()
    estimator.set_params(hidden_layer_sizes=(6000, 6000))
    with pytest.raises(MemoryError, match=r"hidden_layer_sizes=\(6000, 6000\).*lower batch_size"):
        estimator.fit(X, y)
    # All is given back, and the estimator is what it was.
    assert torch.cuda.memory_allocated() <= before + 1e6
    assert_array_equal(estimator.predict(X), expected)
    estimator.set_params(hidden_layer_sizes=(20,)).fit(X, y)


def test_a_prediction_that_takes_too_much(little_memory):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(130_000, 4)).astype(np.float32)
    settings = {**SMALL, "hidden_layer_sizes": (2000,), "max_iter": 2}
    estimator = TorchMLPRegressor(**settings, device=little_memory).fit(X[:100], X[:100, 0])
    before = torch.cuda.memory_allocated()
    with pytest.raises(MemoryError, match="the prediction takes more memory than device 'cuda:0'"):
        estimator.predict(X)
    assert torch.cuda.memory_allocated() <= before + 1e6
    assert estimator.predict(X[:1000]).shape == (1000,)


def test_nothing_is_left_on_the_gpu(cuda, backend, digits):
    X, y = digits
    TorchMLPClassifier(**SMALL, device=cuda, backend=backend).fit(X, y)
    before = torch.cuda.memory_allocated()
    for seed in range(3):
        settings = {**SMALL, "random_state": seed, "device": cuda}
        TorchMLPClassifier(**settings, backend=backend).fit(X, y)
    # Graphs and nets are freed with their fits, but for cycles that nobody has collected yet.
    assert torch.cuda.memory_allocated() <= before + 2e6
