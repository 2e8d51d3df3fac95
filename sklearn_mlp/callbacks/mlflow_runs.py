"""A fit's records as the metrics of an MLflow run."""

import time
from collections.abc import Mapping
from typing import Any

from sklearn_mlp.callbacks.records import Records, RecordsCallback

# MLflow takes no longer values of parameters everywhere.
_MAX_PARAMETER = 500


class MLflowLogger(RecordsCallback):
    """Logs a fit to MLflow while it runs: parameters, and each epoch's metrics.

    A callback of scikit-learn's: ``estimator.set_callbacks(MLflowLogger())``. The metrics are the
    columns of ``history_``, ``loss``, ``learning_rate`` and ``seconds``, and with a validation
    set ``validation_loss`` and ``validation_score``; their step is the epoch. It needs the
    package ``mlflow``, or ``mlflow-skinny``.

    Parameters
    ----------
    run_id : str, default=None
        The run to log into. None takes the active one, ``mlflow.start_run()``; where there is
        none, each fit gets a run of its own. Under a search every fit does, as a child of the
        run; those of a `fit` that goes on, or of `partial_fit`, go on in the same run.
    log_params : bool, default=True
        Whether to log the estimator's parameters, those that the run has not yet.

    Notes
    -----
    The model itself is logged by ``mlflow.sklearn.log_model``; with
    ``serialization_format="skops"`` it trusts no class but the estimator's.

    If MLflow fails while a fit runs, the fit goes on, with a warning.

    Examples
    --------
    >>> from sklearn_mlp import MLflowLogger, TorchMLPRegressor
    >>> model = TorchMLPRegressor().set_callbacks(MLflowLogger())
    >>> import mlflow  # doctest: +SKIP
    >>> with mlflow.start_run():  # doctest: +SKIP
    ...     model.fit(X, y)
    """

    def __init__(self, run_id: str | None = None, *, log_params: bool = True) -> None:
        super().__init__()
        self.run_id = run_id
        self.log_params = log_params
        # Where another process finds the run that was active here.
        self._origin: tuple[str, str | None] | None = None

    def _check_installed(self) -> None:
        _import_mlflow()

    def _begin(self, estimator: Any, name: str) -> Records:
        mlflow = _import_mlflow()
        uri, run_id = self._origin or _present(mlflow)
        client = mlflow.MlflowClient(tracking_uri=uri)
        run_id = self.run_id or run_id
        is_own = run_id is None or bool(name)
        if is_own:
            run_id = _new_run(mlflow, client, name or type(estimator).__name__, run_id)
        if self.log_params:
            _log_parameters(client, run_id, estimator)
        return _Run(client, run_id, is_own)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        try:
            origin = self._origin or _present(_import_mlflow())
        except ImportError:
            origin = None
        return {**state, "_origin": origin}


class _Run(Records):
    """A run of MLflow's."""

    def __init__(self, client: Any, run_id: Any, is_own: bool) -> None:
        self._client = client
        self._run_id = run_id
        self._is_own = is_own

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log an epoch's numbers in one request."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now, step) for name, value in values.items()]
        self._client.log_batch(self._run_id, metrics=metrics)

    def close(self, *, is_finished: bool) -> None:
        """End the run, unless it is the user's."""
        if self._is_own:
            status = "FINISHED" if is_finished else "FAILED"
            self._client.set_terminated(self._run_id, status=status)


def _import_mlflow() -> Any:
    """Return the package."""
    try:
        import mlflow
    except ImportError as error:
        raise ImportError(
            "MLflowLogger needs the package mlflow, which is not installed: pip install mlflow, "
            "or mlflow-skinny."
        ) from error
    return mlflow


def _present(mlflow: Any) -> tuple[str, str | None]:
    """Return where MLflow keeps its runs, and the active one."""
    active = mlflow.active_run()
    return mlflow.get_tracking_uri(), None if active is None else active.info.run_id


def _new_run(mlflow: Any, client: Any, name: str, parent: str | None) -> Any:
    """Return the identity of a new run, which is not the active one."""
    if parent is not None:
        experiment_id = client.get_run(parent).info.experiment_id
        tags = {"mlflow.parentRunId": parent}
        return client.create_run(experiment_id, run_name=name, tags=tags).info.run_id
    # In the present experiment, which MLflow tells in no other way.
    with mlflow.start_run(run_name=name) as run:
        pass
    client.update_run(run.info.run_id, status="RUNNING")
    return run.info.run_id


def _log_parameters(client: Any, run_id: Any, estimator: Any) -> None:
    """Log the parameters that a run has not yet: MLflow lets none be changed."""
    from mlflow.entities import Param

    known = client.get_run(run_id).data.params
    parameters = [
        Param(name, str(value)[:_MAX_PARAMETER])
        for name, value in estimator.get_params(deep=False).items()
        if name not in known
    ]
    client.log_batch(run_id, params=parameters)
