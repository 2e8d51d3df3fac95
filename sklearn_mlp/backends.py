"""The backends, functions ``train(network, data, config, state)``; all leave the same behind."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from sklearn_mlp.config import TrainingConfig
from sklearn_mlp.engine.train import train as train_torch
from sklearn_mlp.placement import is_stochastic
from sklearn_mlp.state import TrainingState
from sklearn_mlp.training_data import TrainingData

# Returns what trained, if that is something a user wants to hold: it becomes ``net_``.
Backend = Callable[[nn.Module, TrainingData, TrainingConfig, TrainingState], Any]


def _train_skorch(
    network: nn.Module, data: TrainingData, config: TrainingConfig, state: TrainingState
) -> Any:
    # Importing skorch takes as long as the rest of the package without torch.
    from sklearn_mlp.skorch_backend import train

    return train(network, data, config, state)


BACKENDS: dict[str, Backend] = {"torch": train_torch, "skorch": _train_skorch}


def check_backend(backend: str, solver: Any, backend_params: Mapping[str, Any] | None) -> None:
    """Check that a backend can do what the parameters ask of it.

    Raises
    ------
    ValueError
        If it lacks the solver, or takes no such ``backend_params``.
    """
    if backend == "skorch":
        _check_skorch(solver, backend_params or {})
    elif backend_params:
        raise ValueError(
            f"backend_params={dict(backend_params)} cannot be used with backend={backend!r}, "
            "which has no parameters of its own; they are for backend='skorch'."
        )


# What a parameter of skorch's net is called here; a prefix stands for what comes after "__" too.
_OUR_NAMES = {
    "module": "module, or hidden_layer_sizes and activation",
    "criterion": "loss (the regressor's), or the kind of labels",
    "optimizer": "solver, solver_params, learning_rate_init, alpha, momentum, beta_1, beta_2 and "
    "epsilon",
    "lr": "learning_rate_init",
    "max_epochs": "max_iter",
    "batch_size": "batch_size",
    "iterator_train__batch_size": "batch_size",
    "iterator_train__shuffle": "shuffle",
    "train_split": "early_stopping and validation_fraction",
    "predict_nonlinearity": "loss (the regressor's), or the kind of labels",
    "classes": "classes, of partial_fit",
    "warm_start": "warm_start",
    "verbose": "verbose",
    "device": "device",
}
# What this backend has to decide itself: the order of the samples is random_state's.
_OWN_NAMES = {"iterator_train", "iterator_valid", "dataset", "history"}
_OWN_OPTIONS = {"sampler", "batch_sampler", "collate_fn", "drop_last", "generator", "dataset"}


def _check_skorch(solver: Any, backend_params: Mapping[str, Any]) -> None:
    """Check that skorch has the solver, and that ``backend_params`` sets nothing twice."""
    if not is_stochastic(solver):
        raise ValueError(
            f"solver={solver!r} is not available with backend='skorch', which trains in "
            "mini-batches; use backend='torch', or another solver, such as 'adam'."
        )
    for key in backend_params:
        name, _, option = key.partition("__")
        ours = _OUR_NAMES.get(key) or (_OUR_NAMES.get(name) if option else None)
        if ours:
            raise ValueError(
                f"backend_params has {key!r}, which the estimator sets itself; use its own "
                f"parameter instead: {ours}."
            )
        is_iterators = name in ("iterator_train", "iterator_valid")
        if key in _OWN_NAMES or key.endswith("_") or (is_iterators and option in _OWN_OPTIONS):
            raise ValueError(
                f"backend_params has {key!r}, which backend='skorch' has to set itself for "
                "random_state to settle the order of the samples."
            )
