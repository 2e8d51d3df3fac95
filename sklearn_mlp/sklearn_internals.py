"""The private parts of scikit-learn that this package uses, all in one place.

Each has no public counterpart: the parameter table and its error sentences, the check of sample
weights, the first-call logic of `partial_fit`, and the reading of SciPy's optimisation result.
They have been stable since scikit-learn 1.4; the package requires 1.9, against which it is tested.
"""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import Interval, Options, RealNotInt, StrOptions
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call as check_partial_fit_first_call,
)
from sklearn.utils.optimize import _check_optimize_result as check_optimize_result
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "Interval",
    "Options",
    "RealNotInt",
    "StrOptions",
    "check_optimize_result",
    "check_partial_fit_first_call",
    "check_sample_weight",
    "fit_context",
]
