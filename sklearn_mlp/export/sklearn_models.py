"""scikit-learn's own network made of a fitted one of ours, and what such a one is read as."""

import copy
import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.contract.state import History, OptimizerState, TrainingState
from sklearn_mlp.contract.tensor_trees import owned
from sklearn_mlp.losses import Loss
from sklearn_mlp.machine.sklearn_internals import (
    StrOptions,
    TrainingOfMLP,
    constraints_of,
    set_training,
    training_of,
)
from sklearn_mlp.network.alterations import altered_training
from sklearn_mlp.network.architecture import hidden_units
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.targets.codecs import TargetCodec
from sklearn_mlp.targets.label_codecs import LabelCodec

# The parameters that scikit-learn's class lacks and that a network depends on, with the value
# that does what it does.
_NETWORK = {"module": None, "normalization": None, "residual": False, "scale_target": None}
# And those that only training depends on.
_TRAINING = {
    "dropout": 0.0,
    "input_dropout": 0.0,
    "weight_init": "auto",
    "label_smoothing": 0.0,
    "class_weight": None,
    "gradient_clip": None,
    "weight_averaging": None,
    "warmup": 0,
    "scoring": None,
    "max_time": None,
}

# Of those that both have, with other values in scikit-learn.
_ONLY_OF_TRAINING = ("solver", "learning_rate")

# The output activations of scikit-learn's, by what an output stands for, or by the loss.
_OUTPUTS = {
    "binary": "logistic",
    "multilabel": "logistic",
    "multiclass": "softmax",
    "squared_error": "identity",
    "poisson": "exp",
}


def parameter_names(kind: type) -> list[str]:
    """Return the parameters of a class of scikit-learn's."""
    return [name for name in inspect.signature(kind).parameters if name != "self"]


def shared_parameters(mlp: Any, kind: type) -> dict[str, Any]:
    """Return the parameters of a network of scikit-learn's; a generator is copied."""
    values = {name: getattr(mlp, name) for name in parameter_names(kind)}
    return {**values, "random_state": copy.deepcopy(values["random_state"])}


# From scikit-learn.


def state_of_sklearn(mlp: Any, dtype: torch.dtype) -> TrainingState:
    """Return what training goes on from, of a fitted network of scikit-learn's.

    Parameters
    ----------
    mlp : MLPClassifier or MLPRegressor
        The network.
    dtype : torch.dtype
        The type of the moments.
    """
    known = training_of(mlp)
    optimizer = None
    if known.moments is not None:
        solver = "sgd" if "velocity" in known.moments else "adam"
        moments = {name: _joined(parts, dtype) for name, parts in known.moments.items()}
        optimizer = OptimizerState(solver, moments, known.step)
    rate = known.learning_rate or float(mlp.learning_rate_init)
    score = getattr(mlp, "best_validation_score_", None)
    return TrainingState(
        optimizer=optimizer,
        learning_rate=known.learning_rate,
        learning_rate_init=known.learning_rate_init,
        epochs_scheduled=int(mlp.n_iter_),
        n_iter=int(mlp.n_iter_),
        loss=float(mlp.loss_),
        samples_seen=int(mlp.t_),
        no_improvement_count=known.no_improvement_count,
        best_loss=_as_float(getattr(mlp, "best_loss_", None)),
        best_validation_score=_as_float(score),
        is_validated=score is not None,
        is_converged=_is_converged(mlp, known),
        history=_history(mlp, rate),
    )


def _joined(parts: list[np.ndarray], dtype: torch.dtype) -> Tensor:
    """Return moments of weights, (n_in, n_out), and intercepts as one vector in torch's order."""
    flat = np.concatenate([part.T.ravel() for part in parts])
    return torch.tensor(flat, dtype=dtype, device="cpu")


def _history(mlp: Any, rate: float) -> History:
    """Return a record per epoch, with NaN for what scikit-learn does not keep.

    The learning rate is the last one: it keeps no other, and NaN would stand for ``lbfgs``.
    """
    history = History()
    losses = list(getattr(mlp, "loss_curve_", []))
    scores = list(getattr(mlp, "validation_scores_", None) or [])
    scores = [math.nan] * (len(losses) - len(scores)) + scores
    for loss, score in zip(losses, scores, strict=True):
        history = history.with_epoch(
            loss=float(loss),
            validation_loss=math.nan,
            validation_score=float(score),
            learning_rate=rate,
            seconds=math.nan,
        )
    return history


def _is_converged(mlp: Any, known: TrainingOfMLP) -> bool:
    """Tell whether the last fit ended because nothing improved any more."""
    if not hasattr(mlp, "loss_curve_"):
        return bool(mlp.n_iter_ < mlp.max_iter)
    return known.no_improvement_count > mlp.n_iter_no_change


def _as_float(value: Any) -> float | None:
    return None if value is None else float(value)


# To scikit-learn.


def make_sklearn(
    kind: type,
    parameters: Mapping[str, Any],
    network: MLP,
    codec: TargetCodec,
    state: TrainingState,
    attributes: Mapping[str, Any],
) -> Any:
    """Return a fitted network of scikit-learn's.

    Parameters
    ----------
    kind : type
        `sklearn.neural_network.MLPClassifier` or `sklearn.neural_network.MLPRegressor`.
    parameters : mapping
        The estimator's own, with plain numbers; `check_is_sklearns` has taken them.
    network, codec, state
        What it holds.
    attributes : mapping
        The fitted attributes that both have, by name.
    """
    mlp = kind(**_given(kind, parameters, network))
    for name, value in attributes.items():
        setattr(mlp, name, value)
    known = TrainingOfMLP(
        _split_moments(network, state, mlp.solver, mlp.coefs_[0].dtype),
        0 if state.optimizer is None else state.optimizer.step,
        state.learning_rate,
        state.learning_rate_init,
        state.no_improvement_count,
        getattr(codec, "is_sparse", False),
    )
    set_training(mlp, known)
    return mlp


def check_is_sklearns(
    kind: type, parameters: Mapping[str, Any], network: Any, loss: Loss, codec: TargetCodec
) -> None:
    """Check that a class of scikit-learn's can predict as a network does, and train as it does.

    Raises
    ------
    ValueError
        If not; the sentence names the parameter.
    """
    _check_network(kind, parameters, network)
    _check_outputs(kind, parameters, loss, codec)
    _check_training(kind, parameters, _given(kind, parameters, network))


def _given(kind: type, parameters: Mapping[str, Any], network: MLP) -> dict[str, Any]:
    """Return what the class of scikit-learn's is constructed with."""
    given = {name: parameters[name] for name in parameter_names(kind)}
    names = set(network.activations)
    if len(names) == 1:
        # What the network has, whatever it is to have from the next fit on.
        (given["activation"],) = names
    if network.units[1:-1] != hidden_units(given["hidden_layer_sizes"]):
        given["hidden_layer_sizes"] = network.units[1:-1]
    given["random_state"] = copy.deepcopy(given["random_state"])
    given["verbose"] = bool(given["verbose"])
    return given


def _check_network(kind: type, parameters: Mapping[str, Any], network: Any) -> None:
    """Check that the network is linear layers with activations between them."""
    for name, value in _NETWORK.items():
        if parameters.get(name, value) != value:
            raise ValueError(
                f"{name}={parameters[name]!r} is nothing that scikit-learn's {kind.__name__} has."
            )
    if not isinstance(network, MLP) or network.normalization or any(network.is_skipped):
        raise ValueError(
            f"module_ is no network that scikit-learn's {kind.__name__} can be: it has linear "
            "layers with an activation between them, and nothing else."
        )
    what = altered_training(network)
    if what is not None:
        raise ValueError(
            f"module_ has been changed into what scikit-learn's {kind.__name__} cannot be: {what}."
        )


def _check_outputs(
    kind: type, parameters: Mapping[str, Any], loss: Loss, codec: TargetCodec
) -> None:
    """Check that the outputs stand for what they stand for in scikit-learn."""
    task = codec.kind if isinstance(codec, LabelCodec) else parameters["loss"]
    if task == "multioutput":
        raise ValueError(
            f"y had several columns of labels, which scikit-learn's {kind.__name__} does not take."
        )
    # With output_activation="softmax" two classes have an output each.
    is_binary = isinstance(codec, LabelCodec) and len(codec.classes) <= 2
    expected = "logistic" if is_binary else _OUTPUTS.get(str(task))
    if expected is not None and loss.out_activation != expected:
        raise ValueError(
            f"output_activation={loss.out_activation!r} is none that scikit-learn's "
            f"{kind.__name__} has for this task: that is {expected!r}."
        )


def _check_training(kind: type, parameters: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Check that the class takes the parameters that it has, and can do without the others."""
    for name, constraints in constraints_of(kind).items():
        if len(constraints) > 1 or not isinstance(constraints[0], StrOptions):
            continue
        value, options = given[name], constraints[0].options
        if not isinstance(value, str) or value not in options:
            allowed = ", ".join(repr(option) for option in sorted(options))
            way_out = f"; {_way_out(name, '...')}" if name in _ONLY_OF_TRAINING else ""
            raise ValueError(
                f"{name}={value!r} is nothing that scikit-learn's {kind.__name__} takes, which is "
                f"one of {allowed}{way_out}."
            )
    # Of a classifier's loss, its probabilities depend on the output activation alone.
    others = _TRAINING if "loss" in given else _TRAINING | {"loss": "log_loss"}
    for name, value in others.items():
        asked = parameters.get(name, value)
        if asked != value if isinstance(value, str) else np.any(asked):
            raise ValueError(
                f"{name}={asked!r} is nothing that scikit-learn's {kind.__name__} trains with; "
                f"{_way_out(name, repr(value))}."
            )


def _way_out(name: str, value: str) -> str:
    """Say what to do where only training depends on a parameter."""
    return (
        f"set_params({name}={value}) leaves the predictions as they are, and lets it be converted"
    )


def _split_moments(
    network: MLP, state: TrainingState, solver: str, dtype: np.dtype
) -> dict[str, list[np.ndarray]] | None:
    """Return a solver's moments as scikit-learn has them; None if they are another solver's."""
    if state.optimizer is None or state.optimizer.solver != solver:
        return None
    shapes = [tuple(layer.weight.shape) for layer in network.linear_layers]
    shapes += [tuple(layer.bias.shape) for layer in network.linear_layers]
    split = {}
    for name, moment in owned(state.optimizer.moments).items():
        if moment.shape != (sum(map(math.prod, shapes)),):
            # Of other parameters than these: training begins with new ones, here as there.
            return None
        parts = moment.detach().cpu().numpy()
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        split[name] = [
            np.array(part.reshape(shape).T, dtype=dtype, order="C")
            for part, shape in zip(np.split(parts, ends), shapes, strict=True)
        ]
    return split
