"""From labels to the codes that the losses compare with, and back."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from sklearn_mlp.targets.codecs import TargetCodec
from sklearn_mlp.targets.labels import (
    check_classes,
    columns_of,
    distinct,
    form_of,
    join_columns,
    read_column,
    show,
    show_as_given,
    split_classes,
)


class LabelCodec(TargetCodec):
    """The labels of a classification task.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,), or a list of them, one per column of labels
        Sorted labels.
    kind : {'binary', 'multiclass', 'multilabel', 'multioutput'}
        What an output stands for.
    """

    classes: Any
    kind: str

    @property
    @abstractmethod
    def sizes(self) -> list[int]:
        """Outputs of the network, one number per column of labels."""

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
    def is_coded(self) -> bool:
        """Whether targets are class codes."""
        return self.kind == "multiclass"

    @property
    def sizes(self) -> list[int]:
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
            return (y.toarray() if scipy.sparse.issparse(y) else y).astype(bool)
        codes = np.searchsorted(self.classes, y)[:, np.newaxis]
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
        return np.setdiff1d(self._classes_of(y), self.classes)

    def check_known(self, y: Any, *, is_warm_start: bool) -> None:
        """Check that there is no new class."""
        check_classes(self._classes_of(y), self.classes, is_warm_start=is_warm_start)

    def _classes_of(self, y: Any) -> np.ndarray:
        """Return the classes of labels, if they have the form of those of the fit."""
        form = "column" if self._is_plain_column(y) else form_of(y)
        is_multilabel = self.kind == "multilabel"
        if is_multilabel != (form == "indicator") or form == "columns":
            what = {
                "column": "one column of labels",
                "columns": f"{y.shape[-1]} columns of labels",
                "indicator": f"an indicator matrix of {y.shape[-1]} columns",
            }
            fitted = f"an indicator matrix of {len(self.classes)}" if is_multilabel else "one"
            raise ValueError(f"y has {what[form]}, but the classifier was fitted with {fitted}.")
        if not is_multilabel:
            return distinct(y)
        if y.shape[1] != len(self.classes):
            raise ValueError(
                f"y has {y.shape[1]} label columns, but the classifier was fitted with "
                f"{len(self.classes)}."
            )
        return self.classes

    def _is_plain_column(self, y: Any) -> bool:
        """Tell whether labels are one column, to which `form_of`, slower, would have no objection.

        It warns where there may be a class for every other sample.
        """
        return y.ndim == 1 and y.dtype.kind in "biuU" and 2 * len(self.classes) <= len(y)


@dataclass(frozen=True)
class ColumnsCodec(LabelCodec):
    """Several columns of labels, each with an output per class.

    Attributes
    ----------
    classes : list of ndarray of shape (n_classes,)
        Sorted labels of each column.
    """

    classes: list[np.ndarray]
    kind = "multioutput"

    @property
    def is_coded(self) -> bool:
        """Whether targets are class codes."""
        return True

    @property
    def sizes(self) -> list[int]:
        """Outputs of each column."""
        return [len(classes) for classes in self.classes]

    def encode(self, y: Any) -> np.ndarray:
        """Return the codes, (n_samples, n_columns)."""
        columns = zip(self.classes, columns_of(y), strict=True)
        codes = [np.searchsorted(classes, column) for classes, column in columns]
        return np.column_stack(codes).astype(np.int64, copy=False)

    def restore(self, targets: np.ndarray) -> np.ndarray:
        """Return the labels of codes, (n_samples, n_columns)."""
        columns = zip(self.classes, targets.T, strict=True)
        return join_columns([classes[codes] for classes, codes in columns])

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
        unknown = [np.setdiff1d(column, known) for column, known in self._pairs(y)]
        return np.concatenate([labels.astype(object) for labels in unknown])

    def check_known(self, y: Any, *, is_warm_start: bool) -> None:
        """Check that there are as many columns as there were, and no new class in any."""
        for column, known in self._pairs(y):
            check_classes(np.unique(column), known, is_warm_start=is_warm_start)

    def _pairs(self, y: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return each column with its classes, if there are as many as there were."""
        n_columns = y.shape[1] if y.ndim == 2 else 1
        if n_columns != len(self.classes):
            raise ValueError(
                f"y has {n_columns} columns of labels, but the classifier was fitted with "
                f"{len(self.classes)}."
            )
        if scipy.sparse.issparse(y):
            raise ValueError(
                f"y is sparse, but the classifier was fitted with {n_columns} columns of labels, "
                "which are dense; pass y.toarray()."
            )
        return list(zip(columns_of(y), self.classes, strict=True))


def read_labels(y: Any, *, has_output_per_class: bool = False) -> LabelCodec:
    """Read the classes off the targets.

    Parameters
    ----------
    y : ndarray or sparse matrix of shape (n_samples,) or (n_samples, n_columns)
        Labels.
    has_output_per_class : bool
        Whether two classes get two outputs instead of one.

    Raises
    ------
    TypeError, ValueError
        If ``y`` is no classification target.
    """
    form = form_of(y)
    if form == "columns":
        return ColumnsCodec([distinct(column) for column in columns_of(y)])
    if form == "indicator":
        return ClassCodec(np.arange(y.shape[1]), "multilabel", scipy.sparse.issparse(y))
    return codec_of_classes(distinct(y), has_output_per_class)


def codec_of_classes(classes: np.ndarray, has_output_per_class: bool) -> ClassCodec:
    """Return the codec of one column of labels."""
    is_binary = len(classes) <= 2 and not has_output_per_class
    return ClassCodec(classes, "binary" if is_binary else "multiclass")


def read_classes(classes: Any, y: Any, *, has_output_per_class: bool = False) -> LabelCodec:
    """Return the codec for the parameter ``classes`` of a first `partial_fit`.

    Parameters
    ----------
    classes : array-like of shape (n_classes,), or a list of such
        All labels; of several columns of labels, those of each.
    y : ndarray or sparse matrix of shape (n_samples,) or (n_samples, n_columns)
        The labels of the first samples.
    has_output_per_class : bool
        As for `read_labels`.

    Raises
    ------
    TypeError, ValueError
        If they are no classes, or not those of as many columns as ``y`` has.
    """
    n_columns = y.shape[1] if y.ndim == 2 else 1
    if n_columns == 1 and not scipy.sparse.issparse(y):
        y = y.ravel()
    of_columns = split_classes(classes)
    if of_columns is not None:
        if len(of_columns) != n_columns:
            raise ValueError(
                f"classes has the classes of {len(of_columns)} columns of labels, but y has "
                f"{n_columns}: {show(classes)}."
            )
        if n_columns == 1:
            return codec_of_classes(of_columns[0], has_output_per_class)
        return ColumnsCodec(of_columns)
    form = form_of(y)
    if form == "columns":
        raise ValueError(
            f"classes must be a list of the classes of each of the {n_columns} columns of y, got "
            f"{show(classes)}."
        )
    known = read_column(classes)
    if form == "indicator":
        codec = read_labels(y)
        if not np.array_equal(known, codec.classes):
            raise ValueError(
                "classes must be the numbers of the columns where y is an indicator matrix, "
                f"{show(codec.classes)}, got {show(classes)}."
            )
        return codec
    return codec_of_classes(known, has_output_per_class)


def check_same_classes(classes: Any, codec: LabelCodec) -> None:
    """Check that the parameter ``classes`` of a later `partial_fit` says what the first one did.

    Raises
    ------
    ValueError
        If it does not.
    """
    known = codec.classes
    columns = known if isinstance(known, list) else [known]
    told = split_classes(classes) or [read_column(classes)]
    if len(told) != len(columns) or not all(map(np.array_equal, told, columns)):
        raise ValueError(
            f"`classes={show_as_given(classes)}` is not the same as on last call to partial_fit, "
            f"was: {show_as_given(known)}"
        )
