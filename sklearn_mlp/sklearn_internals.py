"""The private parts of scikit-learn that this package uses, all in one place.

Each has no public counterpart: the parameter table and its error sentences, the check of sample
weights, the first-call logic of `partial_fit`, and the reading of SciPy's optimisation result.
They have been stable since scikit-learn 1.4; the package requires 1.9, against which it is tested.

`sklearn.callback` is public in 1.9, as is `CallbackSupportMixin` with `_init_callback_context`,
the way in for estimators of others. Where it keeps the callbacks is not: `has_callbacks` looks
there, so that a fit without any pays nothing. `FittedNetwork._get_fitted_attr_html` is what 1.9
asks an estimator for when it shows it in HTML.

The batched searches run scikit-learn's own `fit` and `cross_validate` with another `Parallel`
(`with_parallel`). What these hand to it, calls of `_fit_and_score`, and what they expect back, is
that of 1.9; `tests/test_search.py` compares every column and message.
"""

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from sklearn.base import _fit_context as fit_context
from sklearn.metrics._scorer import _BaseScorer as BaseScorer
from sklearn.metrics._scorer import _MultimetricScorer as MultimetricScorer
from sklearn.metrics._scorer import _PassthroughScorer as PassthroughScorer
from sklearn.model_selection._validation import _fit_and_score as fit_and_score
from sklearn.model_selection._validation import _score as score_estimator
from sklearn.utils._param_validation import (
    Interval,
    Options,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
    validate_params,
)
from sklearn.utils.metaestimators import _safe_split as safe_split
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call as check_partial_fit_first_call,
)
from sklearn.utils.optimize import _check_optimize_result as check_optimize_result
from sklearn.utils.validation import _check_method_params as check_method_params
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "BaseScorer",
    "Interval",
    "MultimetricScorer",
    "Options",
    "PassthroughScorer",
    "RealNotInt",
    "StrOptions",
    "check_method_params",
    "check_optimize_result",
    "check_partial_fit_first_call",
    "check_sample_weight",
    "fit_and_score",
    "fit_context",
    "has_callbacks",
    "safe_split",
    "score_estimator",
    "validate_parameter_constraints",
    "validate_params",
    "with_parallel",
]


def has_callbacks(estimator: Any) -> bool:
    """Tell whether scikit-learn's callbacks are set on an estimator."""
    return bool(getattr(estimator, "_skl_callbacks", None))


def with_parallel(
    function: Callable[..., Any], parallel: Callable[..., Any]
) -> Callable[..., Any]:
    """Return a function of scikit-learn's as it is, but for what it runs its tasks with.

    Parameters
    ----------
    function : callable
        Such as `BaseSearchCV.fit`, which names `sklearn.utils.parallel.Parallel`. Its decorators
        are left off.
    parallel : callable
        Takes that class's place. The original is not changed, nor what others call.
    """
    plain = inspect.unwrap(function)
    assert isinstance(plain, FunctionType)
    assert "Parallel" in plain.__code__.co_names, "scikit-learn has changed"
    names = {**plain.__globals__, "Parallel": parallel}
    changed = FunctionType(
        plain.__code__, names, plain.__name__, plain.__defaults__, plain.__closure__
    )
    changed.__kwdefaults__ = plain.__kwdefaults__
    return changed
