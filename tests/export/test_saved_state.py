"""What is saved of an estimator: arrays and plain values, which other versions read, too."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import skops.io
import torch
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.torch import load_file, load_model, save_file, save_model
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import make_scorer, max_error
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochScoring
from torch import nn
from torch.nn.utils import prune

import sklearn_mlp
from sklearn_mlp import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    HiddenFeatures,
    TorchMLPClassifier,
    TorchMLPRegressor,
    losses,
)
from sklearn_mlp.contract.tensor_trees import SavedTensor, owned
from sklearn_mlp.export.plain import PLAIN_CLASSES, plain, restored
from sklearn_mlp.losses.base import Loss
from sklearn_mlp.losses.errors import OutputError
from sklearn_mlp.targets.codecs import TargetCodec

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(5)
X = RNG.normal(size=(60, 4))
Y = X @ [1.0, -2.0, 0.5, 0.0]
CODES = np.digitize(Y, [-1, 1])
LABELS = np.array(["low", "mid", "high"])[CODES]

CLASSIFIERS = {
    "strings": ({}, LABELS),
    "objects": ({}, LABELS.astype(object)),
    "two classes": ({"loss": "focal"}, CODES > 0),
    "smoothed": ({"label_smoothing": 0.1, "solver": "sgd"}, CODES),
    "columns": ({}, np.column_stack([CODES, CODES[::-1]])),
    "labels": ({"weight_averaging": "swa"}, np.eye(3, dtype=int)[CODES]),
}
REGRESSORS = {
    "early stopping": ({"early_stopping": True}, Y),
    "quantiles": ({"loss": "quantile", "quantile": [0.2, 0.8]}, Y),
    "huber": ({"loss": "huber", "scale_target": "standard"}, np.column_stack([Y, -Y])),
    "options": ({"normalization": "batch", "dropout": 0.1, "residual": True}, Y),
    "layers": ({"activation": ["tanh", "silu"], "normalization": "layer"}, Y),
    "torch's solver": ({"solver": "adagrad", "solver_params": {"lr_decay": 0.1}}, Y),
    "lbfgs": ({"solver": "lbfgs"}, Y),
}
SMALL = {"hidden_layer_sizes": (4, 4), "max_iter": 3, "random_state": 0}
CASES = [
    pytest.param(kind, parameters, y, id=name)
    for kind, cases in ((TorchMLPClassifier, CLASSIFIERS), (TorchMLPRegressor, REGRESSORS))
    for name, (parameters, y) in cases.items()
]


def through_skops(estimator):
    """Save and load with skops; nothing but our own estimators, and searches, needs trust."""
    data = skops.io.dumps(estimator)
    types = skops.io.get_untrusted_types(data=data)
    assert {name.rpartition(".")[2] for name in types} <= set(sklearn_mlp.__all__)
    return skops.io.loads(data, trusted=types)


def assert_plain(value):
    """Check that there is nothing of torch or of this package in a state."""
    if isinstance(value, dict):
        for key, item in value.items():
            assert isinstance(key, str | int)
            assert_plain(item)
    elif isinstance(value, list | tuple):
        for item in value:
            assert_plain(item)
    else:
        assert value is None or isinstance(
            value, str | bool | int | float | np.ndarray | np.generic
        )


@pytest.mark.parametrize(("kind", "parameters", "y"), CASES)
def test_a_state_is_arrays_and_plain_values(backend, kind, parameters, y):
    estimator = kind(backend=backend, **SMALL | parameters).fit(X, y)
    assert_plain(estimator.__getstate__())
    data, key = pickle.dumps(estimator), joblib.hash(estimator)
    assert b"torch" not in data.replace(b"backend\x94\x8c\x05torch", b"")
    for use in (
        lambda: estimator.predict(X),
        lambda: estimator.score(X, y),
        lambda: estimator.hidden_activations(X),
        lambda: estimator.module_(torch.zeros(1, 4, dtype=estimator.dtype_)),
        lambda: (estimator.coefs_, estimator.intercepts_, estimator.history_, repr(estimator)),
    ):
        use()
        assert pickle.dumps(estimator) == data
        assert joblib.hash(estimator) == key
    loaded = pickle.loads(data)
    for copied in (loaded, copy.deepcopy(estimator), through_skops(estimator)):
        assert joblib.hash(copied) == key
        assert_array_equal(copied.predict(X), estimator.predict(X))
        assert copied.history_.equals(estimator.history_)
        assert type(copied.dtype_) is torch.dtype
        assert type(copied.device_) is torch.device


def test_what_goes_on_in_skops_is_training(make_classifier):
    estimator = make_classifier().fit(X, LABELS)
    loaded = through_skops(estimator)
    for _ in range(2):
        loaded.partial_fit(X, LABELS)
        estimator.partial_fit(X, LABELS)
    assert_array_equal(loaded.predict_proba(X), estimator.predict_proba(X))


SEARCHES = {
    "of labels": (TorchMLPClassifier, {}),
    "of numbers": (TorchMLPRegressor, {"cv": None}),
    "a metric": (TorchMLPClassifier, {"scoring": "f1_macro"}),
    "metrics": (TorchMLPRegressor, {"scoring": ["r2", "neg_max_error"], "refit": "r2"}),
    "metrics by name": (TorchMLPRegressor, {"scoring": {"a": "r2"}, "refit": False}),
}


@pytest.mark.parametrize(("kind", "settings"), SEARCHES.values(), ids=SEARCHES.keys())
def test_skops_takes_fitted_searches(kind, settings):
    settings, y = {"cv": 2, **settings}, Y if kind is TorchMLPRegressor else CODES
    grid = BatchedGridSearchCV(kind(**SMALL), {"alpha": [0.1, 1.0]}, **settings)
    random = BatchedRandomizedSearchCV(
        make_pipeline(StandardScaler(), kind(**SMALL)),
        {kind.__name__.lower() + "__alpha": [0.1, 1.0]},
        n_iter=2,
        random_state=0,
        **settings,
    )
    for search in (grid, random):
        search.fit(X, y)
        for loaded in (through_skops(search), pickle.loads(pickle.dumps(search))):
            for name, values in search.cv_results_.items():
                assert_array_equal(loaded.cv_results_[name], values)
            assert repr(loaded.scorer_) == repr(search.scorer_)
            assert repr(loaded._checked_cv_orig) == repr(search._checked_cv_orig)
            if search.refit:
                assert_array_equal(loaded.predict(X), search.predict(X))
                assert loaded.score(X, y) == search.score(X, y)
    whole = make_pipeline(StandardScaler(), grid).fit(X, y)
    if grid.refit:
        assert_array_equal(through_skops(whole).predict(X), whole.predict(X))


def test_what_a_search_was_scored_by_is_kept_whatever_is_set_since():
    search = BatchedGridSearchCV(TorchMLPRegressor(**SMALL), {"alpha": [0.1, 1.0]}, cv=2)
    for scoring in (make_scorer(max_error), "r2"):
        search.set_params(scoring=scoring).fit(X, Y).set_params(scoring="neg_max_error", cv=3)
        loaded = pickle.loads(pickle.dumps(search))
        assert repr(loaded.scorer_) == repr(search.scorer_)
        assert loaded.score(X, Y) == search.score(X, Y)
        assert loaded._checked_cv_orig.n_splits == search._checked_cv_orig.n_splits


def test_skops_takes_transformers_requests_and_frames(make_classifier):
    features = HiddenFeatures(make_classifier()).set_output(transform="pandas").fit(X, LABELS)
    for each in (features, HiddenFeatures(FrozenEstimator(features.estimator_)).fit(X, LABELS)):
        assert_array_equal(through_skops(each).transform(X), each.transform(X))
    frame = pd.DataFrame(X, columns=list("abcd"))
    with config_context(enable_metadata_routing=True):
        estimator = make_classifier().set_fit_request(sample_weight=True).fit(frame, LABELS)
        loaded = through_skops(estimator)
        requests = loaded.get_metadata_routing().fit.requests
        assert requests == estimator.get_metadata_routing().fit.requests
        assert copy.deepcopy(estimator).get_metadata_routing().fit.requests == requests
    assert_array_equal(loaded.predict(frame), estimator.predict(frame))


def test_skops_takes_pipelines_and_searches(make_regressor):
    pipeline = make_pipeline(StandardScaler(), make_regressor()).fit(X, Y)
    assert_array_equal(through_skops(pipeline).predict(X), pipeline.predict(X))
    grid = {"alpha": [0.1, 1.0]}
    ours = BatchedGridSearchCV(make_regressor(), grid, cv=2).fit(X, Y)
    loaded = through_skops(ours)
    assert loaded.best_params_ == ours.best_params_
    assert_array_equal(loaded.predict(X), ours.predict(X))
    # scikit-learn's own needs more to be trusted.
    theirs = GridSearchCV(make_regressor(), grid, cv=2).fit(X, Y)
    types = skops.io.get_untrusted_types(data=skops.io.dumps(theirs))
    assert any(name.startswith("sklearn.") for name in types)


class OwnNetwork(nn.Module):
    """A network with a buffer in a type that NumPy lacks, and a weight that is there twice."""

    def __init__(self, n_features_in, n_outputs):
        super().__init__()
        self.first = nn.Linear(n_features_in, 4)
        self.again = self.first
        self.last = nn.Linear(4, n_outputs)
        self.register_buffer("shift", torch.tensor([1.5], dtype=torch.bfloat16))
        self.register_buffer("count", torch.tensor(3))
        self.last.bias.requires_grad_(False)

    def forward(self, inputs):
        return self.last(self.again(inputs).tanh() + self.shift.to(inputs.dtype))


@pytest.mark.parametrize("parameters", [{"module": OwnNetwork}, {"activation": torch.tanh}])
def test_a_user_s_own_is_kept_without_its_tensors(backend, parameters):
    estimator = TorchMLPRegressor(backend=backend, **SMALL | parameters).fit(X, Y)
    data, key = pickle.dumps(estimator), joblib.hash(estimator)
    estimator.predict(X)
    assert pickle.dumps(estimator) == data
    assert joblib.hash(estimator) == key
    loaded = pickle.loads(data)
    assert joblib.hash(loaded) == key
    assert_array_equal(loaded.predict(X), estimator.predict(X))
    states = (loaded.module_.state_dict(), estimator.module_.state_dict())
    pairs = zip(*(state.items() for state in states), strict=True)
    for (name, mine), (other_name, theirs) in pairs:
        assert name == other_name
        assert mine.dtype == theirs.dtype
        assert torch.equal(mine, theirs)
    flags = [
        [each.requires_grad for each in one.module_.parameters()] for one in (loaded, estimator)
    ]
    assert flags[0] == flags[1]
    if "module" in parameters:
        assert loaded.module_.again is loaded.module_.first
    assert_array_equal(
        loaded.partial_fit(X, Y).predict(X), copy.deepcopy(estimator).partial_fit(X, Y).predict(X)
    )


def add_to_outputs(module, inputs, outputs):
    """A hook that changes what a layer returns."""
    return outputs + 1


def test_what_a_user_has_done_to_the_network_is_kept(make_regressor):
    estimator = make_regressor(hidden_layer_sizes=(4,)).fit(X, Y)
    frozen = copy.deepcopy(estimator)
    frozen.module_.layers[0].requires_grad_(False)
    assert_plain(frozen.__getstate__())
    loaded = pickle.loads(pickle.dumps(frozen))
    assert not loaded.module_.layers[0].weight.requires_grad
    hooked = copy.deepcopy(estimator)
    hooked.module_.layers[1].register_forward_hook(add_to_outputs)
    replaced = copy.deepcopy(estimator)
    dtype = replaced.module_.layers[1].weight.dtype
    replaced.module_.layers[1] = nn.Linear(4, 1, bias=False, dtype=dtype)
    pruned = copy.deepcopy(estimator)
    prune.l1_unstructured(pruned.module_.layers[0], "weight", amount=0.5)
    samples = torch.as_tensor(X, dtype=dtype)
    for changed in (hooked, replaced, pruned):
        loaded = pickle.loads(pickle.dumps(changed))
        with torch.no_grad():
            expected = changed.module_(samples)
            assert not torch.equal(expected, estimator.module_(samples))
            assert torch.equal(loaded.module_(samples), expected)


def test_callbacks_of_skorch_are_kept():
    parameters = {"callbacks": [("r2", EpochScoring("r2", on_train=True, name="r2"))]}
    estimator = TorchMLPRegressor(backend="skorch", backend_params=parameters, **SMALL).fit(X, Y)
    for loaded in (pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)):
        assert loaded.net_.history[:, "r2"] == estimator.net_.history[:, "r2"]
        loaded.partial_fit(X, Y)
        # The same net has gone on.
        assert len(loaded.net_.history) == 4


def subclasses(kind):
    """Return all classes of this package that derive from one."""
    for each in kind.__subclasses__():
        yield from subclasses(each)
        if each.__module__.startswith("sklearn_mlp.") and not each.__abstractmethods__:
            yield each


def test_all_losses_and_codecs_have_a_plain_form():
    assert losses
    found = {each for kind in (Loss, OutputError, TargetCodec) for each in subclasses(kind)}
    assert found <= set(PLAIN_CLASSES.values())


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.complex64]
)
def test_tensors_of_all_types_are_saved(dtype):
    tensor = torch.arange(6).reshape(2, 3).to(dtype).t()
    saved = plain({"of": [tensor, (1, tensor[0, 0])]})
    assert_plain(saved)
    assert isinstance(restored(saved)["of"][0], SavedTensor)
    one, (number, scalar) = owned(restored(saved))["of"]
    assert number == 1
    assert torch.equal(one, tensor)
    assert one.dtype == scalar.dtype == dtype
    assert one.stride() == tensor.stride()


# Files for others.


def test_safetensors_takes_the_network(make_classifier, tmp_path):
    path = tmp_path / "network.safetensors"
    sparse = scipy.sparse.csr_matrix(np.where(X > 1, X, 0))
    estimator = make_classifier(normalization="batch").fit(X, CODES)
    for fit, samples in ((estimator.partial_fit, X), (make_classifier().fit, sparse)):
        network = fit(samples, CODES).module_
        save_model(network, path)
        other = copy.deepcopy(network)
        for parameter in other.parameters():
            nn.init.zeros_(parameter)
        load_model(other, path)
        for mine, theirs in zip(other.parameters(), network.parameters(), strict=True):
            assert torch.equal(mine, theirs)
    save_file(estimator.module_.state_dict(), path)
    assert load_file(path).keys() == estimator.module_.state_dict().keys()


def test_torch_saves_one_layer_without_the_others(make_regressor, tmp_path):
    estimator = make_regressor(hidden_layer_sizes=(200, 200, 2)).fit(X, Y)
    path = tmp_path / "layer.pt"
    torch.save(estimator.module_.layers[-1].state_dict(), path)
    assert path.stat().st_size < 10_000


# Copies.


def copies_of(estimator):
    """Return copies made in each way."""
    return [copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator))]


BETWEEN = {
    "early stopping": ({"early_stopping": True}, {}),
    "lbfgs and back": ({"solver": "lbfgs"}, {"solver": "adam"}),
    "early stopping and back": ({"early_stopping": True}, {"early_stopping": False}),
    "another solver and back": ({"solver": "sgd"}, {"solver": "adam"}),
    "warm start": ({"warm_start": True, "solver": "lbfgs"}, {"solver": "adam"}),
    "average": ({"weight_averaging": None}, {"weight_averaging": "ema"}),
}


@pytest.mark.parametrize("average", [None, "ema"])
@pytest.mark.parametrize(("before", "after"), BETWEEN.values(), ids=BETWEEN.keys())
def test_a_copy_goes_on_alike_whatever_is_set_in_between(backend, before, after, average):
    estimator = TorchMLPRegressor(
        hidden_layer_sizes=(5,),
        learning_rate_init=0.05,
        random_state=0,
        backend=backend,
        weight_averaging=average,
    )
    for _ in range(4):
        estimator.partial_fit(X, Y)
    estimator.set_params(**before)
    copied = copies_of(estimator)
    held_out = {"X_val": X[:9], "y_val": Y[:9]} if "early_stopping" in before else {}
    for each in (estimator, *copied):
        each.set_params(**after).partial_fit(X, Y, **held_out)
    for each in copied:
        assert_array_equal(each.predict(X), estimator.predict(X))


def test_a_warm_start_by_another_solver_and_back_is_alike():
    estimator = TorchMLPRegressor(warm_start=True, **SMALL).fit(X, Y)
    estimator.set_params(solver="lbfgs").fit(X, Y)
    copied = copies_of(estimator)
    for each in (estimator, *copied):
        each.set_params(solver="adam").partial_fit(X, Y).fit(X, Y)
    for each in copied:
        assert_array_equal(each.predict(X), estimator.predict(X))


def test_a_clone_begins_anew(make_regressor):
    estimator = make_regressor(warm_start=True).fit(X, Y)
    cloned = clone(estimator)
    with pytest.raises(NotFittedError):
        cloned.predict(X)
    assert_array_equal(cloned.fit(X, Y).loss_curve_, estimator.loss_curve_)


# Other versions.


def load(kind, state):
    """Return an estimator of a state."""
    estimator = kind.__new__(kind)
    estimator.__setstate__(state)
    return estimator


def state_of(**changes):
    """Return the state of a fitted classifier, as another version would have saved it."""
    state = TorchMLPClassifier(**SMALL).fit(X, LABELS).__getstate__()
    for name, value in changes.items():
        state[name] = value
        if value is None:
            del state[name]
    return state


def test_this_version_s_state_is_loaded_in_silence():
    state = state_of()
    assert state["_sklearn_mlp_version"]
    loaded = load(TorchMLPClassifier, state)
    assert "_sklearn_mlp_version" not in vars(loaded)
    assert "_sklearn_mlp_version" in TorchMLPClassifier().__getstate__()


@pytest.mark.parametrize(
    "changes",
    [
        {"_sklearn_mlp_version": "0.0.1"},
        {"_sklearn_mlp_version": None},
        {"max_time": None},
        {"max_time": None, "backend_params": None, "class_weight": None},
        {"_sklearn_mlp_version": "9.1", "of_the_future": 3},
        {"engine_": None, "_sklearn_mlp_version": "0.0.1"},
        {"converged_": None, "t_": None, "loss_": None, "_sklearn_mlp_version": "0.0.1"},
    ],
    ids=str,
)
def test_another_version_s_state_is_loaded_with_a_warning(changes):
    state = state_of(**changes)
    with pytest.warns(InconsistentVersionWarning, match="TorchMLPClassifier was saved by") as got:
        loaded = load(TorchMLPClassifier, state)
    assert len(got) == 1
    lacking = {name for name, value in changes.items() if value is None and name[-1] != "_"}
    for name in lacking - {"_sklearn_mlp_version"}:
        assert name in str(got[0].message)
        assert getattr(loaded, name) == getattr(TorchMLPClassifier(), name)
    expected = load(TorchMLPClassifier, state_of())
    assert_array_equal(loaded.predict(X), expected.predict(X))
    assert repr(loaded) == repr(expected)
    # Where nothing says it, only that the network's gradients are written out is known.
    is_told = "engine_" not in changes
    assert loaded.engine_ == (expected.engine_ if is_told else "closed_form")
    assert_allclose(loaded.loss_, expected.loss_)
    assert_array_equal(
        loaded.partial_fit(X, LABELS).predict_proba(X),
        expected.partial_fit(X, LABELS).predict_proba(X),
    )
    assert copy.deepcopy(loaded).fit(X, LABELS).get_params() == expected.get_params()


def test_fields_that_another_version_had_not_get_their_defaults():
    state = state_of(_sklearn_mlp_version="0.0.1")
    del state["_state"]["seed"], state["_architecture"]["residual"]
    state["_state"]["of_the_future"] = 3
    with pytest.warns(InconsistentVersionWarning):
        loaded = load(TorchMLPClassifier, state)
    loaded.partial_fit(X, LABELS)


class FewParameters(TorchMLPRegressor):
    """Names few of the parameters."""

    def __init__(self, alpha=0.1):
        super().__init__(hidden_layer_sizes=(3,), alpha=alpha, max_iter=2, random_state=0)


def test_a_subclass_with_few_parameters_is_saved_and_completed():
    estimator = FewParameters().fit(X, Y)
    assert_array_equal(pickle.loads(pickle.dumps(estimator)).predict(X), estimator.predict(X))
    state = estimator.__getstate__()
    del state["max_time"]
    with pytest.warns(InconsistentVersionWarning, match="max_time"):
        loaded = load(FewParameters, state)
    loaded.partial_fit(X, Y)


@pytest.mark.parametrize(
    ("state", "error", "match"),
    [
        (None, TypeError, "must be what its __getstate__ has returned, a dict, got NoneType"),
        ([1, 2], TypeError, "a dict, got list"),
        ({}, ValueError, "the state is not that of a TorchMLPClassifier"),
        ({"name": 1}, ValueError, "the state is not that of a TorchMLPClassifier"),
    ],
)
def test_what_is_no_state(state, error, match):
    with pytest.raises(error, match=match):
        load(TorchMLPClassifier, state)


def test_the_state_of_another_class():
    theirs = MLPClassifier((3,), max_iter=2).fit(X, CODES).__getstate__()
    with pytest.raises(ValueError, match="not that of a TorchMLPClassifier"):
        load(TorchMLPClassifier, theirs)
    regressor = TorchMLPRegressor(**SMALL).fit(X, Y).__getstate__()
    with pytest.raises(ValueError, match="not that of a TorchMLPClassifier"):
        load(TorchMLPClassifier, regressor)
    with pytest.raises(ValueError, match="not that of a TorchMLPRegressor"):
        load(TorchMLPRegressor, state_of())


def cut_tensors(state):
    """Take the last of the network's arrays away."""
    state["module_"]["tensors"].pop()


def bend_tensor(state):
    """Give an array another shape."""
    tensor = state["module_"]["tensors"][0]
    tensor["values"] = tensor["values"].ravel()


def rename_loss(state):
    """Name a loss that is not there."""
    state["_loss"]["sklearn_mlp"] = "LossOfTheFuture"


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda state: state.pop("_loss"), "lacks _loss"),
        (lambda state: state.pop("n_features_in_"), "lacks n_features_in_"),
        (lambda state: state["_architecture"].pop("hidden_units"), "lacks 'hidden_units'"),
        (cut_tensors, "not whole"),
        (bend_tensor, "no shape of this network's"),
        (rename_loss, "there is no 'LossOfTheFuture' in this version"),
        (lambda state: state.update(module_=3), "not whole"),
        (lambda state: state.update(device_="nowhere"), "not whole"),
    ],
)
def test_a_state_that_is_not_whole(damage, match):
    state = copy.deepcopy(state_of())
    damage(state)
    with pytest.raises(ValueError, match=match) as caught:
        load(TorchMLPClassifier, state)
    assert "the state of a TorchMLPClassifier, saved by version" in str(caught.value)
