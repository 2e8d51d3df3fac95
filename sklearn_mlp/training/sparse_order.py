"""The memory of the first weight, in the order that sparse samples want."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from sklearn_mlp.contract.state import TrainingState
from sklearn_mlp.contract.tensor_trees import map_tensors
from sklearn_mlp.network.parameter_vector import Layout


@contextmanager
def input_major(state: TrainingState, layout: Layout) -> Iterator[None]:
    """Keep moments, averages and best weights input-major within the body, if the weights are.

    Between calls a state is in the order of the layers, so that a `partial_fit` on dense samples
    goes on from one on sparse samples.

    Parameters
    ----------
    state : TrainingState
        Changed in place.
    layout : Layout
        Of the parameters within the body.
    """
    if not layout.is_input_major:
        yield
        return
    _transpose_state(state, layout, to_layers=False)
    try:
        yield
    finally:
        _transpose_state(state, layout, to_layers=True)


def copied_in_order(moments: Any, layout: Layout, *, to_layers: bool) -> Any:
    """Return copies of moments in the order of the layers, or from there in that of a layout."""
    copies = map_tensors(torch.clone, moments)
    if layout.is_input_major:
        _transpose(copies, layout, to_layers=to_layers)
    return copies


def _transpose_state(state: TrainingState, layout: Layout, *, to_layers: bool) -> None:
    """Transpose the first weight in all vectors of a state."""
    optimizer, average, best = state.optimizer, state.average, state.best
    for vectors in (
        None if optimizer is None else optimizer.moments,
        None if average is None else [average.values, average.weights],
        None if best is None else best.tensors,
    ):
        _transpose(vectors, layout, to_layers=to_layers)


@torch.inference_mode()
def _transpose(vectors: Any, layout: Layout, *, to_layers: bool) -> None:
    """Transpose the first weight, in place, in those of some tensors that are of all weights."""
    shape = layout.weights[0][::-1] if to_layers else layout.weights[0]

    def transposed(tensor: Tensor) -> Tensor:
        """Return a tensor, changed if it has a number for every weight."""
        # Anything shorter is of a single layer, whose shape it has.
        if tensor.ndim == 1 and len(tensor) >= layout.n_weights:
            first = tensor[: math.prod(shape)]
            first.copy_(first.view(shape).t().reshape(-1))
        return tensor

    map_tensors(transposed, vectors)
