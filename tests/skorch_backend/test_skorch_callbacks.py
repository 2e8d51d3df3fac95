"""skorch's callbacks, class by class, on both tasks: what they are given, may do, and leave."""

import copy
import io
import pickle

import numpy as np
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    Initializer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    ParamMapper,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    Unfreezer,
    WarmRestartLR,
)

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_layer_sizes": (4,), "max_iter": 4, "random_state": 0, "batch_size": 20}
KINDS = ["letters", "numbers", "columns"]


def make(kind, *callbacks, **parameters):
    """Return an estimator for a kind of targets, which skorch trains with callbacks."""
    cls = TorchMLPRegressor if kind == "numbers" else TorchMLPClassifier
    given = {"backend_params": {"callbacks": list(callbacks)}} if callbacks else {}
    return cls(backend="skorch", **given, **{**SMALL, **parameters})


def samples(kind, *, is_sparse=False):
    """Return 70 samples, with targets of a kind."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(70, 6))
    letters = np.array(list("xyz"))[np.arange(70) % 3]
    y = {"letters": letters, "numbers": X[:, 0] * 2, "columns": np.column_stack([letters] * 2)}
    if is_sparse:
        X = scipy.sparse.random_array((70, 60), density=0.04, rng=4, format="csr")
    return X, y[kind]


# What they are given.


class Reader(Callback):
    """Read all that a callback of skorch's may read."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.begun = (X.shape, np.shape(y), np.asarray(y).dtype.kind)
        assert net.module_.training in (True, False)

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        for part in (dataset_train, dataset_valid):
            if part is not None:
                self.read(part)

    def read(self, part):
        """Read a data set, by items and whole."""
        X, y = part.X, part.y
        assert X.shape[0] == len(y) == len(part)
        dense = X.toarray() if scipy.sparse.issparse(X) else X.numpy()
        for index in (0, -1, np.int64(2), slice(1, 4), [3, 1], np.arange(5) > 2, torch.tensor(1)):
            if isinstance(index, np.ndarray):
                index = np.resize(index, len(part))
            inputs, labels = part[index]
            assert_allclose(inputs, dense[index], rtol=1e-6)
            assert_array_equal(labels, y[index])
        assert_array_equal([label for _, label in part], y)
        with pytest.raises(IndexError):
            part[len(part)]

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        part = dataset_valid or dataset_train
        assert len(net.predict(part)) == len(net.predict(part.X)) == len(part)
        assert net.history[-1, "epoch"] == len(net.history)
        net.save_params(f_params=io.BytesIO(), f_optimizer=io.BytesIO(), f_history=io.StringIO())
        for copied in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
            assert copied.run_ is None
            assert_array_equal(copied.predict(part.X), net.predict(part.X))

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.ended = (X.shape, np.shape(y), np.asarray(y).dtype.kind)


@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_callbacks_read_samples_and_labels(kind, early_stopping, is_sparse):
    X, y = samples(kind, is_sparse=is_sparse)
    reader = Reader()
    make(kind, reader, early_stopping=early_stopping, max_iter=2).fit(X, y)
    # As from skorch itself: all that was passed to fit, a part held out among it.
    expected = X.shape, y.shape, "f" if kind == "numbers" else "U"
    assert reader.begun == reader.ended == expected


# skorch's own, one by one.


def make_callbacks(name, kind, folder):
    """Return skorch's callbacks of a name, as its documentation makes them."""
    metric = "r2" if kind == "numbers" else "accuracy"
    checkpoint = Checkpoint("train_loss_best", dirname=folder, f_pickle="net.pkl", load_best=True)
    at_end = TrainEndCheckpoint(dirname=folder)
    writer = Writer()
    made = {
        "score epochs": [
            EpochScoring(metric, name="cached", on_train=True),
            EpochScoring(metric, name="fresh", on_train=True, use_caching=False),
        ],
        "score held-out": [
            EpochScoring(metric, name="x"),
            EpochScoring(metric, use_caching=False),
        ],
        "score batches": [
            BatchScoring(metric, name="cached", on_train=True),
            BatchScoring(metric, name="fresh", on_train=True, use_caching=False),
        ],
        "checkpoint": [checkpoint, LoadInitState(checkpoint)],
        "checkpoint at the end": [at_end, LoadInitState(at_end)],
        "schedule": [LRScheduler("StepLR", step_size=2)],
        "schedule by batch": [
            LRScheduler(
                "CyclicLR", base_lr=1e-4, max_lr=1e-2, cycle_momentum=False, step_every="batch"
            )
        ],
        "schedule by loss": [LRScheduler("ReduceLROnPlateau", monitor="train_loss")],
        "warm restarts": [LRScheduler(WarmRestartLR)],
        "clip": [GradientNormClipping(0.1)],
        "stop": [EarlyStopping("train_loss", patience=1, threshold=1.0, load_best=True)],
        "freeze": [Freezer("layers.0.*"), Unfreezer("layers.0.*", at=3)],
        "initialise": [Initializer("*.weight", fn=torch.nn.init.zeros_)],
        "map": [ParamMapper("*.bias", fn=torch.nn.init.ones_, at=2)],
        "shape": [InputShapeSetter()],
        "print": [PrintLog(sink=str), PassthroughScoring("train_loss", on_train=True)],
        "time": [EpochTimer(), ProgressBar()],
        "log": [TensorBoard(writer), SacredLogger(writer, log_on_batch_end=True)],
        "log to mlflow": [MlflowLogger(writer, writer, log_on_batch_end=True)],
    }
    return made[name]


class Writer:
    """Take whatever a logger of skorch's says."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Writer()

    def __call__(self, *args, **kwargs):
        return Writer()


NAMES = ["score epochs", "score held-out", "score batches", "checkpoint", "checkpoint at the end"]
NAMES += ["schedule", "schedule by batch", "schedule by loss", "warm restarts", "clip", "stop"]
NAMES += ["freeze", "initialise", "map", "shape", "print", "time", "log", "log to mlflow"]


@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("name", NAMES)
def test_each_of_skorchs_callbacks(name, is_sparse, tmp_path, capsys):
    for kind, early_stopping in (("letters", is_sparse), ("numbers", not is_sparse)):
        X, y = samples(kind, is_sparse=is_sparse)
        callbacks = make_callbacks(name, kind, tmp_path / kind)
        estimator = make(kind, *callbacks, early_stopping=early_stopping).fit(X, y)
        assert len(estimator.net_.history[:, "train_loss"]) == estimator.n_iter_
        assert not estimator.module_.training
        assert_array_equal(estimator.net_.predict(X), estimator.predict(X))
        if not early_stopping:
            estimator.partial_fit(X, y)
        loaded = pickle.loads(pickle.dumps(estimator))
        assert_array_equal(loaded.predict(X), estimator.predict(X))
    capsys.readouterr()


def test_scores_from_the_cache_are_those_computed_anew():
    X, y = samples("letters")
    scores = make_callbacks("score batches", "letters", None)
    history = make("letters", *scores).fit(X, y).net_.history
    # Computed anew, a batch is scored after its step, from the cache before it.
    assert len(history[:, "fresh"]) == len(history[:, "cached"]) == 4
    X, y = samples("numbers")
    held_out = make_callbacks("score held-out", "numbers", None)
    history = make("numbers", *held_out, early_stopping=True).fit(X, y).net_.history
    assert_allclose(history[:, "x"], history[:, "r2"], rtol=1e-6)


def test_a_checkpoint_is_loaded_into_the_next_estimator(tmp_path):
    X, y = samples("letters")
    at_end = TrainEndCheckpoint(dirname=tmp_path)
    first = make("letters", at_end).fit(X, y)
    again = make("letters", LoadInitState(at_end), max_iter=1, random_state=7).fit(X, y)
    assert again.n_iter_ == 1
    # It goes on with the weights, the optimizer's memory and the history of the first.
    assert again.loss_ < first.loss_
    assert again.net_.history[:-1, "train_loss"] == first.loss_curve_


def test_the_input_shape_is_set_already():
    X, y = samples("letters")
    plain = make("letters").fit(X, y)
    shaped = make("letters", InputShapeSetter("n_features_in")).fit(X, y)
    assert_array_equal(shaped.predict_proba(X), plain.predict_proba(X))
    assert shaped.net_.module_ is shaped.module_


# What they may not do.


class At(Callback):
    """Do something in one hook."""

    def __init__(self, hook, act):
        setattr(self, hook, lambda net, *args, **kwargs: act(net))


def replace_module(net):
    """Put another network into a net."""
    net.module_ = copy.deepcopy(net.module_)


@pytest.mark.parametrize(
    "hook", ["on_train_begin", "on_batch_end", "on_epoch_end", "on_train_end"]
)
def test_another_network_in_the_net_is_an_error(hook):
    X, y = samples("letters")
    with pytest.raises(ValueError, match="A callback has put another module_ into the net"):
        make("letters", At(hook, replace_module)).fit(X, y)
    with pytest.raises(ValueError, match="cannot be initialized by a callback"):
        make("letters", At(hook, lambda net: net.initialize())).fit(X, y)


@pytest.mark.parametrize(
    ("parameter", "ours"),
    [("batch_size", "batch_size"), ("module__units", "module"), ("max_epochs", "max_iter")],
)
def test_parameters_that_the_estimator_has_are_not_set_on_the_net(parameter, ours):
    X, y = samples("letters")
    message = rf"'{parameter}' cannot be set on this net.* parameter and fit it: {ours}"
    callback = At("on_epoch_end", lambda net: net.set_params(**{parameter: 3}))
    with pytest.raises(ValueError, match=message):
        make("letters", callback).fit(X, y)
    with pytest.raises(ValueError, match=message):
        make("letters").fit(X, y).net_.set_params(**{parameter: 3})


def test_the_learning_rate_may_be_set_on_the_net():
    callback = At("on_epoch_end", lambda net: net.set_params(lr=0.25, verbose=0))
    estimator = make("letters", callback).fit(*samples("letters"))
    assert list(estimator.history_["learning_rate"]) == [0.001, 0.25, 0.25, 0.25]


# Interrupts and errors.

HOOKS = ["on_train_begin", "on_epoch_begin", "on_batch_begin", "on_grad_computed"]
HOOKS += ["on_batch_end", "on_epoch_end", "on_train_end"]


class InThird(Callback):
    """Raise in a hook, if it is one of an epoch in the third of them."""

    def __init__(self, hook, error):
        self.is_armed = True

        def act(net, *args, **kwargs):
            if self.is_armed and ("train" in hook or len(net.history) == 3):
                raise error

        setattr(self, hook, act)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("hook", HOOKS)
def test_an_interrupt_in_any_hook_leaves_a_model(hook, early_stopping):
    X, y = samples("letters")
    estimator = make("letters", InThird(hook, KeyboardInterrupt()), early_stopping=early_stopping)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        estimator.fit(X, y)
    n_epochs = {"on_train_begin": 0, "on_epoch_end": 3, "on_train_end": 4}.get(hook, 2)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == n_epochs
    assert len(estimator.net_.history) == n_epochs
    assert all("train_loss" in row for row in estimator.net_.history)
    assert not estimator.module_.training
    assert estimator.net_.run_ is None
    assert_array_equal(estimator.predict(X), estimator.net_.predict(X))
    estimator.set_params(backend_params=None, early_stopping=False).partial_fit(X, y)
    assert len(estimator.loss_curve_) == n_epochs + 1


def test_early_stopping_by_skorch_is_no_interrupt():
    class Own(EarlyStopping):
        """A user's own kind of it."""

        def on_epoch_end(self, net, **kwargs):
            super().on_epoch_end(net, **kwargs)

    # Warnings are errors.
    for kind in (EarlyStopping, Own):
        stopping = kind("train_loss", patience=1, threshold=1.0)
        assert make("letters", stopping).fit(*samples("letters")).n_iter_ == 2


@pytest.mark.parametrize("hook", HOOKS)
def test_an_error_in_any_hook_leaves_the_net_as_it_was(hook):
    X, y = samples("letters")
    failing = InThird(hook, RuntimeError("a bug"))
    failing.is_armed = False
    estimator = make("letters", failing, max_iter=2, dropout=0.3).fit(X, y)
    failing.is_armed = True
    net = estimator.net_
    with pytest.raises(RuntimeError, match="a bug"):
        estimator.partial_fit(X, y)
    assert not estimator.module_.training
    assert estimator.net_ is net
    assert net.run_ is None
    assert len(net.history[:, "train_loss"]) == 2
    assert_array_equal(net.predict(X), estimator.predict(X))
    failing.is_armed = False
    assert len(estimator.partial_fit(X, y).net_.history[:, "train_loss"]) == 3
