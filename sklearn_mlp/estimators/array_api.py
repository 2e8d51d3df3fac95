"""scikit-learn's array API dispatch: what comes out is of the kind of what went in.

Under ``sklearn.config_context(array_api_dispatch=True)`` a prediction for a tensor is a tensor on
the same device; for an array it is an array, as it always is without dispatch.
"""

import copy
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import scipy.sparse
import torch
from sklearn import config_context, get_config
from torch import Tensor

from sklearn_mlp.estimators.sources import predict_source
from sklearn_mlp.machine.devices import traits_of
from sklearn_mlp.sources.choice import source_of


def follow_samples(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method ``(self, X, ...)`` that returns arrays return tensors for tensors."""

    @wraps(method)
    def follow(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        if type(X) is np.ndarray:
            return method(self, X, *args, **kwargs)
        if not isinstance(X, Tensor):
            source = source_of(X, names=vars(self).get("feature_names_in_"))
            if source is not None:
                is_lazy = source.is_lazy and source is not X
                return predict_source(method, self, source, args, kwargs, is_lazy=is_lazy)
            return method(self, X, *args, **kwargs)
        if not get_config()["array_api_dispatch"]:
            return method(self, X, *args, **kwargs)
        # What a method makes of other methods' results are arrays, until its own is there.
        with config_context(array_api_dispatch=False):
            result = method(self, X, *args, **kwargs)
        return on_device(result, X.device)

    return follow


def follow_targets(classes: Any, y: Any) -> Any:
    """Return classes in the namespace and on the device of the targets they were read from.

    scikit-learn's clients put what they take from ``classes_`` beside the predictions. Strings,
    which no tensor can hold, stay as they are.
    """
    if not (isinstance(y, Tensor) and get_config()["array_api_dispatch"]):
        return classes
    return on_device(copy.deepcopy(classes), y.device)


def on_device(result: Any, device: torch.device) -> Any:
    """Return arrays of numbers as tensors on a device; what else there is stays as it is."""
    if isinstance(result, list | tuple):
        return type(result)(on_device(part, device) for part in result)
    if scipy.sparse.issparse(result) or result.dtype.kind not in "biuf":
        return result
    if result.dtype == np.float64 and not traits_of(device).has_float64:
        result = result.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(result)).to(device)
