"""From labels and numbers to the tensors that the losses compare with, and back."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels


class TargetCodec(ABC):
    """What the targets of a fit look like to the user and to the network."""

    # Whether the network's targets are class codes, int64, instead of values.
    is_coded: bool = False

    @abstractmethod
    def encode(self, y: Any) -> np.ndarray:
        """Return the targets as the losses take them, (n_samples, 1) or (n_samples, n_outputs)."""

    @abstractmethod
    def restore(self, targets: np.ndarray) -> np.ndarray:
        """Return what the user passed for encoded targets."""

    @abstractmethod
    def decode(self, outputs: np.ndarray) -> Any:
        """Return the predictions that outputs of shape (n_samples, n_outputs) stand for."""


@dataclass(frozen=True)
class NumberCodec(TargetCodec):
    """The targets of a regression, standardised or as they are.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_targets,) or None
        What is subtracted, and what is then divided by.
    """

    mean: np.ndarray | None = None
    scale: np.ndarray | None = None

    @classmethod
    def from_targets(cls, y: np.ndarray, weights: np.ndarray | None) -> "NumberCodec":
        """Return a codec that gives targets (n_samples, n_targets) mean 0 and deviation 1."""
        if weights is not None and not weights.any():
            weights = None
        y = y.astype(np.float64, copy=False)
        mean = np.average(y, axis=0, weights=weights)
        scale = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weights))
        # A constant target, to rounding, is only shifted.
        is_constant = scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)
        return cls(mean, np.where(is_constant, 1.0, scale))

    def encode(self, y: Any) -> np.ndarray:
        """Return the numbers, standardised, as (n_samples, n_targets)."""
        y = np.asarray(y)
        y = y.reshape(len(y), -1)
        if self.mean is not None and self.scale is not None:
            if y.shape[1] != len(self.mean):
                raise ValueError(
                    f"y has {y.shape[1]} columns, but the network was fitted with "
                    f"{len(self.mean)}."
                )
            return (y - self.mean) / self.scale
        return y if y.dtype.kind == "f" else y.astype(np.float64)

    def restore(self, targets: np.ndarray) -> np.ndarray:
        """Return the numbers as the user has them, (n_samples,) if there is one a sample."""
        return self.decode(targets)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Undo the standardisation of predictions.

        Parameters
        ----------
        outputs : ndarray of shape (n_samples, n_targets) or (n_samples, n_targets, n_quantiles)
            In the network's scale.

        Returns
        -------
        y : ndarray of shape (n_samples,), or with the axes that have more than one target
            In the user's.
        """
        if self.mean is not None and self.scale is not None:
            axes = (slice(None),) + (np.newaxis,) * (outputs.ndim - 2)
            outputs = outputs * self.scale[axes] + self.mean[axes]
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def decode_deviations(self, outputs: np.ndarray) -> np.ndarray:
        """Undo the standardisation of standard deviations, (n_samples, n_targets)."""
        if self.scale is not None:
            outputs = outputs * self.scale
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs


class LabelCodec(TargetCodec):
    """The labels of a classification task.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,), or a list of them, one per column of labels
        Sorted labels.
    sizes : list of int
        Outputs of the network, one number per column of labels.
    kind : {'binary', 'multiclass', 'multilabel', 'multioutput'}
        What an output stands for.
    """

    classes: Any
    sizes: list[int]
    kind: str

    @property
    def n_outputs(self) -> int:
        """Outputs of the network."""
        return sum(self.sizes)

    @abstractmethod
    def by_column(self, probabilities: np.ndarray) -> Any:
        """Return probabilities as they are, or as a list with an array per column of labels."""

    @abstractmethod
    def columns(self, targets: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return classes and codes of each column of labels, for encoded targets."""

    @abstractmethod
    def unknown_labels(self, y: Any) -> np.ndarray:
        """Return the labels that are not among the classes."""

    @abstractmethod
    def check_known(self, y: Any, *, is_warm_start: bool) -> None:
        """Check that a later call's labels fit those that the network has outputs for.

        Raises
        ------
        ValueError
            With scikit-learn's sentence, if there is a new class, or if with ``warm_start`` the
            classes are not exactly the same.
        """


@dataclass(frozen=True)
class ClassCodec(LabelCodec):
    """One column of labels, or an indicator matrix.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted labels.
    kind : {'binary', 'multiclass', 'multilabel'}
        One output that tells two classes apart, one output per class, one output per label.
    is_sparse : bool
        Whether the indicator matrix was sparse, and predictions are, as in scikit-learn.
    """

    classes: np.ndarray
    kind: str
    is_sparse: bool = False

    @property
    def is_coded(self) -> bool:  # type: ignore[override]
        """Whether targets are class codes."""
        return self.kind == "multiclass"

    @property
    def sizes(self) -> list[int]:  # type: ignore[override]
        """Outputs of the network."""
        return [1 if self.kind == "binary" else len(self.classes)]

    def encode(self, y: Any) -> np.ndarray:
        """Return the targets as numbers.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels, all of them among the classes.

        Returns
        -------
        targets : ndarray
            int64 codes of shape (n_samples, 1) for several classes; 0 and 1 as bool in shape
            (n_samples, n_outputs) for two classes and for multilabel tasks.
        """
        if self.kind == "multilabel":
            dense = y.toarray() if scipy.sparse.issparse(y) else np.asarray(y)
            if dense.shape[1] != len(self.classes):
                raise ValueError(
                    f"y has {dense.shape[1]} label columns, but the classifier was fitted with "
                    f"{len(self.classes)}."
                )
            return dense.astype(bool)
        codes = np.searchsorted(self.classes, np.asarray(y))[:, np.newaxis]
        return codes if self.kind == "multiclass" else codes == 1

    def restore(self, targets: np.ndarray) -> np.ndarray:
        """Return the labels of encoded targets."""
        return self.classes[targets[:, 0]] if self.is_coded else self._labels(targets)

    def decode(self, outputs: np.ndarray) -> Any:
        """Return the labels that probabilities of shape (n_samples, n_outputs) stand for.

        Of two classes those of the second are enough.
        """
        labels = self._labels(outputs)
        return scipy.sparse.csr_matrix(labels) if self.is_sparse else labels

    def _labels(self, outputs: np.ndarray) -> np.ndarray:
        """Return the labels as an array."""
        if self.kind == "multiclass":
            return self.classes[outputs.argmax(axis=1)]
        is_positive = outputs > 0.5
        if self.kind == "multilabel":
            return is_positive.astype(int)
        if len(self.classes) == 1:
            return np.repeat(self.classes, len(outputs))
        return self.classes[is_positive[:, -1].astype(np.intp)]

    def by_column(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the probabilities, of the only column there is."""
        return probabilities

    def columns(self, targets: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return classes and codes; of an indicator matrix, 0 and 1 for each column."""
        if self.kind == "multilabel":
            return [(np.arange(2), codes) for codes in targets.T.astype(np.intp)]
        return [(self.classes, targets[:, 0].astype(np.intp))]

    def unknown_labels(self, y: Any) -> np.ndarray:
        """Return the labels that are not among the classes."""
        return np.setdiff1d(unique_labels(y), self.classes)

    def check_known(self, y: Any, *, is_warm_start: bool) -> None:
        """Check that there is no new class."""
        if is_multioutput(y):
            raise ValueError(
                f"y has {y.shape[1]} columns of labels, but the classifier was fitted with one."
            )
        check_classification_targets(y)
        _check_classes(unique_labels(y), self.classes, is_warm_start=is_warm_start)


@dataclass(frozen=True)
class ColumnsCodec(LabelCodec):
    """Several columns of labels, each with an output per class.

    Attributes
    ----------
    classes : list of ndarray of shape (n_classes,)
        Sorted labels of each column.
    """

    classes: list[np.ndarray]
    is_coded = True
    kind = "multioutput"

    @property
    def sizes(self) -> list[int]:  # type: ignore[override]
        """Outputs of each column."""
        return [len(classes) for classes in self.classes]

    def encode(self, y: Any) -> np.ndarray:
        """Return the codes, (n_samples, n_columns)."""
        y = np.asarray(y)
        codes = [
            np.searchsorted(classes, column.astype(classes.dtype))
            for classes, column in zip(self.classes, y.T, strict=True)
        ]
        return np.column_stack(codes).astype(np.int64, copy=False)

    def restore(self, targets: np.ndarray) -> np.ndarray:
        """Return the labels of codes, (n_samples, n_columns)."""
        columns = zip(self.classes, targets.T, strict=True)
        return np.column_stack([classes[codes] for classes, codes in columns])

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return the most probable label of each column."""
        codes = [block.argmax(axis=1) for block in self.by_column(outputs)]
        return self.restore(np.column_stack(codes))

    def by_column(self, probabilities: np.ndarray) -> list[np.ndarray]:
        """Return an array per column of labels, with a column per class."""
        return np.split(probabilities, np.cumsum(self.sizes)[:-1], axis=1)

    def columns(self, targets: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return classes and codes of each column."""
        return list(zip(self.classes, targets.T, strict=True))

    def unknown_labels(self, y: Any) -> np.ndarray:
        """Return the labels of any column that are not among its classes."""
        self._check_columns(y)
        columns = zip(np.asarray(y).T, self.classes, strict=True)
        unknown = [np.setdiff1d(column, known).astype(object) for column, known in columns]
        return np.concatenate(unknown)

    def _check_columns(self, y: np.ndarray) -> None:
        """Check that there are as many columns as there were."""
        n_columns = y.shape[1] if y.ndim == 2 else 1
        if n_columns != len(self.classes):
            raise ValueError(
                f"y has {n_columns} columns of labels, but the classifier was fitted with "
                f"{len(self.classes)}."
            )

    def check_known(self, y: Any, *, is_warm_start: bool) -> None:
        """Check that there are as many columns as there were, and no new class in any."""
        self._check_columns(y)
        for column, known in zip(np.asarray(y).T, self.classes, strict=True):
            _check_classes(np.unique(column), known, is_warm_start=is_warm_start)


def read_labels(y: Any, *, has_output_per_class: bool = False) -> LabelCodec:
    """Read the classes off the targets.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_columns)
        Labels.
    has_output_per_class : bool
        Whether two classes get two outputs instead of one.

    Raises
    ------
    ValueError
        If ``y`` is no classification target.
    """
    if is_multioutput(y):
        return ColumnsCodec([np.unique(column) for column in np.asarray(y).T])
    check_classification_targets(y)
    classes = unique_labels(y)
    if type_of_target(y, input_name="y") == "multilabel-indicator":
        return ClassCodec(classes, "multilabel", scipy.sparse.issparse(y))
    is_binary = len(classes) <= 2 and not has_output_per_class
    return ClassCodec(classes, "binary" if is_binary else "multiclass")


def read_classes(classes: Any, *, has_output_per_class: bool = False) -> LabelCodec:
    """Return the codec for the parameter ``classes`` of `partial_fit`.

    Parameters
    ----------
    classes : array-like of shape (n_classes,), or a list of such
        All labels; of several columns of labels, those of each.
    has_output_per_class : bool
        As for `read_labels`.
    """
    if has_columns(classes):
        return ColumnsCodec([np.unique(np.asarray(of_column)) for of_column in classes])
    return read_labels(classes, has_output_per_class=has_output_per_class)


def has_columns(classes: Any) -> bool:
    """Tell whether ``classes`` is a list of classes for each of several columns of labels."""
    return isinstance(classes, Sequence) and all(
        isinstance(item, Sequence | np.ndarray) and not isinstance(item, str | bytes)
        for item in classes
    )


def is_multioutput(y: Any) -> bool:
    """Tell whether ``y`` has several columns of labels, and is no indicator matrix."""
    if scipy.sparse.issparse(y) or np.ndim(y) != 2 or np.shape(y)[1] < 2:
        return False
    try:
        return type_of_target(y, input_name="y") == "multiclass-multioutput"
    except TypeError:
        # Columns of numbers beside columns of strings, which cannot be sorted together.
        return all(
            type_of_target(column) in ("binary", "multiclass") for column in _typed_columns(y)
        )


def _typed_columns(y: Any) -> list[np.ndarray]:
    """Return the columns of an object array, each in a type of its own."""
    return [np.array(column.tolist()) for column in np.asarray(y).T]


def _check_classes(classes: np.ndarray, known: np.ndarray, *, is_warm_start: bool) -> None:
    """Check the classes of one column of labels."""
    if is_warm_start:
        if set(classes) != set(known):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {known}, `y` has {classes}"
            )
    elif len(np.setdiff1d(classes, known, assume_unique=True)):
        raise ValueError(
            "`y` has classes not in `self.classes_`. "
            f"`self.classes_` has {known}. 'y' has {classes}."
        )


def as_column(y: np.ndarray) -> np.ndarray:
    """Flatten a target of shape (n_samples, 1), with scikit-learn's warning."""
    if y.ndim == 2 and y.shape[1] == 1:
        return column_or_1d(y, warn=True)
    return y


def check_numbers(y: np.ndarray) -> None:
    """Check that the targets of a regression are numbers, and not strings that look like some.

    Raises
    ------
    TypeError
        If they are not; scikit-learn's is of the same kind.
    """
    if y.dtype.kind not in "biuf":
        raise TypeError(
            f"y must be numbers, got {y.dtype}; convert it, such as by y.astype(float)."
        )


def check_range(y: np.ndarray, loss: Any) -> None:
    """Check that targets are in the range of the loss.

    Raises
    ------
    ValueError
        If a target is negative where the loss is Poisson's, or not positive where it is gamma's.
    """
    bounds = {"poisson": ">= 0", "gamma": "> 0"}
    if callable(loss) or loss not in bounds:
        return
    least = y.min()
    if least < 0 or (least == 0 and loss == "gamma"):
        raise ValueError(
            f"Some value(s) of y are out of the valid range of the loss {loss!r}: y must be "
            f"{bounds[loss]}, got a minimum of {least}."
        )
