"""Normalisation layers, and batches of a single sample, which batch normalisation cannot take."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

NORMALIZATIONS: dict[str, Callable[..., nn.Module]] = {
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}

# torch names no public base of its batch normalisations in one to three dimensions.
_BATCH_NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


@contextmanager
def lone_samples_spared(network: nn.Module, n_samples: int) -> Iterator[None]:
    """Let batch normalisation take its running statistics for a batch of a single sample.

    A single sample has no variance, and torch refuses it in training. It is normalised by the
    running statistics instead, as in a prediction, and leaves these as they are.

    Parameters
    ----------
    network : Module
        In training mode, and so again afterwards.
    n_samples : int
        The size of the batch.
    """
    layers: list[nn.Module] = []
    if n_samples == 1:
        layers = [
            layer
            for layer in network.modules()
            if isinstance(layer, _BATCH_NORMALIZATIONS) and layer.training
        ]
    for layer in layers:
        layer.eval()
    try:
        yield
    finally:
        for layer in layers:
            layer.train()
