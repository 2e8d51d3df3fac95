"""The forms of labels: one column, several, or an indicator matrix; their types and classes."""

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import scipy.sparse
from sklearn.utils.multiclass import type_of_target
from torch import Tensor

from sklearn_mlp.arrays.target_checks import naming
from sklearn_mlp.arrays.tensors import on_host

Form = Literal["column", "columns", "indicator"]

_FORMS: dict[str, Form] = {
    "binary": "column",
    "multiclass": "column",
    "multiclass-multioutput": "columns",
    "multilabel-indicator": "indicator",
}


def form_of(y: Any, name: str = "y") -> Form:
    """Return the form of labels.

    Parameters
    ----------
    y : ndarray or sparse matrix of shape (n_samples,) or (n_samples, n_columns)
        The labels, checked by `validate_targets`.
    name : str
        What the user calls them.

    Returns
    -------
    form : {'column', 'columns', 'indicator'}
        One column of labels, several, or a matrix of 0 and 1.

    Raises
    ------
    ValueError
        If they are no labels, such as numbers that are not whole.
    TypeError
        If they are of several types, which cannot be sorted, or sparse.
    """
    if scipy.sparse.issparse(y):
        if type_of_target(y) == "multilabel-indicator":
            return "indicator"
        raise TypeError(
            f"{name} is sparse and no indicator matrix, which has at least two columns and "
            f"nothing but 0 and 1; labels must be dense: pass {name}.toarray()."
        )
    if y.dtype == object and y.ndim == 2 and y.shape[1] > 1:
        return _form_of_objects(y, name)
    if y.dtype.kind == "V" or (y.dtype == object and _is_mixed(y)):
        raise TypeError(_not_of_one_type(y, name))
    try:
        kind = type_of_target(y, input_name=name)
    except TypeError as error:
        raise TypeError(f"{_not_of_one_type(y, name)} {error}") from error
    if kind not in _FORMS:
        raise ValueError(
            f"Unknown label type: {kind}. Maybe you are trying to fit a classifier, which expects "
            "discrete classes on a regression target with continuous values: "
            f"{name} must be strings or whole numbers, got {describe_types(y)}."
        )
    return _FORMS[kind]


def _form_of_objects(y: np.ndarray, name: str) -> Form:
    """Return the form of a matrix of Python's objects."""
    columns = columns_of(y, name)
    kinds = {column.dtype.kind for column in columns}
    if len(kinds) == 1 and kinds != {"U"}:
        # Of one type, they could as well be an indicator matrix: scikit-learn refuses both.
        raise ValueError(
            f"Unknown label type: unknown. {name} must not be an array of objects where its "
            f"columns are of one type, got {describe_types(y)}; convert it, such as by "
            f"{name}.astype(int)."
        )
    for index, column in enumerate(columns):
        form_of(column, f"{name}[:, {index}]")
    return "columns"


def columns_of(y: np.ndarray, name: str = "y") -> list[np.ndarray]:
    """Return the columns of labels (n_samples, n_columns), each in a type of its own."""
    return [own_type(column, f"{name}[:, {index}]") for index, column in enumerate(y.T)]


def own_type(labels: np.ndarray, name: str) -> np.ndarray:
    """Return an array of objects as one of strings or of numbers; any other as it is.

    Raises
    ------
    TypeError
        If there are both, or what is neither.
    """
    if labels.dtype != object:
        return labels
    typed = np.array(labels.tolist())
    if typed.ndim != 1 or typed.dtype.kind not in "biufU" or _is_mixed(labels):
        raise TypeError(_not_of_one_type(labels, name))
    return typed


def _is_mixed(labels: np.ndarray) -> bool:
    """Tell whether objects are strings and others, or some of them None."""
    n_strings = sum(isinstance(label, str) for label in labels.flat)
    return 0 < n_strings < labels.size or any(label is None for label in labels.flat)


def _not_of_one_type(labels: np.ndarray, name: str) -> str:
    """Return the sentence for labels that cannot be sorted."""
    return (
        f"{name} must be labels of one type, all strings or all numbers, got "
        f"{describe_types(labels)}."
    )


def distinct(labels: np.ndarray) -> np.ndarray:
    """Return the classes of one column of labels, sorted, in the type that scikit-learn gives."""
    classes = np.unique(labels)
    # Strings get the length of the longest that is there.
    return np.array(classes.tolist()) if classes.dtype.kind in "OU" and len(classes) else classes


def join_columns(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return columns of labels as one array (n_samples, n_columns), each label as it is.

    Columns of several types become an array of objects: NumPy's common type of numbers and
    strings would make all of them strings.
    """
    kinds = {column.dtype.kind for column in columns}
    if len(kinds) == 1 or (kinds <= set("iuf") and _common_kind(columns) in kinds):
        return np.column_stack(columns)
    joined = np.empty((len(columns[0]), len(columns)), dtype=object)
    for index, column in enumerate(columns):
        joined[:, index] = column
    return joined


def _common_kind(columns: Sequence[np.ndarray]) -> str:
    """Return the kind of type that NumPy would join columns in."""
    return np.result_type(*columns).kind


def as_rows(y: Any) -> Any:
    """Return rows of several columns of labels such that each label keeps its type.

    NumPy would make strings of the numbers in ``[[1, "a"], [2, "b"]]``, and of a DataFrame's
    columns of types that are pandas' own. All else is returned as it is.
    """
    if getattr(y, "ndim", 1) == 2 and any(map(_is_extension, getattr(y, "dtypes", []))):
        # scikit-learn would look for one type that holds all columns.
        return join_columns(columns_of(np.asarray(y, dtype=object)))
    if not isinstance(y, list | tuple) or not y or not isinstance(y[0], list | tuple):
        return y
    n_strings = sum(isinstance(label, str) for label in y[0])
    is_mixed = 0 < n_strings < len(y[0])
    if not is_mixed or any(
        not isinstance(row, list | tuple) or len(row) != len(y[0]) for row in y
    ):
        return y
    rows = np.empty((len(y), len(y[0])), dtype=object)
    for index, row in enumerate(y):
        rows[index] = row
    return rows


def _is_extension(dtype: Any) -> bool:
    """Tell whether a column's type is not NumPy's, such as pandas' categories."""
    return not isinstance(dtype, np.dtype)


def split_classes(classes: Any) -> list[np.ndarray] | None:
    """Return the classes of each column of labels, sorted; None if they are those of one.

    Parameters
    ----------
    classes : object
        The parameter of `partial_fit`: array-likes of any kind, sets among them, in a list, a
        tuple, an array or a Series; or an array with a row for each column.
    """
    if scipy.sparse.issparse(classes):
        raise TypeError(f"classes must be an array or a list, got a {type(classes).__name__}.")
    parts = on_host(classes, "classes") if isinstance(classes, Tensor) else classes
    if hasattr(parts, "dtype") and (np.ndim(parts) == 2 or parts.dtype == object):
        parts = list(np.asarray(parts))
    is_list = isinstance(parts, list | tuple) and len(parts) > 0
    if not is_list or not all(map(_is_collection, parts)):
        return None
    return [read_column(part, f"classes[{index}]") for index, part in enumerate(parts)]


def _is_collection(part: Any) -> bool:
    """Tell whether an item of ``classes`` holds classes, and is none itself."""
    is_class = isinstance(part, str | bytes) or getattr(part, "ndim", 1) == 0
    return isinstance(part, Iterable) and not is_class


def read_column(classes: Any, name: str = "classes") -> np.ndarray:
    """Return the classes of one column of labels, sorted.

    Raises
    ------
    TypeError, ValueError
        If they are no classes, or of several types.
    """
    classes = on_host(classes, "classes") if isinstance(classes, Tensor) else classes
    is_unordered = isinstance(classes, Iterable) and not isinstance(classes, Sequence | Mapping)
    if is_unordered and not hasattr(classes, "__array__"):
        classes = list(classes)
    with naming(name):
        labels = np.asarray(classes)
        if isinstance(classes, list | tuple) and labels.dtype.kind == "U":
            # NumPy would make strings of numbers beside them.
            labels = np.array(classes, dtype=object)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"{name} must be the classes of one column of labels, (n_classes,), got "
            f"{type(classes).__name__} of the shape {labels.shape}."
        )
    with naming(name):
        labels = own_type(labels, name)
        form_of(labels, name)
        return distinct(labels)


def show(classes: Any) -> str:
    """Return classes as a message shows them: not all, if there are many."""
    if isinstance(classes, list | tuple) and any(map(_is_collection, classes)):
        parts = [show(part) for part in classes[:5]]
        return "[" + ", ".join(parts + ["..."] * (len(classes) > 5)) + "]"
    try:
        return np.array2string(np.asarray(classes), threshold=20, edgeitems=5)
    except (TypeError, ValueError):
        return reprlib.repr(classes)


def show_as_given(classes: Any) -> str:
    """Return classes as they were written, if that is short."""
    written = repr(classes)
    return written if len(written) < 200 else show(classes)


def describe_types(labels: Any) -> str:
    """Return the type of labels, or those of objects, for a message."""
    if labels.dtype != object:
        return str(labels.dtype)
    names = sorted({type(label).__name__ for label in labels.ravel()})
    return "objects of type " + ", ".join(names[:5] + ["..."] * (len(names) > 5))


def check_classes(classes: np.ndarray, known: np.ndarray, *, is_warm_start: bool) -> None:
    """Check that the classes of one column of labels are among those that were known before.

    Raises
    ------
    ValueError
        With scikit-learn's sentence, if there is a new class, or if with ``warm_start`` the
        classes are not exactly the same.
    """
    if is_warm_start:
        if set(classes) != set(known):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {show(known)}, `y` has {show(classes)}"
            )
    elif len(np.setdiff1d(classes, known, assume_unique=True)):
        raise ValueError(
            "`y` has classes not in `self.classes_`. "
            f"`self.classes_` has {show(known)}. 'y' has {show(classes)}."
        )
