"""Processes with rows of their own have the numbers of one that is given all of them."""

import numpy as np
import pytest
import rank_jobs

import sklearn_mlp
from sklearn_mlp.data.row_numbers import RowNumbers

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iter")

UNEVEN = [slice(0, 30), slice(30, None)]
CASES = {
    "uneven parts": {},
    "a batch that one has no row of": {"batch_size": 2, "n_samples": 40, "max_iter": 2},
    "one batch": {"batch_size": 1000},
    "not shuffled": {"shuffle": False, "solver": "sgd"},
    "weights mostly 0": {"weighted": "mostly 0", "alpha": 0.1, "batch_size": 9},
    "weights 0 in a part": {"weighted": "0 in the first part", "class_weight": "balanced"},
    "numbers scaled, weights 0 in a part": {
        "weighted": "0 in the first part",
        "is_classifier": False,
        "scale_target": "standard",
    },
    "weights of numbers": {"weighted": True, "is_classifier": False, "alpha": 0.1},
    "numbers scaled": {"is_classifier": False, "scale_target": "standard", "weighted": True},
    "classes weighed": {"class_weight": "balanced"},
    "a part held out": {"early_stopping": True, "n_iter_no_change": 1, "tol": 0.1},
    "of two classes": {"early_stopping": True, "n_classes": 2, "weighted": True},
    "numbers held out": {"early_stopping": True, "is_classifier": False, "scoring": "loss"},
    "a validation set": {"watched": True, "scoring": "balanced_accuracy"},
    "dropout": {"dropout": 0.3, "input_dropout": 0.2},
    "sparse": {"kind": "sparse", "early_stopping": True},
    "lbfgs": {"solver": "lbfgs", "weighted": True},
    "an epoch at a time": {"calls": 3},
    "labels of a matrix": {"form": "indicator", "class_weight": "balanced"},
    "columns of labels": {"form": "columns"},
    "words": {"form": "words"},
}


@pytest.mark.parametrize("name", CASES)
def test_own_rows_have_the_numbers_of_all_rows(two, name):
    rank_jobs.assert_as_alone(two, CASES[name], UNEVEN)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no rows", r"(rank 1 could not take its rows\. ValueError: )?Found array with 0 sample"),
        ("a value", r"(rank 1 could not take its rows\. ValueError: )?Input X contains infinity"),
        ("columns", "the same number of features of X, but rank 0 has 6 and rank 1 has 4"),
        ("names", r"the same names of the features of X, but .* rank 1 has \['a', 'b'"),
        ("type", "the same X.dtype, but rank 0 has float64 and rank 1 has float32"),
        ("kind", "the same kind of X, but rank 0 has dense and rank 1 has sparse"),
        ("labels", "y must have labels of one type in all parts, got both numbers and text"),
        ("form", "part 0 has one column of labels and part 1 has 2 columns of labels"),
        ("stack", "What fit_many is given is fitted by each process by itself, on all rows"),
        ("folds", "What cross_validate_batched is given is fitted by each process by itself"),
        ("parameter", "the same alpha, but rank 0 has 0.0001 and rank 1 has 0.3"),
        ("rows", r"the same rows \(of distributed\), but rank 0 has 'own' and rank 1 has 'same'"),
    ],
    ids=lambda value: value if value.replace(" ", "").isalpha() and len(value) < 10 else "",
)
def test_what_does_not_fit_together_is_told_by_all(two, name, message):
    for error in two.call(rank_jobs.fit_own_differently, name):
        assert isinstance(error, ValueError)
        with pytest.raises(ValueError, match=message):
            raise error
    # The next fit finds all of them.
    assert two.call(rank_jobs.is_joined) == [True, True]


def test_rows_are_numbered_by_their_pieces():
    numbers = RowNumbers.of(1, [[(0, 2), (3, 1)], [(1, 3)], [(2, 1)]])
    assert numbers.n_rows == 7
    assert [numbers.of_rank(rank).tolist() for rank in range(3)] == [[0, 1, 6], [2, 3, 4], [5]]
    places, own = numbers.find(np.array([6, 4, 0, 2]))
    assert (places.tolist(), own.tolist()) == ([1, 3], [2, 0])
    whole = numbers.joined([np.array([0, 1, 6]), np.array([2, 3, 4]), np.array([5])])
    assert whole.tolist() == list(range(7))


def test_rows_of_distributed_is_one_of_two():
    with pytest.raises(ValueError, match=r"rows must be 'same' or 'own'. Got 'some' instead."):
        sklearn_mlp.distributed(rows="some").__enter__()
