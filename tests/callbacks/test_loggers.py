"""Callbacks that log a fit's records to MLflow and TensorBoard, by the real libraries."""

import importlib
import pickle
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import (
    BatchedGridSearchCV,
    MLflowLogger,
    TensorBoardLogger,
    TorchMLPClassifier,
    TorchMLPRegressor,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Theirs, of which there are some each year.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*type hint:UserWarning"),
]

X, Y = load_iris(return_X_y=True)
TRUSTED = {
    "TorchMLPClassifier": "sklearn_mlp.estimators.classifier.TorchMLPClassifier",
    "BatchedGridSearchCV": "sklearn_mlp.search.searches.BatchedGridSearchCV",
}
CURVES = {"loss", "validation_loss", "validation_score", "learning_rate", "seconds"}


def assert_logged(curve, estimator, name):
    """Compare (step, value) pairs with a column of the history."""
    column = estimator.history_[name]
    assert [step for step, _ in curve] == list(column.index)
    np.testing.assert_allclose([value for _, value in curve], column, rtol=1e-6)


# TensorBoard.


@pytest.fixture
def curves():
    """What reads a folder: (step, value) pairs by name."""
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(folder):
        events = EventAccumulator(str(folder)).Reload()
        names = events.Tags()["scalars"]
        return {name: [(one.step, one.value) for one in events.Scalars(name)] for name in names}

    return read


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_tensorboard_has_each_epoch(make_classifier, curves, tmp_path, solver):
    estimator = make_classifier(solver=solver)
    estimator.set_callbacks(TensorBoardLogger(tmp_path / "run")).fit(X, Y)
    found = curves(tmp_path / "run")
    assert found.keys() == {"loss", "seconds"} | ({"learning_rate"} if solver == "adam" else set())
    assert_logged(found["loss"], estimator, "loss")


def test_tensorboard_goes_on_where_training_does(make_regressor, curves, tmp_path):
    estimator = make_regressor(early_stopping=True)
    estimator.set_callbacks(TensorBoardLogger(str(tmp_path)))
    for _ in range(3):
        estimator.partial_fit(X, Y, X_val=X[:9], y_val=Y[:9])
    found = curves(tmp_path)
    assert found.keys() == CURVES
    for name in ("loss", "validation_loss", "validation_score"):
        assert_logged(found[name], estimator, name)


def test_tensorboard_under_a_search(curves, tmp_path):
    estimator = TorchMLPClassifier((4,), max_iter=2, random_state=0)
    estimator.set_callbacks(TensorBoardLogger(tmp_path))
    pipeline = make_pipeline(StandardScaler(), estimator)
    grid = {"torchmlpclassifier__alpha": [0.1, 1.0]}
    GridSearchCV(pipeline, grid, cv=2).fit(X, Y)
    folders = sorted(path.name for path in tmp_path.iterdir())
    candidates = [f"candidate-split-evaluation-{i}_fit-final-estimator-1" for i in range(4)]
    assert folders[:4] == candidates
    assert folders[4].startswith("refit-with-best-params")
    for name in folders:
        assert [step for step, _ in curves(tmp_path / name)["loss"]] == [1, 2]


# MLflow.


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow, with a store of its own in a temporary folder."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow = pytest.importorskip("mlflow", "3.7", reason="mlflow 3.7 is not installed")
        importlib.import_module("mlflow.sklearn")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    mlflow.set_experiment("iris")
    yield mlflow
    mlflow.set_tracking_uri(before)


def curves_of(mlflow, run_id):
    """Return a run's metrics, as (step, value) pairs by name."""
    client = mlflow.MlflowClient()
    names = client.get_run(run_id).data.metrics
    return {
        name: [(one.step, one.value) for one in client.get_metric_history(run_id, name)]
        for name in names
    }


def test_mlflow_has_parameters_and_each_epoch(make_classifier, mlflow):
    estimator = make_classifier(early_stopping=True, alpha=0.5)
    estimator.set_callbacks(MLflowLogger()).fit(X, Y)
    (run,) = mlflow.search_runs(output_format="list", experiment_names=["iris"])
    assert run.info.run_name == "TorchMLPClassifier"
    assert run.info.status == "FINISHED"
    assert run.data.params["alpha"] == "0.5"
    assert run.data.params.keys() == estimator.get_params().keys()
    found = curves_of(mlflow, run.info.run_id)
    assert found.keys() == CURVES
    for name in ("loss", "validation_score"):
        assert_logged(found[name], estimator, name)
    assert mlflow.active_run() is None


def test_mlflow_logs_into_the_active_run_and_the_one_that_is_named(mlflow):
    estimator = TorchMLPRegressor(max_iter=2, random_state=0).set_callbacks(MLflowLogger())
    with mlflow.start_run() as run:
        for _ in range(3):
            estimator.partial_fit(X, Y)
    assert_logged(curves_of(mlflow, run.info.run_id)["loss"], estimator, "loss")
    with mlflow.start_run() as other:
        pass
    logger = MLflowLogger(other.info.run_id, log_params=False)
    estimator.set_callbacks(logger).fit(X, Y)
    assert_logged(curves_of(mlflow, other.info.run_id)["loss"], estimator, "loss")
    assert mlflow.get_run(other.info.run_id).data.params == {}
    assert len(mlflow.search_runs(output_format="list")) == 2


def test_mlflow_has_a_child_run_for_each_fit_of_a_search(mlflow):
    estimator = TorchMLPClassifier((4,), max_iter=2, random_state=0)
    search = BatchedGridSearchCV(
        estimator.set_callbacks(MLflowLogger()), {"alpha": [0.1, 1.0]}, cv=2
    )
    with mlflow.start_run() as run:
        search.fit(X, Y)
    children = mlflow.search_runs(
        output_format="list", filter_string=f"tags.mlflow.parentRunId = '{run.info.run_id}'"
    )
    assert len(children) == 5
    assert {one.data.params["alpha"] for one in children} == {"0.1", "1.0"}
    assert {one.info.status for one in children} == {"FINISHED"}
    for one in children:
        assert len(curves_of(mlflow, one.info.run_id)["loss"]) == 2
    # Another process logs into the run that is active in this one.
    with mlflow.start_run() as run:
        logger = pickle.loads(pickle.dumps(MLflowLogger()))
    estimator.set_callbacks(logger).fit(X, Y)
    assert_logged(curves_of(mlflow, run.info.run_id)["loss"], estimator, "loss")


def test_a_fit_that_fails_is_a_run_that_has(mlflow):
    class Stop:
        """A callback that fails."""

        def setup(self, estimator, context): ...

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("no")

    estimator = TorchMLPClassifier(max_iter=2).set_callbacks(MLflowLogger(), Stop())
    with pytest.raises(RuntimeError, match="no"):
        estimator.fit(X, Y)
    (run,) = mlflow.search_runs(output_format="list")
    assert run.info.status == "FAILED"


def test_a_fit_goes_on_where_mlflow_does_not(mlflow, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no connection")

    logger = MLflowLogger(log_params=False)
    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", fail)
    estimator = TorchMLPClassifier(max_iter=3, random_state=0).set_callbacks(logger)
    with pytest.warns(UserWarning, match="logs no more of this fit, .* OSError: no connection"):
        estimator.fit(X, Y)
    assert estimator.n_iter_ == 3


@pytest.mark.parametrize("kind", ["alone", "pipeline", "search"])
def test_mlflow_keeps_models_by_skops(make_classifier, mlflow, kind):
    model = make_classifier()
    names = ["TorchMLPClassifier"]
    if kind == "pipeline":
        model = make_pipeline(StandardScaler(), model)
    elif kind == "search":
        model = BatchedGridSearchCV(model, {"alpha": [0.1, 1.0]}, cv=2)
        names += ["BatchedGridSearchCV"]
    model.fit(X, Y)
    trusted = [TRUSTED[name] for name in names]
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="skops",
            skops_trusted_types=trusted,
            pip_requirements=[],
        )
    loaded = mlflow.sklearn.load_model(info.model_uri)
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    by_name = mlflow.pyfunc.load_model(info.model_uri)
    assert_array_equal(by_name.predict(X), model.predict(X))


# Without the packages.


@pytest.mark.parametrize(
    ("logger", "package"),
    [(MLflowLogger(), "mlflow"), (TensorBoardLogger("runs"), "tensorboard")],
    ids=["mlflow", "tensorboard"],
)
def test_a_package_that_is_missing_is_named_before_anything_is_trained(
    monkeypatch, logger, package
):
    for name in [package, "torch.utils.tensorboard"]:
        monkeypatch.setitem(sys.modules, name, None)
    estimator = TorchMLPClassifier().set_callbacks(logger)
    with pytest.raises(ImportError, match=f"needs the package {package}, which is not installed"):
        estimator.fit(X, Y)
    assert not hasattr(estimator, "module_")
    pickle.loads(pickle.dumps(estimator))
