"""What training remembers of the first weight, in the order that sparse samples want it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sklearn_mlp.network import Layout
from sklearn_mlp.state import TrainingState, map_tensors


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
    n_out, n_in = layout.weights[0]
    _transpose(state, layout, n_out, n_in)
    try:
        yield
    finally:
        _transpose(state, layout, n_in, n_out)


@torch.inference_mode()
def _transpose(state: TrainingState, layout: Layout, n_rows: int, n_columns: int) -> None:
    """Transpose the first weight, of so many rows and columns, in all vectors of a state."""

    def transposed(tensor: Tensor) -> Tensor:
        """Transpose the first weight within a vector, in place, if it is one of all weights."""
        # Anything shorter is of a single layer, whose shape it has.
        if tensor.ndim == 1 and len(tensor) >= layout.n_weights:
            first = tensor[: n_rows * n_columns]
            first.copy_(first.view(n_rows, n_columns).t().reshape(-1))
        return tensor

    optimizer, average, best = state.optimizer, state.average, state.best
    map_tensors(transposed, None if optimizer is None else optimizer.moments)
    map_tensors(transposed, None if average is None else [average.values, average.weights])
    map_tensors(transposed, None if best is None else best.tensors)
