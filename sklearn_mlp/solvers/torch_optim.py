"""Solvers that are optimizers of torch's, or of anyone's who derives from its class."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor

from sklearn_mlp.contract.config import DECOUPLED_SOLVERS, TrainingConfig
from sklearn_mlp.contract.state import OptimizerState
from sklearn_mlp.contract.tensor_trees import map_tensors
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.solvers.base import Solver

# By name. Muon is there from torch 2.9 on.
TORCH_SOLVERS: dict[str, str] = {
    "adamw": "AdamW",
    "nadam": "NAdam",
    "radam": "RAdam",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "muon": "Muon",
}

# Those whose decays are the parameters beta_1 and beta_2; the rest keeps torch's own numbers.
_ADAMS = ("adamw", "nadam", "radam")

Groups = list[dict[str, Any]]
MakeOptimizer = Callable[..., torch.optim.Optimizer]


@final
class TorchSolver(Solver):
    """Takes the steps of one optimizer of torch's, or of two: Muon leaves vectors to AdamW.

    Which parameters they are given: where every number is changed by itself, all weights as one
    vector and all biases as another, because a call for each layer would cost more than the
    arithmetic. An optimizer of the user's own, and Muon, see every layer's weights as a matrix.
    They cannot be captured: torch keeps numbers of theirs on the host.
    """

    def __init__(
        self,
        parameters: ParameterVector,
        gradient: ParameterVector,
        config: TrainingConfig,
        state: OptimizerState,
    ) -> None:
        super().__init__(parameters, gradient, config, state)
        self._optimizers = _make_optimizers(parameters, gradient, config)
        if state.moments:
            self.take_over(state.moments)

    def update(self, learning_rate: float, penalty: float) -> None:
        """Take one step; ``penalty`` times a weight is added to its gradient."""
        self.state.step += 1
        if penalty:
            self.gradient.flat_weights.add_(self.parameters.flat_weights, alpha=penalty)
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()

    def remember(self) -> OptimizerState:
        """Return the memory, brought up to date with what the optimizers keep."""
        states = [optimizer.state_dict()["state"] for optimizer in self._optimizers]
        self.state.moments = dict(enumerate(states))
        return self.state

    def take_over(self, moments: Mapping[Any, Any]) -> None:
        """Go on from moments, which are copied."""
        for number, optimizer in enumerate(self._optimizers):
            groups = optimizer.state_dict()["param_groups"]
            # What inference mode has made cannot be changed outside of it; a copy can.
            state = map_tensors(torch.clone, moments[number])
            optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.remember()


def optimizer_class(solver: Any) -> MakeOptimizer:
    """Return the class that a solver's name stands for, or the class that it is."""
    if not isinstance(solver, str):
        assert issubclass(solver, torch.optim.Optimizer)
        return solver
    name = TORCH_SOLVERS[solver]
    if not hasattr(torch.optim, name):
        raise ValueError(
            f"solver={solver!r} is torch.optim.{name}, which torch {torch.__version__} does not "
            "have; install a later one, or use another solver."
        )
    found: MakeOptimizer = getattr(torch.optim, name)
    return found


def _make_optimizers(
    parameters: ParameterVector, gradient: ParameterVector, config: TrainingConfig
) -> list[torch.optim.Optimizer]:
    """Return the optimizers that the configuration asks for, on the parameters."""
    for ours, theirs in (
        (parameters.flat_weights, gradient.flat_weights),
        (parameters.flat_biases, gradient.flat_biases),
        *zip(parameters.weights, gradient.weights, strict=True),
        *zip(parameters.biases, gradient.biases, strict=True),
    ):
        ours.grad = theirs
    make = optimizer_class(config.solver)
    settings = {"lr": config.learning_rate_init, **(config.solver_params or {})}
    if not isinstance(config.solver, str):
        return [make(_groups(parameters.weights, parameters.biases), **settings)]
    adam: dict[str, Any] = {"betas": (config.beta_1, config.beta_2), "eps": config.epsilon}
    decay = config.alpha if config.solver in DECOUPLED_SOLVERS else 0.0
    if config.solver == "muon":
        matrices = [weight for weight in parameters.weights if weight.ndim == 2]
        others = [weight for weight in parameters.weights if weight.ndim != 2]
        # The learning rate is AdamW's for both.
        settings = {"adjust_lr_fn": "match_rms_adamw", **settings}
        vectors = _groups(others, parameters.biases, decay)
        # A network may have none of one kind, and torch takes no empty list.
        return [
            *([make(matrices, weight_decay=decay, **settings)] if matrices else []),
            *(
                [torch.optim.AdamW(vectors, lr=config.learning_rate_init, **adam)]
                if vectors
                else []
            ),
        ]
    if config.solver in _ADAMS:
        settings = {**adam, **settings}
    return [make(_groups([parameters.flat_weights], [parameters.flat_biases], decay), **settings)]


def _groups(
    weights: Sequence[Tensor], biases: Sequence[Tensor], decay: float | None = None
) -> Groups:
    """Return the weights as one group and the biases, which do not decay, as another."""
    groups: Groups = [{"params": list(weights)}, {"params": list(biases)}]
    if decay is not None:
        groups[0]["weight_decay"], groups[1]["weight_decay"] = decay, 0.0
    return [group for group in groups if group["params"]]
