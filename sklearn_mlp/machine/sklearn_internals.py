"""The private parts of scikit-learn that this package uses, all in one place.

Each has no public counterpart: the parameter table and its error sentences, the check of sample
weights, the reading of SciPy's optimisation result, taking rows of whatever a user passes, and
what the batched searches are made of.
They have been stable since scikit-learn 1.4; the package requires 1.9, against which it is tested.
No other module imports a private name of scikit-learn's; what its classes ask of ours, such as
``_parameter_constraints``, is named where ours define it.

`sklearn.callback` is public in 1.9, as is `CallbackSupportMixin` with `_init_callback_context`,
the way in for estimators of others. Where it keeps the callbacks is not: `has_callbacks` looks
there, so that a fit without any pays nothing. `FittedNetwork._get_fitted_attr_html` is what 1.9
asks an estimator for when it shows it in HTML.

The batched searches run scikit-learn's own `fit`. Their `_run_search` is given a function by it,
and replaces the `Parallel` that this function has as a variable (`with_variable`);
`cross_validate` is run with another `Parallel` (`with_parallel`). What these hand to it, calls of
`_fit_and_score`, and what they expect back, is that of 1.9; `tests/search/test_search.py` compares
every column and message. Where a scikit-learn does it in another way, the fits are made one by
one, by scikit-learn alone, with a warning.

What scikit-learn's own network trains on from is private, too: `training_of` reads it,
`set_training` writes it. It has been the same from 0.24, when the count of epochs without
improvement came, up to 1.9; `tests/export/test_sklearn_models.py` compares every number of the
epochs that follow. Where a later one lacks something of it, training goes on with what is there.
"""

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral
from types import CellType, FunctionType
from typing import Any

import numpy as np
import sklearn
from sklearn.base import _fit_context as fit_context
from sklearn.metrics._scorer import _BaseScorer as BaseScorer
from sklearn.metrics._scorer import _MultimetricScorer as MultimetricScorer
from sklearn.metrics._scorer import _PassthroughScorer as PassthroughScorer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import _fit_and_score as fit_and_score
from sklearn.model_selection._validation import _score as score_estimator
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._metadata_requests import _routing_enabled as routing_enabled
from sklearn.utils._param_validation import (
    HasMethods,
    Options,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._param_validation import Interval as _Interval
from sklearn.utils.metadata_routing import MetadataRequest, get_routing_for_object
from sklearn.utils.metaestimators import _safe_split as safe_split
from sklearn.utils.optimize import _check_optimize_result as check_optimize_result
from sklearn.utils.validation import _check_feature_names_in as check_input_names
from sklearn.utils.validation import _check_method_params as check_method_params
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "BaseScorer",
    "BaseSearchCV",
    "HasMethods",
    "Interval",
    "MultimetricScorer",
    "Options",
    "PassthroughScorer",
    "RealNotInt",
    "StrOptions",
    "TrainingOfMLP",
    "check_input_names",
    "check_method_params",
    "check_optimize_result",
    "check_sample_weight",
    "constraints_of",
    "fit_and_score",
    "fit_context",
    "has_callbacks",
    "is_fit_and_score",
    "routing_enabled",
    "safe_indexing",
    "safe_split",
    "score_estimator",
    "scorers_of",
    "set_training",
    "takes_sample_weight",
    "training_of",
    "validate_parameter_constraints",
    "warn_of_other_search",
    "with_parallel",
    "with_variable",
]

# The parameters of `_fit_and_score` in 1.9 that a stack reads, and those that it need not find.
_NEEDED = {
    *("scorer", "train", "test", "verbose", "parameters", "fit_params", "score_params"),
    *("return_train_score", "error_score"),
}
_KNOWN = _NEEDED | {
    *("return_parameters", "return_n_test_samples", "return_times", "return_estimator"),
    *("split_progress", "candidate_progress", "caller", "callback_ctx"),
}


class Interval(_Interval):
    """scikit-learn's, for any number of Python's numeric tower that float64 can hold.

    scikit-learn's own asks NumPy whether a number is NaN, which fails of a fraction with an error
    that names no parameter, and lets numbers pass that become infinite with the first operation.
    """

    def __contains__(self, value: Any) -> bool:
        """Tell whether a number is in the interval."""
        try:
            number = float(value)
        except OverflowError:
            return False
        if math.isinf(number) and value not in (math.inf, -math.inf):
            return False
        return bool(super().__contains__(value if self.type is Integral else number))


def has_callbacks(estimator: Any) -> bool:
    """Tell whether scikit-learn's callbacks are set on an estimator."""
    return bool(getattr(estimator, "_skl_callbacks", None))


def constraints_of(described: Any) -> dict[str, Any]:
    """Return the parameter table of a class or of a function of scikit-learn's."""
    name = (
        "_parameter_constraints" if isinstance(described, type) else "_skl_parameter_constraints"
    )
    return dict(getattr(described, name, {}))


def scorers_of(scorer: MultimetricScorer) -> Mapping[str, Any]:
    """Return the scorers, by name, that make up one of several metrics."""
    scorers: Mapping[str, Any] = scorer._scorers
    return scorers


def takes_sample_weight(scorer: Any) -> bool:
    """Tell whether a scorer is to be given sample weights.

    What it has requested by metadata routing decides, or else its signature; that of one which
    `make_scorer` has made is its metric's.
    """
    routing = get_routing_for_object(scorer)
    if isinstance(routing, MetadataRequest):
        request = routing.score.requests.get("sample_weight")
        if request is not None:
            # A name stands for other metadata.
            return request is True
    function = scorer._score_func if isinstance(scorer, BaseScorer) else scorer
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    kinds = {parameter.kind for parameter in parameters.values()}
    if "sample_weight" in parameters:
        return parameters["sample_weight"].kind is not inspect.Parameter.POSITIONAL_ONLY
    # What hands on anything says nothing of what it takes.
    takes_any = inspect.Parameter.VAR_KEYWORD in kinds
    return takes_any and inspect.Parameter.VAR_POSITIONAL not in kinds


def is_fit_and_score(task: Any) -> bool:
    """Tell whether a task is a call of `_fit_and_score` with nothing but what is known here."""
    try:
        function, (_, _, _), options = task
    except (TypeError, ValueError):
        return False
    is_called = getattr(function, "function", function) is fit_and_score
    return is_called and options.keys() >= _NEEDED and options.keys() <= _KNOWN


def warn_of_other_search() -> None:
    """Say that a search is scikit-learn's own, because it has changed."""
    warnings.warn(
        f"scikit-learn {sklearn.__version__} runs the fits of a search in a way that this version "
        "of sklearn_mlp does not know. They are made one by one, not in stacks: the results are "
        "the same, and take longer.",
        stacklevel=1,
    )


def with_parallel(
    function: Callable[..., Any], parallel: Callable[..., Any]
) -> Callable[..., Any]:
    """Return a function of scikit-learn's as it is, but for what it runs its tasks with.

    Where it does not name what it runs them with, it is returned as it is, with a warning.

    Parameters
    ----------
    function : callable
        Such as `BaseSearchCV.fit`, which names `sklearn.utils.parallel.Parallel`. Its decorators
        are left off.
    parallel : callable
        Takes that class's place. The original is not changed, nor what others call.
    """
    plain = inspect.unwrap(function)
    if not isinstance(plain, FunctionType) or "Parallel" not in plain.__code__.co_names:
        warn_of_other_search()
        return function
    names = {**plain.__globals__, "Parallel": parallel}
    changed = FunctionType(
        plain.__code__, names, plain.__name__, plain.__defaults__, plain.__closure__
    )
    changed.__kwdefaults__ = plain.__kwdefaults__
    return changed


def with_variable(
    function: Callable[..., Any], name: str, change: Callable[[Any], Any]
) -> Callable[..., Any]:
    """Return a function as it is, but for a variable of the function around it.

    Where it has no such variable, it is returned as it is, with a warning.

    Parameters
    ----------
    function : callable
        Such as what scikit-learn gives `BaseSearchCV._run_search`, which runs its fits by the
        variable ``parallel``. The original is not changed.
    name : str
        The variable.
    change : callable
        Returns the new value of the variable, given its value.
    """
    if not isinstance(function, FunctionType) or name not in function.__code__.co_freevars:
        warn_of_other_search()
        return function
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    scope = tuple(
        CellType(change(cell.cell_contents)) if one == name else cell for one, cell in cells
    )
    changed = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        scope,
    )
    changed.__kwdefaults__ = function.__kwdefaults__
    return changed


@dataclass(frozen=True)
class TrainingOfMLP:
    """The state that a network of scikit-learn's trains on from, besides what it shows.

    Attributes
    ----------
    moments : dict of list of ndarray, or None
        What its optimizer remembers: ``velocity``, or ``first`` and ``second``, of all weights,
        (n_in, n_out), and then all intercepts. None where there is no optimizer.
    step : int
        The steps that ``adam`` has taken.
    learning_rate, learning_rate_init : float
        Of the next step (not for ``adam``), and what it started from.
    no_improvement_count : int
        Epochs since the last improvement.
    is_sparse : bool
        Of a classifier, whether its targets were a sparse indicator matrix.
    """

    moments: Mapping[str, list[np.ndarray]] | None = None
    step: int = 0
    learning_rate: float = 0.0
    learning_rate_init: float = 0.0
    no_improvement_count: int = 0
    is_sparse: bool = False


def training_of(mlp: Any) -> TrainingOfMLP:
    """Return what a fitted `sklearn.neural_network.MLPClassifier` or `MLPRegressor` remembers."""
    count = getattr(mlp, "_no_improvement_count", 0)
    is_sparse = bool(getattr(getattr(mlp, "_label_binarizer", None), "sparse_input_", False))
    optimizer: Any = getattr(mlp, "_optimizer", None)
    if hasattr(optimizer, "velocities"):
        moments, rate = {"velocity": optimizer.velocities}, optimizer.learning_rate
    elif hasattr(optimizer, "ms"):
        # Its learning_rate is that of the last step, with the correction for the bias.
        moments = {"first": optimizer.ms, "second": optimizer.vs}
        rate = optimizer.learning_rate_init
    else:
        return TrainingOfMLP(None, 0, 0.0, 0.0, count, is_sparse)
    start, step = optimizer.learning_rate_init, getattr(optimizer, "t", 0)
    return TrainingOfMLP(moments, step, float(rate), float(start), count, is_sparse)


def set_training(mlp: Any, training: TrainingOfMLP) -> None:
    """Let a network of scikit-learn's go on from there; its fitted attributes are set already."""
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
    from sklearn.preprocessing import LabelBinarizer

    mlp._no_improvement_count = training.no_improvement_count
    if hasattr(mlp, "classes_"):
        is_multilabel = mlp.out_activation_ == "logistic" and mlp.n_outputs_ > 1
        labels = np.eye(mlp.n_outputs_, dtype=int) if is_multilabel else mlp.classes_
        mlp._label_binarizer = LabelBinarizer().fit(labels)
        mlp._label_binarizer.sparse_input_ = training.is_sparse
    if getattr(mlp, "best_validation_score_", None) is not None:
        # As an early stop leaves them: a warm start that finds nothing better ends with them.
        mlp._best_coefs, mlp._best_intercepts = mlp.coefs_, mlp.intercepts_
    if training.moments is None:
        return
    parameters, rate = mlp.coefs_ + mlp.intercepts_, training.learning_rate_init
    if mlp.solver == "adam":
        optimizer = AdamOptimizer(parameters, rate, mlp.beta_1, mlp.beta_2, mlp.epsilon)
        optimizer.ms, optimizer.vs = training.moments["first"], training.moments["second"]
        optimizer.t = training.step
    else:
        optimizer = SGDOptimizer(
            parameters, rate, mlp.learning_rate, mlp.momentum, mlp.nesterovs_momentum, mlp.power_t
        )
        optimizer.velocities = training.moments["velocity"]
        optimizer.learning_rate = training.learning_rate
    mlp._optimizer = optimizer
