"""From the estimators' parameters to a loss."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor

from sklearn_mlp.losses.base import Loss
from sklearn_mlp.losses.classification import (
    BinaryLogLoss,
    LogisticFocal,
    MulticlassLogLoss,
    SoftmaxFocal,
    SoftTargetLogLoss,
)
from sklearn_mlp.losses.custom import FunctionLoss
from sklearn_mlp.losses.errors import (
    AbsoluteError,
    ErrorLoss,
    HalfSquaredError,
    Huber,
    MeanSquaredError,
)
from sklearn_mlp.losses.labels import ColumnsLoss, LabelLoss
from sklearn_mlp.losses.outputs import OUTPUT_ACTIVATIONS
from sklearn_mlp.losses.regression import Gamma, GaussianNLL, Poisson, Quantiles, SquaredError

LossFunction = Callable[[Tensor, Tensor], Any]

_ALL = tuple(OUTPUT_ACTIVATIONS)
# What each loss goes with; 'auto' is the first, for a classifier's see below.
CLASSIFIER_LOSSES = {
    "log_loss": ("softmax", "logistic"),
    "focal": ("softmax", "logistic"),
    "squared_error": ("softmax", "logistic", "tanh", "identity"),
}
REGRESSOR_LOSSES = {
    "squared_error": _ALL,
    "absolute_error": _ALL,
    "huber": _ALL,
    "quantile": ("identity", "logistic", "tanh", "exp"),
    "poisson": ("exp",),
    "gamma": ("exp",),
    "gaussian_nll": ("identity",),
}
# What a regressor's targets have to be, where any numbers will not do.
_TARGETS = {"poisson": ">= 0", "gamma": "> 0"}


def choose_classifier_loss(
    loss: str | LossFunction,
    kind: str,
    sizes: Sequence[int],
    output_activation: str,
    label_smoothing: float,
    focal_gamma: float,
) -> Loss:
    """Return a classifier's loss.

    Parameters
    ----------
    loss, output_activation, label_smoothing, focal_gamma
        The estimator's parameters.
    kind : {'binary', 'multiclass', 'multilabel', 'multioutput'}
        As in `sklearn_mlp.targets.codecs.LabelCodec`.
    sizes : sequence of int
        The outputs: of each column of labels in a multioutput task, else one number.

    Raises
    ------
    ValueError
        If loss, output activation and labels do not go together.
    """
    label_smoothing, focal_gamma = float(label_smoothing), float(focal_gamma)
    is_exclusive = kind in ("multiclass", "multioutput")
    if output_activation == "auto":
        output_activation = "softmax" if is_exclusive else "logistic"
    if not callable(loss):
        _check_pair(loss, output_activation, CLASSIFIER_LOSSES[loss])
    if output_activation == "softmax" and not is_exclusive:
        raise ValueError(
            f"output_activation='softmax' cannot be used with {kind} y, whose labels do not "
            "exclude each other; use output_activation='logistic' or 'auto'."
        )

    def choose(n_classes: int) -> Loss:
        """Return the loss of one column of labels."""
        if loss == "log_loss" and not label_smoothing:
            if output_activation == "softmax":
                return MulticlassLogLoss()
            if not is_exclusive:
                return BinaryLogLoss()
        inner = _classifier_loss(loss, output_activation, focal_gamma)
        return LabelLoss(inner, is_exclusive, n_classes if is_exclusive else 2, label_smoothing)

    if kind == "multioutput":
        return ColumnsLoss([choose(size) for size in sizes], sizes)
    return choose(sizes[0])


def _classifier_loss(loss: str | LossFunction, output_activation: str, focal_gamma: float) -> Loss:
    """Return a loss that compares outputs with values."""
    is_softmax = output_activation == "softmax"
    if callable(loss):
        return FunctionLoss(loss, output_activation)
    if loss == "squared_error":
        return ErrorLoss(MeanSquaredError(), output_activation)
    if loss == "focal":
        return SoftmaxFocal(focal_gamma) if is_softmax else LogisticFocal(focal_gamma)
    return SoftTargetLogLoss() if is_softmax else BinaryLogLoss()


def choose_regressor_loss(
    loss: str | LossFunction, output_activation: str, huber_delta: float, quantile: Any
) -> Loss:
    """Return a regressor's loss.

    Parameters
    ----------
    loss, output_activation, huber_delta, quantile
        The estimator's parameters.

    Raises
    ------
    ValueError
        If loss and output activation do not go together, or ``quantile`` holds something else
        than rising numbers between 0 and 1.
    """
    if callable(loss):
        activation = "identity" if output_activation == "auto" else output_activation
        return FunctionLoss(loss, activation)
    allowed = REGRESSOR_LOSSES[loss]
    activation = allowed[0] if output_activation == "auto" else output_activation
    _check_pair(loss, activation, allowed)
    fused: dict[str, type[Loss]] = {
        "poisson": Poisson,
        "gamma": Gamma,
        "gaussian_nll": GaussianNLL,
    }
    if loss in fused:
        return fused[loss]()
    if loss == "quantile":
        return Quantiles(quantile_levels(quantile), activation, not isinstance(quantile, Real))
    if loss == "squared_error":
        return (
            SquaredError()
            if activation == "identity"
            else ErrorLoss(HalfSquaredError(), activation)
        )
    error = AbsoluteError() if loss == "absolute_error" else Huber(huber_delta)
    return ErrorLoss(error, activation)


def quantile_levels(quantile: Any) -> tuple[float, ...]:
    """Turn the parameter ``quantile`` into levels.

    Raises
    ------
    ValueError
        If they are not rising numbers between 0 and 1.
    """
    # An array without axes cannot be gone through.
    is_several = not isinstance(quantile, Real) and getattr(quantile, "ndim", 1) > 0
    levels = tuple(quantile) if is_several else (quantile,)
    is_fine = levels and all(isinstance(level, Real) and 0 < float(level) < 1 for level in levels)
    if not is_fine or any(low >= high for low, high in pairwise(levels)):
        raise ValueError(
            "quantile must be a number between 0 and 1, or several in rising order, got "
            f"{quantile!r}."
        )
    return tuple(float(level) for level in levels)


def check_targets(y: np.ndarray, loss: str | LossFunction) -> None:
    """Check that targets are in the range of the loss.

    Raises
    ------
    ValueError
        If a target is negative where the loss is Poisson's, or not positive where it is gamma's.
    """
    if callable(loss) or loss not in _TARGETS:
        return
    least = y.min()
    if least < 0 or (least == 0 and loss == "gamma"):
        raise ValueError(
            f"Some value(s) of y are out of the valid range of the loss {loss!r}: y must be "
            f"{_TARGETS[loss]}, got a minimum of {least}."
        )


def _check_pair(loss: str, output_activation: str, allowed: Sequence[str]) -> None:
    """Check that a loss and an output activation go together."""
    if output_activation not in allowed:
        others = ", ".join(repr(name) for name in ("auto", *allowed))
        raise ValueError(
            f"output_activation={output_activation!r} cannot be used with loss={loss!r}; use one "
            f"of {others}, or another loss."
        )
