"""Memory that is not ours is never written to, and what two estimators hold is never the same."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor, fit_many

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(3)
X = RNG.normal(size=(50, 4))
Y = X @ [1.0, -2.0, 0.5, 0.0]
SETTINGS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.01},
    "torch's": {"solver": "rmsprop", "solver_params": {"momentum": 0.5}},
    "muon": {"solver": "muon"},
    "ema": {"weight_averaging": "ema"},
    "normalization": {"normalization": "batch", "dropout": 0.2},
    "scaled": {"scale_target": "standard"},
}


def make(**parameters):
    """Return a small regressor in float64."""
    defaults = {"hidden_layer_sizes": (5,), "random_state": 0, "dtype": "float64", "max_iter": 3}
    return TorchMLPRegressor(**defaults | parameters)


def frozen(array):
    """Return a read-only copy of an array or a sparse matrix."""
    array = array.copy()
    parts = (array.data, array.indices, array.indptr) if scipy.sparse.issparse(array) else (array,)
    for part in parts:
        part.flags.writeable = False
    return array


def assert_goes_on_alike(loaded, original, X=X, y=Y, **samples):
    """Compare two estimators after two more epochs."""
    for _ in range(2):
        loaded.partial_fit(X, y, **samples)
        original.partial_fit(X, y, **samples)
    assert_array_equal(loaded.predict(X), original.predict(X))


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
@pytest.mark.parametrize("parameters", SETTINGS.values(), ids=SETTINGS.keys())
def test_a_mapped_file_stays_as_it_is(tmp_path, parameters, mode):
    estimator = make(**parameters)
    for _ in range(3):
        estimator.partial_fit(X, Y)
    path = tmp_path / "estimator.joblib"
    joblib.dump(estimator, path)
    content = path.read_bytes()
    loaded = joblib.load(path, mmap_mode=mode)
    assert_array_equal(loaded.predict(X), estimator.predict(X))
    assert_goes_on_alike(loaded, estimator)
    loaded.coefs_[0][...] = 0
    loaded.intercepts_ = [np.zeros(5), np.zeros(1)]
    assert path.read_bytes() == content


def test_best_weights_and_input_major_moments_of_a_mapped_file(tmp_path, backend):
    sparse = scipy.sparse.csr_array(np.where(X > 1.3, X, 0))
    estimator = make(early_stopping=True, backend=backend)
    held_out = {"X_val": sparse[:10], "y_val": Y[:10]}
    estimator.partial_fit(sparse, Y, **held_out)
    path = tmp_path / "estimator.joblib"
    joblib.dump(estimator, path)
    content = path.read_bytes()
    loaded = joblib.load(path, mmap_mode="r")
    assert_goes_on_alike(loaded, estimator, sparse, Y, **held_out)
    assert path.read_bytes() == content


def test_out_of_band_buffers_are_read_only_or_shared():
    estimator = make().partial_fit(X, Y)
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(estimator, protocol=5, buffer_callback=buffers.append)
    read_only = [bytes(buffer.raw()) for buffer in buffers]
    shared = [bytearray(buffer.raw()) for buffer in buffers]
    assert_goes_on_alike(pickle.loads(data, buffers=read_only), copy.deepcopy(estimator))
    one, other = (pickle.loads(data, buffers=shared) for _ in range(2))
    one.partial_fit(X, Y)
    one.coefs_[0][...] = 7
    assert_array_equal(other.predict(X), estimator.predict(X))
    assert_goes_on_alike(other, copy.deepcopy(estimator))
    assert [bytes(buffer) for buffer in shared] == read_only


def test_a_state_stays_as_it_is_while_training_goes_on():
    estimator = make(weight_averaging="ema").partial_fit(X, Y)
    state = estimator.__getstate__()
    before = pickle.dumps(state)
    going_on = copy.deepcopy(estimator)
    estimator.partial_fit(X, Y)
    estimator.coefs_[0][...] = 0
    assert pickle.dumps(state) == before
    for _ in range(2):
        other = TorchMLPRegressor.__new__(TorchMLPRegressor)
        other.__setstate__(state)
        assert_goes_on_alike(other, copy.deepcopy(going_on))
    assert pickle.dumps(state) == before


def test_a_shallow_copy_shares_no_training(backend):
    estimator = make(backend=backend).partial_fit(X, Y)
    expected = copy.deepcopy(estimator)
    shallow = copy.copy(estimator)
    shallow.partial_fit(X, Y)
    assert len(estimator.loss_curve_) == 1
    assert_array_equal(estimator.predict(X), expected.predict(X))
    assert_goes_on_alike(estimator, expected)


@pytest.mark.parametrize("form", ["dense", "float32", "csr"])
def test_read_only_samples_are_read(backend, form):
    samples = {
        "dense": X,
        "float32": X.astype(np.float32),
        "csr": scipy.sparse.csr_matrix(np.where(X > 1.3, X, 0)),
    }[form]
    weights = RNG.uniform(0.5, 1, 50)
    given = [frozen(each) for each in (samples, Y, weights)]
    more = dict(zip(("X_val", "y_val", "sample_weight_val"), given, strict=True))
    estimators = []
    for (X_, y_, weight), others in (
        (given, more),
        ((samples, Y, weights), {"X_val": samples, "y_val": Y, "sample_weight_val": weights}),
    ):
        estimator = make(
            backend=backend, early_stopping=True, dtype="float32" if form == "float32" else "auto"
        )
        estimator.fit(X_, y_, weight, **others)
        estimator.partial_fit(X_, y_, weight, **others)
        estimator.score(X_, y_, weight)
        estimators.append(estimator)
    assert_array_equal(estimators[0].predict(given[0]), estimators[1].predict(samples))
    classifier = TorchMLPClassifier((3,), max_iter=2, class_weight="balanced", backend=backend)
    classifier.fit(given[0], frozen(Y > 0), given[2]).predict_log_proba(given[0])


def test_scores_of_quantiles_take_read_only_weights():
    estimator = make(loss="quantile", quantile=[0.2, 0.8]).fit(X, Y)
    assert np.isfinite(estimator.score(X, frozen(Y), frozen(np.linspace(0.5, 1, 50))))


def test_the_largest_number_of_a_sparse_matrix_is_found_without_sorting_it():
    matrix = scipy.sparse.csr_matrix(np.where(X > 1, 1e200, 0))
    matrix.indices = matrix.indices[::-1].copy()
    matrix.has_sorted_indices = False
    matrix = frozen(matrix)
    with pytest.raises(ValueError, match="X must fit into float32"):
        make(dtype="float32").fit(matrix, Y)


class Doubling(nn.Module):
    """Doubles what it is given, in place."""

    def __init__(self, n_features_in, n_outputs):
        super().__init__()
        self.linear = nn.Linear(n_features_in, n_outputs)

    def forward(self, inputs):
        return self.linear(inputs.mul_(2))


class Doubled(Doubling):
    """The same without writing to what it is given."""

    def forward(self, inputs):
        return self.linear(inputs * 2)


@pytest.mark.parametrize("as_given", [frozen, torch.tensor], ids=["array", "tensor"])
@pytest.mark.parametrize(
    "parameters",
    [{}, {"batch_size": 20, "shuffle": False}, {"solver": "lbfgs"}, {"early_stopping": True}],
    ids=str,
)
def test_a_module_may_write_to_its_inputs(backend, as_given, parameters):
    given, results = as_given(X), []
    for module in (Doubling, Doubled):
        estimator = make(module=module, backend=backend, **parameters).fit(given, Y)
        results.append((estimator.predict(given), estimator.history_["loss"]))
        if backend == "skorch":
            results[-1] += (estimator.net_.predict(given),)
        assert_array_equal(np.asarray(given), X)
    for one, other in zip(*results, strict=True):
        assert_allclose(one, other, rtol=1e-12)


def in_place(output, target):
    """A squared error that uses up both its arguments."""
    return target.sub_(output).square_().sum(1)


def in_copies(output, target):
    """The same, leaving them alone."""
    return (target - output).square().sum(1)


@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True, "scoring": "loss"}], ids=str)
def test_a_loss_may_write_to_its_target(parameters):
    y = frozen(Y)
    one, other = (make(loss=loss, **parameters).fit(X, y) for loss in (in_place, in_copies))
    assert_allclose(one.predict(X), other.predict(X), rtol=1e-12)
    assert_allclose(one.history_["validation_loss"], other.history_["validation_loss"])
    assert_array_equal(y, Y)


def own_bytes(network):
    """Return the bytes of each parameter and buffer, and those of its memory."""
    tensors = [*network.parameters(), *network.buffers()]
    return [(each.nbytes, each.untyped_storage().nbytes()) for each in tensors]


@pytest.mark.parametrize("is_sparse", [False, True])
def test_each_parameter_has_memory_of_its_own(backend, is_sparse):
    samples = scipy.sparse.csr_matrix(np.where(X > 1.3, X, 0)) if is_sparse else X
    estimator = make(backend=backend, normalization=None if is_sparse else "batch")
    for fit in (estimator.fit, estimator.partial_fit):
        network = fit(samples, Y).module_
        assert all(mine == all_of_it for mine, all_of_it in own_bytes(network))
    # So do those of a net whose arrays are written to.
    estimator.coefs_[0][...] = 0
    assert not network.layers[0].weight.any()


@pytest.mark.usefixtures("by_torch")
def test_networks_of_a_stack_have_memory_of_their_own():
    estimators = [make(alpha=alpha) for alpha in (0.1, 1.0, 10.0)]
    fit_many(estimators, X, Y)
    for estimator in estimators:
        assert all(mine == all_of_it for mine, all_of_it in own_bytes(estimator.module_))
    storages = {
        parameter.untyped_storage().data_ptr()
        for estimator in estimators
        for parameter in estimator.module_.parameters()
    }
    assert len(storages) == 3 * 4
    expected = estimators[1].predict(X)
    estimators[0].coefs_[0][...] = 0
    estimators[0].partial_fit(X, Y)
    assert_array_equal(estimators[1].predict(X), expected)
