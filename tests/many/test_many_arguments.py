"""Arguments of `fit_many` and `cross_validate_batched` that are none: the errors name them."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.linear_model import LogisticRegression

from sklearn_mlp import TorchMLPClassifier, cross_validate_batched, fit_many

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(20, 3))
y = np.arange(20) % 2
RAGGED = [[1, 2], [3]]


class NoArray:
    """Has a length, and makes no array."""

    def __len__(self):
        return 20

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no array today")


def estimators():
    return [TorchMLPClassifier((3,), max_iter=2, random_state=seed) for seed in range(2)]


MANY = {
    "estimators": [
        *(None, 5, TorchMLPClassifier(), TorchMLPClassifier, "ab", [None], [LogisticRegression()]),
        *([TorchMLPClassifier], {"a": 1}, [TorchMLPClassifier()] * 2),
    ],
    "X": [None, 5, "text", object(), NoArray(), {"a": 1}, np.array(1.0), torch.tensor(1.0), 1j],
    "y": [
        *(None, 5, "text", object(), np.array(1), np.ones(19), np.ones((21, 2)), range(3), []),
        *(torch.ones(5), pd.Series([1, 0]), scipy.sparse.csr_array(np.ones((3, 2)))),
    ],
    "indices": [
        *(5, "ab", object(), {"a": [1]}, {1, 2}, np.array(3), [[0, 1]], [], [[0], [0], [0]]),
        *([RAGGED, [0]], [None, None], [[0.5], [1]], [["a"], [1]], [[], [1]], [[99], [0]]),
        *([[-21], [0]], [[True], [0]], [[[0]], [[1]]], [NoArray(), [0]], [1, 2], np.ones((2, 3))),
        *([torch.ones(2), [1]], scipy.sparse.eye(2), pd.Series([1, 2])),
    ],
    "sample_weight": [
        *("text", object(), {"a": 1}, np.ones(3), [], [1.0], np.ones(21), np.array(1.0), 1j),
        *(torch.ones(2), pd.Series([1.0]), np.full(20, np.nan)),
    ],
    "n_jobs": [0, 1.5, "two", [1], np.nan, object(), {}],
    "max_memory": [0, -1, 1.5, np.nan, np.inf, "half", None, [1], object(), 1j],
    "verbose": [-1, 1.5, "much", [1], object(), {}, None],
}
CASES = [
    pytest.param(name, value, id=f"{name}-{number}")
    for name, values in MANY.items()
    for number, value in enumerate(values)
]


@pytest.mark.parametrize("with_indices", [False, True], ids=["all rows", "some rows"])
@pytest.mark.parametrize(("name", "value"), CASES)
def test_many(name, value, with_indices):
    arguments = {"estimators": estimators(), "X": X, "y": y}
    if with_indices:
        arguments["indices"] = [np.arange(15), np.arange(5, 20)]
    arguments[name] = value
    with pytest.raises(
        (ValueError, TypeError), match=f"{name}|inconsistent numbers of samples: X"
    ):
        fit_many(**arguments)


SHARED = {name: MANY[name] for name in ("n_jobs", "max_memory")}
VALIDATE = {
    **SHARED,
    "estimator": [None, 5, "text", TorchMLPClassifier, LogisticRegression(), object()],
    "X": [None, 5, "text"],
    "y": [5, "text"],
    "groups": [5, "text"],
    "scoring": [5, "no such", {"accuracy"}, object()],
    "cv": [1, 0, -3, 1.5, "five", object()],
    "verbose": [-1, 1.5, "much", [1], {}, None],
    "params": [5, "text", [1]],
    "pre_dispatch": [1.5, [1], object()],
    "return_train_score": [2, "yes", None],
    "return_estimator": [2, "yes", None],
    "return_indices": [2, "yes", None],
    "error_score": ["ignore", None, [1]],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}-{number}")
        for name, values in VALIDATE.items()
        for number, value in enumerate(values)
    ],
)
def test_a_cross_validation(name, value):
    arguments = {"estimator": estimators()[0], "X": X, "y": y, "cv": 2, name: value}
    with pytest.raises((ValueError, TypeError), match=f"{name}|takes a TorchMLP"):
        cross_validate_batched(**arguments)


def test_what_is_taken():
    weights = np.linspace(0.5, 1, 20)
    rows = [list(range(10)), y == 1]
    for given in (2.0, weights, weights.tolist(), torch.tensor(weights), pd.Series(weights)):
        fitted = fit_many(estimators(), X, y.tolist(), indices=rows, sample_weight=given)
        assert all(one.n_iter_ == 2 for one in fitted)
    fitted = fit_many(
        iter(estimators()), X.tolist(), pd.Series(y), indices=np.array([[1, 2], [0, 1]])
    )
    assert all(one.n_iter_ == 2 for one in fitted)
    assert fit_many([], X, y) == []


def test_nothing_is_trained_where_an_argument_is_none():
    many = estimators()
    with pytest.raises(ValueError, match="sample_weight"):
        fit_many(many, X, y, indices=[[0, 1], [2, 3]], sample_weight=np.ones(30))
    assert not any(hasattr(one, "module_") for one in many)
