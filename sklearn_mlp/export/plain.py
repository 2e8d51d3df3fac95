"""An estimator's state as plain values, and back: arrays, numbers, strings and containers.

A pickle, or a file of skops, then names no class of this package but the estimator's own. It can
be opened where classes have moved, and what it says is data. A user's own objects stay as they
are.
"""

from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import numpy as np
from torch import Tensor

from sklearn_mlp.contract.state import (
    AverageState,
    History,
    OptimizerState,
    Snapshot,
    TrainingState,
)
from sklearn_mlp.contract.tensor_trees import SavedTensor
from sklearn_mlp.losses import classification, custom, errors, labels, regression
from sklearn_mlp.network.architecture import Architecture
from sklearn_mlp.targets.codecs import NumberCodec
from sklearn_mlp.targets.label_codecs import ClassCodec, ColumnsCodec

# The key under which a dictionary says what it stands for.
KIND = "sklearn_mlp"

PLAIN_CLASSES: dict[str, type] = {
    each.__name__: each
    for each in (
        Architecture,
        AverageState,
        History,
        OptimizerState,
        SavedTensor,
        Snapshot,
        TrainingState,
        # Targets.
        ClassCodec,
        ColumnsCodec,
        NumberCodec,
        # Losses.
        classification.BinaryLogLoss,
        classification.LogisticFocal,
        classification.MulticlassLogLoss,
        classification.SoftmaxFocal,
        classification.SoftTargetLogLoss,
        custom.FunctionLoss,
        errors.AbsoluteError,
        errors.ErrorLoss,
        errors.HalfSquaredError,
        errors.Huber,
        errors.MeanSquaredError,
        labels.ColumnsLoss,
        labels.LabelLoss,
        regression.Gamma,
        regression.GaussianNLL,
        regression.Poisson,
        regression.Quantiles,
        regression.SquaredError,
    )
}

# Their values are the user's parameters, which stay the objects that they are.
_OF_USERS = (Architecture,)


def plain(value: Any) -> Any:
    """Return a value with all that is this package's, or torch's, as plain values.

    Arrays that tensors become are copies: what is saved stays as it is while training goes on.
    """
    if isinstance(value, Tensor):
        return plain(SavedTensor.of(value))
    if isinstance(value, np.ndarray) and not (value.size or value.dtype.hasobject):
        # NumPy makes empty arrays with strides of 0 and pickles bring them back with others, which
        # joblib.hash tells apart.
        return np.frombuffer(bytearray(), value.dtype).reshape(value.shape)
    kind = type(value)
    if kind is dict:
        return {key: plain(item) for key, item in value.items()}
    if kind in (list, tuple):
        return kind(plain(item) for item in value)
    if PLAIN_CLASSES.get(kind.__name__) is not kind:
        return value
    attributes = value.__getstate__() or {}
    if kind is SavedTensor:
        # What a file is mapped to is a class of its own.
        attributes = {**attributes, "values": np.asarray(value.values)}
    elif kind not in _OF_USERS:
        attributes = {name: plain(item) for name, item in attributes.items()}
    return {KIND: kind.__name__, **attributes}


def restored(value: Any) -> Any:
    """Undo `plain`; tensors stay `SavedTensor`, whose arrays may be anyone's.

    Raises
    ------
    ValueError
        If something is named that is not there, or lacks something.
    """
    if isinstance(value, dict):
        if KIND in value:
            return _made(value)
        return {key: restored(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(restored(item) for item in value)
    return value


def _made(saved: dict[str, Any]) -> Any:
    """Return the object that a dictionary stands for."""
    kind = PLAIN_CLASSES.get(saved[KIND])
    if kind is None:
        raise ValueError(f"there is no {saved[KIND]!r} in this version")
    attributes = {name: item for name, item in saved.items() if name != KIND}
    if kind not in _OF_USERS:
        attributes = {name: restored(item) for name, item in attributes.items()}
    if is_dataclass(kind):
        attributes = _completed(kind, attributes)
    made: Any = object.__new__(kind)
    made.__dict__.update(attributes)
    return made


def _completed(kind: type, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return a dataclass's attributes: other versions may lack some, and have others."""
    complete = {}
    for each in fields(kind):
        if each.name in attributes:
            complete[each.name] = attributes[each.name]
        elif each.default is not MISSING:
            complete[each.name] = each.default
        elif each.default_factory is not MISSING:
            complete[each.name] = each.default_factory()
        else:
            raise ValueError(f"{kind.__name__} lacks {each.name!r}")
    return complete
