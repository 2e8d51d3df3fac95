"""A net around a network: anew, or from what was saved of another."""

from collections.abc import Mapping
from typing import Any

from skorch.history import History
from torch import nn

from sklearn_mlp.losses import Loss
from sklearn_mlp.network.mlp import place_of
from sklearn_mlp.skorch_backend.adapters import LogitsLoss, SolverOptimizer
from sklearn_mlp.skorch_backend.data import Chunks, EpochBatches
from sklearn_mlp.skorch_backend.nets import (
    OwnedNet,
    SkorchClassifier,
    SkorchColumnsClassifier,
    SkorchRegressor,
)
from sklearn_mlp.targets.codecs import TargetCodec
from sklearn_mlp.targets.label_codecs import ColumnsCodec, LabelCodec


def make_net(
    network: nn.Module,
    loss: Loss,
    codec: TargetCodec,
    backend_params: Mapping[str, Any] | None,
    *,
    is_compiled: bool,
) -> OwnedNet:
    """Return an initialized net around a network."""
    settings: dict[str, Any] = {
        "criterion": LogitsLoss(loss),
        "optimizer": SolverOptimizer,
        "iterator_train": EpochBatches,
        "iterator_valid": Chunks,
        "train_split": None,
        "verbose": 0,
        "device": str(place_of(network).device),
        "compile": is_compiled,
        **(backend_params or {}),
    }
    if isinstance(settings.get("callbacks"), list):
        # skorch empties the list when a net is trimmed.
        settings["callbacks"] = list(settings["callbacks"])
    net: OwnedNet
    if isinstance(codec, ColumnsCodec):
        net = SkorchColumnsClassifier(network, **settings)
    elif isinstance(codec, LabelCodec):
        net = SkorchClassifier(network, classes=codec.classes, **settings)
    else:
        net = SkorchRegressor(network, **settings)
    net.given_, net.given_compile_ = backend_params, is_compiled
    net.codec_, net.loss_ = codec, loss
    try:
        return net.initialize()
    except Exception as error:
        if not backend_params:
            raise
        raise ValueError(
            f"backend_params={dict(backend_params)} cannot be used with backend='skorch': {error}"
        ) from error


def restore_net(
    saved: Mapping[str, Any],
    network: nn.Module,
    loss: Loss,
    codec: TargetCodec,
    backend_params: Mapping[str, Any] | None,
) -> OwnedNet:
    """Return the net that `OwnedNet.plain` was called of, with a network."""
    given = saved["given"]
    given = backend_params if isinstance(given, str) else given
    net = make_net(network, loss, codec, given, is_compiled=saved["is_compiled"])
    if saved["is_trimmed"]:
        net.trim_for_prediction()
        return net
    net.history_ = History(saved["history"])
    if saved["callbacks"] is not None:
        net.callbacks_ = saved["callbacks"]
    groups = zip(net.optimizer_.param_groups, saved["param_groups"], strict=True)
    for group, saved_group in groups:
        group.update(saved_group)
    return net
