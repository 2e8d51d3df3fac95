"""What `import sklearn_mlp` imports: the estimators, and nothing that not every user needs."""

import subprocess
import sys

import pytest

import sklearn_mlp

# Loads what comes with torch and scikit-learn's networks first: it is not this package's doing.
SCRIPT = """
import sys
import torch, sklearn.neural_network
before = set(sys.modules)
import sklearn_mlp
print(*sorted(before))
print(*sorted(set(sys.modules) - before))
sklearn_mlp.fit_many
print(*sorted(set(sys.modules) - before))
"""


@pytest.fixture(scope="module")
def loaded():
    """The modules loaded before, those that come with the package, and those with a name of it."""
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [line.split() for line in done.stdout.splitlines()]


def test_an_import_loads_the_estimators_alone(loaded):
    before, modules, _ = loaded
    assert {"skorch", "matplotlib"}.isdisjoint(before)
    ours = {name.split(".")[1] for name in modules if name.startswith("sklearn_mlp.")}
    assert ours.isdisjoint({"callbacks", "search", "many"})
    assert "sklearn_mlp.inspection.displays" not in modules
    assert "sklearn_mlp.export.container" not in modules
    assert "sklearn_mlp.skorch_backend.train" not in modules
    others = {name.split(".")[0] for name in modules} - {"sklearn_mlp", "sklearn"}
    assert others.isdisjoint(
        {"skorch", "matplotlib", "pandas", "tqdm", "rich", "distributed", "safetensors"}
    )


def test_a_named_solver_loads_no_compiler_of_torchs():
    # Optimizers of torch's load it at their first step, for one or two seconds.
    script = """
import sys
from sklearn_mlp import TorchMLPRegressor
TorchMLPRegressor(solver="nadam", max_iter=1, tol=1e9).fit([[0.0], [1.0]], [0.0, 1.0])
print("torch._dynamo" in sys.modules)
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["False"]


def test_a_name_is_imported_when_it_is_asked_for(loaded):
    *_, modules = loaded
    assert "sklearn_mlp.many.fits" in modules
    assert "sklearn_mlp.search" not in modules


def test_all_public_names_are_there():
    assert set(sklearn_mlp.__all__) <= set(dir(sklearn_mlp))
    for name in sklearn_mlp.__all__:
        assert getattr(sklearn_mlp, name) is not None
    with pytest.raises(AttributeError, match="'sklearn_mlp' has no attribute 'no_such_name'"):
        _ = sklearn_mlp.no_such_name
