"""The validation set: where it comes from, and what it says of the network."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

# The arguments X_val, y_val and sample_weight_val of fit.
ValidationSet = tuple[Any, Any, Any]
NO_VALIDATION_SET: ValidationSet = (None, None, None)

# Below, the penalty over a batch's sum of weights may leave the range of float32.
_LEAST_WEIGHT = 1e-30


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
    # As a boolean, 0 is no fraction to scikit-learn.
    fraction = float(fraction)
    try:
        train, held_out = train_test_split(
            np.arange(n_samples), test_size=fraction, stratify=stratify, random_state=random_state
        )
    except ValueError as error:
        if "test_size" not in str(error):
            raise
        raise ValueError(f"{error}; it is validation_fraction={fraction}.") from error
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            f"dataset: validation_fraction={fraction} leaves {len(held_out)} of {n_samples} "
            "samples for validation, at least 2 are needed."
        )
    return train, held_out


def check_given(X_val: Any, y_val: Any, sample_weight_val: Any) -> bool:
    """Tell whether there is a validation set.

    Raises
    ------
    ValueError
        If there is only a part of one.
    """
    if X_val is not None and y_val is None:
        raise ValueError("X_val is provided, but y_val was not provided.")
    if X_val is None and y_val is not None:
        raise ValueError("y_val is provided, but X_val was not provided.")
    if X_val is None and sample_weight_val is not None:
        raise ValueError("sample_weight_val is provided, but X_val and y_val were not provided.")
    return X_val is not None


def check_some_weight(weights: np.ndarray | None, which: str) -> None:
    """Check that not all samples of a part are without weight: they would teach, or say, nothing.

    Parameters
    ----------
    weights : ndarray of shape (n_samples,) or None
        Those of the samples, the weights of their classes included.
    which : str
        What the part is for.

    Raises
    ------
    ValueError
        If all are 0.
    """
    if weights is not None and not weights.any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number among the "
            f"{len(weights)} samples {which}, got only 0."
        )


def check_sum_of_weights(weights: np.ndarray, *, is_part: bool = False) -> None:
    """Check that samples can be averaged by their weights, also by a single number for all.

    Parameters
    ----------
    weights : ndarray of shape (n_samples,)
        The weights.
    is_part : bool
        Whether other processes have more samples: these may then have no weight.

    Raises
    ------
    ValueError
        If one is not finite, or their sum is not positive and finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        total = weights.sum()
    if is_part and not weights.any():
        return
    if np.isfinite(total) and total > 0:
        least = np.abs(weights[weights != 0]).min()
        if least < _LEAST_WEIGHT:
            raise ValueError(
                f"sample_weight must have no weights between 0 and {_LEAST_WEIGHT}, which a mean "
                f"cannot be taken by, got {least}."
            )
        return
    if not np.isfinite(weights).all():
        what = "NaN" if np.isnan(weights).any() else "infinity"
        raise ValueError(f"Input sample_weight contains {what}.")
    raise ValueError(
        f"sample_weight must have a positive, finite sum, got {total} for {len(weights)} samples."
    )


@contextmanager
def of_validation_set() -> Iterator[None]:
    """Say of what is wrong with X and y that they are the validation set's."""
    try:
        yield
    except (TypeError, ValueError) as error:
        sentence = str(error).replace("sample_weight", "sample_weight_val")
        raise type(error)(f"In the validation set, X_val and y_val: {sentence}") from error
