"""Numbers that skip scikit-learn's checks: as these would return them, and refused as by these."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.testing import assert_array_equal
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from sklearn_mlp.arrays.checks import validate_samples
from sklearn_mlp.arrays.plain import is_plain_sparse, plain_array

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FRAME = pd.DataFrame({"a": [1.5, 2.0], "b": [3, 4], "c": [5.0, 6.0]})
# An object column of numbers, types of pandas' own, and truth values.
MORE_TO_IT = {
    "objects": FRAME.astype(object),
    "nullable": FRAME.astype("Float64"),
    "truths": FRAME > 2,
    "sparse": FRAME.astype(pd.SparseDtype(float)),
    "nan": FRAME.where(FRAME != 3),
    "strings": FRAME.astype(str),
    "a list of strings": [["1", "2", "3"]],
    "a ragged list": [[1.0], [2.0, 3.0]],
    "infinity": [[np.inf, 1.0, 2.0]],
    "complex": [[1j, 2.0, 3.0]],
    "a scalar's list": [],
    "a tuple": ((1.0, 2.0, 3.0),),
}


@pytest.mark.parametrize(
    "values",
    [
        FRAME,
        FRAME.astype(np.float32),
        FRAME[["b"]],
        FRAME["a"],
        FRAME["b"].astype(np.uint8),
        FRAME.to_numpy().tolist(),
        [[1, 2], [3, 4]],
        [[True, False]],
        [1.5, 2.5],
        [np.float32(1.5), np.float32(2.5)],
    ],
    ids=lambda values: f"{type(values).__name__}-{np.asarray(values).dtype}-{np.ndim(values)}",
)
def test_what_is_plain_is_what_scikit_learn_returns(values):
    ours, theirs = plain_array(values), check_array(values, ensure_2d=False)
    assert ours.dtype == theirs.dtype
    assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", sorted(MORE_TO_IT))
def test_there_is_more_to_others(name):
    assert plain_array(MORE_TO_IT[name]) is None


@pytest.mark.parametrize("make", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_sparse_numbers(make):
    assert is_plain_sparse(make(FRAME.to_numpy()))
    assert not is_plain_sparse(make(np.array([[0.0, np.nan]])))
    assert not is_plain_sparse(make((0, 3)))
    assert not is_plain_sparse(make(FRAME.to_numpy()).tocoo())


def answer(check, *arguments, **settings):
    """Return what a check makes of samples, or the words of its error."""
    try:
        return check(*arguments, **settings)
    except ValueError as error:
        return str(error)


def is_same_answer(estimator, X):
    """Hold our checks against scikit-learn's; return whether they take the samples."""
    ours = answer(validate_samples, estimator, X)
    theirs = answer(validate_data, estimator, X, accept_sparse=["csr", "csc"], reset=False)
    if isinstance(theirs, str) or scipy.sparse.issparse(theirs):
        assert ours is theirs or ours == theirs
    else:
        assert ours.dtype == theirs.dtype
        assert_array_equal(ours, theirs)
    return not isinstance(theirs, str)


def test_samples_to_predict(make_classifier, iris):
    X, y = iris
    names = ["a", "b", "c", "d"]
    frame = pd.DataFrame(X, columns=names)
    without, named = make_classifier().fit(X, y), make_classifier().fit(frame, y)
    for samples in (X[:1].tolist(), scipy.sparse.csr_matrix(X), scipy.sparse.csc_array(X[:2])):
        assert is_same_answer(without, samples)
    assert is_same_answer(named, frame[:1])
    for samples in ([[1.0, 2.0]], scipy.sparse.csr_array(X[:, :3]), [[np.nan, 0.0, 0.0, 0.0]]):
        assert not is_same_answer(without, samples)
    for samples in (frame[names[::-1]], frame[names[:3]], frame.rename(columns={"a": "e"})):
        assert not is_same_answer(named, samples)


def test_names_that_only_one_side_has_warn_as_before(make_classifier, iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    with pytest.warns(UserWarning, match="X has feature names, but"):
        make_classifier().fit(X, y).predict(frame)
    named = make_classifier().fit(frame, y)
    for samples in (X, X.tolist(), scipy.sparse.csr_array(X)):
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            named.predict(samples)
