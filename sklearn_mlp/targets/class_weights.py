"""The parameter ``class_weight``: what each sample counts for its label's sake."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_mlp.targets.labels import show_as_given


def weigh_classes(
    class_weight: Any,
    columns: list[tuple[np.ndarray, np.ndarray]],
    weights: np.ndarray | None,
    add_up: Callable[[np.ndarray], np.ndarray] | None = None,
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
    add_up : callable or None
        Returns the sums of numbers over all who have a part of the samples, where these are one.

    Returns
    -------
    weights : ndarray of shape (n_samples,) or None
        What each sample counts; None where all count 1.

    Raises
    ------
    ValueError
        With scikit-learn's sentences, if ``class_weight`` does not fit the labels; if an entry of
        a list is nothing that ``class_weight`` may be; if a weight is negative or not finite.
    TypeError
        If a weight is no number.
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
        named = [(f"class_weight[{column}]", each) for column, each in enumerate(class_weight)]
        for name, setting in named:
            _check_entry(name, setting)
    else:
        named = [("class_weight", class_weight)] * len(columns)
    combined = np.ones(len(columns[0][1])) if weights is None else weights.copy()
    for (name, setting), (classes, codes) in zip(named, columns, strict=True):
        if isinstance(setting, str):
            combined *= _balanced(codes, weights, len(classes), add_up)
        elif setting:
            combined *= _weights_of(name, setting, classes)[codes]
    with np.errstate(over="ignore"):
        total = combined.sum()
    if not np.isfinite(total):
        raise ValueError(
            "class_weight must leave the samples weights whose sum is finite, got "
            f"{class_weight!r}."
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


def _weights_of(name: str, setting: dict[Any, Any], classes: np.ndarray) -> np.ndarray:
    """Return the weight of each class that a dictionary gives, and 1 for the others."""
    given = {label: _as_weight(name, label, weight) for label, weight in setting.items()}
    weights = np.ones(len(classes))
    missing = []
    for index, label in enumerate(classes.tolist()):
        if label in given:
            weights[index] = given[label]
        elif _as_number(label) in given:
            # As in scikit-learn, a string of digits may be named by its number.
            weights[index] = given[_as_number(label)]
        else:
            missing.append(label)
    if missing and len(classes) - len(missing) != len(given):
        raise ValueError(
            f"The classes, {show_as_given(missing)}, are not in {name}, which has "
            f"{show_as_given(list(given))}."
        )
    return weights


def _as_number(label: Any) -> Any:
    """Return the number that a string stands for, or what was given."""
    try:
        return int(label)
    except (TypeError, ValueError):
        return label


def _as_weight(name: str, label: Any, weight: Any) -> float:
    """Return the weight of a class as a number.

    Raises
    ------
    TypeError, ValueError
        If it is none that a sample could count.
    """
    is_single = not isinstance(weight, str | bytes) and getattr(weight, "ndim", 0) == 0
    try:
        number = float(weight) if is_single else None
    except (TypeError, ValueError):
        number = None
    if number is None:
        raise TypeError(f"{name}[{label!r}] must be a number, got {weight!r}.")
    if not 0 <= number < np.inf:
        raise ValueError(
            f"{name}[{label!r}] must be a finite weight, 0 or larger, got {weight!r}."
        )
    return number


def _balanced(
    codes: np.ndarray,
    weights: np.ndarray | None,
    n_classes: int,
    add_up: Callable[[np.ndarray], np.ndarray] | None,
) -> np.ndarray:
    """Return each sample's factor: inversely as its class's share in the sum of weights."""
    counts = np.bincount(codes, weights=weights, minlength=n_classes)
    if add_up is not None:
        counts = add_up(counts.astype(np.float64))
    is_there = counts > 0
    factors = np.ones_like(counts, dtype=np.float64)
    # A sample without weight is as if it were not there: so is a class of such.
    factors[is_there] = counts.sum() / (is_there.sum() * counts[is_there])
    return factors[codes]
