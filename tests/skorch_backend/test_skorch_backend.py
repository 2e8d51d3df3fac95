"""The skorch backend: the native backend's numbers, a genuine net, skorch's own callbacks.

What both backends have in common is tested elsewhere, over both.
"""

import copy
import json
import pickle

import numpy as np
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LRScheduler,
    ProgressBar,
)
from skorch.exceptions import SkorchTrainingImpossibleError
from test_parity import CLASSIFICATION, REGRESSION, make_task

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Measured: 2e-14. Both compute in float64, one in closed form, the other by autograd.
RTOL = 1e-6
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 6, "random_state": 0, "batch_size": 50}
TASKS = CLASSIFICATION + REGRESSION
LETTERS = np.array(list("abcdefghij"))


def make_estimator(task, backend="skorch", **parameters):
    """Return an estimator for a task, unfitted."""
    if task in CLASSIFICATION:
        return TorchMLPClassifier(backend=backend, **parameters)
    loss = "poisson" if task == "poisson" else "squared_error"
    return TorchMLPRegressor(loss, backend=backend, **parameters)


def with_callbacks(*callbacks, **parameters):
    """Return a classifier that skorch trains with callbacks."""
    parameters = {**SMALL, **parameters}
    backend_params = {"callbacks": list(callbacks)}
    return TorchMLPClassifier(backend="skorch", backend_params=backend_params, **parameters)


@pytest.fixture
def documents():
    """Sparse samples, few of whose values are stored, in three classes."""
    X = scipy.sparse.random_array((240, 300), density=0.03, rng=0, format="csr")
    return X, np.arange(240) % 3


@pytest.fixture
def letters(digits):
    """Images whose labels are strings."""
    X, y = digits
    return X, LETTERS[y]


# The same numbers.

SETTINGS = {
    "adam": {},
    "sgd, constant": {"solver": "sgd", "momentum": 0.5},
    "sgd, plain momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "sgd, invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.25},
    "sgd, adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "n_iter_no_change": 2,
        "tol": 1e-2,
    },
    "early stopping": {"early_stopping": True, "n_iter_no_change": 5},
    "no penalty, unshuffled": {"alpha": 0.0, "shuffle": False},
    "strong penalty": {"alpha": 1.0, "solver": "sgd"},
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("task", TASKS)
def test_fifteen_epochs_follow_the_native_backend(task, name):
    X, y = make_task(task)
    settings = SETTINGS[name]
    # Every other task of every setting, and every other setting of every task, is weighted.
    is_weighted = (TASKS.index(task) + list(SETTINGS).index(name)) % 2 == 0
    weights = np.random.RandomState(0).uniform(0.1, 3, len(y)) if is_weighted else None
    exact = {"dtype": "float64", "device": "cpu", "hidden_layer_sizes": (9, 5), "batch_size": 40}
    native, ours = (
        make_estimator(task, backend, random_state=0, max_iter=15, **exact, **settings)
        for backend in ("torch", "skorch")
    )
    native.fit(X, y, sample_weight=weights)
    ours.fit(X, y, sample_weight=weights)
    assert ours.n_iter_ == native.n_iter_
    assert_allclose(ours.loss_curve_, native.loss_curve_, rtol=RTOL)
    columns = ["validation_score", "learning_rate"]
    assert_allclose(ours.history_[columns], native.history_[columns], rtol=RTOL)
    for name in ("coefs_", "intercepts_"):
        for mine, other in zip(getattr(ours, name), getattr(native, name), strict=True):
            # A weight near 0 has the rounding of its layer's larger ones.
            assert_allclose(mine, other, rtol=RTOL, atol=RTOL * np.abs(other).max())
    assert_allclose(ours.predict(X), native.predict(X), rtol=RTOL)
    if task in CLASSIFICATION:
        assert_allclose(ours.predict_proba(X), native.predict_proba(X), rtol=RTOL)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_goes_on_from_one_backend_to_the_other(iris, solver):
    X, y = iris
    exact = {"dtype": "float64", "device": "cpu", "solver": solver}
    alone = TorchMLPClassifier(**SMALL, **exact)
    mixed = clone(alone)
    for epoch in range(6):
        alone.partial_fit(X, y, classes=[0, 1, 2])
        mixed.set_params(backend=["torch", "skorch"][epoch % 2])
        mixed.partial_fit(X, y, classes=[0, 1, 2])
        assert hasattr(mixed, "net_") == bool(epoch % 2)
    assert_allclose(mixed.loss_curve_, alone.loss_curve_, rtol=RTOL)
    assert_allclose(mixed.predict_proba(X), alone.predict_proba(X), rtol=RTOL)


# The net.


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("task", TASKS)
def test_the_net_is_genuine_and_predicts_the_same(task, dtype, early_stopping):
    X, y = make_task(task)
    estimator = make_estimator(task, dtype=dtype, early_stopping=early_stopping, **SMALL)
    net = estimator.fit(X, y).net_
    assert isinstance(net, NeuralNetClassifier if task in CLASSIFICATION else NeuralNetRegressor)
    assert net.initialized_
    assert net.module_ is estimator.module_
    assert not net.module_.training
    # skorch's mean of the batches' losses is our loss curve.
    assert_allclose(net.history[:, "train_loss"], estimator.loss_curve_, rtol=1e-12)
    assert ("valid_loss" in net.history[-1]) == early_stopping
    assert dict(net.callbacks_).keys() >= {"epoch_timer", "train_loss", "print_log"}
    # The same products in the same type, but for the chunks.
    rtol = 1e-5 if dtype == "float32" else 1e-12
    if task in REGRESSION:
        assert net.predict(X).shape == estimator.predict(X).shape
        assert_allclose(net.predict(X), estimator.predict(X), rtol=rtol, atol=rtol)
        return
    assert_array_equal(net.predict(X), estimator.predict(X))
    assert_allclose(net.predict_proba(X), estimator.predict_proba(X), rtol=rtol, atol=1e-7)
    assert_array_equal(net.classes_, estimator.classes_)


@pytest.mark.parametrize(
    "container", [scipy.sparse.csr_array, scipy.sparse.csc_matrix, torch.tensor, np.ndarray.tolist]
)
def test_the_net_predicts_what_the_estimator_predicts(letters, container):
    X, y = letters
    estimator = TorchMLPClassifier(backend="skorch", **SMALL).fit(X, y)
    assert_array_equal(estimator.net_.predict(container(X)), estimator.predict(X))


def test_the_net_scores_and_computes_a_loss_of_labels(letters):
    X, y = letters
    estimator = TorchMLPClassifier(backend="skorch", dtype="float64", **SMALL).fit(X, y)
    assert estimator.net_.score(X, y) == estimator.score(X, y)
    step = estimator.net_.validation_step((torch.tensor(X), y))
    expected = -estimator.predict_log_proba(X)[np.arange(len(y)), LETTERS.searchsorted(y)].mean()
    assert_allclose(step["loss"], expected, rtol=1e-12)


def test_the_net_of_a_native_fit_is_an_error(iris):
    estimator = TorchMLPClassifier(**SMALL).fit(*iris)
    with pytest.raises(AttributeError, match="only backend='skorch' has a net"):
        _ = estimator.net_


def test_the_net_cannot_be_trained_behind_the_estimators_back(iris):
    X, y = iris
    estimator = TorchMLPClassifier(backend="skorch", **SMALL).fit(X, y)
    before = estimator.predict_proba(X)
    with pytest.raises(SkorchTrainingImpossibleError, match="call the fit or partial_fit of the"):
        estimator.net_.partial_fit(X.astype(np.float32), y)
    assert_array_equal(estimator.predict_proba(X), before)


def test_the_net_goes_on_with_partial_fit_and_warm_start(iris):
    X, y = iris
    estimator = TorchMLPClassifier(backend="skorch", warm_start=True, **SMALL).fit(X, y)
    net = estimator.net_
    assert len(net.history) == 6
    assert estimator.partial_fit(X, y).net_ is net
    assert len(net.history) == 7
    assert estimator.fit(X, y).net_ is net
    assert len(net.history) == 13
    assert_allclose(net.history[:, "train_loss"], estimator.loss_curve_, rtol=1e-12)
    assert estimator.set_params(warm_start=False).fit(X, y).net_ is not net


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_a_loaded_estimator_has_its_net(letters, copied):
    X, y = letters
    estimator = with_callbacks(LRScheduler("StepLR", step_size=2), EpochScoring("accuracy"))
    estimator.fit(X, y)
    loaded = copied(estimator)
    assert isinstance(loaded.net_, NeuralNetClassifier)
    assert loaded.net_.module_ is loaded.module_
    assert loaded.net_ is not estimator.net_
    assert_array_equal(loaded.net_.predict(X), estimator.predict(X))
    # The records of batches grow with the data, and are left out.
    assert loaded.net_.history[:, "train_loss"] == estimator.net_.history[:, "train_loss"]
    assert loaded.net_.history[-1, "batches"] == []
    assert [name for name, _ in loaded.net_.callbacks_] == [
        name for name, _ in estimator.net_.callbacks_
    ]
    net = loaded.net_
    assert loaded.partial_fit(X, y).net_ is net
    assert_allclose(loaded.history_["loss"], estimator.partial_fit(X, y).history_["loss"])
    assert list(loaded.history_["learning_rate"]) == list(estimator.history_["learning_rate"])


def test_the_net_alone_can_be_pickled(letters):
    X, y = letters
    estimator = TorchMLPClassifier(backend="skorch", **SMALL).fit(X, y)
    net = pickle.loads(pickle.dumps(estimator.net_))
    assert_array_equal(net.predict(X), estimator.predict(X))
    assert len(net.history[-1, "batches"]) == 6


def test_the_net_can_be_trimmed_for_prediction(letters):
    X, y = letters
    estimator = with_callbacks(GradientNormClipping(1.0)).fit(X, y)
    expected = copy.deepcopy(estimator).partial_fit(X, y).predict_proba(X)
    estimator.net_.trim_for_prediction()
    assert len(estimator.backend_params["callbacks"]) == 1
    loaded = pickle.loads(pickle.dumps(estimator))
    for one in (estimator, loaded):
        assert_array_equal(one.net_.predict(X), one.predict(X))
        # The estimator goes on all the same, with a new net.
        assert_array_equal(one.partial_fit(X, y).predict_proba(X), expected)
        assert len(one.net_.history) == 1


# The three wrong answers that plain skorch gives in silence.


def test_one_dimensional_targets_are_learnt(diabetes):
    # Plain skorch subtracts (n,) from (n, 1), which makes an (n, n) matrix: R2 near 0.
    X, _ = diabetes
    y = X @ np.arange(1.0, 11.0) / 20
    settings = {"max_iter": 200, "random_state": 0, "backend": "skorch"}
    flat = TorchMLPRegressor(**settings).fit(X, y)
    assert flat.score(X, y) > 0.99
    with pytest.warns(UserWarning, match="A column-vector y was passed"):
        column = TorchMLPRegressor(**settings).fit(X, y[:, np.newaxis])
    assert_array_equal(column.predict(X), flat.predict(X))
    assert flat.net_.predict(X).shape == (len(X),)


@pytest.mark.parametrize("labels", [[5, 7], [-1, 1], [3, 5, 7], ["no", "yes"]], ids=str)
def test_predictions_are_among_the_labels(digits, labels):
    # Plain skorch takes labels for the numbers of outputs, and predicts such numbers.
    X, codes = digits
    y = np.array(labels)[codes % len(labels)]
    estimator = TorchMLPClassifier(backend="skorch", **SMALL).fit(X, y)
    for predictor in (estimator, estimator.net_):
        assert set(predictor.predict(X)) <= set(labels)
        assert predictor.predict_proba(X).shape == (len(X), len(labels))
    assert estimator.score(X, y) > 1 / len(labels)


def test_the_loss_takes_logits_and_predictions_are_probabilities(digits):
    # Plain skorch's default loss takes the logarithm of logits: NaN.
    X, y = digits
    estimator = TorchMLPClassifier(backend="skorch", **SMALL).fit(X, y)
    losses = estimator.net_.history[:, "train_loss"]
    assert np.isfinite(losses).all()
    assert np.isfinite([row["train_loss"] for row in estimator.net_.history[-1, "batches"]]).all()
    assert losses[-1] < losses[0]
    probabilities = estimator.net_.predict_proba(X)
    assert probabilities.min() >= 0
    assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


# skorch's callbacks.


@pytest.mark.parametrize("use_caching", [False, True])
def test_epoch_scoring(letters, use_caching):
    X, y = letters
    kinds = [
        EpochScoring("f1_macro", name="f1", use_caching=use_caching),
        EpochScoring("neg_log_loss", name="log_loss", use_caching=use_caching),
        EpochScoring("accuracy", on_train=True, name="train_acc", use_caching=use_caching),
        BatchScoring("accuracy", on_train=True, name="batch_acc"),
    ]
    estimator = with_callbacks(*kinds, early_stopping=True, dtype="float64").fit(X, y)
    history = estimator.net_.history
    # skorch's own accuracy on the held-out part is the one that early stopping watches.
    assert_allclose(history[:, "valid_acc"], estimator.validation_scores_, rtol=1e-12)
    assert_allclose(history[:, "log_loss"], -np.array(history[:, "valid_loss"]), rtol=1e-9)
    assert len(history[:, "f1"]) == estimator.n_iter_
    assert all(0 <= value <= 1 for value in history[:, "train_acc"])
    if use_caching:
        # Both then score what each batch's step has predicted.
        assert_allclose(history[:, "train_acc"], history[:, "batch_acc"], rtol=1e-12)


def test_epoch_scoring_of_a_regression(diabetes):
    X, y = diabetes
    scoring = EpochScoring("r2", name="r2", lower_is_better=False)
    estimator = TorchMLPRegressor(
        backend="skorch", backend_params={"callbacks": [scoring]}, early_stopping=True, **SMALL
    )
    estimator.fit(X, y)
    assert_allclose(estimator.net_.history[:, "r2"], estimator.validation_scores_, rtol=1e-5)


def test_early_stopping_by_skorch(letters):
    X, y = letters
    stopping = EarlyStopping("train_loss", patience=3, threshold=10.0, load_best=True)
    estimator = with_callbacks(stopping, max_iter=50, dtype="float64").fit(X, y)
    # The first epoch counts as the best; nothing after it is better by ten times.
    assert estimator.n_iter_ == len(estimator.net_.history) == 4
    assert len(estimator.loss_curve_) == 4
    best = with_callbacks(max_iter=1, dtype="float64").fit(X, y)
    assert_allclose(estimator.predict_proba(X), best.predict_proba(X), rtol=1e-12)


class Spoil(Callback):
    """Make the last epochs worse than the best."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) > 4:
            net.module_.layers[1].bias.data[0] = 100.0


def test_checkpoint_saves_and_restores_the_best(letters, tmp_path):
    X, y = letters
    checkpoint = Checkpoint(
        "train_loss_best", dirname=tmp_path, f_pickle="net.pkl", load_best=True
    )

    estimator = with_callbacks(Spoil(), checkpoint, dtype="float64").fit(X, y)
    assert {path.name for path in tmp_path.iterdir()} == {
        "params.pt",
        "optimizer.pt",
        "criterion.pt",
        "history.json",
        "net.pkl",
    }
    events = estimator.net_.history[:, "event_cp"]
    best = max(epoch for epoch, is_saved in enumerate(events) if is_saved)
    assert best == 3
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    for name, parameter in estimator.module_.named_parameters():
        assert_array_equal(parameter.detach(), saved[name])
    memory = torch.load(tmp_path / "optimizer.pt", weights_only=True)["memory"]
    assert memory["step"] == 6 * (best + 1)
    assert len(json.loads((tmp_path / "history.json").read_text())) == best + 1
    with open(tmp_path / "net.pkl", "rb") as file:
        assert_array_equal(pickle.load(file).predict(X), estimator.predict(X))
    # Training goes on from the best weights and the optimizer that goes with them.
    best = with_callbacks(max_iter=best + 1, dtype="float64").fit(X, y)
    estimator.set_params(backend_params=None).partial_fit(X, y)
    assert_allclose(estimator.predict_proba(X), best.partial_fit(X, y).predict_proba(X))


@pytest.mark.parametrize("step_every", ["epoch", "batch"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_learning_rate_scheduler(letters, solver, step_every):
    X, y = letters
    scheduler = LRScheduler("StepLR", step_size=2, gamma=0.5, step_every=step_every)
    estimator = with_callbacks(scheduler, solver=solver, learning_rate_init=0.1).fit(X, y)
    if step_every == "epoch":
        expected = [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]
        assert_allclose(estimator.history_["learning_rate"], expected)
        assert_allclose(estimator.net_.history[:, "event_lr"], expected)
    else:
        rates = estimator.net_.history[:, "batches", :, "event_lr"]
        assert_allclose(np.ravel(rates), 0.1 * 0.5 ** (np.arange(36) // 2))
    plain = with_callbacks(solver=solver, learning_rate_init=0.1).fit(X, y)
    assert not np.allclose(estimator.loss_curve_, plain.loss_curve_)


def test_a_rate_of_zero_by_a_scheduler_trains_nothing(letters):
    X, y = letters
    scheduler = LRScheduler("LambdaLR", lr_lambda=lambda epoch: float(epoch == 0))
    estimator = with_callbacks(scheduler).fit(X, y)
    first = with_callbacks(max_iter=1).fit(X, y)
    assert_array_equal(estimator.predict_proba(X), first.predict_proba(X))


def test_gradients_can_be_clipped(letters):
    X, y = letters
    norms = []

    class Watch(Callback):
        """Note the gradient's norm."""

        def on_grad_computed(self, net, named_parameters, **kwargs):
            squares = [parameter.grad.square().sum() for _, parameter in named_parameters]
            norms.append(float(sum(squares)) ** 0.5)

    clipped = with_callbacks(GradientNormClipping(0.01), Watch(), solver="sgd", alpha=0.0)
    clipped.fit(X, y)
    assert_allclose(norms, 0.01, rtol=1e-3)
    assert clipped.loss_ > with_callbacks(solver="sgd", alpha=0.0).fit(X, y).loss_


def test_a_layer_can_be_frozen(letters):
    X, y = letters
    estimator = with_callbacks(Freezer("layers.0.*"), alpha=0.0).fit(X, y)
    begun = with_callbacks(max_iter=1, learning_rate_init=1e-12, alpha=0.0).fit(X, y)
    assert_allclose(estimator.coefs_[0], begun.coefs_[0], atol=1e-9)
    assert not np.allclose(estimator.coefs_[1], begun.coefs_[1], atol=1e-3)


def test_gradients_replaced_by_a_callback_count(letters):
    X, y = letters

    class Forget(Callback):
        """Replace the gradients by others, which are 0."""

        def on_grad_computed(self, net, named_parameters, **kwargs):
            for _, parameter in named_parameters:
                parameter.grad = torch.zeros_like(parameter)

    estimator = with_callbacks(Forget(), alpha=0.0).fit(X, y)
    begun = with_callbacks(max_iter=1, learning_rate_init=1e-12, alpha=0.0).fit(X, y)
    assert_allclose(estimator.coefs_[0], begun.coefs_[0], atol=1e-9)


def test_a_progress_bar(letters, capsys):
    with_callbacks(ProgressBar(), early_stopping=True).fit(*letters)
    # 270 samples to train on make 6 batches; the 30 held out are shown as one more.
    assert "/7 [" in capsys.readouterr().err


def test_a_callback_sees_every_epoch_with_its_record(letters):
    X, y = letters
    seen = []

    class Watch(Callback):
        """Note the order of events."""

        def on_train_begin(self, net, X, y, **kwargs):
            seen.append(("begin", len(X)))

        def on_epoch_end(self, net, dataset_train, dataset_valid, **kwargs):
            seen.append(("epoch", net.history[-1, "train_loss"]))

        def on_train_end(self, net, **kwargs):
            seen.append(("end", len(net.history)))

    estimator = with_callbacks(Watch(), max_iter=200, tol=0.5, n_iter_no_change=2).fit(X, y)
    assert estimator.n_iter_ < 200
    epochs = [("epoch", loss) for loss in estimator.loss_curve_]
    assert [name for name, _ in seen] == ["begin", *["epoch"] * len(epochs), "end"]
    assert seen[0] == ("begin", 300)
    assert_allclose([value for _, value in seen[1:-1]], estimator.loss_curve_, rtol=1e-12)


def test_default_callbacks_can_be_switched_off_and_set(letters):
    parameters = {"callbacks__print_log": None, "callbacks__valid_acc__name": "accuracy"}
    estimator = TorchMLPClassifier(
        backend="skorch", backend_params=parameters, early_stopping=True, **SMALL
    ).fit(*letters)
    assert "print_log" not in dict(estimator.net_.callbacks_)
    assert "accuracy" in estimator.net_.history[-1]


# Sparse samples.


class LastBatch(Callback):
    """Keep the last batch's samples, and the optimizer's memory as it is before a fit ends."""

    def on_batch_end(self, net, batch, training, **kwargs):
        self.inputs = batch[0]

    def on_train_end(self, net, **kwargs):
        self.memory = copy.deepcopy(net.optimizer_.state_dict()["memory"])


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"solver": "sgd"}])
def test_sparse_samples_are_multiplied_as_they_are(documents, options):
    X, y = documents
    last = LastBatch()
    estimator = with_callbacks(last, dtype="float64", **options).fit(X, y)
    assert last.inputs.layout == torch.sparse_coo
    native = TorchMLPClassifier(dtype="float64", **{**SMALL, **options}).fit(X, y)
    dense = with_callbacks(dtype="float64", **options).fit(X.toarray(), y)
    for other in (native, dense):
        assert_allclose(estimator.loss_curve_, other.loss_curve_, rtol=RTOL)
    assert_allclose(estimator.predict_proba(X), dense.predict_proba(X.toarray()), rtol=RTOL)
    # What training remembers is in the order that dense samples go on from.
    for one in (estimator, native, dense):
        one.set_params(early_stopping=False).partial_fit(X.toarray(), y)
    assert_allclose(estimator.coefs_[0], dense.coefs_[0], rtol=RTOL, atol=1e-12)
    assert_allclose(estimator.coefs_[0], native.coefs_[0], rtol=RTOL, atol=1e-12)


def linear(n_features_in, n_outputs):
    """A user's network."""
    return torch.nn.Linear(n_features_in, n_outputs)


@pytest.mark.parametrize(
    "options", [{"input_dropout": 0.1}, {"dtype": "bfloat16"}, {"module": linear}]
)
def test_what_cannot_multiply_sparse_samples_is_given_dense_ones(documents, options):
    X, y = documents
    last = LastBatch()
    with_callbacks(last, **options).fit(X, y)
    assert last.inputs.layout == torch.strided


def test_an_optimizer_saved_in_a_sparse_fit_is_in_the_order_of_the_layers(documents):
    X, y = documents
    last = LastBatch()
    estimator = with_callbacks(last, dtype="float64").fit(X, y)
    after = estimator.net_.optimizer_.state_dict()["memory"]
    assert last.memory.keys() == after.keys()
    for name, moment in after.items():
        assert_array_equal(last.memory[name], moment)
    # Loaded within a sparse fit, it is brought into that fit's order.
    estimator.set_params(backend_params=None, max_iter=1)
    again = copy.deepcopy(estimator)

    class Reload(Callback):
        def on_train_begin(self, net, **kwargs):
            net.optimizer_.load_state_dict(net.optimizer_.state_dict())

    again.net_.callbacks_.append(("reload", Reload()))
    estimator.partial_fit(X, y)
    again.partial_fit(X, y)
    assert_array_equal(again.coefs_[0], estimator.coefs_[0])


# backend_params.


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_array])
def test_workers_load_the_same_batches(letters, kind):
    X, y = letters
    weights = np.random.RandomState(0).uniform(0.1, 3, len(y))
    parameters = {"iterator_train__num_workers": 1, "iterator_valid__num_workers": 1}
    state = torch.get_rng_state()
    alone, loaded = (
        TorchMLPClassifier(
            backend="skorch",
            backend_params=backend_params,
            early_stopping=True,
            dtype="float64",
            **SMALL,
        ).fit(kind(X), y, sample_weight=weights)
        for backend_params in (None, parameters)
    )
    # A product rounds by how its arguments lie in memory.
    assert_allclose(loaded.loss_curve_, alone.loss_curve_, rtol=1e-12)
    assert loaded.validation_scores_ == alone.validation_scores_
    assert_array_equal(loaded.net_.predict(kind(X)), alone.predict(X))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_network_can_be_compiled(letters):
    # torch's backend "eager" needs no compiler on the machine.
    X, y = letters
    parameters = {"compile": True, "compile__backend": "eager"}
    compiled = TorchMLPClassifier(backend="skorch", backend_params=parameters, **SMALL).fit(X, y)
    plain = TorchMLPClassifier(backend="skorch", **SMALL).fit(X, y)
    assert type(compiled.net_.module_).__name__ == "OptimizedModule"
    assert_allclose(compiled.loss_curve_, plain.loss_curve_, rtol=1e-6)
    assert_array_equal(compiled.net_.predict(X), plain.predict(X))
    loaded = pickle.loads(pickle.dumps(compiled))
    assert_array_equal(loaded.net_.predict(X), plain.predict(X))


def test_a_grid_reaches_the_backend_and_its_parameters(iris):
    X, y = iris
    clipping = [{"callbacks": [GradientNormClipping(norm)]} for norm in (1e-3, 10.0)]
    grid = [
        {"backend": ["torch"], "backend_params": [None]},
        {"backend": ["skorch"], "backend_params": [None, *clipping]},
    ]
    estimator = TorchMLPClassifier(solver="sgd", **SMALL)
    search = GridSearchCV(estimator, grid, cv=2, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] == scores[1] == scores[3]
    assert scores[2] != scores[1]


def test_parameters_are_left_as_they_were_given(letters):
    callbacks = [EpochScoring("accuracy", on_train=True, name="a")]
    parameters = {"callbacks": callbacks}
    estimator = TorchMLPClassifier(backend="skorch", backend_params=parameters, **SMALL)
    estimator.fit(*letters)
    assert estimator.backend_params is parameters
    assert parameters == {"callbacks": callbacks}
    assert len(callbacks) == 1
    assert isinstance(clone(estimator).backend_params["callbacks"][0], EpochScoring)


def test_max_iter_reached_warns(iris):
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(6\) reached"):
        TorchMLPClassifier(backend="skorch", **SMALL).fit(*iris)
