"""What is not public elsewhere is used in one place each, and a change there is survived."""

import ast
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.model_selection import _search as their_search
from sklearn.utils.parallel import delayed

import sklearn_mlp
from sklearn_mlp import BatchedGridSearchCV, TorchMLPClassifier, cross_validate_batched
from sklearn_mlp.search import searches
from sklearn_mlp.search.parallel import StackingParallel

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PACKAGE = Path(sklearn_mlp.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
CHANGED = "runs the fits of a search in a way that this version of sklearn_mlp does not know"
GRID = {"alpha": [1e-4, 0.3]}


def private_imports(path):
    """Return what a module imports from elsewhere under a name that begins with an underscore."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if "._" in alias.name]
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith(
            "sklearn_mlp"
        ):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name for name in names if "._" in name]
    return found


def test_private_names_are_imported_in_one_place():
    importing = {path.name for path in MODULES if private_imports(path)}
    assert importing == {"sklearn_internals.py"}


def estimator():
    return TorchMLPClassifier(
        (8,), max_iter=5, random_state=0, batch_size=30, dtype="float64", device="cpu"
    )


def assert_same_search(iris, kind=BatchedGridSearchCV):
    """Compare a search that warns with scikit-learn's own, which it should be."""
    with pytest.warns(UserWarning, match=CHANGED):
        ours = kind(estimator(), GRID, cv=3).fit(*iris)
    expected = GridSearchCV(estimator(), GRID, cv=3).fit(*iris)
    for name, values in expected.cv_results_.items():
        if "time" not in name:
            assert_array_equal(np.asarray(ours.cv_results_[name]), np.asarray(values))
    assert_array_equal(ours.predict(iris[0]), expected.predict(iris[0]))


class OtherCandidates(BatchedGridSearchCV):
    """A search that is given a function which has no Parallel."""

    def _run_search(self, evaluate_candidates, *, callback_ctx=None):
        def other(*args, **kwargs):
            return evaluate_candidates(*args, **kwargs)

        super()._run_search(other, callback_ctx=callback_ctx)


def test_a_search_that_names_no_parallel_is_left_to_scikit_learn(iris):
    assert_same_search(iris, OtherCandidates)


def test_whoever_replaces_the_fit_of_a_search_sees_ours(iris, monkeypatch, capsys):
    # As tools that keep records of all searches do.
    seen, original = [], GridSearchCV.fit

    def fit(self, *args, **kwargs):
        fitted = original(self, *args, **kwargs)
        seen.append((type(self).__name__, sorted(self.cv_results_["params"][0])))
        return fitted

    monkeypatch.setattr(GridSearchCV, "fit", fit)
    search = BatchedGridSearchCV(
        estimator(), {**GRID, "solver": ["adam", "lbfgs"]}, cv=2, verbose=1
    )
    search.fit(*iris)
    assert seen == [("BatchedGridSearchCV", ["alpha", "solver"])]
    # They are made in stacks all the same.
    assert "4 of 8 fits are not stacked: solver='lbfgs'" in capsys.readouterr().out


def test_a_search_of_other_tasks_is_left_to_scikit_learn(iris, monkeypatch):
    def other_delayed(function):
        def other_function(*args, **kwargs):
            return function(*args, **kwargs)

        return delayed(other_function)

    monkeypatch.setattr(their_search, "delayed", other_delayed)
    assert_same_search(iris)


def test_a_cross_validation_that_names_no_parallel_is_left_to_scikit_learn(iris, monkeypatch):
    def other(*args, **kwargs):
        return cross_validate(*args, **kwargs)

    monkeypatch.setattr(searches, "cross_validate", other)
    with pytest.warns(UserWarning, match=CHANGED):
        ours = cross_validate_batched(estimator(), *iris, cv=3)
    expected = cross_validate(estimator(), *iris, cv=3)
    assert_array_equal(ours["test_score"], expected["test_score"])


@pytest.mark.parametrize("task", [delayed(np.add)(1, 2), delayed(np.sum)([1, 2])])
def test_tasks_that_are_not_known_are_run_as_they_are(task):
    parallel = StackingParallel.making(max_memory=0.5, report=False)
    with pytest.warns(UserWarning, match=CHANGED):
        assert parallel([task]) == [3]


def test_options_that_are_not_known_go_to_joblib():
    parallel = StackingParallel.making(max_memory=0.5, report=False, return_as="generator")
    with pytest.warns(UserWarning, match=CHANGED):
        assert list(parallel([delayed(np.add)(1, 2)])) == [3]
