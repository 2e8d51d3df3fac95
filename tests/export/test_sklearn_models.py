"""To scikit-learn's own networks and back: the same predictions, and the same epochs after.

Relative 1e-9, as in `test_parity`: what differs is the order in which float64 is rounded.
"""

import copy
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse
from conftest import BACKENDS
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale
from torch import nn

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor

RTOL = 1e-9
TASKS = ("binary", "multiclass", "words", "multilabel", "regression", "columns", "poisson")
SETTINGS = {
    "adam": {"solver": "adam"},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.05},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "activation": "tanh"},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "activation": "logistic"},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 2},
}
# Poisson's outputs are exponentials: at this rate both diverge.
SLOW = {"learning_rate_init": 1e-3}

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Training interrupted"),
]


def make_task(task):
    """Return X and y, and the classes of scikit-learn's and of this package."""
    if task == "multilabel":
        X, y = make_multilabel_classification(83, 6, n_classes=3, random_state=3)
        return scale(X), y, (MLPClassifier, TorchMLPClassifier)
    if task in ("binary", "multiclass", "words"):
        X, y = load_iris(return_X_y=True)
        X, y = scale(X)[: 100 if task == "binary" else None], y
        y = np.array(["setosa", "versicolor", "virginica"])[y] if task == "words" else y
        return X[::2], y[: len(X)][::2], (MLPClassifier, TorchMLPClassifier)
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X)[:90], scale(y)[:90]
    if task == "columns":
        y = np.column_stack([y, X[:, 0] - y])
    y = np.rint(np.exp(y)) if task == "poisson" else y
    return X, y, (MLPRegressor, TorchMLPRegressor)


def made(task, setting, **parameters):
    """Return the task's X and y, and scikit-learn's estimator and ours, unfitted."""
    X, y, (theirs, ours) = make_task(task)
    parameters = {
        **{"hidden_layer_sizes": (7, 5), "batch_size": 32, "max_iter": 6, "random_state": 4},
        **SETTINGS[setting],
        **(SLOW if task == "poisson" else {}),
        **({"loss": "poisson"} if task == "poisson" else {}),
        **parameters,
    }
    return X, y, theirs(**parameters), ours(**parameters, dtype="float64", device="cpu")


def assert_same(one, other, X):
    """Compare all that a fit leaves on scikit-learn's estimator and on ours."""
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(one, name) == getattr(other, name), name
    assert hasattr(one, "loss_curve_") == hasattr(other, "loss_curve_")
    if hasattr(one, "loss_curve_"):
        assert_allclose(one.loss_curve_, other.loss_curve_, rtol=RTOL)
        for name in ("best_loss_", "best_validation_score_", "validation_scores_"):
            mine, its = getattr(one, name), getattr(other, name)
            assert (mine is None) == (its is None), name
            if mine is not None:
                assert_allclose(mine, its, rtol=RTOL)
    for mine, its in zip(
        [*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_], strict=True
    ):
        assert_allclose(mine, its, rtol=RTOL, atol=1e-12)
    if hasattr(one, "predict_proba"):
        assert_array_equal(one.classes_, other.classes_)
        assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=RTOL)
        mine, its = one.predict(X), other.predict(X)
        assert scipy.sparse.issparse(mine) == scipy.sparse.issparse(its)
        if not scipy.sparse.issparse(mine):
            assert_array_equal(mine, its)
    else:
        assert_allclose(one.predict(X), other.predict(X), rtol=RTOL)


def train_on(model, X, y):
    """Train for three more epochs, one by one, and then for some from a warm start."""
    for part in (slice(None), slice(10, 70), slice(None)):
        model.partial_fit(X[part], y[part])
    return model.set_params(warm_start=True, max_iter=3).fit(X, y)


# Every task, and every setting on one of labels and one of numbers.
PAIRS = [(task, "adam") for task in TASKS]
PAIRS += [(task, name) for task in ("words", "columns") for name in SETTINGS if name != "adam"]
PAIRS += [("multilabel", "nesterov"), ("poisson", "invscaling"), ("binary", "adaptive")]


@pytest.mark.parametrize(("task", "setting"), PAIRS)
def test_both_go_on_from_where_the_other_was(task, setting):
    X, y, theirs, ours = made(task, setting)
    theirs.fit(X, y)
    ours.fit(X, y)
    taken, given = type(ours).from_sklearn(theirs, device="cpu"), ours.to_sklearn()
    assert type(given) is type(theirs)
    assert given.get_params() == theirs.get_params()
    assert taken.get_params() == {**ours.get_params(), "dtype": "auto"}
    for one in (taken, given, ours):
        assert_same(one, theirs, X)
    never_converted = train_on(theirs, X, y)
    for one in (taken, given, ours):
        assert_same(train_on(one, X, y), never_converted, X)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_early_stopping_goes_on_from_its_best_score(task):
    parameters = {"early_stopping": True, "max_iter": 12, "learning_rate_init": 0.01}
    X, y, theirs, ours = made(task, "adam", **parameters)
    theirs.fit(X, y)
    ours.fit(X, y)
    taken, given = type(ours).from_sklearn(theirs, device="cpu"), ours.to_sklearn()
    for one in (taken, given):
        assert_same(one, theirs, X)
    for _ in range(2):
        for one in (theirs, taken, given):
            one.set_params(warm_start=True, max_iter=3).fit(X, y)
        assert_same(taken, theirs, X)
        assert_same(given, theirs, X)


@pytest.mark.parametrize("task", ["binary", "columns"])
def test_lbfgs(task):
    X, y, theirs, ours = made(task, "adam", solver="lbfgs", max_iter=5)
    theirs.fit(X, y)
    taken = type(ours).from_sklearn(theirs, device="cpu")
    given = ours.fit(X, y).to_sklearn()
    assert_same(taken, theirs, X)
    assert_same(given, theirs, X)
    assert taken.history_.empty
    for one in (theirs, taken, given):
        one.set_params(warm_start=True).fit(X, y)
    assert_same(taken, theirs, X)
    assert_same(given, theirs, X)


@pytest.mark.parametrize("backend", BACKENDS)
def test_there_and_back_is_the_same(backend):
    X, y, _, ours = made("words", "adam")
    ours.set_params(backend=backend).fit(X, y)
    back = type(ours).from_sklearn(ours.to_sklearn(), device="cpu", dtype="float64")
    assert_array_equal(back.predict_proba(X), ours.predict_proba(X))
    assert_array_equal(back.history_["loss"], ours.history_["loss"])
    # One that was loaded has its moments in memory that is not to be written to.
    loaded = pickle.loads(pickle.dumps(ours)).to_sklearn()
    back.set_params(backend=backend).partial_fit(X, y)
    ours.partial_fit(X, y)
    assert_allclose(back.loss_, ours.loss_, rtol=RTOL)
    assert_allclose(loaded.partial_fit(X, y).loss_, ours.loss_, rtol=RTOL)


def test_one_that_was_only_partly_fitted():
    X, y, theirs, ours = made("words", "adam")
    theirs.partial_fit(X[:40], y[:40], classes=np.unique(y))
    taken = TorchMLPClassifier.from_sklearn(theirs, device="cpu")
    ours.partial_fit(X[:40], y[:40], classes=np.unique(y))
    given = ours.to_sklearn()
    for one in (theirs, taken, given):
        one.partial_fit(X, y)
    assert_same(taken, theirs, X)
    assert_same(given, theirs, X)


def test_sparse_samples_and_labels():
    X, y, theirs, ours = made("multilabel", "adam")
    X, y = scipy.sparse.csr_matrix(X), scipy.sparse.csr_matrix(y)
    theirs.fit(X, y)
    taken = TorchMLPClassifier.from_sklearn(theirs, device="cpu")
    given = ours.fit(X, y).to_sklearn()
    for one in (theirs, taken, given):
        one.partial_fit(X, y)
    assert_same(taken, theirs, X)
    assert_same(given, theirs, X)


def test_what_is_converted_shares_nothing():
    X, y, theirs, ours = made("multiclass", "adam", random_state=np.random.RandomState(0))
    given = ours.fit(X, y).to_sklearn()
    before = copy.deepcopy(ours.coefs_)
    given.partial_fit(X, y)
    for coef, kept in zip(ours.coefs_, before, strict=True):
        assert_array_equal(coef, kept)
    # Both draw the same order next, from generators of their own.
    assert given.random_state is not ours.random_state
    assert_allclose(ours.partial_fit(X, y).loss_, given.loss_, rtol=RTOL)
    theirs.fit(X, y)
    taken, before = type(ours).from_sklearn(theirs), copy.deepcopy(theirs.coefs_)
    taken.partial_fit(X, y)
    for coef, kept in zip(theirs.coefs_, before, strict=True):
        assert_array_equal(coef, kept)


def test_float32_stays_float32():
    X, y, theirs, ours = made("multiclass", "adam")
    X = X.astype(np.float32)
    taken = TorchMLPClassifier.from_sklearn(theirs.fit(X, y))
    assert taken.dtype_.itemsize == 4
    assert taken.predict_proba(X).dtype == theirs.predict_proba(X).dtype == np.float32
    # 1e-5: ten epochs in float32, whose rounding is 6e-8.
    assert_allclose(taken.partial_fit(X, y).loss_, theirs.partial_fit(X, y).loss_, rtol=1e-5)
    given = ours.set_params(dtype="float32").fit(X, y).to_sklearn()
    assert given.coefs_[0].dtype == np.float32
    assert_allclose(given.predict_proba(X), ours.predict_proba(X), rtol=1e-5)


def test_names_of_features_travel():
    frame, y = load_iris(return_X_y=True, as_frame=True)
    theirs = MLPClassifier(max_iter=2, random_state=0).fit(frame, y)
    taken = TorchMLPClassifier.from_sklearn(theirs)
    assert_array_equal(taken.feature_names_in_, frame.columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = taken.partial_fit(frame, y).to_sklearn()
        given.predict(frame)
    with pytest.raises(ValueError, match="feature names"):
        taken.predict(frame.rename(columns=str.upper))


def test_the_activation_is_that_which_the_network_has():
    X, y, _, ours = made("multiclass", "adam", activation=["tanh", "tanh"])
    expected = ours.fit(X, y).predict_proba(X)
    assert ours.to_sklearn().activation == "tanh"
    # From the next fit on only.
    given = ours.set_params(activation="relu").to_sklearn()
    assert_allclose(given.predict_proba(X), expected, rtol=RTOL)


def test_without_hidden_layers():
    X, y, _, ours = made("multiclass", "adam", hidden_layer_sizes=())
    given = ours.fit(X, y).to_sklearn()
    assert_allclose(given.predict_proba(X), ours.predict_proba(X), rtol=RTOL)
    taken = TorchMLPClassifier.from_sklearn(given)
    assert_allclose(taken.predict_proba(X), ours.predict_proba(X), rtol=RTOL)


def test_what_another_scikit_learn_does_not_keep_begins_anew():
    X, y, theirs, _ = made("multiclass", "adam")
    theirs.fit(X, y)
    for name in ("_optimizer", "_no_improvement_count", "_label_binarizer"):
        delattr(theirs, name)
    taken = TorchMLPClassifier.from_sklearn(theirs, device="cpu")
    assert_allclose(taken.predict_proba(X), theirs.predict_proba(X), rtol=RTOL)
    taken.partial_fit(X, y)
    assert len(taken.loss_curve_) == len(theirs.loss_curve_) + 1


# What scikit-learn's class cannot be.

REFUSED = [
    ({"activation": "gelu"}, "activation='gelu' is nothing"),
    ({"activation": ["relu", "tanh"]}, r"activation=\['relu', 'tanh'\] is nothing"),
    ({"normalization": "layer"}, "normalization='layer' is nothing"),
    ({"hidden_layer_sizes": (5, 5), "residual": True}, "residual=True is nothing"),
    ({"module": lambda n_features_in, n_outputs: nn.Linear(n_features_in, n_outputs)}, "module="),
    ({"output_activation": "tanh", "loss": "squared_error"}, "output_activation='tanh' is none"),
]
SET_BACK = [
    ({"solver": "adamw"}, "solver='adamw' is nothing", {"solver": "adam"}),
    ({"learning_rate": "cosine"}, "learning_rate='cosine'", {"learning_rate": "constant"}),
    ({"dropout": [0.2, 0.0]}, r"dropout=\[0.2, 0.0\] is nothing", {"dropout": 0.0}),
    ({"input_dropout": 0.1}, "input_dropout=0.1", {"input_dropout": 0.0}),
    ({"loss": "focal"}, "loss='focal'", {"loss": "log_loss"}),
    ({"label_smoothing": 0.1}, "label_smoothing=0.1", {"label_smoothing": 0.0}),
    ({"class_weight": "balanced"}, "class_weight='balanced'", {"class_weight": None}),
    ({"gradient_clip": 1.0}, "gradient_clip=1.0", {"gradient_clip": None}),
    ({"weight_averaging": "ema"}, "weight_averaging='ema'", {"weight_averaging": None}),
    ({"warmup": 2}, "warmup=2", {"warmup": 0}),
    ({"scoring": "accuracy"}, "scoring='accuracy'", {"scoring": None}),
    ({"max_time": 60}, "max_time=60", {"max_time": None}),
    ({"weight_init": "orthogonal"}, "weight_init='orthogonal'", {"weight_init": "auto"}),
]


def names_of(rows):
    """Return the parameter that each row is about."""
    return [next(iter(parameters)) for parameters, *_ in rows]


@pytest.mark.parametrize(("parameters", "message"), REFUSED, ids=names_of(REFUSED))
def test_another_network_is_refused(parameters, message):
    X, y, _, ours = made("multiclass", "adam")
    ours.set_params(**parameters).fit(X, y)
    with pytest.raises(ValueError, match=f"^{message}"):
        ours.to_sklearn()


@pytest.mark.parametrize(("parameters", "message", "back"), SET_BACK, ids=names_of(SET_BACK))
def test_other_training_is_refused_until_it_is_set_back(parameters, message, back):
    X, y, _, ours = made("multiclass", "adam")
    ours.set_params(**parameters).fit(X, y)
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        ours.to_sklearn()
    assert "set_params" in str(caught.value)
    expected = ours.predict_proba(X)
    given = ours.set_params(**back).to_sklearn()
    assert_allclose(given.predict_proba(X), expected, rtol=RTOL)
    given.partial_fit(X, y)


def test_other_tasks_are_refused():
    X, y = load_iris(return_X_y=True)
    model = TorchMLPClassifier(max_iter=1, random_state=0)
    with pytest.raises(ValueError, match="y had several columns of labels"):
        model.fit(X, np.column_stack([y, y])).to_sklearn()
    with pytest.raises(ValueError, match="output_activation='softmax' is none"):
        model.set_params(output_activation="softmax").fit(X, y > 0).to_sklearn()
    model = TorchMLPRegressor(max_iter=1, random_state=0)
    with pytest.raises(ValueError, match="scale_target='standard' is nothing"):
        model.set_params(scale_target="standard").fit(X, y).to_sklearn()
    with pytest.raises(ValueError, match="loss='huber' is nothing"):
        model.set_params(scale_target=None, loss="huber").fit(X, y).to_sklearn()


def test_a_changed_network_is_refused():
    X, y, _, ours = made("multiclass", "adam")
    ours.fit(X, y).module_.layers[0].weight.requires_grad_(False)
    with pytest.raises(ValueError, match=r"module_ has been changed .* is frozen"):
        ours.to_sklearn()
    ours.fit(X, y).module_.register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match=r"module_ has been changed .* hooks"):
        ours.to_sklearn()


def test_what_is_no_fitted_network_of_scikit_learns_is_refused():
    with pytest.raises(TypeError, match=r"fitted must be .*MLPClassifier, got MLPRegressor"):
        TorchMLPClassifier.from_sklearn(MLPRegressor())
    with pytest.raises(NotFittedError):
        TorchMLPClassifier.from_sklearn(MLPClassifier())
    with pytest.raises(NotFittedError):
        TorchMLPRegressor().to_sklearn()
