"""A fit before it trains: parameters and samples checked, and a backend's share.

A single fit goes from the former to the latter and on to the backend; many fits at once share
the samples, and train what is prepared together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.contract.observers import Observer
from sklearn_mlp.contract.state import TrainingState
from sklearn_mlp.data.row_numbers import RowNumbers
from sklearn_mlp.data.samples import Samples, TrainingData
from sklearn_mlp.machine.placement import Placement
from sklearn_mlp.network.architecture import Architecture
from sklearn_mlp.targets.codecs import TargetCodec


@dataclass(frozen=True)
class CheckedParameters:
    """The parameters of a fit, checked together and against this machine.

    Attributes
    ----------
    plain : dict
        The parameters by name, with numbers as Python's own.
    architecture : Architecture
        The network that they ask for.
    device : torch.device
        Where it is trained.
    """

    plain: Mapping[str, Any]
    architecture: Architecture
    device: torch.device


@dataclass(frozen=True)
class CheckedSamples:
    """The samples of a fit, checked, with the targets encoded, and what was learned on the way.

    Attributes
    ----------
    samples : Samples
        Those to train on; a part may be held out of them.
    watched : Samples or None
        The validation set that the user has given, if any.
    dtype : dtype
        The type that scikit-learn would train in.
    is_first : bool
        Whether training begins anew.
    codec : TargetCodec
        What the targets stand for.
    features : dict
        What scikit-learn's checks know of the features: ``n_features_in_``, and
        ``feature_names_in_`` if they have names.
    placement : Placement
        What a first fit on so many samples runs in.
    numbers : RowNumbers or None
        Where the samples are among those of all processes, if each has its own.
    """

    samples: Samples
    watched: Samples | None
    dtype: np.dtype
    is_first: bool
    codec: TargetCodec
    features: Mapping[str, Any]
    placement: Placement
    numbers: RowNumbers | None = None

    @property
    def X(self) -> Any:
        """The samples to train on, (n_samples, n_features)."""
        return self.samples.X

    @property
    def targets(self) -> np.ndarray:
        """Class codes, or values, (n_samples, 1) or (n_samples, n_outputs)."""
        return self.samples.targets


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
    architecture : Architecture
        What the network was made from.
    learned : dict
        Attributes of the estimator that the checks of the samples have found.
    """

    network: nn.Module
    data: TrainingData
    config: TrainingConfig
    state: TrainingState
    fit_dtype: np.dtype
    architecture: Architecture
    learned: Mapping[str, Any]

    def observed_by(self, *observers: Observer) -> "PreparedFit":
        """Return the same with someone to look on."""
        return replace(self, config=replace(self.config, observers=observers))

    def made_dense(self) -> "PreparedFit":
        """Return the same with samples none of whose batches are sparse."""
        return replace(self, data=replace(self.data, inputs=self.data.inputs.made_dense()))
