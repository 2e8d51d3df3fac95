"""What each parameter may be: scikit-learn's table, from which its error sentences come."""

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.metrics import get_scorer_names

from sklearn_mlp.activations import ACTIVATIONS
from sklearn_mlp.backends import BACKENDS
from sklearn_mlp.initial_weights import WEIGHT_INITS
from sklearn_mlp.losses.outputs import OUTPUT_ACTIVATIONS
from sklearn_mlp.normalization import NORMALIZATIONS
from sklearn_mlp.schedules import SCHEDULES
from sklearn_mlp.sklearn_internals import Interval, Options, RealNotInt, StrOptions
from sklearn_mlp.solver_choice import SOLVER_NAMES

PARAMETER_CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(ACTIVATIONS)), callable, list, tuple],
    "solver": [StrOptions(SOLVER_NAMES), type],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions(set(SCHEDULES))],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose", StrOptions({"progress"})],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [
        Interval(Integral, 1, None, closed="left"),
        Options(Real, {np.inf}),
    ],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    # Network.
    "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
    "input_dropout": [Interval(Real, 0, 1, closed="left")],
    "normalization": [StrOptions(set(NORMALIZATIONS)), None],
    "residual": ["boolean"],
    "weight_init": [StrOptions({"auto", *WEIGHT_INITS}), callable],
    "module": [callable, None],
    # Loss and output.
    "output_activation": [StrOptions({"auto", *OUTPUT_ACTIVATIONS})],
    # Solvers, schedules, averaging.
    "solver_params": [dict, None],
    "gradient_clip": [Interval(Real, 0, None, closed="neither"), None],
    "weight_averaging": [StrOptions({"ema", "swa"}), None],
    "ema_decay": [Interval(Real, 0, 1, closed="left")],
    "swa_start": [Interval(Real, 0, 1, closed="left")],
    "warmup": [
        Interval(Integral, 0, None, closed="left"),
        Interval(RealNotInt, 0, 1, closed="both"),
    ],
    "lr_decay": [Interval(Real, 0, 1, closed="right"), None],
    "lr_step_size": [Interval(Integral, 1, None, closed="left")],
    "lr_patience": [Interval(Integral, 0, None, closed="left")],
    "lr_min": [Interval(Real, 0, None, closed="left")],
    # Watching and stopping.
    "scoring": [StrOptions({*get_scorer_names(), "loss"}), callable, None],
    "max_time": [Interval(Real, 0, None, closed="neither"), None],
    # Where it runs.
    "device": [str, torch.device],
    "dtype": [StrOptions({"auto", "float32", "float64", "bfloat16"})],
    "compile": ["boolean"],
    "backend": [StrOptions(set(BACKENDS))],
    "backend_params": [dict, None],
}
