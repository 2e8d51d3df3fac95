"""What a fit has ready before it trains: the samples checked, and what a backend is given.

A single fit goes from one to the other and on to the backend; many fits at once share the
former and train the latter together.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from sklearn_mlp.config import TrainingConfig
from sklearn_mlp.state import TrainingState
from sklearn_mlp.training_data import TrainingData


@dataclass(frozen=True)
class CheckedSamples:
    """The samples of a fit, checked, with the targets encoded.

    Attributes
    ----------
    X : ndarray, CSR or CSC matrix, or Tensor of shape (n_samples, n_features)
        The samples.
    targets : ndarray of shape (n_samples, 1) or (n_samples, n_outputs)
        Class codes, or values.
    weights : ndarray of shape (n_samples,) or None
        The sample weights in float64.
    dtype : dtype
        The type that scikit-learn would train in.
    is_first : bool
        Whether training begins anew.
    """

    X: Any
    targets: np.ndarray
    weights: np.ndarray | None
    dtype: np.dtype
    is_first: bool


@dataclass(frozen=True)
class PreparedFit:
    """Everything that a backend trains with, and what the estimator keeps of it.

    Attributes
    ----------
    network : Module
        With the weights to start from.
    data : TrainingData
        The samples.
    config : TrainingConfig
        The settings.
    state : TrainingState
        Brought up to date by the backend.
    fit_dtype : dtype
        The type of what comes out.
    """

    network: nn.Module
    data: TrainingData
    config: TrainingConfig
    state: TrainingState
    fit_dtype: np.dtype

    @property
    def for_backend(self) -> tuple[nn.Module, TrainingData, TrainingConfig, TrainingState]:
        """The arguments of a backend."""
        return self.network, self.data, self.config, self.state
