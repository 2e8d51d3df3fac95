"""Which parameters of skorch's net the estimators have themselves; skorch is not imported."""

from collections.abc import Mapping
from typing import Any

from sklearn_mlp.machine.placement import is_stochastic

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


def parameter_of_ours(key: str) -> str | None:
    """Return which of the estimator's parameters sets what skorch's net calls ``key``, if any."""
    name, _, option = key.partition("__")
    return _OUR_NAMES.get(key) or (_OUR_NAMES.get(name) if option else None)


def check_skorch(solver: Any, backend_params: Mapping[str, Any]) -> None:
    """Check that skorch has the solver, and that ``backend_params`` sets nothing twice.

    Raises
    ------
    TypeError
        If a key is no name.
    ValueError
        If it does not, or they do.
    """
    if not is_stochastic(solver):
        raise ValueError(
            f"solver={solver!r} is not available with backend='skorch', which trains in "
            "mini-batches; use backend='torch', or another solver, such as 'adam'."
        )
    for key in backend_params:
        if not isinstance(key, str):
            raise TypeError(f"backend_params must have names for keys, got {key!r}.")
        name, _, option = key.partition("__")
        ours = parameter_of_ours(key)
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
