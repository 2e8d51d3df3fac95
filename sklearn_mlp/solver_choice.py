"""Which solver a fit gets, from its parameters, and what it is wrapped in."""

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor

from sklearn_mlp.config import TrainingConfig, is_stochastic
from sklearn_mlp.network import ParameterVector
from sklearn_mlp.solvers import SGD, Adam, Solver
from sklearn_mlp.state import OptimizerState, TrainingState
from sklearn_mlp.torch_solvers import TORCH_SOLVERS, TorchSolver, optimizer_class

# scikit-learn's own, in its form.
OWN_SOLVERS: dict[str, type[Solver]] = {"sgd": SGD, "adam": Adam}

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
) -> Solver:
    """Return the solver that ``config`` names, going on from its memory in a `partial_fit`."""
    is_own = isinstance(config.solver, str) and config.solver in OWN_SOLVERS
    kind = OWN_SOLVERS[config.solver] if is_own else TorchSolver
    # An optimizer given other numbers may keep other moments.
    name = config.solver if is_own else f"{config.solver} {config.solver_params}"
    memory = state.optimizer
    if not config.incremental or memory is None or memory.solver != name:
        moments = {name: torch.zeros_like(parameters.values) for name in kind.moment_names}
        state.optimizer = memory = OptimizerState(name, moments)
    if is_own:
        memory.to(parameters.values)
    solver = kind(parameters, gradient, config, memory)
    return solver if config.gradient_clip is None else ClippedSolver(solver, config.gradient_clip)


@final
class ClippedSolver(Solver):
    """Shortens a gradient that is too long, then takes another solver's step.

    The length is that of the loss's gradient, over all parameters; the penalty's is added after.

    Parameters
    ----------
    solver : Solver
        Takes the step.
    longest : float
        The length that a longer gradient is scaled to.
    """

    def __init__(self, solver: Solver, longest: float) -> None:
        super().__init__(solver.parameters, solver.gradient, solver.config, solver.state)
        self.can_be_captured = solver.can_be_captured
        self._solver = solver
        self._longest = longest

    def update(self, learning_rate: float, penalty: float) -> None:
        """Take one step; ``penalty`` times a weight is added to its gradient."""
        self._clip()
        self._solver.update(learning_rate, penalty)

    def update_captured(self, learning_rate: Tensor, penalty: Tensor, count: Tensor) -> None:
        """Take the same step from scalars on the device."""
        self._clip()
        self._solver.update_captured(learning_rate, penalty, count)

    def remember(self) -> OptimizerState:
        """Return the memory, brought up to date."""
        return self._solver.remember()

    def take_over(self, moments: Mapping[Any, Any]) -> None:
        """Go on from moments, which are copied."""
        self._solver.take_over(moments)

    def _clip(self) -> None:
        """Scale the gradient, as `torch.nn.utils.clip_grad_norm_` does."""
        gradient = self.gradient.values
        # The host must not wait for the length, so a short gradient is multiplied by 1.
        length = torch.linalg.vector_norm(gradient)
        gradient.mul_((self._longest / (length + 1e-6)).clamp_(max=1.0))


def check_solver(parameters: Mapping[str, Any]) -> None:
    """Check that an estimator's parameters make a solver together.

    Raises
    ------
    TypeError
        If ``solver`` is a class, but none of an optimizer.
    ValueError
        If the solver does not take ``solver_params``, or is not one for ``gradient_clip``.
    """
    solver, given = parameters["solver"], parameters["solver_params"]
    if parameters["gradient_clip"] is not None and not is_stochastic(solver):
        raise ValueError(
            f"gradient_clip={parameters['gradient_clip']} cannot be used with solver='lbfgs', "
            "whose line search needs the whole gradient; set gradient_clip=None, or use a "
            "first-order solver such as 'adam'."
        )
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
    make = optimizer_class(solver)
    matrix = torch.zeros(1, 1)
    matrix.grad = torch.zeros(1, 1)
    try:
        # A step shows, too, what an optimizer asks for that it does not get here.
        make([{"params": [matrix]}], lr=1e-3, **given).step()
    except Exception as error:
        raise ValueError(
            f"solver_params={dict(given)} cannot be used with solver={solver!r}: {error}"
        ) from error
