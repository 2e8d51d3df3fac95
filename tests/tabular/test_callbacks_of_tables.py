"""Who looks on while networks for tables are trained: scikit-learn's callbacks, a bar."""

import numpy as np
import pytest
from sklearn.callback import ScoringMonitor
from sklearn.model_selection import GridSearchCV
from test_tabular_fits import SMALL, mixed_table

from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor

TABLE, NUMBER = mixed_table(150)


class Recorder:
    """Keeps what the hooks are called with; says stop when networks have been judged so often."""

    def __init__(self, stop_at=None, X=TABLE):
        self.stop_at, self.X = stop_at, X
        self.calls, self.records, self.models = [], [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.calls.append(f"begin {context.task_name}")
        assert X is self.X

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.calls.append(f"end {context.task_name}")
        self.models.append(fitted_estimator)
        if context.task_name == "epoch":
            self.records.append(context.record)
        return context.task_name == "epoch" and len(self.records) == self.stop_at


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_each_time_that_networks_are_judged_is_a_task(n_jobs):
    recorder = Recorder()
    model = TabularMLPRegressor(n_jobs=n_jobs, **SMALL).set_callbacks(recorder)
    model.fit(TABLE, NUMBER)
    assert [record["epoch"] for record in recorder.records] == list(
        range(1, len(model.history_) + 1)
    )
    assert [record["group"] for record in recorder.records] == list(model.history_["group"])
    assert [record["loss"] for record in recorder.records] == list(model.history_["loss"])
    assert recorder.calls[:2] == ["setup", "begin fit"]
    assert recorder.calls[-2:] == ["end fit", "teardown"]
    # Those of the first group alone, and in the end all there is.
    assert recorder.models[0].n_members_ == 4
    np.testing.assert_array_equal(recorder.models[-1].predict(TABLE), model.predict(TABLE))
    plain = TabularMLPRegressor(**SMALL).fit(TABLE, NUMBER)
    np.testing.assert_array_equal(plain.predict(TABLE), model.predict(TABLE))


def test_a_callback_ends_training():
    recorder = Recorder(stop_at=3)
    model = TabularMLPRegressor(**SMALL).set_callbacks(recorder).fit(TABLE, NUMBER)
    assert len(model.history_) == 3
    assert model.n_members_ == 4
    assert model.predict(TABLE).shape == (150,)


def test_scores_are_monitored_under_a_search():
    monitor = ScoringMonitor(scoring="r2")
    grid = GridSearchCV(TabularMLPRegressor(**SMALL).set_callbacks(monitor), {"cv": [2]}, cv=2)
    grid.fit(TABLE, NUMBER)
    assert monitor.get_logs() is not None


def test_a_bar_is_shown(capsys):
    words = np.where(NUMBER > 0, "yes", "no")
    model = TabularMLPClassifier(verbose="progress", n_jobs=2, **SMALL).fit(TABLE, words)
    shown = capsys.readouterr().err
    assert "TabularMLPClassifier: 100%" in shown
    assert f"{len(model.history_)}/{len(model.history_)}" in shown
    assert "loss=0." in shown
