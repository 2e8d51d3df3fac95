"""Gradients of a trained network's outputs with respect to its inputs, chunk by chunk."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mlp.data.kinds import rows_to_predict
from sklearn_mlp.network.mlp import place_of


def input_gradients_in_chunks(
    network: nn.Module,
    X: Any,
    outputs_of: Callable[[Tensor], Tensor],
    chosen: np.ndarray | None,
) -> np.ndarray:
    """Return the gradient of each output, or of a chosen one, at each sample.

    Parameters
    ----------
    network : Module
        The trained network.
    X : ndarray, CSR or CSC matrix, or Tensor of shape (n_samples, n_features)
        Checked samples.
    outputs_of : callable
        Turns a chunk's logits into the outputs to differentiate, (n_chunk, n_outputs), by
        operations that autograd can follow.
    chosen : ndarray of shape (n_samples,) or None
        The number of one output for each sample.

    Returns
    -------
    gradients : ndarray of shape (n_samples, n_outputs, n_features) or (n_samples, n_features)
        In the type that the network computes in.

    Raises
    ------
    ValueError
        If autograd cannot follow the network, or samples are too large for its type.
    """
    network.eval()
    like = place_of(network)
    samples = rows_to_predict(X, like.dtype, like.device).made_dense()
    step, parts = samples.chunk_rows, []
    for start in range(0, len(samples), step):
        rows = slice(start, start + step)
        inputs = samples.batch(rows)
        of = None if chosen is None else torch.from_numpy(chosen[rows]).to(like.device)
        gradients = _gradients(network, inputs, outputs_of, of)
        if samples.may_overflow and not gradients.sum().isfinite():
            samples.check_range(rows)
        parts.append(gradients.cpu().numpy())
    return np.concatenate(parts)


def _gradients(
    network: nn.Module,
    inputs: Tensor,
    outputs_of: Callable[[Tensor], Tensor],
    chosen: Tensor | None,
) -> Tensor:
    """Return a chunk's gradients.

    In eval mode a sample's outputs depend on no other sample: the gradient of a sum over the
    samples is each one's own.
    """
    leaf = inputs.detach().clone().requires_grad_()
    # A copy: a network of the user's may change what it is given.
    logits = network(leaf.clone())
    if not logits.requires_grad:
        raise ValueError(
            "module_ must compute its outputs from the samples by operations of torch, so that "
            "autograd can follow them."
        )
    outputs = outputs_of(logits)
    if chosen is not None:
        (gradient,) = torch.autograd.grad(outputs.gather(1, chosen.unsqueeze(1)).sum(), leaf)
        return gradient
    gradients = [
        torch.autograd.grad(output.sum(), leaf, retain_graph=True)[0]
        for output in outputs.unbind(1)
    ]
    return torch.stack(gradients, 1)
