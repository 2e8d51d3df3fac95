"""What a backend trains on."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from sklearn_mlp.sparse import SparseRows
from sklearn_mlp.validation import ValidationData


@dataclass(frozen=True)
class TrainingData:
    """Everything a backend trains on.

    Attributes
    ----------
    inputs : Tensor of shape (n_samples, n_features) or SparseRows
        All samples, on the fit's device and in its type; only ever read.
    targets : Tensor of shape (n_samples, 1) or (n_samples, n_outputs)
        int64 class codes, or values in the training type, on the same device.
    sample_weight : ndarray of shape (n_samples,) or None
        float64.
    rows : ndarray of shape (n_train,) or None
        Which samples to train on, and in which order they come before any shuffling; None is
        all. A held-out part is left out here, so that the samples need not be copied.
    validation : ValidationData or None
        The held-out part.
    """

    inputs: Tensor | SparseRows
    targets: Tensor
    sample_weight: np.ndarray | None = None
    rows: np.ndarray | None = None
    validation: ValidationData | None = None

    @property
    def n_train(self) -> int:
        """How many samples an epoch uses."""
        return len(self.inputs) if self.rows is None else len(self.rows)
