"""From labels and numbers to the tensors that the losses compare with, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels


@dataclass(frozen=True)
class LabelCodec:
    """The classes of a classification task, and what a target looks like for each kind of task.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted labels.
    kind : {'binary', 'multiclass', 'multilabel'}
        One logistic output, one softmax output per class, one logistic output per label.
    """

    classes: np.ndarray
    kind: str

    @classmethod
    def from_targets(cls, y: Any) -> "LabelCodec":
        """Read the classes off the targets.

        Raises
        ------
        ValueError
            If ``y`` is no classification target, or has several columns of classes.
        """
        check_classification_targets(y)
        target_type = type_of_target(y, input_name="y")
        if target_type == "multiclass-multioutput":
            raise ValueError(
                "Multioutput target data is not supported: y must have one column of labels, or "
                f"be an indicator matrix of 0 and 1, got {target_type!r} targets."
            )
        classes = unique_labels(y)
        if target_type == "multilabel-indicator":
            return cls(classes, "multilabel")
        return cls(classes, "multiclass" if len(classes) > 2 else "binary")

    @property
    def n_outputs(self) -> int:
        """Outputs of the network."""
        return 1 if self.kind == "binary" else len(self.classes)

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

    def decode(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the labels that probabilities of shape (n_samples, n_outputs) stand for."""
        if self.kind == "multiclass":
            return self.classes[probabilities.argmax(axis=1)]
        is_positive = probabilities > 0.5
        if self.kind == "multilabel":
            return is_positive.astype(int)
        if len(self.classes) == 1:
            return np.repeat(self.classes, len(probabilities))
        return self.classes[is_positive[:, 0].astype(np.intp)]


def check_known_classes(codec: LabelCodec, y: Any, *, is_warm_start: bool) -> None:
    """Check that a later call's labels fit those that the network has outputs for.

    Raises
    ------
    ValueError
        With scikit-learn's sentence, if there is a new class, or if with ``warm_start`` the
        classes are not exactly the same.
    """
    check_classification_targets(y)
    classes, known = unique_labels(y), codec.classes
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


def check_counts(y: np.ndarray) -> None:
    """Check that targets are in the range of the Poisson loss.

    Raises
    ------
    ValueError
        If a target is negative.
    """
    if y.min() < 0:
        raise ValueError(
            "Some value(s) of y are out of the valid range of the loss 'poisson': y must be "
            f">= 0, got a minimum of {y.min()}."
        )
