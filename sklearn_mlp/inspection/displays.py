"""Pictures of fitted networks, in the manner of scikit-learn's display classes.

matplotlib is imported only where something is drawn.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd

from sklearn_mlp.inspection.arguments import (
    axes_of_images,
    check_axes,
    check_histories,
    check_image_shape,
    check_images,
    check_n_units,
    check_names,
    network_of,
    networks_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


class _CurvesDisplay:
    """Columns of ``history_`` over the epochs, of one model or of several.

    Parameters
    ----------
    histories : dict of str to DataFrame
        The ``history_`` of each model, under the name that the legend gives it.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What `plot` has drawn on.
    figure_ : matplotlib Figure
        The figure that they are in.
    lines_ : dict of str to list of matplotlib Line2D
        The curves of each model.
    """

    ax_: "Axes"
    figure_: "Figure | SubFigure"
    lines_: dict[str, list[Any]]

    # A column, what the legend calls it, and its line.
    columns: ClassVar[tuple[tuple[str, str, str], ...]]
    label: ClassVar[str]

    def __init__(self, *, histories: Mapping[str, pd.DataFrame]) -> None:
        columns = (column for column, *_ in self.columns)
        self.histories = check_histories(histories, columns)

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: "Axes | None" = None, **kwargs: Any
    ) -> Self:
        """Draw the curves of a fitted model.

        Parameters
        ----------
        estimator : estimator
            A fitted network, or a Pipeline or search that ends with one.
        name : str, default=None
            What the legend calls it; None is its class.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **kwargs
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : display
            With ``ax_``, ``figure_`` and ``lines_``.
        """
        if not isinstance(name, str | None):
            raise TypeError(f"name must be a string or None, got {name!r}.")
        network = network_of(estimator)
        names = None if name is None else [name]
        return cls.from_estimators([network], names=names, ax=ax, **kwargs)

    @classmethod
    def from_estimators(
        cls,
        estimators: Sequence[Any],
        *,
        names: Sequence[str] | None = None,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the curves of several fitted models on the same axes.

        Parameters
        ----------
        estimators : list of estimator
            Fitted networks, or Pipelines or searches that end with one.
        names : list of str, default=None
            What the legend calls them; None is their classes, numbered if there are several.
        ax, **kwargs
            As for `from_estimator`.

        Returns
        -------
        display : display
            With ``ax_``, ``figure_`` and ``lines_``.
        """
        networks = networks_of(estimators)
        names = check_names(names, networks)
        pairs = zip(names, networks, strict=True)
        display = cls(histories={name: network.history_ for name, network in pairs})
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: "Axes | None" = None, **kwargs: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **kwargs
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : display
            With ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If there is nothing to draw, as of a validation score without a validation set.
        ImportError
            If matplotlib is not installed.
        """
        present = [column for column in self.columns if self._has(column[0])]
        if not present:
            raise ValueError(
                f"none of the models has a {self.label}; fit with early_stopping=True, or with "
                "X_val and y_val."
            )
        if ax is None:
            ax = _pyplot(type(self).__name__).subplots(layout="constrained")[1]
        check_axes(ax, "ax")
        self.ax_, self.figure_, self.lines_ = ax, ax.figure, {}
        for name, history in self.histories.items():
            # Its curves have one colour, and differ in their lines.
            color: dict[str, Any] = {}
            self.lines_[name] = []
            for column, role, style in present:
                if history[column].isna().all():
                    continue
                label = " ".join(filter(None, [name if len(self.histories) > 1 else "", role]))
                options = {"linestyle": style, "label": label or name, **color, **kwargs}
                self.lines_[name] += ax.plot(history.index, history[column], **options)
                color = {"color": self.lines_[name][0].get_color()}
        ax.set(xlabel="Epoch", ylabel=self.label.capitalize())
        locator: Any = ax.xaxis.get_major_locator()
        # Half an epoch is not a thing to label.
        locator.set_params(integer=True)
        if len(self.histories) * len(present) > 1:
            ax.legend()
        return self

    def _has(self, column: str) -> bool:
        """Tell whether any of the models has numbers for a column of its history."""
        return any(history[column].notna().any() for history in self.histories.values())


class LossCurveDisplay(_CurvesDisplay):
    """The training loss of each epoch and, where there was a validation set, the loss on it.

    The training loss is taken while an epoch runs and has the penalty in it; the validation loss
    is taken at its end, and does not.

    Parameters
    ----------
    histories : dict of str to DataFrame
        The ``history_`` of each model, under its name. Use `from_estimator` or `from_estimators`
        to make a display of fitted models.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What `plot` has drawn on.
    figure_ : matplotlib Figure
        The figure that they are in.
    lines_ : dict of str to list of matplotlib Line2D
        The curves of each model.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mlp import LossCurveDisplay, TorchMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = TorchMLPClassifier(max_iter=20, tol=1, random_state=0).fit(X, y, X_val=X, y_val=y)
    >>> display = LossCurveDisplay.from_estimator(clf)
    >>> [line.get_label() for line in display.lines_["TorchMLPClassifier"]]
    ['training', 'validation']
    """

    columns = (("loss", "training", "-"), ("validation_loss", "validation", "--"))
    label = "loss"


class ValidationScoreDisplay(_CurvesDisplay):
    """The score on the validation set after each epoch.

    Parameters
    ----------
    histories : dict of str to DataFrame
        The ``history_`` of each model, under its name.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What `plot` has drawn on.
    figure_ : matplotlib Figure
        The figure that they are in.
    lines_ : dict of str to list of matplotlib Line2D
        The curve of each model.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mlp import TorchMLPClassifier, ValidationScoreDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = TorchMLPClassifier(early_stopping=True, max_iter=200, tol=0.1, random_state=0)
    >>> display = ValidationScoreDisplay.from_estimator(clf.fit(X, y))
    >>> display.ax_.get_ylabel()
    'Validation score'
    """

    columns = (("validation_score", "", "-"),)
    label = "validation score"


class LearningRateDisplay(_CurvesDisplay):
    """The learning rate that each epoch ended with.

    Parameters
    ----------
    histories : dict of str to DataFrame
        The ``history_`` of each model, under its name.

    Attributes
    ----------
    ax_ : matplotlib Axes
        What `plot` has drawn on.
    figure_ : matplotlib Figure
        The figure that they are in.
    lines_ : dict of str to list of matplotlib Line2D
        The curve of each model.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mlp import LearningRateDisplay, TorchMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> settings = {"max_iter": 200, "tol": 0.1, "random_state": 0}
    >>> rates = ["constant", "exponential"]
    >>> models = [TorchMLPClassifier(learning_rate=rate, **settings).fit(X, y) for rate in rates]
    >>> display = LearningRateDisplay.from_estimators(models, names=rates)
    >>> list(display.lines_)
    ['constant', 'exponential']
    """

    columns = (("learning_rate", "", "-"),)
    label = "learning rate"


class WeightsDisplay:
    """The weights of each unit of the first layer as an image, for samples that are images.

    Parameters
    ----------
    images : ndarray of shape (n_units, height, width)
        The weights.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        A grid; those left over show nothing.
    figure_ : matplotlib Figure
        The figure that they are in.
    images_ : list of matplotlib AxesImage
        One per unit.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_mlp import TorchMLPClassifier, WeightsDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = TorchMLPClassifier((6,), max_iter=200, tol=0.1, random_state=0).fit(X / 16, y)
    >>> display = WeightsDisplay.from_estimator(clf)
    >>> display.images.shape
    (6, 8, 8)
    """

    axes_: np.ndarray
    figure_: "Figure | SubFigure"
    images_: list[Any]

    def __init__(self, *, images: np.ndarray) -> None:
        self.images = check_images(images)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        image_shape: tuple[int, int] | None = None,
        n_units: int | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the weights of a fitted model.

        Parameters
        ----------
        estimator : estimator
            A fitted network, or a Pipeline or search that ends with one.
        image_shape : tuple (height, width), default=None
            The images' form; None is a square.
        n_units : int, default=None
            How many units to show, the first ones; None is all of them.
        **kwargs
            For `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : WeightsDisplay
            With ``axes_``, ``figure_`` and ``images_``.
        """
        weights = network_of(estimator).coefs_[0].T[: check_n_units(n_units)]
        n_features = weights.shape[1]
        if image_shape is None:
            side = math.isqrt(n_features)
            image_shape = (side, side)
        image_shape = check_image_shape(image_shape, n_features)
        return cls(images=weights.reshape(-1, *image_shape)).plot(**kwargs)

    def plot(self, axes: Any = None, **kwargs: Any) -> Self:
        """Draw an image per unit, all on one scale that is symmetric about 0.

        Parameters
        ----------
        axes : array of matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **kwargs
            For `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        self : WeightsDisplay
            With ``axes_``, ``figure_`` and ``images_``.
        """
        count = len(self.images)
        if axes is None:
            n_columns = min(count, 10, math.ceil(math.sqrt(count)) + 2)
            n_rows = math.ceil(count / n_columns)
            axes = _pyplot(type(self).__name__).subplots(
                n_rows, n_columns, figsize=(n_columns, n_rows), squeeze=False, layout="constrained"
            )[1]
        self.axes_ = np.atleast_1d(axes_of_images(axes, count))
        places = list(self.axes_.flat)
        largest = float(np.abs(self.images).max())
        options = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest, **kwargs}
        self.images_ = [
            place.imshow(image, **options)
            for place, image in zip(places, self.images, strict=False)
        ]
        for place in places:
            place.set_axis_off()
        self.figure_ = places[0].figure
        return self


def _pyplot(who: str) -> Any:
    """Import what figures are made with."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{who} needs matplotlib; install it with: pip install 'sklearn-mlp[plot]'"
        ) from error
    return plt
