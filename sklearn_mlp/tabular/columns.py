"""A table as the user has it, column by column: numbers, dates, or words.

Frames of pandas, polars and pyarrow are read by narwhals, which scikit-learn has for this, too.
Each column becomes one NumPy array, with NaN, NaT or None for what is missing.
"""

import datetime
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

import narwhals as nw
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

Kind = Literal["numbers", "dates", "words"]

# What pandas infers of objects, and what that is here; anything else is words.
_INFERRED: dict[str, Kind] = {
    **dict.fromkeys(
        ("integer", "floating", "mixed-integer-float", "boolean", "decimal"), "numbers"
    ),
    **dict.fromkeys(("datetime", "datetime64", "date"), "dates"),
    **dict.fromkeys(("timedelta", "timedelta64", "time", "empty"), "numbers"),
}

# What pandas infers of objects that are all numbers, or all strings.
_PLAIN = {"string", "integer", "floating", "mixed-integer-float", "boolean", "empty"}

_MICROSECONDS = 1e6


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
        As the user would call it: its name, or its place in an array.
    kind : {'numbers', 'dates', 'words'}
        What it holds by its type.
    values : ndarray of shape (n_rows,)
        float64, datetime64 or object; categories that are numbers are float64.
    is_category : bool
        Whether its type says that it holds categories.
    """

    name: str
    kind: Kind
    values: np.ndarray
    is_category: bool = False

    def as_numbers(self) -> np.ndarray:
        """Return numbers, NaN where they are missing.

        Raises
        ------
        ValueError
            If the column holds something else.
        """
        if self.kind == "numbers" or self._is_missing().all():
            return _numbers_of(self.values) if self.kind == "numbers" else self._nothing(np.nan)
        raise ValueError(
            f"column {self.name} was numbers in fit, got {self.kind}: {self.example()}."
        )

    def as_dates(self) -> np.ndarray:
        """Return dates with their time, NaT where they are missing.

        Raises
        ------
        ValueError
            If the column holds something else.
        """
        if self.kind == "dates":
            return self.values.astype("datetime64[us]")
        if self._is_missing().all():
            return self._nothing(np.datetime64("NaT", "us"))
        raise ValueError(
            f"column {self.name} was dates in fit, got {self.kind}: {self.example()}."
        )

    def as_levels(self) -> np.ndarray:
        """Return whatever it holds as numbers and strings, None where missing.

        What is neither, such as an interval, is told apart by how it looks.
        """
        values = self.values.astype(object)
        values[self._is_missing()] = None
        if pd.api.types.infer_dtype(values, skipna=True) not in _PLAIN:
            values = np.array([_as_level(each) for each in values], object)
        return values

    def _is_missing(self) -> np.ndarray:
        return np.asarray(pd.isna(self.values), dtype=bool)

    def _nothing(self, missing: Any) -> np.ndarray:
        return np.full(len(self.values), missing)

    def example(self) -> str:
        """Show a value that is there."""
        return repr(_present(self.values)[0])


def _as_level(value: Any) -> Any:
    """Return a value of a category as a number or a string."""
    if isinstance(value, Decimal):
        return float(value)
    return value if value is None or isinstance(value, str | Real) else str(value)


def _numbers_of(values: np.ndarray) -> np.ndarray:
    """Return numbers of any type, durations in seconds among them, as float64."""
    if values.dtype.kind == "m":
        seconds = values.astype("timedelta64[us]").astype(np.float64) / _MICROSECONDS
        return np.where(np.isnat(values), np.nan, seconds)
    if values.dtype != object:
        return values.astype(np.float64, copy=False)
    is_there = ~np.asarray(pd.isna(values), dtype=bool)
    numbers = np.full(len(values), np.nan)
    numbers[is_there] = [_number_of(each) for each in values[is_there]]
    return numbers


def _number_of(value: Any) -> float:
    """Return what an object counts; a duration, its seconds; a time of day, those since 0:00."""
    if isinstance(value, datetime.time):
        return 3600 * value.hour + 60 * value.minute + value.second + value.microsecond / 1e6
    if hasattr(value, "total_seconds"):
        return float(value.total_seconds())
    try:
        return float(value)
    except OverflowError:
        # An integer beyond all floats.
        return math.inf if value > 0 else -math.inf


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

    def columns(self) -> Iterator[Column]:
        """Go through the columns."""
        for place in range(self.n_columns):
            yield self.column(place)

    def column(self, place: int) -> Column:
        """Return one column."""
        if isinstance(self.source, np.ndarray):
            return _column_of_array(str(place), self.source[:, place])
        return _column_of_series(self.source[:, place])

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
    return Table(source)


def _frame_of(X: Any) -> Any:
    """Return a frame as narwhals has it, or None for anything else."""
    try:
        frame = nw.from_native(X, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        names = pd.Index(X.columns)
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


def _check_array(estimator: BaseEstimator, X: Any) -> np.ndarray:
    """Check an array-like; a list of rows of numbers and words keeps both."""

    def check(dtype: Any) -> np.ndarray:
        return check_array(
            X, dtype=dtype, ensure_all_finite=False, input_name="X", estimator=estimator
        )

    checked = check(None)
    if checked.dtype.kind in "US" and not hasattr(X, "dtype"):
        checked = check(object)
    return checked


def _column_of_array(name: str, values: np.ndarray) -> Column:
    """Return a column of an array."""
    if values.dtype == object:
        return _column_of_objects(name, values)
    if values.dtype.kind in "fiubm":
        return Column(name, "numbers", values)
    if values.dtype.kind == "M":
        return Column(name, "dates", values)
    return Column(name, "words", values.astype(object))


def _column_of_objects(name: str, values: np.ndarray) -> Column:
    """Return a column whose type says nothing, as what its values are."""
    kind = _INFERRED.get(pd.api.types.infer_dtype(values, skipna=True), "words")
    if kind == "words" and all(isinstance(each, Real | Decimal) for each in _present(values)):
        kind = "numbers"
    if kind == "dates":
        try:
            return Column(name, "dates", _naive(pd.to_datetime(pd.Series(values, dtype=object))))
        except ValueError as error:
            raise ValueError(
                f"column {name} must have dates of one time zone, or of none: {error}."
            ) from error
    return Column(name, kind, values)


def _present(values: np.ndarray) -> np.ndarray:
    """Return the values that are not missing."""
    return values[~np.asarray(pd.isna(values), dtype=bool)]


def _naive(dates: Any) -> np.ndarray:
    """Return dates as what the clocks of their time zone show."""
    if getattr(dates.dtype, "tz", None) is not None:
        dates = dates.dt.tz_localize(None)
    return np.asarray(dates).astype("datetime64[us]")


def _column_of_series(series: Any) -> Column:
    """Return a column of a frame.

    Raises
    ------
    ValueError
        If it has a type that is none of numbers, dates, categories, words.
    """
    name, dtype = repr(series.name), series.dtype
    if dtype == nw.Boolean or dtype.is_numeric():
        return Column(name, "numbers", series.cast(nw.Float64).to_numpy())
    if dtype == nw.Datetime and getattr(dtype, "time_zone", None) is not None:
        series = series.dt.replace_time_zone(None)
    values = series.to_numpy()
    if values.ndim > 1:
        # Such as records.
        raise _no_kind(name, series)
    if dtype in (nw.Datetime, nw.Date):
        return Column(name, "dates", values)
    if dtype == nw.Duration:
        return Column(name, "numbers", values)
    if dtype in (nw.Categorical, nw.Enum):
        is_number = values.dtype.kind in "fiub"
        return Column(name, "words", values if is_number else values.astype(object), True)
    if dtype == nw.String:
        return Column(name, "words", values)
    if values.dtype.kind in "fiub":
        # Such as pandas' sparse columns.
        return Column(name, "numbers", values)
    if dtype == nw.Object or pd.api.types.infer_dtype(values, skipna=True) in _INFERRED:
        return _column_of_objects(name, values)
    if math.prod(values.shape) and pd.isna(values).all():
        return Column(name, "numbers", np.full(len(values), np.nan))
    raise _no_kind(name, series)


def _no_kind(name: str, series: Any) -> ValueError:
    """Return the error of a column that is nothing of what is taken."""
    native = series.to_native()
    dtype = getattr(native, "dtype", getattr(native, "type", series.dtype))
    return ValueError(
        f"column {name} must be numbers, booleans, dates, categories or strings, got {dtype}."
    )
