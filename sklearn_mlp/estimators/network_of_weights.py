"""The network that is made of weights and biases which the user has written before any fit."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from sklearn_mlp.contract.state import TrainingState
from sklearn_mlp.estimators.fitted import predicting_attributes
from sklearn_mlp.losses import Loss
from sklearn_mlp.machine.devices import resolve_device
from sklearn_mlp.machine.placement import Placement
from sklearn_mlp.network.architecture import Architecture
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.network.module_parameters import module_parameters_of
from sklearn_mlp.steps.choice import choose_engine
from sklearn_mlp.targets.codecs import TargetCodec
from sklearn_mlp.targets.label_codecs import LabelCodec


def network_of_weights(
    estimator: Any, weights: list[np.ndarray], biases: list[np.ndarray], codec: TargetCodec
) -> MLP:
    """Return a network as an estimator's parameters ask for, in the widths of the weights.

    Raises
    ------
    ValueError
        If the parameters ask for a network that is not made of these.
    """
    architecture = _architecture(estimator, weights)
    if architecture.module is not None:
        raise ValueError(
            "coefs_ and intercepts_ make a network only where module=None; a module's parameters "
            "are in module_, after a first fit."
        )
    n_outputs = weights[-1].shape[1]
    if isinstance(codec, LabelCodec) and codec.n_outputs != n_outputs:
        raise ValueError(
            f"coefs_ end in {n_outputs} outputs, but the classes ask for {codec.n_outputs}."
        )
    # As for few samples, in one batch.
    placement = Placement.of(vars(estimator), resolve_device(estimator.device), 1)
    samples = torch.zeros(2, len(weights[0]), dtype=placement.dtype, device=placement.device)
    network = architecture.build(samples, n_outputs, np.random.RandomState(0))
    assert isinstance(network, MLP)
    with torch.no_grad():
        for layer, weight, bias in zip(network.linear_layers, weights, biases, strict=True):
            layer.weight.copy_(torch.tensor(weight.T))
            layer.bias.copy_(torch.tensor(bias))
    return network.to(placement.device).eval()


def _architecture(estimator: Any, weights: list[Any]) -> Architecture:
    """Return what the parameters ask for, but for the widths of the hidden layers."""
    asked = Architecture.of(vars(estimator), module_parameters_of(estimator))
    return replace(asked, hidden_units=tuple(weight.shape[1] for weight in weights[:-1]))


def untrained_attributes(
    estimator: Any, network: MLP, loss: Loss, fit_dtype: np.dtype
) -> dict[str, Any]:
    """Return the fitted attributes of a network before its first epoch."""
    weights = [layer.weight.t() for layer in network.linear_layers]
    state = TrainingState()
    return {
        **predicting_attributes(network, loss, fit_dtype, weights[-1].shape[1]),
        "_architecture": _architecture(estimator, weights),
        "_state": state,
        "_epochs": state.history,
        "engine_": choose_engine(network, estimator.backend),
        "n_iter_": 0,
        "t_": 0,
        "converged_": False,
        "best_loss_": None,
        "best_validation_score_": None,
    }
