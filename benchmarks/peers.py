"""The peers: who does the work, each in the best form that its users would write.

A peer turns a workload and its data into a call that does the work and nothing else. What a peer
would do once, before any training (importing, having its data in the dtype it wants), is outside
the call; building the network and the optimizer is inside, as in scikit-learn's `fit`.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks.agreement import (
    CLIPPED_CURVE_MARGIN,
    FLOAT32_CURVE_MARGIN,
    FLOAT64_CURVE_MARGIN,
)
from benchmarks.workloads import Problem, Workload, make_synthetic

Precision = Literal["float64", "float32"]


@dataclass(frozen=True)
class Trained:
    """What a fit leaves behind.

    Attributes
    ----------
    predict : callable
        From features (rows, features) to labels or values (rows,).
    loss_curve : ndarray of shape (epochs,) or None
        None for a peer that follows a trajectory of its own.
    """

    predict: Callable[[Any], npt.NDArray[Any]]
    loss_curve: npt.NDArray[np.float64] | None = None


Result = Trained | npt.NDArray[Any]
"""What a call gives: the trained model for a fit, the predictions for a prediction."""


class Peer(ABC):
    """One way to train a multilayer perceptron.

    Attributes
    ----------
    name : str
        What the command line calls it.
    title : str
        What the report calls it.
    input_dtype : {"float64", "float32"}
        The dtype of the X (and of a real-valued y) that it is given.
    curve_margin : float or None
        How closely it follows scikit-learn's trajectory; None if it goes its own way, and is held
        to the test score instead.
    is_ours : bool
        Whether a disagreement is this project's fault.
    """

    name: str
    title: str
    input_dtype: Precision = "float32"
    curve_margin: float | None = None
    is_ours: bool = False

    def refusal(self, workload: Workload) -> str | None:
        """Why the peer cannot do this workload; None if it can."""
        return None

    def in_float64(self) -> "Peer | None":
        """The same peer computing in float64; None where there is none, or this is it."""
        return None

    @abstractmethod
    def fit_call(self, workload: Workload, problem: Problem, device: str) -> Callable[[], Trained]:
        """A call that trains from scratch."""

    def predict_call(
        self, workload: Workload, problem: Problem, device: str
    ) -> Callable[[], npt.NDArray[Any]]:
        """A call that predicts the test rows `workload.calls` times with a fitted model."""
        predict = self.fit_call(workload, problem, device)().predict
        rows, calls = problem.X_test, workload.calls

        def call() -> npt.NDArray[Any]:
            for _ in range(calls - 1):
                predict(rows)
            return predict(rows)

        return call

    def prepare(self, workload: Workload, problem: Problem, device: str) -> Callable[[], Result]:
        """The call that is timed; `problem` is in the peer's input dtype."""
        if workload.kind == "predict":
            return self.predict_call(workload, problem, device)
        return self.fit_call(workload, problem, device)


def quiet_fit(estimator: Any, problem: Problem) -> Trained:
    """Fit a scikit-learn estimator that is meant to run into `max_iter`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(problem.X_train, problem.y_train)
    # lbfgs records no curve in scikit-learn, only where it ended.
    curve = getattr(estimator, "loss_curve_", None)
    if curve is None or estimator.solver == "lbfgs":
        curve = [estimator.loss_]
    return Trained(estimator.predict, np.asarray(curve, dtype=np.float64))


class ScikitLearn(Peer):
    """scikit-learn's own estimators, on arrays of either precision."""

    def __init__(self, precision: Precision) -> None:
        self.name = f"sklearn-{precision}"
        self.title = f"scikit-learn, {precision}"
        self.input_dtype = precision
        is_reference = precision == "float64"
        self.curve_margin = FLOAT64_CURVE_MARGIN if is_reference else CLIPPED_CURVE_MARGIN

    def fit_call(self, workload: Workload, problem: Problem, device: str) -> Callable[[], Trained]:
        estimator = MLPClassifier if workload.task == "classification" else MLPRegressor
        settings = workload.sklearn_settings()
        return lambda: quiet_fit(estimator(**settings), problem)


class Ours(Peer):
    """This project's estimators.

    Parameters
    ----------
    name, title : str
        As in `Peer`.
    curve_margin : float
        As in `Peer`.
    input_dtype : {"float64", "float32"}
        The default peer takes the float64 arrays that scikit-learn's users have; its conversion
        counts against it.
    **options
        `dtype` and `backend` for the constructor.
    """

    is_ours = True

    def __init__(
        self,
        name: str,
        title: str,
        curve_margin: float = FLOAT32_CURVE_MARGIN,
        input_dtype: Precision = "float64",
        **options: str,
    ) -> None:
        self.name, self.title = name, title
        self.curve_margin, self.input_dtype = curve_margin, input_dtype
        self.options = options
        self._refusal: str | None = None
        self._probed = False

    def estimator(self, workload: Workload, device: str) -> Any:
        """An unfitted estimator with the workload's settings."""
        import sklearn_mlp

        name = f"TorchMLP{'Classifier' if workload.task == 'classification' else 'Regressor'}"
        return getattr(sklearn_mlp, name)(
            **workload.sklearn_settings(), device=device, **self.options
        )

    def refusal(self, workload: Workload) -> str | None:
        """What the backend lacks, or a tiny fit's error, where this version lacks an option."""
        if workload.solver == "lbfgs" and self.options.get("backend") == "skorch":
            return "skorch has no such lbfgs"
        if not self._probed:
            self._probed = True
            tiny = Workload("probe", "probe", lambda source: problem, epochs=1, batch_size=10)
            problem = make_synthetic(20, n_features=2, n_classes=2, n_test=1)
            try:
                quiet_fit(self.estimator(tiny, "cpu"), problem)
            except Exception as error:
                self._refusal = f"{type(error).__name__}: {error}".splitlines()[0]
        return self._refusal

    def in_float64(self) -> "Ours | None":
        """The same estimator with ``dtype="float64"``."""
        if self.options.get("dtype") == "float64":
            return None
        options = {**self.options, "dtype": "float64"}
        return Ours(self.name, self.title, FLOAT64_CURVE_MARGIN, **options)

    def fit_call(self, workload: Workload, problem: Problem, device: str) -> Callable[[], Trained]:
        return lambda: quiet_fit(self.estimator(workload, device), problem)


REFERENCE = ScikitLearn("float64")
"""The peer that all results are held to."""

OURS = Ours("ours", "sklearn_mlp")
"""The peer that all times are divided by."""


def all_peers() -> dict[str, Peer]:
    """Every peer by name, in the order in which they run and are shown."""
    from benchmarks.skorch_peer import Skorch
    from benchmarks.torch_peers import PlainLoader, PlainLoop, SingleThreadLoop

    peers: list[Peer] = [
        OURS,
        Ours("ours-float64", "sklearn_mlp, float64", FLOAT64_CURVE_MARGIN, dtype="float64"),
        Ours("ours-float32-input", "sklearn_mlp, float32 input", input_dtype="float32"),
        Ours("ours-skorch", "sklearn_mlp, skorch backend", backend="skorch"),
        REFERENCE,
        ScikitLearn("float32"),
        Skorch(),
        PlainLoader(),
        PlainLoop(),
        SingleThreadLoop(),
    ]
    return {peer.name: peer for peer in peers}
