"""Training that has diverged: refused if a weight is not finite, warned of if the loss is not."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sklearn_mlp.contract.state import TrainingState
from sklearn_mlp.machine.placement import is_stochastic


def check_trained(
    network: nn.Module, state: TrainingState, parameters: Callable[[], Mapping[str, Any]]
) -> None:
    """Check that a network's weights are numbers, and warn if the loss that they have is none.

    Parameters
    ----------
    network : Module
        As training has left it.
    state : TrainingState
        The same.
    parameters : callable
        Returns the estimator's, with numbers as Python's own; asked where something is wrong.

    Raises
    ------
    ValueError
        If a weight is NaN or infinite; with scikit-learn's sentence, and the parameters that may
        be why.
    """
    parts = [part.detach() for part in network.parameters() if part.numel()]
    # NaN among them is NaN here.
    sizes = [part.abs().max().item() for part in parts]
    if not all(map(math.isfinite, sizes)):
        causes = ", ".join(_likely_causes(parameters()))
        raise ValueError(
            "Solver produced non-finite parameter weights. The input data may"
            " contain large values and need to be preprocessed."
            + (f" Or it is the parameters: {causes}." if causes else "")
        )
    if not math.isfinite(state.loss):
        # Not of what was interrupted before there was one.
        if state.n_iter:
            warn_of_loss(state.loss)
        return
    largest = max(sizes)
    if largest > torch.finfo(parts[0].dtype).max ** 0.5:
        _warn(
            f"The weights have grown to {largest:.3g}, and predictions may not be finite. Lower "
            "learning_rate_init or alpha, or scale the data."
        )


def warn_of_loss(loss: float) -> None:
    """Warn if the loss that training has ended with is no finite number."""
    if not math.isfinite(loss):
        _warn(
            f"The training loss has ended as {loss}: it, or a part of it, is too large for the "
            "type that is trained in. Scale the data, lower learning_rate_init or alpha, or set "
            "dtype='float64'."
        )


def _warn(message: str) -> None:
    """Warn that training has come to nothing."""
    warnings.warn(message, ConvergenceWarning, stacklevel=1)


def _likely_causes(parameters: Mapping[str, Any]) -> list[str]:
    """Return the parameters with which training may well end so, and their values."""
    usual = {"alpha": 1, "focal_gamma": 10}
    if is_stochastic(parameters["solver"]):
        usual["learning_rate_init"] = 1
    names = [name for name, most in usual.items() if parameters.get(name, 0) > most]
    if parameters["epsilon"] < torch.finfo(torch.float32).tiny:
        # It is 0 in float32, and what it is added to may be 0, too.
        names.append("epsilon")
    if callable(parameters.get("loss")):
        names.append("loss")
    return [f"{name}={parameters[name]!r}" for name in names]
