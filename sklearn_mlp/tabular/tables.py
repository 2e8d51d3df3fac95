"""A table as the user has it, checked as scikit-learn does, and read column by column.

Frames of pandas, polars and pyarrow are read by narwhals, which scikit-learn has for this, too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from sklearn_mlp.arrays.tensors import on_host
from sklearn_mlp.tabular.column_types import column_of_array, column_of_series
from sklearn_mlp.tabular.columns import Column


@dataclass(frozen=True)
class Table:
    """The columns of what the user passed, read one at a time.

    Attributes
    ----------
    source : narwhals.DataFrame or ndarray of shape (n_rows, n_columns)
        Where they are.
    """

    source: Any

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return int(self.source.shape[0])

    @property
    def n_columns(self) -> int:
        """How many columns there are."""
        return int(self.source.shape[1])

    @property
    def is_numeric(self) -> bool:
        """Whether it is an array of numbers."""
        return isinstance(self.source, np.ndarray) and self.source.dtype.kind in "fiub"

    def names(self) -> list[Any] | None:
        """Return what the user calls the columns, None where they have no names."""
        if isinstance(self.source, np.ndarray):
            return None
        native = self.source.to_native()
        return list(native.columns if isinstance(native, pd.DataFrame) else self.source.columns)

    def columns(self) -> Iterator[Column]:
        """Go through the columns."""
        for place in range(self.n_columns):
            yield self.column(place)

    def column(self, place: int) -> Column:
        """Return one column."""
        if isinstance(self.source, np.ndarray):
            return column_of_array(str(place), self.source[:, place])
        return column_of_series(self.source[:, place])

    def rows(self, chosen: np.ndarray) -> "Table":
        """Return the rows that a mask has."""
        return replace(self, source=self.source[np.flatnonzero(chosen)])


def read_table(estimator: BaseEstimator, X: Any, *, reset: bool) -> Table:
    """Check what the user passed as scikit-learn does, and return it as a table.

    Parameters
    ----------
    estimator : BaseEstimator
        Gets ``n_features_in_`` and ``feature_names_in_`` if ``reset``, is compared with if not.
    X : DataFrame of pandas or polars, Table of pyarrow, or array-like of shape (n_rows, n_columns)
        What the user passed.
    reset : bool
        Whether this is a fit.

    Raises
    ------
    ValueError
        If it is no table, has no row or column, other columns than in fit, or two of one name.
    """
    X = _in_memory(X)
    frame = _frame_of(X)
    source = _check_array(estimator, X) if frame is None else frame
    if frame is not None and 0 in frame.shape:
        what = "sample(s)" if frame.shape[0] == 0 else "feature(s)"
        raise ValueError(
            f"Found array with 0 {what} (shape={tuple(frame.shape)}) while a minimum of 1 is "
            f"required by {type(estimator).__name__}."
        )
    validate_data(
        estimator, X if frame is not None else source, reset=reset, skip_check_array=True
    )
    _check_labels(estimator, X, reset=reset)
    return Table(source)


def _in_memory(X: Any) -> Any:
    """Return a table with its rows at hand.

    Raises
    ------
    TypeError
        If it is records, or its rows are yet to be computed.
    """
    if type(X).__module__.startswith("pyarrow") and hasattr(X, "to_struct_array"):
        # A batch of records, which narwhals does not know, is a table of one piece.
        import pyarrow as pa

        return pa.Table.from_batches([X]) if isinstance(X, pa.RecordBatch) else X
    records = None
    if getattr(getattr(X, "dtype", None), "names", None):
        records = "a structured array"
    elif isinstance(X, list | tuple) and len(X) and isinstance(X[0], Mapping):
        records = "a list of dictionaries"
    if records is not None:
        raise TypeError(
            f"X must be a table, or an array or a list of rows, got {records}; pass "
            "pandas.DataFrame(X)."
        )
    return X


def _frame_of(X: Any) -> Any:
    """Return a frame as narwhals has it, or None for anything else."""
    try:
        frame = nw.from_native(X, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        names = pd.Index(getattr(X, "column_names", X.columns))
        twice = names[names.duplicated()].unique().tolist()
        raise ValueError(
            f"the columns of X must have different names, but {twice} come twice."
        ) from error
    if isinstance(frame, nw.LazyFrame):
        raise TypeError(
            f"X must be a table in memory, got a {type(X).__name__}; pass X.collect(), if it has "
            "that."
        )
    return frame if isinstance(frame, nw.DataFrame) else None


def _check_labels(estimator: Any, X: Any, *, reset: bool) -> None:
    """Check that columns whose names are no strings are not in another order than in fit.

    scikit-learn looks at strings only.

    Raises
    ------
    ValueError
        With its sentence, if they are.
    """
    shown = None
    if isinstance(X, pd.DataFrame) and X.columns.inferred_type != "string":
        shown = [repr(label) for label in X.columns]
    if reset:
        estimator._column_labels = shown
        return
    known = getattr(estimator, "_column_labels", None)
    if known and shown and shown != known and sorted(shown) == sorted(known):
        raise ValueError(
            "The feature names should match those that were passed during fit.\n"
            "Feature names must be in the same order as they were in fit.\n"
        )


def _check_array(estimator: BaseEstimator, X: Any) -> np.ndarray:
    """Check an array-like; a list of rows of numbers and words keeps both."""
    X = on_host(X, "X")

    def check(dtype: Any) -> np.ndarray:
        """Check an array, of this type if there is one."""
        return check_array(
            X, dtype=dtype, ensure_all_finite=False, input_name="X", estimator=estimator
        )

    checked = check(None)
    if checked.dtype.kind in "US" and not hasattr(X, "dtype"):
        checked = check(object)
    return checked
