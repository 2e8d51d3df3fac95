"""Normalisation layers, and batches of a single sample, which batch normalisation cannot take."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn
from torch.optim.swa_utils import update_bn

from sklearn_mlp.data.rows import Rows

# How many samples at a time the statistics of all samples are averaged over.
_CHUNK_ROWS = 1 << 14

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


def settle_statistics(network: nn.Module, inputs: Rows) -> None:
    """Set the running statistics of batch normalisation to those of all samples.

    A line search leaves a mean over the points that it has tried, the far ones among them.

    Parameters
    ----------
    network : Module
        As it was trained.
    inputs : Rows of shape (n_samples, n_features)
        The samples, whose batches go to the network's device.
    """
    starts = range(0, len(inputs), _CHUNK_ROWS)
    rows = [slice(start, start + _CHUNK_ROWS) for start in starts]
    if len(inputs) % _CHUNK_ROWS == 1:
        # A single sample has no variance; alone, it leaves them as they are.
        rows.pop()
    inputs = inputs.made_dense()
    # Copies, which the network may change.
    update_bn((inputs.batch(part, copy=True) for part in rows), network)
