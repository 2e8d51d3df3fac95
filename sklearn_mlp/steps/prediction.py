"""Predicting with a trained network, a bounded number of samples at a time."""

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mlp.data.kinds import take_over
from sklearn_mlp.data.sparse import SparseBatch, SparseRows
from sklearn_mlp.data.tensors import check_overflow, convert
from sklearn_mlp.machine.devices import traits_of
from sklearn_mlp.machine.kernels import inference_mode, is_training_anywhere
from sklearn_mlp.network.activations import ACTIVATIONS
from sklearn_mlp.network.alterations import Affine, may_write_to_inputs, plain_layers
from sklearn_mlp.network.mlp import MLP, place_of

# A chunk's activations should stay in the cache of a core, and fill an accelerator.
_CPU_CHUNK_ROWS = 4096
_ACCELERATOR_CHUNK_ROWS = 1 << 17
# A sparse chunk is made dense: at most so many numbers.
_DENSE_CHUNK_SIZE = 1 << 24


def chunk_rows(inputs: Any, device: torch.device) -> int:
    """Return how many samples to take at a time."""
    rows = _CPU_CHUNK_ROWS if device.type == "cpu" else _ACCELERATOR_CHUNK_ROWS
    if isinstance(inputs, SparseRows) and not inputs.is_multiplied_sparse:
        rows = min(rows, max(1, _DENSE_CHUNK_SIZE // max(1, inputs.shape[1])))
    return rows


def _affine(weight: Tensor, bias: Tensor, inputs: Tensor | SparseBatch) -> Tensor:
    """Return a layer's values, (n_samples, n_out)."""
    if isinstance(inputs, SparseBatch):
        return inputs.times(weight.t().contiguous()).add_(bias)
    return nn.functional.linear(inputs, weight, bias)


class _PlainForward:
    """What a plain network computes, with the activations applied in place.

    Parameters
    ----------
    network : MLP
        The network.
    layers : list of (Tensor, Tensor)
        Its weights and biases, as `plain_layers` has found them.
    """

    takes_sparse = True

    def __init__(self, network: MLP, layers: list[Affine]) -> None:
        *hidden, self._last = layers
        applies = [ACTIVATIONS[cast(str, name)].apply_ for name in network.activations]
        self._hidden = list(zip(hidden, applies, strict=True))
        self.like = self._last[0]
        self.quiet = inference_mode

    def __call__(self, inputs: Tensor | SparseBatch) -> Tensor:
        for (weight, bias), apply_ in self._hidden:
            inputs = apply_(_affine(weight, bias, inputs))
        return _affine(*self._last, inputs)


def _forward_of(network: nn.Module) -> "_PlainForward | _ModuleForward":
    """Return the fastest way to run a network, as it is now."""
    layers = plain_layers(network)
    if layers is None:
        return _ModuleForward(network)
    return _PlainForward(cast(MLP, network), layers)


class _ModuleForward:
    """What any other network computes, in eval mode."""

    takes_sparse = False

    def __init__(self, network: nn.Module) -> None:
        # All of it: a part may be new, or the user may have set its mode.
        self._network = network.eval() if is_training_anywhere(network) else network
        self._is_given_copies = may_write_to_inputs(network)
        self.like = place_of(network)
        # A module may keep a tensor that it makes; one made in inference mode could not be
        # trained with.
        self.quiet = torch.no_grad

    def __call__(self, inputs: Tensor | SparseBatch) -> Tensor:
        if self._is_given_copies and isinstance(inputs, Tensor):
            inputs = inputs.clone()
        logits = self._network(inputs)
        if not isinstance(logits, Tensor) or not logits.is_floating_point():
            got = logits.dtype if isinstance(logits, Tensor) else type(logits).__name__
            raise TypeError(
                f"module_ must return a tensor of real numbers, got {got}; a hook may return "
                "None, or what takes the place of the outputs."
            )
        # It may be a part of the module, or of the samples, and is changed in place. Where the
        # module switches autograd on by itself, nothing here follows it.
        return logits.detach().clone()


def widened(logits: Tensor, dtype: torch.dtype) -> Tensor:
    """Return logits in float64 if that is the type asked for; they are few next to the samples."""
    if dtype != torch.float64 or logits.dtype == dtype:
        return logits
    if logits.is_cpu or traits_of(logits.device).has_float64:
        return logits.double()
    return logits.cpu().double()


def predict_in_chunks(
    network: nn.Module,
    X: Any,
    finish: Callable[[Tensor], Tensor],
    n_outputs: int | None = None,
) -> Tensor:
    """Run the network over checked samples, chunk by chunk.

    Parameters
    ----------
    network : Module
        The trained network, on the device and in the type to compute in.
    X : ndarray, CSR or CSC matrix, Tensor or SparseRows of shape (n_samples, n_features)
        Checked samples.
    finish : callable
        Turns a chunk's logits, (n_chunk, n_outputs), into what is kept of them; may change them.
    n_outputs : int or None
        How many outputs the network must have, if that is known.

    Returns
    -------
    result : Tensor
        What ``finish`` returned, joined along the samples, on the CPU.

    Raises
    ------
    ValueError
        If logits are not finite because samples are too large for the network's type, or are not
        as many as they should be.
    """
    forward = _forward_of(network)
    dtype, device = forward.like.dtype, forward.like.device
    if not isinstance(X, np.ndarray | Tensor | SparseRows):
        X = take_over(X, dtype, device)
    if isinstance(X, SparseRows) and not forward.takes_sparse:
        X = X.made_dense()
    step, n_samples = chunk_rows(X, device), X.shape[0]
    result: Tensor | None = None
    with forward.quiet():
        for start in range(0, n_samples, step):
            rows = slice(start, start + step)
            part = X.batch(rows) if isinstance(X, SparseRows) else X[rows]
            inputs, may_overflow = (
                (part, False) if isinstance(part, SparseBatch) else convert(part, dtype, device)
            )
            logits = forward(inputs)
            n_rows = min(step, n_samples - start)
            if n_outputs is not None and logits.shape != (n_rows, n_outputs):
                raise ValueError(
                    f"module_ must return {n_outputs} outputs for each sample, as it was fitted "
                    f"to, got the shape {tuple(logits.shape)} for {n_rows} samples."
                )
            if logits.dtype.itemsize < 4:
                # The user has brought the network into half precision; NumPy has no bfloat16.
                logits = logits.float()
            # The logits are few, and say as much.
            if may_overflow and not math.isfinite(logits.sum()):
                check_overflow(part, dtype, "X")
            kept = finish(logits)
            if n_samples <= step:
                return kept.cpu()
            if result is None:
                result = torch.empty((n_samples, *kept.shape[1:]), dtype=kept.dtype, device="cpu")
            result[rows] = kept
    assert result is not None
    return result
