"""The part of the samples that early stopping holds out: how it is split off and scored."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from sklearn_mlp.losses import Loss
from sklearn_mlp.prediction import predict_in_chunks
from sklearn_mlp.sparse import SparseRows


@dataclass(frozen=True)
class ValidationData:
    """The held-out part of a fit with early stopping.

    Attributes
    ----------
    inputs : Tensor of shape (n_samples, n_features) or SparseRows
        On the fit's device, in its type.
    targets : Tensor of shape (n_samples, 1) or (n_samples, n_outputs)
        Class codes or values, on the CPU.
    sample_weight : Tensor of shape (n_samples,) or None
        float64 on the CPU.
    score : callable
        ``score(predictions, targets, sample_weight)`` with predictions of shape
        (n_samples, n_outputs) after the output activation, on the CPU; larger is better.
    """

    inputs: Tensor | SparseRows
    targets: Tensor
    sample_weight: Tensor | None
    score: Callable[[Tensor, Tensor, Tensor | None], float]


def split_rows(
    n_samples: int,
    fraction: float,
    stratify: np.ndarray | None,
    random_state: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Split the rows as scikit-learn's MLP does: into those to train on and those held out.

    Parameters
    ----------
    n_samples : int
        Rows to split.
    fraction : float
        The share to hold out.
    stratify : ndarray of shape (n_samples, 1) or None
        Classes to represent evenly.
    random_state : RandomState
        Advanced.

    Returns
    -------
    train, held_out : ndarray of int
        Row numbers.

    Raises
    ------
    ValueError
        If fewer than 2 rows would be held out, or a class has a single member.
    """
    train, held_out = train_test_split(
        np.arange(n_samples), test_size=fraction, stratify=stratify, random_state=random_state
    )
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            f"dataset: validation_fraction={fraction} leaves {len(held_out)} of {n_samples} "
            "samples for validation, at least 2 are needed."
        )
    return train, held_out


def make_scorer(
    network: nn.Module, validation: ValidationData | None, loss: Loss
) -> Callable[[], float] | None:
    """Return a function that scores the network, as it is, on the held-out part, if any."""
    if validation is None:
        return None

    def score() -> float:
        predictions = predict_in_chunks(
            network, validation.inputs, lambda logits: loss.activate_(logits, dim=1)
        )
        return validation.score(predictions, validation.targets, validation.sample_weight)

    return score
