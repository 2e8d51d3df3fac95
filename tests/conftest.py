"""Data, estimators and backends that all tests share."""

from functools import partial
from types import FunctionType

import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.preprocessing import scale

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor

# Every behavioural test runs over all of them, through the fixtures below.
BACKENDS = ["torch", "skorch"]

# For a test of what only the native backend has.
native_only = pytest.mark.parametrize("backend", ["torch"])


def pytest_collection_modifyitems(config, items):
    """Leave out skorch with lbfgs, which it does not have: test_backends.py shows the error."""
    missing = [item for item in items if is_skorch_with_lbfgs(item)]
    if missing:
        config.hook.pytest_deselected(items=missing)
        items[:] = [item for item in items if item not in missing]


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
def make_classifier(backend):
    """Make a small classifier; any parameter can be given."""
    return partial(TorchMLPClassifier, backend=backend, **SMALL)


@pytest.fixture
def make_regressor(backend):
    """Make a small regressor; any parameter can be given."""
    return partial(TorchMLPRegressor, backend=backend, **SMALL)


SMALL = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}


@pytest.fixture
def global_random_seed():
    """The seed that scikit-learn's own tests ask for."""
    return 42


@pytest.fixture
def digits():
    """300 images of the ten digits, pixels between 0 and 1."""
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, y[:300]


@pytest.fixture
def iris():
    """Three classes, standardised."""
    X, y = load_iris(return_X_y=True)
    return scale(X), y


@pytest.fixture
def breast_cancer():
    """Two classes, standardised."""
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y


@pytest.fixture
def diabetes():
    """A regression task, X and y standardised."""
    X, y = load_diabetes(return_X_y=True)
    return scale(X), scale(y)
