"""The backends: functions ``train(network, data, config, state)`` that all leave the same behind."""

from collections.abc import Callable

from sklearn_mlp.config import TrainingConfig
from sklearn_mlp.engine.train import train as train_torch
from sklearn_mlp.network import MLP
from sklearn_mlp.state import TrainingState
from sklearn_mlp.training_data import TrainingData

Backend = Callable[[MLP, TrainingData, TrainingConfig, TrainingState], None]

BACKENDS: dict[str, Backend] = {"torch": train_torch}
