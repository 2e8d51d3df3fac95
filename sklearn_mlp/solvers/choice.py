"""Which solver a fit gets, from its parameters, and what it is wrapped in."""

from collections.abc import Mapping
from typing import Any

import torch

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.contract.state import OptimizerState, TrainingState
from sklearn_mlp.machine.placement import is_stochastic
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.solvers.averaging import WeightAverage
from sklearn_mlp.solvers.base import SGD, Adam, Solver
from sklearn_mlp.solvers.elementwise import Adagrad, AdamW, NAdam, RAdam, RMSprop
from sklearn_mlp.solvers.torch_optim import TORCH_SOLVERS, TorchSolver, optimizer_class
from sklearn_mlp.solvers.wrappers import AveragedSolver, ClippedSolver

# Those that are written out here: scikit-learn's, in its form, and some of torch's.
OWN_SOLVERS: dict[str, type[Solver]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": NAdam,
    "radam": RAdam,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
}

SOLVER_NAMES = {"lbfgs", *OWN_SOLVERS, *TORCH_SOLVERS}

# What torch's optimizers call numbers that are parameters here.
_OUR_NAMES = {
    "params": "hidden_layer_sizes",
    "lr": "learning_rate_init",
    "weight_decay": "alpha",
    "betas": "beta_1 and beta_2",
    "eps": "epsilon",
}


def make_solver(
    parameters: ParameterVector,
    gradient: ParameterVector,
    config: TrainingConfig,
    state: TrainingState,
    average: WeightAverage | None = None,
) -> Solver:
    """Return the solver that ``config`` names, going on from its memory in a `partial_fit`.

    After each of its steps the weights go into an average of steps, if there is one.
    """
    kind = _kind_of(config)
    memory = solver_memory(parameters, config, state)
    solver: Solver = kind(parameters, gradient, config, memory)
    if config.gradient_clip is not None:
        solver = ClippedSolver(solver, config.gradient_clip)
    if average is not None and average.is_stepwise:
        solver = AveragedSolver(solver, average)
    return solver


def _kind_of(config: TrainingConfig) -> type[Solver]:
    """Return the class of a solver; with parameters of torch's, it is torch's that takes them."""
    is_own = isinstance(config.solver, str) and not config.solver_params
    return OWN_SOLVERS.get(config.solver, TorchSolver) if is_own else TorchSolver


def solver_memory(
    parameters: ParameterVector, config: TrainingConfig, state: TrainingState
) -> OptimizerState:
    """Return what the solver that ``config`` names goes on from, and keeps in the state."""
    kind = _kind_of(config)
    is_own = kind is not TorchSolver
    # An optimizer given other numbers may keep other moments.
    name = config.solver if is_own else f"{config.solver} {config.solver_params}"
    memory = state.optimizer
    if not config.incremental or memory is None or memory.solver != name:
        moments = {one: torch.zeros_like(parameters.values) for one in kind.moment_names}
        state.optimizer = memory = OptimizerState(name, moments)
    if is_own:
        memory.to(parameters.values)
    return memory


def check_solver(parameters: Mapping[str, Any]) -> None:
    """Check that an estimator's parameters make a solver together.

    Raises
    ------
    TypeError
        If ``solver`` is a class, but none of an optimizer.
    ValueError
        If the solver does not take ``solver_params``, ``gradient_clip`` or ``weight_averaging``.
    """
    solver, given = parameters["solver"], parameters["solver_params"]
    for name in ("gradient_clip", "weight_averaging"):
        if parameters[name] is not None and not is_stochastic(solver):
            raise ValueError(
                f"{name}={parameters[name]!r} cannot be used with solver='lbfgs', whose line "
                f"search needs each gradient, and each point, as it is; set {name}=None, or use "
                "a first-order solver such as 'adam'."
            )
    if isinstance(solver, str) and solver in OWN_SOLVERS and not given:
        # torch's, which would be tried, takes a second or two to import what it steps with.
        return
    if isinstance(solver, str) and solver not in TORCH_SOLVERS:
        if given:
            raise ValueError(
                f"solver_params={given} cannot be used with solver={solver!r}, which has "
                "parameters of its own; they are for torch's optimizers, such as 'adamw' or a "
                "class."
            )
        return
    if not isinstance(solver, str) and not issubclass(solver, torch.optim.Optimizer):
        raise TypeError(
            f"solver must be a name or a subclass of torch.optim.Optimizer, got {solver}."
        )
    _check_solver_params(solver, given or {})


def _check_solver_params(solver: Any, given: Mapping[str, Any]) -> None:
    """Check that an optimizer takes what it is given, and that nothing is set twice."""
    ours = _OUR_NAMES if isinstance(solver, str) else {"params": "", "lr": "learning_rate_init"}
    for key in given:
        if key in ours:
            raise ValueError(
                f"solver_params has {key!r}, which the estimator sets itself; use its own "
                f"parameter instead: {ours[key]}."
            )
    try:
        optimizer = _on_trial(solver, given)
    except Exception as error:
        if given:
            raise _unusable(solver, given, error) from error
        raise ValueError(
            f"solver={solver!r} must take parameters and lr, and what else it needs by "
            f"solver_params: {error}"
        ) from error
    try:
        # A step shows, too, what an optimizer asks for that it does not get here.
        optimizer.step()
    except Exception as error:
        if given and _steps(solver):
            raise _unusable(solver, given, error) from error
        raise ValueError(
            f"solver={solver!r} must take its steps by dense gradients and without a closure, "
            f"which would evaluate the loss again: {error}"
        ) from error


def _on_trial(solver: Any, given: Mapping[str, Any]) -> torch.optim.Optimizer:
    """Return an optimizer of one weight that has a gradient."""
    matrix = torch.zeros(1, 1, device="cpu")
    matrix.grad = torch.zeros_like(matrix)
    return optimizer_class(solver)([{"params": [matrix]}], lr=1e-3, **given)


def _steps(solver: Any) -> bool:
    """Tell whether an optimizer takes a step if it is given nothing besides."""
    try:
        _on_trial(solver, {}).step()
    except Exception:
        return False
    return True


def _unusable(solver: Any, given: Mapping[str, Any], error: Exception) -> ValueError:
    """Return the error for parameters that an optimizer does not take."""
    return ValueError(
        f"solver_params={dict(given)} cannot be used with solver={solver!r}: {error}"
    )
