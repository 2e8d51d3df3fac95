"""The parameters, a row for each: what it may be, and what it may be in a stack of networks.

Of what they may be scikit-learn makes its error sentences. Their defaults are in the estimators'
constructors, and nowhere else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.metrics import get_scorer_names

from sklearn_mlp.estimators.backends import BACKENDS
from sklearn_mlp.losses.choice import CLASSIFIER_LOSSES, REGRESSOR_LOSSES
from sklearn_mlp.losses.outputs import OUTPUT_ACTIVATIONS
from sklearn_mlp.machine.sklearn_internals import Interval, Options, RealNotInt, StrOptions
from sklearn_mlp.network.activations import ACTIVATIONS
from sklearn_mlp.network.initial_weights import WEIGHT_INITS
from sklearn_mlp.network.normalization import NORMALIZATIONS
from sklearn_mlp.solvers.choice import SOLVER_NAMES
from sklearn_mlp.solvers.rules import RULES
from sklearn_mlp.training.schedules import SCHEDULES

# Says of a value why a network that has it is trained alone; None if it need not be.
Reason = Callable[[Any], str | None]


@dataclass(frozen=True)
class Parameter:
    """All there is to know of a parameter.

    Attributes
    ----------
    constraint : list
        What it may be, in scikit-learn's words.
    differs : bool
        Whether networks that are trained as one may differ in it; in the others they are equal.
    alone : callable
        Says why a network is trained alone, if it has a value that stacks do not have.
    """

    constraint: list[Any]
    differs: bool
    alone: Reason


def _nothing(value: Any) -> str | None:
    """Let any value into a stack."""
    return None


def _differs(*constraint: Any) -> Parameter:
    """Return the row of a parameter that networks of one stack may differ in."""
    return Parameter(list(constraint), True, _nothing)


def _equal(*constraint: Any, alone: Reason = _nothing) -> Parameter:
    """Return the row of a parameter that networks of one stack share."""
    return Parameter(list(constraint), False, alone)


# What is not in stacks, and why.


def _is_callable(value: Any) -> str | None:
    entries = value if isinstance(value, list | tuple) else [value]
    if all(isinstance(entry, str) for entry in entries):
        return None
    return "a function of the user's is called with one network's values"


def _has_no_rule(value: Any) -> str | None:
    if value == "lbfgs":
        return "each of its line searches asks for points of its own"
    return None if isinstance(value, str) and value in RULES else _is_torchs(value)


def _is_torchs(value: Any) -> str | None:
    return None if value is None else "an optimizer of torch's takes one network's parameters"


def _prints(value: Any) -> str | None:
    return "what is printed is told one fit after the other" if value else None


def _is_by_autograd(value: Any) -> str | None:
    return None if value is None else "autograd, which trains it, goes through one network"


def _is_bfloat16(value: Any) -> str | None:
    # Small ones are slower in it: measured.
    return "it pays for networks too large to gain by a stack" if value == "bfloat16" else None


def _is_skorchs(value: Any) -> str | None:
    return "skorch's loop trains one network" if value == "skorch" else None


def _is_skorchs_own(value: Any) -> str | None:
    return "they are for skorch's loop, which trains one network" if value else None


PARAMETERS: dict[str, Parameter] = {
    "hidden_layer_sizes": _equal("array-like", Interval(Integral, 1, None, closed="left")),
    "activation": _equal(StrOptions(set(ACTIVATIONS)), callable, list, tuple, alone=_is_callable),
    "solver": _equal(StrOptions(SOLVER_NAMES), type, alone=_has_no_rule),
    "alpha": _differs(Interval(Real, 0, None, closed="left")),
    "batch_size": _equal(StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")),
    "learning_rate": _differs(StrOptions(set(SCHEDULES))),
    "learning_rate_init": _differs(Interval(Real, 0, None, closed="neither")),
    "power_t": _differs(Interval(Real, 0, None, closed="left")),
    "max_iter": _differs(Interval(Integral, 1, None, closed="left")),
    "shuffle": _equal("boolean"),
    "random_state": _differs("random_state"),
    "tol": _differs(Interval(Real, 0, None, closed="left")),
    "verbose": _equal("verbose", StrOptions({"progress"}), alone=_prints),
    "warm_start": _differs("boolean"),
    "momentum": _differs(Interval(Real, 0, 1, closed="both")),
    "nesterovs_momentum": _equal("boolean"),
    "early_stopping": _equal("boolean"),
    "validation_fraction": _equal(Interval(Real, 0, 1, closed="left")),
    "beta_1": _differs(Interval(Real, 0, 1, closed="left")),
    "beta_2": _differs(Interval(Real, 0, 1, closed="left")),
    "epsilon": _differs(Interval(Real, 0, None, closed="neither")),
    "n_iter_no_change": _differs(
        Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})
    ),
    "max_fun": _differs(Interval(Integral, 1, None, closed="left")),
    # Network.
    "dropout": _differs(Interval(Real, 0, 1, closed="left"), list, tuple),
    "input_dropout": _differs(Interval(Real, 0, 1, closed="left")),
    "normalization": _equal(StrOptions(set(NORMALIZATIONS)), None, alone=_is_by_autograd),
    "residual": _equal("boolean"),
    "weight_init": _equal(StrOptions({"auto", *WEIGHT_INITS}), callable),
    "module": _equal(callable, None, alone=_is_by_autograd),
    # Loss and output.
    "output_activation": _equal(StrOptions({"auto", *OUTPUT_ACTIVATIONS})),
    # Solvers, schedules, averaging.
    "solver_params": _equal(dict, None, alone=_is_torchs),
    "gradient_clip": _equal(Interval(Real, 0, None, closed="neither"), None),
    "weight_averaging": _equal(StrOptions({"ema", "swa"}), None),
    "ema_decay": _differs(Interval(Real, 0, 1, closed="left")),
    "swa_start": _differs(Interval(Real, 0, 1, closed="left")),
    "warmup": _differs(
        Interval(Integral, 0, None, closed="left"), Interval(RealNotInt, 0, 1, closed="both")
    ),
    "lr_decay": _differs(Interval(Real, 0, 1, closed="right"), None),
    "lr_step_size": _differs(Interval(Integral, 1, None, closed="left")),
    "lr_patience": _differs(Interval(Integral, 0, None, closed="left")),
    "lr_min": _differs(Interval(Real, 0, None, closed="left")),
    # Watching and stopping.
    "scoring": _equal(StrOptions({*get_scorer_names(), "loss"}), callable, None),
    "max_time": _differs(Interval(Real, 0, None, closed="neither"), None),
    # Where it runs.
    "device": _equal(str, torch.device),
    "dtype": _equal(StrOptions({"auto", "float32", "float64", "bfloat16"}), alone=_is_bfloat16),
    "compile": _equal("boolean"),
    "backend": _equal(StrOptions(set(BACKENDS)), alone=_is_skorchs),
    "backend_params": _equal(dict, None, alone=_is_skorchs_own),
}

CLASSIFIER_PARAMETERS: dict[str, Parameter] = {
    **PARAMETERS,
    "loss": _equal(StrOptions(set(CLASSIFIER_LOSSES)), callable, alone=_is_callable),
    "focal_gamma": _equal(Interval(Real, 0, None, closed="left")),
    "label_smoothing": _differs(Interval(Real, 0, 1, closed="left")),
    "class_weight": _differs(dict, list, StrOptions({"balanced"}), None),
}

REGRESSOR_PARAMETERS: dict[str, Parameter] = {
    **PARAMETERS,
    "loss": _equal(StrOptions(set(REGRESSOR_LOSSES)), callable, alone=_is_callable),
    "huber_delta": _equal(Interval(Real, 0, None, closed="neither")),
    "quantile": _equal(Interval(Real, 0, 1, closed="neither"), "array-like"),
    "scale_target": _equal(StrOptions({"standard"}), None),
}


def constraints_of(table: Mapping[str, Parameter]) -> dict[str, list[Any]]:
    """Return what scikit-learn checks parameters by."""
    return {name: row.constraint for name, row in table.items()}
