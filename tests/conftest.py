"""Data, estimators and backends that all tests share.

What takes seconds to import is imported by the fixtures: the process that hands the tests out to
others, which wait for it, needs none of it.
"""

import gc
import os
import signal
from functools import cache, partial
from types import FunctionType

import pytest

# Every behavioural test runs over all of them, through the fixtures below.
BACKENDS = ["torch", "skorch"]

# For a test of what only the native backend has.
native_only = pytest.mark.parametrize("backend", ["torch"])


GPU_DEVICE = "SKLEARN_MLP_GPU_TESTS_DEVICE"


def pytest_addoption(parser):
    """Let the tests marked ``gpu`` run elsewhere than on CUDA."""
    parser.addoption(
        "--gpu-device",
        default=os.environ.get(GPU_DEVICE, "cuda"),
        help="where the tests marked gpu run: a device, or 'auto' for the best there is; default: "
        f"the environment variable {GPU_DEVICE}, or cuda",
    )


@pytest.fixture(scope="session")
def gpu_device(request):
    """The device of the tests marked ``gpu``."""
    from sklearn_mlp.machine.devices import resolve_device

    return resolve_device(request.config.getoption("--gpu-device"))


def skip_gpu_tests(config, items):
    """Skip what needs a device that is not here."""
    from sklearn_mlp.machine.devices import resolve_device

    device = config.getoption("--gpu-device")
    try:
        resolve_device(device)
    except ValueError:
        reason = f"no {device} here; --gpu-device cpu tries the test on the CPU"
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason=reason))


# The longest come first, so that no process of several has them left over at the end. Interrupts
# come last: they end joblib's processes, which others share, and new ones import torch again.
PLACES = {"test_contract.py": 0, "test_ecosystem.py": 0, "test_interrupts.py": 2}


def pytest_collection_modifyitems(config, items):
    """Leave out skorch with lbfgs, which it does not have: test_backends.py shows the error."""
    skip_gpu_tests(config, items)
    items.sort(key=lambda item: PLACES.get(item.path.name, 1))
    missing = [item for item in items if is_skorch_with_lbfgs(item)]
    if missing:
        config.hook.pytest_deselected(items=missing)
        items[:] = [item for item in items if item not in missing]


def pytest_collection_finish():
    """Keep what all tests share, thousands of modules, out of each later search for garbage."""
    gc.collect()
    gc.freeze()


def is_skorch_with_lbfgs(item):
    """Whether a test's parameters ask for both."""
    values = item.callspec.params if hasattr(item, "callspec") else {}
    solvers = [
        values.get("solver"),
        *(v.get("solver") for v in values.values() if type(v) is dict),
    ]
    return values.get("backend") == "skorch" and "lbfgs" in solvers


def pytest_make_parametrize_id(val):
    """Name a function by its name: its address differs in every process that runs the tests."""
    return val.__name__ if isinstance(val, FunctionType) else None


@pytest.fixture(params=BACKENDS)
def backend(request):
    """The backend under test."""
    return request.param


@pytest.fixture
def by_torch(monkeypatch):
    """Train plain networks by torch: those that are compiled are not trained in stacks."""
    monkeypatch.setenv("SKLEARN_MLP_COMPILED", "0")


@pytest.fixture
def make_classifier(backend):
    """Make a small classifier; any parameter can be given."""
    from sklearn_mlp import TorchMLPClassifier

    return partial(TorchMLPClassifier, backend=backend, **SMALL)


@pytest.fixture
def make_regressor(backend):
    """Make a small regressor; any parameter can be given."""
    from sklearn_mlp import TorchMLPRegressor

    return partial(TorchMLPRegressor, backend=backend, **SMALL)


SMALL = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}


@pytest.fixture
def global_random_seed():
    """The seed that scikit-learn's own tests ask for."""
    return 42


@cache
def read_data(name, *, is_scaled=False):
    """Return X and y of a data set of scikit-learn's, read once: each time takes milliseconds."""
    from sklearn import datasets
    from sklearn.preprocessing import scale

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return (scale(X) if is_scaled else X), y


@pytest.fixture
def digits():
    """300 images of the ten digits, pixels between 0 and 1."""
    X, y = read_data("digits")
    return X[:300] / 16, y[:300].copy()


@pytest.fixture
def iris():
    """Three classes, standardised."""
    X, y = read_data("iris", is_scaled=True)
    return X.copy(), y.copy()


@pytest.fixture
def breast_cancer():
    """Two classes, standardised."""
    X, y = read_data("breast_cancer", is_scaled=True)
    return X.copy(), y.copy()


@pytest.fixture
def diabetes():
    """A regression task, X and y standardised."""
    from sklearn.preprocessing import scale

    X, y = read_data("diabetes", is_scaled=True)
    return X.copy(), scale(y)


@pytest.fixture(autouse=True)
def leave_scikit_learn_as_it_is():
    """Let a test that leaves scikit-learn's settings changed fail, and not those after it."""
    from sklearn import get_config, set_config

    before = get_config()
    yield
    after = get_config()
    set_config(**before)
    assert after == before


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    """Two processes of one group, for all tests of several."""
    from rank_processes import Ranks

    ranks = Ranks(2, tmp_path_factory.mktemp("ranks") / "store")
    yield ranks
    ranks.close()


@pytest.fixture
def ctrl_c_interrupts():
    """Let the signal of Ctrl-C interrupt: a process in the background may ignore it."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)
