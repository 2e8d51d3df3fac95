"""What has no numbers to read, or leads out of its memory, is refused by the argument's name."""

import warnings

import numpy as np
import pytest
import scipy.sparse
import torch
from forked_programs import run_forked
from numpy.testing import assert_array_equal

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.arrays.readable import readable_array, readable_sparse

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(5).normal(size=(12, 4))
Y = np.arange(12) % 2
TENSOR = torch.tensor(X)
SENTENCES = {
    "meta": "numbers in it, got one on the device 'meta'",
    "quantised": r"got a quantised tensor of torch.quint8; convert .*\.dequantize\(\)",
    "float8": r"got a tensor of torch.float8_e5m2; .*\.float\(\)",
    "sparse": "A sparse or nested torch tensor was passed as",
}


@pytest.fixture
def unreadable(kind):
    """A tensor of each kind, the making of some of which torch warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "quantised":
            return torch.quantize_per_tensor(TENSOR.float(), 0.1, 3, torch.quint8)
    made = {"meta": TENSOR.to("meta"), "float8": TENSOR.to(torch.float8_e5m2)}
    return made.get(kind, TENSOR.to_sparse())


def fitted(Estimator=TorchMLPClassifier, **settings):
    return Estimator(hidden_layer_sizes=4, max_iter=2, random_state=0, **settings).fit(X, Y)


@pytest.mark.parametrize("kind", SENTENCES)
def test_tensors_that_cannot_be_read(kind, unreadable):
    bad, sentence = unreadable, SENTENCES[kind]
    clf = fitted()
    column = bad if kind in ("quantised", "sparse") else bad[:, 0]
    calls = {
        "X": [
            lambda: fitted().fit(bad, Y),
            lambda: clf.partial_fit(bad, Y),
            lambda: clf.predict(bad),
            lambda: clf.predict_proba(bad),
            lambda: clf.hidden_activations(bad),
            lambda: clf.score(bad, Y),
            lambda: clf.fit(X, Y, X_val=bad, y_val=Y),
        ],
        "y": [lambda: fitted().fit(X, column), lambda: fitted(TorchMLPRegressor).fit(X, column)],
        "sample_weight": [lambda: fitted().fit(X, Y, sample_weight=column)],
    }
    for name, each in calls.items():
        for call in each:
            with pytest.raises(TypeError, match=sentence) as error:
                call()
            assert name in str(error.value)


def test_negated_and_conjugated_views_are_numbers():
    clf, labels = fitted(), torch.tensor(Y)
    negated = torch._neg_view(-TENSOR)
    assert negated.is_neg()
    imaginary = torch.complex(torch.zeros_like(TENSOR), -TENSOR).conj().imag
    for view in (negated, imaginary):
        assert_array_equal(clf.predict_proba(view), clf.predict_proba(X))
        again = TorchMLPClassifier(4, max_iter=2, random_state=0)
        again.fit(view, torch._neg_view(-labels), sample_weight=torch._neg_view(-torch.ones(12)))
        assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_masked_arrays(backend):
    clf = TorchMLPClassifier(4, max_iter=2, random_state=0, backend=backend)
    whole = np.ma.masked_array(X, np.zeros_like(X, dtype=bool))
    assert_array_equal(clf.fit(whole, Y).predict(X), clf.fit(X, Y).predict(X))
    holes, some = np.ma.masked_greater(X, 1), np.ma.masked_array(Y, Y == 1)
    for name, call in {
        "X": lambda: clf.predict(holes),
        "y": lambda: clf.fit(X, some),
        "sample_weight": lambda: clf.fit(X, Y, sample_weight=some + 1),
    }.items():
        with pytest.raises(ValueError, match=rf"^{name} must not be masked, but .* values are; "):
            call()


def spoiled(matrix, **arrays):
    """Return a sparse matrix with some of its arrays replaced, as an attribute can be."""
    for name, array in arrays.items():
        setattr(matrix, name, array)
    return matrix


def malformed():
    """Return sparse matrices that lead out of their memory."""
    matrix = scipy.sparse.csr_array(X)
    ptr, columns = matrix.indptr, matrix.indices
    falling = ptr.copy()
    falling[[3, 4]] = falling[[4, 3]]
    return {
        "high": spoiled(matrix.copy(), indices=columns + 4),
        "negative": spoiled(matrix.tocsc(), indices=matrix.tocsc().indices - 1),
        "int64": spoiled(matrix.copy(), indices=columns + (columns == 3) * np.int64(2**40)),
        "floats": spoiled(matrix.copy(), indices=columns + 0.5),
        "falling": spoiled(matrix.copy(), indptr=falling),
        "too long": spoiled(matrix.copy(), indptr=ptr * 1000),
        "too short": spoiled(matrix.copy(), indptr=ptr[:-2]),
        "not from 0": spoiled(matrix.copy(), indptr=np.maximum(ptr, 2)),
        "less data": spoiled(matrix.copy(), data=matrix.data[:5]),
        "blocks": spoiled(matrix.tobsr((2, 2)), indices=matrix.tobsr((2, 2)).indices * 9),
        "places": spoiled(matrix.tocoo(), coords=(matrix.tocoo().row + 10**6, matrix.tocoo().col)),
    }


@pytest.mark.parametrize("kind", malformed())
def test_sparse_matrices_that_lead_out_of_their_memory(kind):
    matrix = malformed()[kind]
    with pytest.raises(ValueError, match=r"^X (must be a |has indices )"):
        readable_sparse(matrix, "X")


def test_no_call_ends_the_process():
    program = """
import warnings
from test_readable import *
warnings.simplefilter("ignore")
from sklearn_mlp import fit_many
clf = TorchMLPClassifier(4, max_iter=1, random_state=0).fit(X, Y)
for kind, bad in malformed().items():
    for call in (
        lambda: TorchMLPClassifier(4, max_iter=1).fit(bad, Y),
        lambda: TorchMLPRegressor(hidden_layer_sizes=4, max_iter=1).fit(bad, Y),
        lambda: clf.partial_fit(bad, Y),
        lambda: clf.predict(bad),
        lambda: clf.score(bad, Y),
        lambda: clf.fit(X, Y, X_val=bad, y_val=Y),
        lambda: clf.fit(X, bad),
    ):
        try:
            call()
        except ValueError as error:
            assert "X " in str(error) or "y " in str(error), (kind, error)
        else:
            raise AssertionError(kind)
"""
    ended = run_forked(program)
    assert ended.returncode == 0, ended.stderr


def test_what_is_well_formed_but_unusual_is_left_alone():
    matrix = scipy.sparse.csr_array(np.where(X > 0, X, 0))
    order = np.arange(matrix.nnz)
    order[: matrix.indptr[1]] = order[: matrix.indptr[1]][::-1]
    unsorted = scipy.sparse.csr_array((matrix.data[order], matrix.indices[order], matrix.indptr))
    twice = scipy.sparse.csr_array(
        (np.repeat(matrix.data / 2, 2), np.repeat(matrix.indices, 2), 2 * matrix.indptr)
    )
    wide = spoiled(matrix.copy(), indices=matrix.indices.astype(np.int64))
    spare = spoiled(matrix.copy(), data=np.append(matrix.data, [7.0, 7.0]))
    spare.indices = np.append(spare.indices, [9, -9])
    clf = fitted()
    for other in (unsorted, twice, wide, spare, matrix.tocoo(), matrix.tolil(), matrix.todia()):
        arrays = {
            name: array for name, array in vars(other).items() if name in ("data", "indices")
        }
        assert_array_equal(clf.predict(other), clf.predict(matrix.toarray()))
        for name, array in arrays.items():
            assert getattr(other, name) is array
    assert readable_array([1], "y") == [1]


def test_long_doubles_keep_their_precision():
    y = 1e3 * X[:, 0] + 1 / 3
    settings = {"hidden_layer_sizes": 4, "solver": "lbfgs", "max_iter": 5, "random_state": 0}
    reg = TorchMLPRegressor(**settings).fit(X, y)
    other = TorchMLPRegressor(**settings).fit(X.astype(np.longdouble), y.astype(np.longdouble))
    assert_array_equal(other.predict(X), reg.predict(X))
    assert_array_equal(reg.predict(X.astype(np.longdouble)), reg.predict(X))


@pytest.mark.skipif(
    np.finfo(np.longdouble).max <= np.finfo(float).max, reason="long double is double here"
)
@pytest.mark.parametrize("n_samples", [12, 40_000])
def test_long_doubles_that_float64_cannot_hold(n_samples):
    y = np.full(n_samples, np.longdouble("1e400"))
    reg = TorchMLPRegressor(max_iter=1, solver="lbfgs")
    with pytest.raises(ValueError, match=r"y must fit into float64, .* y has 1e\+400. Scale y fi"):
        reg.fit(np.zeros((n_samples, 1)), y)


@pytest.mark.parametrize("weight", [np.nan, np.inf, 0, -1.0])
def test_a_single_weight_that_is_none(weight, backend):
    clf = TorchMLPClassifier(4, max_iter=1, backend=backend)
    with pytest.raises(ValueError, match=r"(?i)sample.weight"):
        clf.fit(X, Y, sample_weight=weight)
    with pytest.raises(ValueError, match=r"In the validation.*(?i:sample.weight)"):
        clf.fit(X, Y, X_val=X, y_val=Y, sample_weight_val=weight)


@pytest.mark.parametrize("weights", [np.full(12, -2.0), np.full(12, 1e308), 1 - 2.0 * Y])
def test_weights_without_a_sum_to_divide_by(weights):
    with pytest.raises(ValueError, match="sample_weight must have a positive, finite sum, got"):
        TorchMLPClassifier(4, max_iter=1).fit(X, Y, sample_weight=weights)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weights_that_are_all_0(solver):
    clf = TorchMLPClassifier(4, max_iter=1, solver=solver, class_weight={0: 0, 1: 0.0})
    with pytest.raises(ValueError, match="12 samples to train on, once class_weight has multi"):
        clf.fit(X, Y)
    clf.set_params(class_weight={0: 0, 1: 1})
    assert np.isfinite(clf.fit(X, Y).loss_)
