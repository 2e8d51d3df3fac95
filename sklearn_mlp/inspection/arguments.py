"""The displays' arguments: checked before anything is drawn, with errors that name them."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


def network_of(estimator: Any, name: str = "estimator") -> Any:
    """Return the fitted network that a Pipeline or a search ends with; else the estimator.

    Raises
    ------
    TypeError
        If it is none of these.
    """
    if hasattr(estimator, "best_estimator_"):
        return network_of(estimator.best_estimator_, name)
    if hasattr(estimator, "steps"):
        return network_of(estimator.steps[-1][1], name)
    if isinstance(estimator, type) or not hasattr(estimator, "history_"):
        raise TypeError(
            f"{name} must be a fitted TorchMLPClassifier or TorchMLPRegressor, or a Pipeline or "
            f"search that ends with one, got {estimator!r}."
        )
    return estimator


def networks_of(estimators: Any) -> list[Any]:
    """Return the networks of a list of estimators."""
    if not isinstance(estimators, Iterable) or isinstance(estimators, str | bytes):
        raise TypeError(f"estimators must be a list of fitted estimators, got {estimators!r}.")
    named = [
        network_of(each, f"estimators[{index}]") for index, each in enumerate(_listed(estimators))
    ]
    if not named:
        raise ValueError("estimators must be a list of at least one fitted estimator, got none.")
    return named


def check_names(names: Any, networks: Sequence[Any]) -> list[str]:
    """Return the names that a legend has for networks; their classes, if there are none."""
    if names is None:
        classes = [type(network).__name__ for network in networks]
        if len(classes) == 1:
            return classes
        return [f"{name} {index}" for index, name in enumerate(classes)]
    is_list = isinstance(names, Iterable) and not isinstance(names, str | bytes)
    listed: list[Any] = _listed(names) if is_list else [None]
    if not all(isinstance(name, str) for name in listed):
        raise TypeError(f"names must be a list of names, which are strings, got {names!r}.")
    if len(set(listed)) != len(networks) or len(listed) != len(networks):
        raise ValueError(
            f"names must be a different name for each of the {len(networks)} estimators, got "
            f"{listed}."
        )
    return listed


def check_histories(histories: Any, columns: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Return histories by name, if they are what ``history_`` is."""
    needed = set(columns)
    if (isinstance(histories, Mapping) and histories) and all(
        isinstance(one, pd.DataFrame) and needed <= set(one.columns) for one in histories.values()
    ):
        return dict(histories)
    raise TypeError(
        "histories must be a dictionary with the history_ of each model, a DataFrame with the "
        f"columns {sorted(needed)}, got {histories!r}."
    )


def check_axes(axes: Any, name: str) -> None:
    """Check that something can be drawn on."""
    if not (hasattr(axes, "plot") and hasattr(axes, "imshow") and hasattr(axes, "figure")):
        raise TypeError(f"{name} must be matplotlib Axes, or None to make some, got {axes!r}.")


def axes_of_images(axes: Any, n_images: int) -> np.ndarray:
    """Return the axes for images, in the form that they are given in."""
    if isinstance(axes, np.ndarray | list | tuple):
        array = np.asarray(axes, dtype=object)
    else:
        array = np.array([None])
        array[0] = axes
    for index, place in enumerate(array.flat):
        check_axes(place, f"axes[{index}]" if array.size > 1 else "axes")
    if array.size < n_images:
        raise ValueError(f"axes must be at least {n_images}, one per unit, got {array.size}.")
    return array


def check_images(images: Any) -> np.ndarray:
    """Return images as an array of finite or infinite numbers, one after the other."""
    try:
        array = np.asarray(images)
    except Exception as error:
        raise TypeError(f"images must be an array of numbers, got {images!r}: {error}") from error
    if array.ndim != 3 or not array.size or array.dtype.kind not in "biuf":
        raise ValueError(
            "images must be an array of numbers of shape (n_units, height, width), got one of "
            f"shape {array.shape} and type {array.dtype}."
        )
    return array


def check_image_shape(image_shape: Any, n_features: int) -> tuple[int, int]:
    """Return height and width, if they make as many pixels as there are features."""
    try:
        height, width = (operator.index(size) for size in image_shape)
    except (TypeError, ValueError):
        raise TypeError(
            f"image_shape must be two whole numbers, height and width, got {image_shape!r}."
        ) from None
    if min(height, width) < 1 or height * width != n_features:
        raise ValueError(
            f"image_shape={(height, width)} has {height * width} pixels, but the network was "
            f"fitted with {n_features} features; pass the height and the width."
        )
    return height, width


def check_n_units(n_units: Any) -> int | None:
    """Return how many units to show; None are all."""
    if n_units is None:
        return None
    try:
        number = operator.index(n_units)
    except TypeError:
        raise TypeError(f"n_units must be a whole number or None, got {n_units!r}.") from None
    if number < 1:
        raise ValueError(f"n_units must be at least 1, got {n_units!r}.")
    return number


def _listed(values: Iterable[Any]) -> list[Any]:
    """Return a list of what can be gone through; of an array without axes, of nothing."""
    try:
        return list(values)
    except TypeError:
        return []
