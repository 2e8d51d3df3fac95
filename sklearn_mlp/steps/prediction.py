"""Predicting with a trained network, a bounded number of samples at a time."""

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from sklearn_mlp.data.kinds import rows_to_predict
from sklearn_mlp.data.rows import Rows
from sklearn_mlp.machine.devices import traits_of
from sklearn_mlp.machine.kernels import inference_mode, is_training_anywhere
from sklearn_mlp.network.activations import ACTIVATIONS
from sklearn_mlp.network.alterations import Affine, may_write_to_inputs, plain_layers
from sklearn_mlp.network.mlp import MLP, place_of


def _sparse_affine(inputs: Any, weight: Tensor, bias: Tensor) -> Tensor:
    """Return a layer's values for a `SparseBatch`, (n_samples, n_out)."""
    values: Tensor = inputs.times(weight.t().contiguous()).add_(bias)
    return values


class _PlainForward:
    """Runs a plain network, with the activations applied in place.

    Parameters
    ----------
    network : MLP
        The network.
    layers : list of (Tensor, Tensor)
        Its weights and biases, as `plain_layers` has found them.
    """

    def __init__(self, network: MLP, layers: list[Affine]) -> None:
        *hidden, self._last = layers
        applies = [ACTIVATIONS[cast(str, name)].apply_ for name in network.activations]
        self._hidden = list(zip(hidden, applies, strict=True))
        self._first_affine: Callable[[Any, Tensor, Tensor], Tensor] = nn.functional.linear
        self.like = self._last[0]
        self.quiet = inference_mode

    def take_sparse(self, rows: Rows) -> Rows:
        """Make ready for sparse batches; return the rows as they will be taken."""
        self._first_affine = _sparse_affine
        return rows

    def __call__(self, inputs: Any) -> Tensor:
        affine = self._first_affine
        for (weight, bias), apply_ in self._hidden:
            inputs = apply_(affine(inputs, weight, bias))
            affine = nn.functional.linear
        return affine(inputs, *self._last)


def _forward_of(network: nn.Module) -> "_PlainForward | _ModuleForward":
    """Return the fastest way to run a network, as it is now."""
    layers = plain_layers(network)
    if layers is None:
        return _ModuleForward(network)
    return _PlainForward(cast(MLP, network), layers)


class _ModuleForward:
    """Runs any other network, in eval mode."""

    def __init__(self, network: nn.Module) -> None:
        # All of it: a part may be new, or the user may have set its mode.
        self._network = network.eval() if is_training_anywhere(network) else network
        self._is_given_copies = may_write_to_inputs(network)
        self.like = place_of(network)
        # A module may keep a tensor that it makes; one made in inference mode could not be
        # trained with.
        self.quiet = torch.no_grad

    def take_sparse(self, rows: Rows) -> Rows:
        """Return the rows as they will be taken: made dense."""
        return rows.made_dense()

    def __call__(self, inputs: Tensor) -> Tensor:
        if self._is_given_copies:
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
    X : ndarray, CSR or CSC matrix, Tensor or Rows of shape (n_samples, n_features)
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
    samples = (
        X if isinstance(X, Rows) else rows_to_predict(X, forward.like.dtype, forward.like.device)
    )
    if samples.has_sparse_batches:
        samples = forward.take_sparse(samples)
    step, n_samples = samples.chunk_rows, samples.shape[0]
    result: Tensor | None = None
    with forward.quiet():
        for start in range(0, n_samples, step):
            rows = slice(start, start + step)
            logits = forward(samples.batch(rows))
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
            if samples.may_overflow and not math.isfinite(logits.sum()):
                samples.check_range(rows)
            kept = finish(logits)
            if n_samples <= step:
                return kept.cpu()
            if result is None:
                result = torch.empty((n_samples, *kept.shape[1:]), dtype=kept.dtype, device="cpu")
            result[rows] = kept
    assert result is not None
    return result
