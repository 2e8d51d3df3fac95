"""The parameter ``class_weight``: what each sample counts for its label's sake."""

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight


def weigh_classes(
    class_weight: Any,
    columns: list[tuple[np.ndarray, np.ndarray]],
    weights: np.ndarray | None,
) -> np.ndarray | None:
    """Multiply the sample weights by the weights of the samples' classes.

    Parameters
    ----------
    class_weight : dict, 'balanced', None, or a list of these
        The parameter. With several columns of labels the weights of a sample's labels are
        multiplied.
    columns : list of (classes, codes)
        The sorted classes of each column of labels, and each sample's code among them.
    weights : ndarray of shape (n_samples,) or None
        The sample weights. ``'balanced'`` counts with them, as `LogisticRegression` does: a weight
        of 2 is the sample twice.

    Returns
    -------
    weights : ndarray of shape (n_samples,) or None
        What each sample counts; None where all count 1.

    Raises
    ------
    ValueError
        With scikit-learn's sentences, if ``class_weight`` does not fit the labels; if an entry of
        a list is nothing that ``class_weight`` may be.
    """
    if class_weight is None:
        return weights
    if len(columns) > 1 and isinstance(class_weight, dict):
        raise ValueError(
            "For multi-output, class_weight should be a list of dicts, or the string 'balanced'."
        )
    if isinstance(class_weight, list):
        if len(class_weight) != len(columns):
            raise ValueError(
                "For multi-output, number of elements in class_weight should match number of "
                f"outputs. Got {len(class_weight)} element(s) while having {len(columns)} outputs."
            )
        for column, setting in enumerate(class_weight):
            _check_entry(f"class_weight[{column}]", setting)
        settings = class_weight
    else:
        settings = [class_weight] * len(columns)
    combined = np.ones(len(columns[0][1])) if weights is None else weights.copy()
    for setting, (classes, codes) in zip(settings, columns, strict=True):
        combined *= (
            _balanced(codes, weights)
            if isinstance(setting, str)
            else compute_class_weight(setting, classes=classes, y=classes[codes])[codes]
        )
    return None if (combined == 1).all() else combined


def asks_for_balance(class_weight: Any) -> bool:
    """Tell whether ``'balanced'`` is asked for, in any column of labels."""
    settings = class_weight if isinstance(class_weight, list) else [class_weight]
    return any(isinstance(setting, str) and setting == "balanced" for setting in settings)


def _check_entry(name: str, setting: Any) -> None:
    """Check what a list has for one column of labels."""
    if setting is None or isinstance(setting, dict) or asks_for_balance([setting]):
        return
    raise ValueError(f"{name} must be a dict, 'balanced' or None, got {setting!r}.")


def _balanced(codes: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return each sample's factor: inversely as its class's share in the sum of weights."""
    counts = np.bincount(codes, weights=weights)
    is_there = counts > 0
    factors = np.ones_like(counts, dtype=np.float64)
    # A sample without weight is as if it were not there: so is a class of such.
    factors[is_there] = counts.sum() / (is_there.sum() * counts[is_there])
    return factors[codes]
