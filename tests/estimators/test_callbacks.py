"""scikit-learn's callbacks: on the estimators alone, in a Pipeline, and under a search."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import native_only
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import TorchMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Recorder:
    """Keeps what the hooks are called with; says stop at the end of an epoch."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.calls, self.contexts, self.models = [], [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.calls.append(f"end {context.task_name}")
        self.contexts.append(context)
        self.models.append(fitted_estimator)
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_at


class Counter:
    """Asks for nothing."""

    n_ends = 0

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        self.n_ends += 1


def same_weights(one, other):
    """Whether two estimators have exactly the same parameters."""
    pairs = zip(one.module_.parameters(), other.module_.parameters(), strict=True)
    return all(torch.equal(mine, theirs) for mine, theirs in pairs)


def refuse(*args, **kwargs):
    """Fail where nothing should be called."""
    raise AssertionError


def test_an_epoch_is_a_task(make_classifier, iris):
    recorder = Recorder()
    make_classifier(max_iter=3).set_callbacks(recorder).fit(*iris)
    epoch = ["begin epoch", "end epoch"]
    assert recorder.calls == ["setup", "begin fit", *(3 * epoch), "end fit", "teardown"]
    assert [context.task_id for context in recorder.contexts] == [0, 1, 2, 0]
    assert recorder.contexts[0].parent is recorder.contexts[-1]
    assert recorder.contexts[-1].max_subtasks == 3


def test_a_callback_stops_training(make_classifier, make_regressor, iris, diabetes):
    for make, data in ((make_classifier, iris), (make_regressor, diabetes)):
        recorder = Recorder(stop_at=3)
        estimator = make(max_iter=9).set_callbacks(recorder, Counter()).fit(*data)
        assert estimator.n_iter_ == 3
        assert not estimator.converged_
        assert same_weights(estimator, make(max_iter=3).fit(*data))
        assert recorder.calls[-4:] == ["begin epoch", "end epoch", "end fit", "teardown"]


@native_only
def test_a_callback_stops_lbfgs(make_classifier, iris):
    estimator = make_classifier(solver="lbfgs", max_iter=30).set_callbacks(Recorder(stop_at=3))
    estimator.fit(*iris)
    assert estimator.n_iter_ == 3
    assert same_weights(estimator, make_classifier(solver="lbfgs", max_iter=3).fit(*iris))


@native_only
def test_lbfgs_that_converges_leaves_no_task_open(make_regressor, diabetes):
    X, y = diabetes
    recorder = Recorder()
    settings = {"solver": "lbfgs", "max_iter": 500, "hidden_layer_sizes": ()}
    estimator = make_regressor(**settings).set_callbacks(recorder).fit(X[:, :2], y)
    assert estimator.converged_
    assert recorder.calls.count("begin epoch") == recorder.calls.count("end epoch")
    # The task that had nothing more to do has no model either.
    assert [model is None for model in recorder.models].count(True) <= 1
    assert recorder.calls[-2:] == ["end fit", "teardown"]


def test_stopping_keeps_the_best_weights(make_classifier, iris):
    X, y = iris
    settings = {"early_stopping": True, "max_iter": 20, "learning_rate_init": 0.2}
    estimator = make_classifier(**settings).set_callbacks(Recorder(stop_at=6)).fit(X, y)
    best = int(np.argmax(estimator.validation_scores_)) + 1
    assert estimator.n_iter_ == 6
    assert same_weights(estimator, make_classifier(**{**settings, "max_iter": best}).fit(X, y))


def test_it_is_given_a_fitted_estimator(make_classifier, iris):
    X, y = iris
    recorder = Recorder()
    estimator = make_classifier(max_iter=4).set_callbacks(recorder).fit(X, y)
    for n_epochs, model in enumerate(recorder.models[:-1], start=1):
        alone = make_classifier(max_iter=n_epochs).fit(X, y)
        assert model.n_iter_ == n_epochs
        assert model.loss_curve_ == alone.loss_curve_
        np.testing.assert_array_equal(model.predict_proba(X), alone.predict_proba(X))
        # It is as good as one that a fit has left: it is pickled, and trained on.
        loaded = pickle.loads(pickle.dumps(model)).set_callbacks()
        assert same_weights(loaded.partial_fit(X, y), alone.partial_fit(X, y))
    assert same_weights(recorder.models[-1], estimator)


def test_it_is_given_one_while_an_estimator_goes_on(make_classifier, iris):
    X, y = iris
    recorder = Recorder()
    estimator = make_classifier(max_iter=2, warm_start=True).fit(X, y).set_callbacks(recorder)
    estimator.fit(X, y).partial_fit(X, y)
    assert [len(model.loss_curve_) for model in recorder.models] == [3, 4, 4, 5, 5]
    assert same_weights(recorder.models[-1], estimator)


def test_nothing_is_copied_for_a_callback_that_does_not_ask(make_classifier, iris, monkeypatch):
    counter, estimator = Counter(), make_classifier()
    monkeypatch.setattr(type(estimator), "_reconstruction_attributes", refuse)
    estimator.set_callbacks(counter).fit(*iris)
    assert counter.n_ends == 6


def test_without_callbacks_no_task_is_made(make_classifier, iris, monkeypatch):
    estimator = make_classifier()
    monkeypatch.setattr(type(estimator), "_init_callback_context", refuse)
    estimator.fit(*iris)
    estimator.set_callbacks(Counter()).set_callbacks().fit(*iris)


def test_an_error_tears_down(make_classifier, iris):
    class Failing(Counter):
        is_torn_down = False

        def on_fit_task_end(self, estimator, context):
            raise ZeroDivisionError

        def teardown(self, estimator, context):
            self.is_torn_down = True

    failing = Failing()
    with pytest.raises(ZeroDivisionError):
        make_classifier().set_callbacks(failing).fit(*iris)
    assert failing.is_torn_down


class Interrupting(Recorder):
    """Interrupts in one hook, as Ctrl-C within it would; of epochs, in the second."""

    def __init__(self, hook):
        super().__init__()
        self.hook = hook

    def look(self, hook):
        """Interrupt, if it is time to."""
        if self.hook == hook and self.calls.count(hook) == 1 + ("epoch" in hook):
            raise KeyboardInterrupt

    def setup(self, estimator, context):
        super().setup(estimator, context)
        self.look("setup")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        super().on_fit_task_begin(estimator, context)
        self.look(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        super().on_fit_task_end(estimator, context, fitted_estimator=fitted_estimator)
        self.look(f"end {context.task_name}")


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    ("hook", "n_epochs"),
    [("setup", 0), ("begin fit", 0), ("begin epoch", 1), ("end epoch", 2), ("end fit", 5)],
)
def test_an_interrupt_in_any_hook_leaves_a_model(make_classifier, iris, hook, n_epochs, solver):
    X, y = iris
    interrupting = Interrupting(hook)
    estimator = make_classifier(solver=solver, max_iter=5).set_callbacks(interrupting)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        estimator.fit(X, y)
    assert estimator.n_iter_ == len(estimator.history_) == n_epochs
    assert interrupting.calls[-1] == "teardown"
    assert estimator.predict(X).shape == y.shape
    assert not estimator.module_.training
    pickle.loads(pickle.dumps(estimator)).predict(X)
    if solver == "adam":
        if n_epochs:
            assert same_weights(estimator, make_classifier(max_iter=n_epochs).fit(X, y))
        assert estimator.set_callbacks().partial_fit(X, y).n_iter_ == 1


# scikit-learn's own.


def test_scoring_monitor(make_classifier, iris):
    X, y = iris
    monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    weights = np.arange(len(y)) % 2 + 1.0
    estimator = make_classifier(max_iter=3, scoring="accuracy").set_callbacks(monitor)
    with pytest.warns(ConvergenceWarning):
        # On the training set, as the callback does.
        estimator.fit(X, y, weights, X_val=X, y_val=y, sample_weight_val=weights)
    log = monitor.get_logs().data_as_pandas
    epochs = log[log["task_name"] == "epoch"]
    assert list(epochs["accuracy"]) == estimator.validation_scores_
    np.testing.assert_allclose(
        -epochs["neg_log_loss"], estimator.history_["validation_loss"], rtol=1e-5
    )


def test_names_of_features_are_kept(make_classifier, iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd"))
    monitor = ScoringMonitor(scoring="accuracy")
    # Warnings are errors: a model that is given other names than it was fitted with warns.
    estimator = make_classifier(max_iter=2, early_stopping=True, scoring="accuracy")
    estimator.set_callbacks(monitor).fit(frame, y)
    assert len(monitor.get_logs().data) == 3


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_under_a_search_in_a_pipeline(backend, iris, n_jobs, capsys):
    X, y = iris
    monitor = ScoringMonitor(scoring="accuracy")
    network = TorchMLPClassifier((4,), max_iter=3, random_state=0, backend=backend)
    pipeline = make_pipeline(StandardScaler(), network.set_callbacks(monitor))
    grid = {"torchmlpclassifier__alpha": [1e-4, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    log = monitor.get_logs().data_as_pandas
    # 2 candidates, 2 folds and the refit, each of 3 epochs.
    assert (log["task_name"] == "epoch").sum() == 5 * 3
    output = capsys.readouterr().out
    assert len(re.findall("TorchMLPClassifier - fit", output)) == 5
    assert "100%" in output
    assert not re.search(r"\b\d{1,2}%", output)


def test_clones_share_callbacks_and_pickles_keep_them(make_classifier, iris):
    counter = Counter()
    estimator = make_classifier(max_iter=2).set_callbacks(counter)
    clone(estimator).fit(*iris)
    assert counter.n_ends == 3
    loaded = pickle.loads(pickle.dumps(estimator.fit(*iris)))
    loaded.fit(*iris)
    assert counter.n_ends == 6


def test_what_is_no_callback(make_classifier):
    with pytest.raises(TypeError, match="must be instances following the FitCallback protocol"):
        make_classifier().set_callbacks(print)
