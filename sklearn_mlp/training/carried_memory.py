"""The memory of training, where other parameters are trained than in the call before.

Between calls the user may freeze layers and free them again, prune or re-parametrise them. A
moment, an average or a copy of the weights is a vector of numbers by their place alone: it must
never be taken for one of other parameters.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from sklearn_mlp.contract.state import OptimizerState, TrainingState
from sklearn_mlp.network.parameter_vector import Layout

Parts = tuple[tuple[str, tuple[int, ...]], ...]


def go_on_with(state: TrainingState, layout: Layout) -> None:
    """Make a state one of the parameters that are trained now.

    Where they are the same, it stays as it is. Where some are left out, a solver of ours keeps the
    moments of the others. Else it begins anew, and in each case so do averages, and the best
    weights with their score, which other parameters have reached.

    Parameters
    ----------
    state : TrainingState
        Changed in place; its vectors are in the order of the layers.
    layout : Layout
        Of the parameters that are trained now.
    """
    before, buffers_before = state.parts, state.buffers
    state.parts, state.buffers = layout.parts, layout.names[len(layout.parts) :]
    is_same = before == state.parts and buffers_before == state.buffers
    if before is None or is_same:
        return
    if state.optimizer is not None:
        state.optimizer = _without_some(state.optimizer, before, state.parts)
    state.average = state.best = state.best_validation_score = None


def _without_some(memory: OptimizerState, before: Parts, now: Parts) -> OptimizerState | None:
    """Return a solver's memory of fewer parameters; None if it is not told apart by these."""
    sizes = [math.prod(shape) for _, shape in before]
    is_by_place = all(
        isinstance(moment, Tensor) and moment.shape == (sum(sizes),)
        for moment in memory.moments.values()
    )
    if not is_by_place or not set(now) <= set(before):
        return None
    moments = {}
    for name, moment in memory.moments.items():
        found = dict(zip(before, moment.split(sizes), strict=True))
        moments[name] = torch.cat([found[part] for part in now])
    return replace(memory, moments=moments)
