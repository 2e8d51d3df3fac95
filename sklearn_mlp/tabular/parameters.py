"""The parameters of the estimators for tables: what each may be."""

from numbers import Integral, Real
from typing import Any

import torch
from sklearn.metrics import get_scorer_names

from sklearn_mlp.machine.sklearn_internals import HasMethods, Interval, StrOptions

PARAMETERS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
    "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate_init": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
    "dropout": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
    "cv": [
        StrOptions({"auto"}),
        Interval(Integral, 2, None, closed="left"),
        HasMethods(["split"]),
        HasMethods(["__iter__"]),
    ],
    "n_members": [Interval(Integral, 1, None, closed="left"), None],
    "scoring": [StrOptions({*get_scorer_names(), "loss"}), callable, None],
    "random_state": ["random_state"],
    "n_jobs": [Integral, None],
    "max_time": [Interval(Real, 0, None, closed="neither"), None],
    "device": [str, torch.device],
    "dtype": [StrOptions({"auto", "float32", "float64"})],
    "verbose": ["verbose", StrOptions({"progress"})],
}

CLASSIFIER_PARAMETERS: dict[str, list[Any]] = {
    **PARAMETERS,
    "class_weight": [dict, list, StrOptions({"balanced"}), None],
    "calibrate": ["boolean"],
}

LOSSES = ("squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma")

REGRESSOR_PARAMETERS: dict[str, list[Any]] = {
    **PARAMETERS,
    "loss": [StrOptions(set(LOSSES))],
    "huber_delta": [Interval(Real, 0, None, closed="neither")],
    "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
    "clip": ["boolean"],
}
