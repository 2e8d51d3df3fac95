"""How the columns of arrays and of frames are read: what their types say that they hold.

Each column becomes one NumPy array, with NaN, NaT or None for what is missing.
"""

from collections.abc import Mapping, Set
from dataclasses import replace
from decimal import Decimal
from numbers import Real
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from sklearn_mlp.tabular.columns import Column, Kind, present, show

# What pandas infers of objects, and what that is here; anything else is words.
_INFERRED: dict[str, Kind] = {
    **dict.fromkeys(
        ("integer", "floating", "mixed-integer-float", "boolean", "decimal"), "numbers"
    ),
    **dict.fromkeys(("datetime", "datetime64", "date"), "dates"),
    **dict.fromkeys(("timedelta", "timedelta64", "time", "empty"), "numbers"),
}

# What it infers of objects that need no second look.
_SURE = {*_INFERRED, "string", "bytes"}


def column_of_array(name: str, values: np.ndarray) -> Column:
    """Return a column of an array."""
    if values.dtype == object:
        return _column_of_objects(name, values)
    if values.dtype.kind in "fiubm":
        return Column(name, "numbers", values)
    if values.dtype.kind == "M":
        return Column(name, "dates", values)
    return Column(name, "words", values.astype(object))


def column_of_series(series: Any) -> Column:
    """Return a column of a frame, a series of narwhals.

    Raises
    ------
    ValueError
        If it has a type that is none of numbers, dates, categories, words.
    """
    name, dtype = show(series.name), series.dtype
    if dtype == nw.Boolean or dtype.is_numeric():
        return Column(name, "numbers", series.cast(nw.Float64).to_numpy())
    if dtype == nw.String:
        return Column(name, "words", series.to_numpy())
    if dtype in (nw.Datetime, nw.Date):
        return _column_of_dates(name, series)
    if dtype in (nw.Categorical, nw.Enum):
        return _column_of_categories(name, series)
    if dtype.is_nested():
        raise _no_kind(name, _type_of(series))
    plain = _as_plain_type(series.to_native())
    if plain is not None:
        return column_of_series(nw.from_native(plain, series_only=True))
    values = series.to_numpy()
    if values.dtype.kind == "c":
        raise _no_kind(name, _type_of(series))
    return column_of_array(name, values)


def _column_of_dates(name: str, series: Any) -> Column:
    """Return a column of dates, or of dates with their time."""
    zone = getattr(series.dtype, "time_zone", None)
    if zone is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    values = series.to_numpy()
    if values.dtype == object:
        return _column_of_objects(name, values)
    return Column(name, "dates", values, zone=zone)


def _column_of_categories(name: str, series: Any) -> Column:
    """Return a column whose type says that it holds categories."""
    native = series.to_native()
    if series.implementation.is_pyarrow():
        # What is missing would be the last of the dictionary.
        decoded = nw.from_native(native.cast(native.type.value_type), series_only=True)
        return replace(column_of_series(decoded), kind="words", is_category=True)
    values = series.to_numpy()
    is_number = values.dtype.kind in "fiubmM"
    return Column(name, "words", values if is_number else values.astype(object), True)


def _as_plain_type(native: Any) -> pd.Series | None:
    """Return a column of pandas' own types in a plainer one, None if there is no need.

    A period counts as the moment when it begins, an interval as its middle.
    """
    dtype = getattr(native, "dtype", None)
    if isinstance(dtype, pd.SparseDtype):
        return native.sparse.to_dense()
    if isinstance(dtype, pd.PeriodDtype):
        return native.dt.start_time
    if isinstance(dtype, pd.IntervalDtype):
        return pd.Series(native.array.mid, name=native.name)
    return None


def _column_of_objects(name: str, values: np.ndarray) -> Column:
    """Return a column whose type says nothing, as what its values are."""
    inferred = pd.api.types.infer_dtype(values, skipna=True)
    kind = _INFERRED.get(inferred, "words")
    if inferred in ("period", "interval"):
        part = "start_time" if inferred == "period" else "mid"
        return _column_of_objects(name, _parts_of(values, part))
    if inferred not in _SURE:
        there = present(values)
        if all(isinstance(each, Real | Decimal | np.bool_) for each in there):
            kind = "numbers"
        else:
            _check_are_words(name, there)
    if kind == "dates":
        return _column_of_date_objects(name, values)
    return Column(name, kind, values)


def _parts_of(values: np.ndarray, part: str) -> np.ndarray:
    """Return an attribute of each value that is not missing."""
    is_there = ~np.asarray(pd.isna(values), dtype=bool)
    found = np.full(len(values), None, dtype=object)
    found[is_there] = [getattr(each, part) for each in values[is_there]]
    return found


def _check_are_words(name: str, values: np.ndarray) -> None:
    """Refuse what cannot be told apart by how it looks, or holds several values."""
    for value in values:
        is_several = isinstance(value, Mapping | Set | list) or hasattr(value, "shape")
        is_several &= not isinstance(value, np.generic)
        is_number = isinstance(value, complex | np.complexfloating)
        # Its look would be its address in memory.
        has_no_look = " object at 0x" in repr(value)
        if is_several or is_number or has_no_look:
            raise _no_kind(name, f"{type(value).__name__}: {show(value)}")


def _column_of_date_objects(name: str, values: np.ndarray) -> Column:
    """Return dates among objects."""
    try:
        dates = pd.to_datetime(pd.Series(values, dtype=object))
    except ValueError as error:
        raise ValueError(
            f"column {name} must have dates of one time zone, or of none: {error}."
        ) from error
    return _column_of_dates(name, nw.from_native(dates, series_only=True))


def _type_of(series: Any) -> Any:
    """Return the type of a series as its own library calls it."""
    native = series.to_native()
    return getattr(native, "dtype", getattr(native, "type", series.dtype))


def _no_kind(name: str, what: Any) -> ValueError:
    """Return the error of a column that is nothing of what is taken."""
    return ValueError(
        f"column {name} must be numbers, booleans, dates, categories or strings, got {what}."
    )
