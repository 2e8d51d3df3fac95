"""The data of a fit: as it was checked, and as a backend trains on it."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.arrays.stored import StoredArray
from sklearn_mlp.arrays.tensors import as_finite_tensor, check_squares
from sklearn_mlp.data.kinds import rows_to_train_on
from sklearn_mlp.data.row_numbers import RowNumbers
from sklearn_mlp.data.rows import Rows
from sklearn_mlp.losses import Loss
from sklearn_mlp.losses.base import Metric
from sklearn_mlp.targets.codecs import TargetCodec


class Rescorer(Protocol):
    """Asks a scorer of the user's; what it knows of is only handed through on the way there.

    Attributes
    ----------
    state : TrainingState
        With the present epoch, but for its score. Set before each call.
    fitted_now : callable
        Returns a fitted estimator, as if training had ended in a state. Set when the fit is ready.
    """

    state: Any
    fitted_now: Any

    def __call__(self) -> float:
        """Return the score of the network as it is."""


@dataclass(frozen=True)
class Samples:
    """The user's samples and targets, checked, before they become tensors.

    Attributes
    ----------
    X : ndarray, CSR or CSC matrix, Tensor or StoredArray of shape (n_samples, n_features)
        The samples.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Labels or numbers, as the user has them.
    targets : ndarray of shape (n_samples, 1) or (n_samples, n_outputs)
        What the loss compares with.
    sample_weight : ndarray of shape (n_samples,) or None
        float64.
    """

    X: Any
    y: np.ndarray
    targets: np.ndarray
    sample_weight: np.ndarray | None

    def take(self, rows: np.ndarray) -> "Samples":
        """Return some of the samples."""
        X: Any
        if isinstance(self.X, StoredArray):
            X = self.X.take(rows)
        else:
            X = self.X[torch.from_numpy(rows)] if isinstance(self.X, Tensor) else self.X[rows]
        weights = None if self.sample_weight is None else self.sample_weight[rows]
        return Samples(X, self.y[rows], self.targets[rows], weights)

    def tensors(self, dtype: torch.dtype, device: torch.device, loss: Loss) -> tuple[Rows, Tensor]:
        """Return inputs and targets in the training type, on the device if they fit there.

        Raises
        ------
        ValueError
            If a number is too large for the type, or the square of one, for a loss of squares.
        """
        target_dtype = torch.int64 if self.targets.dtype.kind == "i" else dtype
        inputs = rows_to_train_on(self.X, dtype, device)
        targets = as_finite_tensor(self.targets, target_dtype, device, "y")
        if loss.squares_targets:
            check_squares(targets, "y")
        return inputs, targets


@dataclass(frozen=True)
class ValidationData:
    """The samples that the network is watched on: the user's own, or a part held out.

    Attributes
    ----------
    inputs : Rows of shape (n_samples, n_features)
        On the fit's device, in its type.
    targets : Tensor of shape (n_samples, 1) or (n_samples, n_outputs)
        Class codes or values, on the CPU.
    sample_weight : Tensor of shape (n_samples,) or None
        float64 on the CPU.
    output_dtype : torch.dtype
        The type that the estimator's predictions for the samples are computed in.
    score : callable or None
        ``score(predictions, targets, sample_weight)`` with predictions of shape
        (k, n_samples, n_outputs) after the output activation, on the CPU; larger is better.
        None takes the loss, with its sign changed.
    rescore : callable or None
        Returns the score of the network as it is, instead of ``score``: a scorer of the user's.
    """

    inputs: Rows
    targets: Tensor
    sample_weight: Tensor | None
    output_dtype: torch.dtype
    score: Metric | None
    rescore: Rescorer | None = None


@dataclass(frozen=True)
class TrainingData:
    """Everything a backend trains on.

    Attributes
    ----------
    inputs : Rows of shape (n_samples, n_features)
        All samples, on the fit's device and in its type; only ever read.
    targets : Tensor of shape (n_samples, 1) or (n_samples, n_outputs)
        int64 class codes, or values in the training type, on the same device.
    codec : TargetCodec
        What they stand for: labels or numbers.
    random_state : RandomState
        Draws the order of each epoch; the initial weights and the validation split are drawn.
    sample_weight : ndarray of shape (n_samples,) or None
        float64.
    rows : ndarray of shape (n_train,) or None
        Which samples to train on, and in which order they come before any shuffling; None is
        all. A held-out part is left out here, so that the samples need not be copied.
    validation : ValidationData or None
        The held-out part.
    is_copied : bool
        Whether each epoch trains on a copy of the samples: what trains may write to them.
    numbers : RowNumbers or None
        Where the samples are among those of all processes, if each has its own; ``rows`` are
        then numbers among all.
    """

    inputs: Rows
    targets: Tensor
    codec: TargetCodec
    random_state: np.random.RandomState
    sample_weight: np.ndarray | None = None
    rows: np.ndarray | None = None
    validation: ValidationData | None = None
    is_copied: bool = False
    numbers: RowNumbers | None = None

    @property
    def n_train(self) -> int:
        """How many samples an epoch uses, of all processes."""
        if self.rows is not None:
            return len(self.rows)
        return len(self.inputs) if self.numbers is None else self.numbers.n_rows
