"""`save` and `load`: one file of numbers and text, and the same estimator of it."""

import os
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_array_equal
from safetensors import safe_open
from safetensors.torch import load_file
from sklearn import config_context
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import make_scorer, max_error
from skorch.callbacks import EpochScoring
from torch import nn
from torch.nn.utils import prune

import sklearn_mlp
from sklearn_mlp import (
    BatchedGridSearchCV,
    HiddenFeatures,
    TorchMLPClassifier,
    TorchMLPRegressor,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(8)
X = RNG.normal(size=(60, 4))
Y = X @ [1.0, -2.0, 0.5, 0.0]
CODES = np.digitize(Y, [-1, 1])
WORDS = np.array(["low", "mid", "high"])[CODES]
SMALL = {"hidden_layer_sizes": (4, 4), "max_iter": 3, "random_state": 0}

CLASSIFIERS = {
    "defaults": {},
    "focal": {"loss": "focal", "focal_gamma": 1.5, "output_activation": "logistic"},
    "smoothed": {"label_smoothing": 0.1, "class_weight": {"low": 2, "mid": 1.0, "high": 1}},
    "squared error": {"loss": "squared_error", "output_activation": "tanh"},
    "balanced": {
        "class_weight": "balanced",
        "warm_start": True,
        "learning_rate": "adaptive",
        "solver": "sgd",
    },
    "early stopping": {"early_stopping": True, "scoring": "f1_macro"},
    "rows of records": {"max_iter": 20, "n_iter_no_change": np.inf, "tol": np.float32(0)},
}
REGRESSORS = {
    "early stopping": {"early_stopping": True, "scoring": "loss"},
    "quantiles": {"loss": "quantile", "quantile": np.array([0.2, 0.8])},
    "huber, scaled": {"loss": "huber", "huber_delta": 0.5, "scale_target": "standard"},
    "absolute error": {"loss": "absolute_error", "gradient_clip": 1.0},
    "gaussian": {"loss": "gaussian_nll", "scale_target": "standard"},
    "exp": {"loss": "squared_error", "output_activation": "exp"},
    "dropout": {"dropout": [0.1, 0], "input_dropout": 0.1, "residual": True},
    "batch norm": {"normalization": "batch", "activation": ["tanh", "silu"]},
    "layer norm": {"normalization": "layer", "weight_init": "orthogonal"},
    "ema": {"weight_averaging": "ema", "warmup": 0.5, "learning_rate": "cosine"},
    "swa": {"weight_averaging": "swa", "swa_start": 0.2, "lr_decay": 0.5},
    "torch's solver": {"solver": "adagrad", "solver_params": {"lr_decay": 0.1}},
    "lbfgs": {"solver": "lbfgs"},
    "nesterov": {"solver": "sgd", "momentum": np.float64(0.8), "batch_size": np.int32(16)},
    "double": {"dtype": "float64", "device": torch.device("cpu"), "hidden_layer_sizes": 5},
    "bfloat16": {"dtype": "bfloat16", "hidden_layer_sizes": np.array([4, 3])},
    "generator": {"random_state": np.random.RandomState(3), "verbose": False},
}
CASES = [
    pytest.param(kind, parameters, y, id=name)
    for kind, cases, y in (
        (TorchMLPClassifier, CLASSIFIERS, WORDS),
        (TorchMLPRegressor, REGRESSORS, Y),
    )
    for name, parameters in cases.items()
]


@pytest.fixture
def path(tmp_path):
    """Where to save."""
    return tmp_path / "model.safetensors"


def assert_same(one, other):
    """Compare values of any kind, their types and the order in memory."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert one.strides == other.strides or one.size < 2
        assert_array_equal(one, other)
    elif isinstance(one, np.random.RandomState):
        assert_same(one.get_state(), other.get_state())
    elif hasattr(one, "get_params"):
        assert_same(one.__getstate__(), other.__getstate__())
    else:
        assert repr(one) == repr(other)


def assert_same_predictions(one, other, samples=X):
    """Compare all that two estimators predict, to the last bit."""
    for method in ("predict", "predict_proba", "hidden_activations"):
        if hasattr(one, method):
            mine, theirs = getattr(one, method)(samples), getattr(other, method)(samples)
            assert type(mine) is type(theirs)
            assert_array_equal(mine, theirs)


@pytest.mark.parametrize(("kind", "parameters", "y"), CASES)
def test_what_is_loaded_is_what_was_saved(path, backend, kind, parameters, y):
    estimator = kind(backend=backend, **SMALL | parameters).fit(X, y)
    estimator.save(path)
    loaded = sklearn_mlp.load(path)
    assert type(loaded) is kind
    assert_same(loaded.get_params(), estimator.get_params())
    assert_same_predictions(loaded, estimator)
    assert loaded.history_.equals(estimator.history_)
    for name, value in vars(estimator).items():
        if name[-1] == "_" and name not in ("module_", "classes_"):
            assert getattr(loaded, name) == value
    estimator.save(path, solver_memory=True)
    loaded = sklearn_mlp.load(path)
    # All that a pickle has.
    assert_same(loaded.__getstate__(), estimator.__getstate__())
    go_on = "fit" if estimator.warm_start else "partial_fit"
    if estimator.solver != "lbfgs" and not estimator.early_stopping:
        for each in (loaded, estimator):
            getattr(each, go_on)(X, y)
        assert_same_predictions(loaded, estimator)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_warm_start_goes_on_with_or_without_the_solvers_memory(
    path, backend, solver, early_stopping
):
    estimator = TorchMLPRegressor(
        **SMALL, backend=backend, solver=solver, early_stopping=early_stopping, warm_start=True
    ).fit(X, Y)
    estimator.save(path)
    without = sklearn_mlp.load(path)
    estimator.save(path, solver_memory=True)
    loaded = sklearn_mlp.load(path)
    for each in (estimator, loaded, without):
        each.fit(X, Y)
    assert_same_predictions(loaded, estimator)
    assert without.t_ == estimator.t_
    assert len(without.history_) == len(estimator.history_)


def test_without_the_solvers_memory_the_best_weights_are_found_anew(path, backend):
    estimator = TorchMLPRegressor(**SMALL, backend=backend, early_stopping=True)
    held_out = {"X_val": X[:9], "y_val": Y[:9]}
    estimator.partial_fit(X, Y, **held_out).save(path)
    loaded = sklearn_mlp.load(path)
    loaded.partial_fit(X, Y, **held_out)
    assert loaded.n_iter_ == estimator.n_iter_


COLUMNS = pd.DataFrame({"level": CODES, "word": WORDS, "is_high": CODES > 1})
LABELS = {
    **{
        dtype: CODES.astype(dtype)
        for dtype in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "g", ">i4")
    },
    "beyond int64": CODES.astype("u8") + 2**63,
    "bool": CODES > 0,
    "strings": WORDS,
    "objects": WORDS.astype(object),
    "half a surrogate": np.array(["", "\ud800x", "☃\U0001f600"])[CODES],
    "dates": np.array(["2020-01-01", "2021-01-01", "2022-01-01"], "M8[D]")[CODES],
    "durations": CODES.astype("m8[s]"),
    "pandas strings": pd.Series(WORDS),
    "categories": pd.Series(pd.Categorical(WORDS)),
    "numbers as categories": pd.Series(pd.Categorical(CODES)),
    "nullable": pd.Series(CODES, dtype="Int64"),
    "nullable booleans": pd.Series(CODES > 0, dtype="boolean"),
    "list": CODES.tolist(),
    "tensor": torch.as_tensor(CODES),
    "one class": np.zeros(60, int),
    "indicator": np.eye(3, dtype=int)[CODES],
    "sparse indicator": scipy.sparse.csr_matrix(np.eye(3, dtype=int)[CODES]),
    "columns": np.column_stack([CODES, CODES[::-1]]),
    "columns of several types": COLUMNS,
    "columns of categories": COLUMNS.astype("category"),
}


@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS.keys())
def test_labels_come_back_as_they_were(path, y):
    estimator = TorchMLPClassifier((3,), max_iter=1, random_state=0).fit(X, y)
    estimator.save(path)
    loaded = sklearn_mlp.load(path)
    assert joblib.hash(loaded.classes_) == joblib.hash(estimator.classes_)
    mine, theirs = loaded.predict(X), estimator.predict(X)
    assert type(mine) is type(theirs)
    if scipy.sparse.issparse(mine):
        mine, theirs = mine.toarray(), theirs.toarray()
    assert mine.dtype == theirs.dtype
    assert_array_equal(mine, theirs)
    loaded.partial_fit(X, y)


def test_names_types_and_order_are_kept(path):
    frame = pd.DataFrame(X.astype(np.float32), columns=["a", "b", "ü", "d\0"])
    estimator = TorchMLPRegressor(**SMALL).fit(frame, Y)
    estimator.save(path)
    loaded = sklearn_mlp.load(path)
    assert_array_equal(loaded.feature_names_in_, estimator.feature_names_in_)
    assert loaded.predict(frame).dtype == estimator.predict(frame).dtype == np.float32
    assert_array_equal(loaded.predict(frame), estimator.predict(frame))
    # Sparse samples want the first weight transposed.
    weight = estimator.module_.layers[0].weight
    weight.data = weight.data.t().contiguous().t()
    estimator.save(path)
    loaded = sklearn_mlp.load(path)
    assert loaded.module_.layers[0].weight.stride() == weight.stride() == (1, 4)
    assert torch.equal(loaded.module_.layers[0].weight, weight)


def test_an_estimator_before_a_fit_and_one_of_written_weights(path):
    estimator = TorchMLPClassifier(alpha=0.5, module__depth=3)
    estimator.save(path)
    loaded = sklearn_mlp.load(path)
    assert loaded.get_params() == estimator.get_params()
    assert not hasattr(loaded, "module_")
    written = TorchMLPRegressor()
    written.coefs_ = [np.ones((4, 2)), np.ones((2, 1))]
    written.intercepts_ = [np.zeros(2), np.ones(1)]
    written.save(path)
    assert_array_equal(sklearn_mlp.load(path).predict(X), written.predict(X))


def test_attributes_that_were_written_are_kept(path):
    estimator = TorchMLPClassifier(**SMALL).fit(X, WORDS)
    written = {
        "n_iter_": np.int64(7),
        "t_": np.int16(9),
        "converged_": np.bool_(True),
        "best_loss_": None,
        "loss_": np.float32(0.5),
        "loss_curve_": [1, 0.5],
        "classes_": np.array(["a", "b", "c"]),
    }
    for name, value in written.items():
        setattr(estimator, name, value)
    estimator.coefs_[0][...] = 1
    estimator.save(path)
    loaded = sklearn_mlp.load(path)
    for name, value in written.items():
        assert_same(getattr(loaded, name), value)
    assert_same_predictions(loaded, estimator)


def test_hidden_features_are_saved_with_the_estimators_in_them(path):
    features = HiddenFeatures(TorchMLPClassifier(**SMALL), layer=0).fit(X, WORDS)
    features.set_output(transform="pandas")
    frozen = HiddenFeatures(FrozenEstimator(features.estimator_)).fit(X, WORDS)
    for each in (HiddenFeatures(TorchMLPRegressor()), features, frozen):
        each.save(path, solver_memory=True)
        loaded = sklearn_mlp.load(path)
        assert_same(loaded, each)
        if hasattr(each, "estimator_"):
            assert_array_equal(loaded.transform(X), each.transform(X))
            assert type(loaded.transform(X)) is type(each.transform(X))


def test_requests_of_metadata_are_kept(path):
    with config_context(enable_metadata_routing=True):
        estimator = TorchMLPRegressor(**SMALL).set_fit_request(sample_weight=True, X_val="rows")
        estimator.save(path)
        loaded = sklearn_mlp.load(path)
        requests = loaded.get_metadata_routing().fit.requests
        assert requests == estimator.get_metadata_routing().fit.requests


def test_others_read_the_weights_by_their_names(path, make_classifier):
    estimator = make_classifier(normalization="batch").fit(X, WORDS)
    estimator.save(path)
    tensors = load_file(path)
    state = estimator.module_.state_dict()
    assert {f"module_.{name}" for name in state} <= tensors.keys()
    for name, value in state.items():
        assert torch.equal(tensors[f"module_.{name}"], value)
    with safe_open(path, framework="numpy") as file:
        assert '"low"' in file.metadata()["sklearn_mlp"]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_file_is_hardly_larger_than_the_weights(path, backend, early_stopping):
    estimator = TorchMLPClassifier(
        (50,), backend=backend, random_state=0, tol=0, early_stopping=early_stopping
    )
    estimator.set_params(n_iter_no_change=np.inf).fit(X, WORDS)
    assert len(estimator.history_) == 200
    for solver_memory, copies in ((False, 1), (True, 4)):
        estimator.save(path, solver_memory=solver_memory)
        weights = sum(value.nbytes for value in estimator.module_.parameters())
        assert path.stat().st_size <= 1.05 * weights * copies + 16 * 1024


def test_two_files_of_an_estimator_are_the_same(path, make_regressor):
    estimator = make_regressor().fit(X, Y)
    estimator.save(path)
    first = path.read_bytes()
    estimator.predict(X)
    estimator.save(path)
    assert path.read_bytes() == first
    sklearn_mlp.load(path).save(path)
    assert path.read_bytes() == first


# What a file cannot hold.


def absolute_error(output, target):
    """A loss of the user's own."""
    return (output - target).abs().sum(1)


def small_weights(layer):
    """An initialisation of the user's own."""
    for value in layer.parameters():
        nn.init.constant_(value, 0.01)


class Network(nn.Module):
    """A network of the user's own, with a buffer, and a weight that is there twice."""

    def __init__(self, n_features_in, n_outputs, width=3):
        super().__init__()
        self.first = nn.LazyLinear(width)
        self.again = nn.Linear(width, width)
        self.once_more = self.again
        self.last = nn.Linear(width, n_outputs)
        self.register_buffer("count", torch.tensor(3))
        self.last.bias.requires_grad_(False)

    def forward(self, inputs):
        return self.last(self.once_more(self.again(self.first(inputs).tanh())))


def wider(n_features_in, n_outputs, width):
    """One that is wider."""
    return Network(n_features_in, n_outputs, width=width + 1)


def plain(n_features_in, n_outputs, width):
    """Another."""
    return nn.Linear(n_features_in, n_outputs)


class StopNow:
    """A callback of scikit-learn's kind."""

    def setup(self, estimator, context):
        """Do nothing."""

    teardown = on_fit_task_begin = on_fit_task_end = setup


OWN = {
    "loss": absolute_error,
    "activation": torch.tanh,
    "module": Network,
    "solver": torch.optim.Adam,
    "scoring": make_scorer(max_error, greater_is_better=False),
    "weight_init": small_weights,
}


@pytest.mark.parametrize("name", OWN)
def test_what_is_code_is_left_out_and_given(path, backend, name):
    own = OWN[name]
    parameters = {**SMALL, name: own, "early_stopping": name == "scoring"}
    if name == "module":
        parameters["hidden_layer_sizes"] = 5
    estimator = TorchMLPRegressor(backend=backend, **parameters).fit(X, Y)
    path.write_bytes(b"before")
    with pytest.raises(TypeError, match=rf"^{name} cannot be saved .*leave_out=\['{name}'\]"):
        estimator.save(path)
    assert path.read_bytes() == b"before"
    estimator.save(path, leave_out=[name], solver_memory=True)
    with pytest.raises(ValueError, match=rf"without {name}, .* load\(path, {name}=...\)"):
        sklearn_mlp.load(path)
    loaded = sklearn_mlp.load(path, **{name: own})
    assert loaded.get_params() == estimator.get_params()
    assert_array_equal(loaded.predict(X), estimator.predict(X))
    if name != "scoring":
        for each in (estimator, loaded):
            each.partial_fit(X, Y)
        assert_array_equal(loaded.predict(X), estimator.predict(X))
    for mine, theirs in zip(
        loaded.module_.parameters(), estimator.module_.parameters(), strict=True
    ):
        assert mine.requires_grad == theirs.requires_grad


def test_several_are_left_out_together(path):
    activations = [torch.tanh, "relu"]
    estimator = TorchMLPRegressor(**SMALL, loss=absolute_error, activation=activations)
    estimator.fit(X, Y).set_callbacks(StopNow())
    with pytest.raises(TypeError, match="activation cannot be saved"):
        estimator.save(path, leave_out=["loss", "callbacks"])
    with pytest.raises(TypeError, match="callbacks cannot be saved"):
        estimator.save(path, leave_out=["loss", "activation"])
    estimator.save(path, leave_out={"loss", "activation", "callbacks"})
    stop = StopNow()
    loaded = sklearn_mlp.load(path, loss=absolute_error, activation=activations, callbacks=(stop,))
    assert loaded._skl_callbacks == [stop]
    assert_array_equal(loaded.predict(X), estimator.predict(X))
    features = HiddenFeatures(FrozenEstimator(estimator)).fit(X, Y)
    features.save(path, leave_out={"loss", "activation", "callbacks"})
    sklearn_mlp.load(path, loss=absolute_error, activation=activations, callbacks=[])


def test_callbacks_of_skorchs_are_left_out_with_its_parameters(path):
    given = {"callbacks": [("r2", EpochScoring("r2", on_train=True, name="r2"))]}
    estimator = TorchMLPRegressor(backend="skorch", backend_params=given, **SMALL).fit(X, Y)
    with pytest.raises(TypeError, match="backend_params cannot be saved"):
        estimator.save(path)
    estimator.save(path, leave_out=["backend_params"])
    loaded = sklearn_mlp.load(path, backend_params=given)
    assert loaded.net_.history[:, "r2"] == estimator.net_.history[:, "r2"]
    loaded.partial_fit(X, Y)
    assert len(loaded.net_.history) == 4


def test_parameters_of_a_module_are_saved_or_left_out(path):
    estimator = TorchMLPRegressor(**{**SMALL, "hidden_layer_sizes": 5}, module=Network)
    estimator.set_params(module__width=2).fit(X, Y)
    estimator.save(path, leave_out=["module"])
    loaded = sklearn_mlp.load(path, module=Network)
    assert loaded.get_params()["module__width"] == 2
    assert_array_equal(loaded.predict(X), estimator.predict(X))
    with pytest.raises(ValueError, match=r"another network: first.weight has the shape"):
        sklearn_mlp.load(path, module=wider)
    with pytest.raises(
        ValueError, match=r"another network: \['again.bias', 'again.weight', 'bias'"
    ):
        sklearn_mlp.load(path, module=plain)
    estimator.set_params(module__width=np.int64).save(path, leave_out=["module", "module__width"])
    loaded = sklearn_mlp.load(path, module=Network, module__width=7)
    # As after set_params: the next fit will have it.
    assert loaded.get_params()["module__width"] == 7
    assert_array_equal(loaded.predict(X), estimator.predict(X))


@pytest.mark.parametrize(
    ("leave_out", "error", "match"),
    [
        (["los"], ValueError, "leave_out names 'los', but there is no such parameter"),
        (["callbacks"], ValueError, "and no callbacks are set"),
        ("loss", TypeError, "leave_out must be a list of names, got the str 'loss'"),
        (3, TypeError, "leave_out must be a list of names, got the int 3"),
    ],
)
def test_what_cannot_be_left_out(path, leave_out, error, match):
    with pytest.raises(error, match=match):
        TorchMLPRegressor().save(path, leave_out=leave_out)
    assert not path.exists()


def test_what_is_in_the_file_is_not_given(path):
    TorchMLPRegressor(loss="huber").save(path)
    with pytest.raises(ValueError, match=r"loss cannot be given .* with all there is"):
        sklearn_mlp.load(path, loss=absolute_error)
    TorchMLPRegressor(loss=absolute_error).save(path, leave_out=["loss"])
    with pytest.raises(ValueError, match=r"scoring cannot be given .* without loss"):
        sklearn_mlp.load(path, loss=absolute_error, scoring="r2")


def test_a_fitted_loss_that_no_parameter_has_any_more(path):
    estimator = TorchMLPRegressor(**SMALL, loss=absolute_error).fit(X, Y)
    estimator.set_params(loss="huber")
    with pytest.raises(TypeError, match=r"_loss cannot be saved: _loss.function is of type"):
        estimator.save(path)


def hook(module, inputs, outputs):
    """A hook."""
    return outputs + 1


def test_a_network_that_was_changed_by_hand(path, make_regressor):
    estimator = make_regressor(hidden_layer_sizes=(4,)).fit(X, Y)
    data = pickle.dumps(estimator)
    estimator.module_.layers[0].requires_grad_(False)
    estimator.module_.layers[1].weight.data += 1
    estimator.save(path)
    loaded = sklearn_mlp.load(path)
    assert not loaded.module_.layers[0].weight.requires_grad
    assert_array_equal(loaded.predict(X), estimator.predict(X))
    for change in (
        lambda network: network.layers[1].register_forward_hook(hook),
        lambda network: network.layers.__setitem__(1, nn.Linear(4, 1, bias=False)),
        lambda network: prune.l1_unstructured(network.layers[0], "weight", amount=0.5),
    ):
        changed = pickle.loads(data)
        change(changed.module_)
        with pytest.raises(TypeError, match="module_ is not what the parameters make any more"):
            changed.save(path)
    estimator.note = "mine"
    with pytest.raises(ValueError, match="'note' is no attribute of a TorchMLPRegressor"):
        estimator.save(path)


class Own(TorchMLPRegressor):
    """A class of the user's own."""

    def __init__(self, alpha=0.1):
        super().__init__(alpha=alpha)


def test_classes_that_no_file_names(path):
    with pytest.raises(TypeError, match="Own is not a class of this package"):
        Own().save(path)
    search = BatchedGridSearchCV(TorchMLPRegressor(**SMALL), {"alpha": [0.1, 1.0]}, cv=2)
    search.fit(X, Y)
    search.best_estimator_.save(path)
    assert_array_equal(sklearn_mlp.load(path).predict(X), search.predict(X))


# Paths, and what is there already.


@pytest.mark.parametrize("act", [TorchMLPRegressor().save, sklearn_mlp.load], ids=["save", "load"])
def test_what_is_no_path(act, tmp_path):
    with pytest.raises(TypeError, match=r"path must be a str or an os.PathLike, got int"):
        act(3)
    with pytest.raises(ValueError, match=r"path must end in '.safetensors', got .*model.pkl'"):
        act(tmp_path / "model.pkl")
    with pytest.raises(OSError, match=r"nowhere"):
        act(tmp_path / "nowhere" / "model.safetensors")


def test_a_file_is_replaced_once_the_new_one_is_whole(path, monkeypatch):
    TorchMLPRegressor(alpha=1.0).save(path)
    mode = path.stat().st_mode

    def fail(*_):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="the disk is full"):
            TorchMLPRegressor(alpha=2.0).save(path)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert sklearn_mlp.load(path).alpha == 1.0
    link = path.with_name("link.safetensors")
    link.symlink_to(path)
    TorchMLPRegressor(alpha=2.0).save(os.fspath(link))
    assert link.is_symlink()
    assert sklearn_mlp.load(path).alpha == 2.0
    (path.parent / "new").touch()
    assert mode == path.stat().st_mode == (path.parent / "new").stat().st_mode


def test_another_version_of_the_package_is_told_of(path, monkeypatch):
    estimator = TorchMLPRegressor(**SMALL).fit(X, Y)
    with monkeypatch.context() as patch:
        patch.setattr("sklearn_mlp.estimators.saving._versions", lambda: {"sklearn_mlp": "0.0.1"})
        estimator.save(path)
    with pytest.warns(InconsistentVersionWarning, match="saved by version 0.0.1"):
        loaded = sklearn_mlp.load(path)
    assert_array_equal(loaded.predict(X), estimator.predict(X))
