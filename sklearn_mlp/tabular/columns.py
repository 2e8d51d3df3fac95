"""A column of a table: numbers, dates, or words, and what it is as each of these."""

import datetime
import math
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

import numpy as np
import pandas as pd

Kind = Literal["numbers", "dates", "words"]

# What pandas infers of objects that are all numbers, and of those that are all strings, or none.
_NUMBERS = {"integer", "floating", "mixed-integer-float", "boolean"}
_PLAIN = {"string", "empty", *_NUMBERS}

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
    zone : str or None
        The time zone of dates that have one, whose values are in UTC.
    """

    name: str
    kind: Kind
    values: np.ndarray
    is_category: bool = False
    zone: str | None = None

    def as_numbers(self) -> np.ndarray:
        """Return numbers, NaN where they are missing.

        Raises
        ------
        ValueError
            If the column holds something else.
        """
        if self._has_numbers():
            return _numbers_of(self.values)
        if self._is_missing().all():
            return self._nothing(np.nan)
        raise ValueError(
            f"column {self.name} was numbers in fit, got {self.kind}: {self.example()}."
        )

    def as_dates(self, zone: str | None = None) -> np.ndarray:
        """Return dates with their time, NaT where they are missing.

        Parameters
        ----------
        zone : str or None
            The time zone whose clocks tell the time; None is the column's own. Dates that have
            none are taken to be what these clocks show.

        Raises
        ------
        ValueError
            If the column holds something else.
        """
        if self.kind == "dates":
            moments = self.values.astype("datetime64[us]")
            return moments if self.zone is None else _clocks(moments, zone or self.zone)
        if self._is_missing().all():
            return self._nothing(np.datetime64("NaT", "us"))
        raise ValueError(
            f"column {self.name} was dates in fit, got {self.kind}: {self.example()}."
        )

    def as_levels(self) -> np.ndarray:
        """Return whatever it holds as numbers and strings, None where missing.

        What is neither, such as an interval, is told apart by how it looks.
        """
        values = _as_objects(self.values)
        values[self._is_missing()] = None
        if pd.api.types.infer_dtype(values, skipna=True) not in _PLAIN:
            values = np.array([_as_level(each) for each in values], object)
        return values

    def _has_numbers(self) -> bool:
        """Tell whether it holds numbers, be they categories."""
        if self.kind == "numbers" or self.values.dtype.kind in "fiub":
            return True
        return self.is_category and pd.api.types.infer_dtype(self.values, skipna=True) in _NUMBERS

    def _is_missing(self) -> np.ndarray:
        return np.asarray(pd.isna(self.values), dtype=bool)

    def _nothing(self, missing: Any) -> np.ndarray:
        return np.full(len(self.values), missing)

    def example(self) -> str:
        """Show a value that is there."""
        return show(present(self.values)[0])


def present(values: np.ndarray) -> np.ndarray:
    """Return the values that are not missing."""
    return values[~np.asarray(pd.isna(values), dtype=bool)]


def show(value: Any) -> str:
    """Return a value, or a column's name, as the user would write it."""
    shown = repr(value.item() if isinstance(value, np.generic) else value)
    return shown if len(shown) < 80 else f"{shown[:77]}..."


def _clocks(moments: np.ndarray, zone: str) -> np.ndarray:
    """Return what the clocks of a time zone show at moments in UTC."""
    there = pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(zone)
    return np.asarray(there.tz_localize(None)).astype("datetime64[us]")


def _as_objects(values: np.ndarray) -> np.ndarray:
    """Return a copy as Python's objects; dates are dates whatever their unit."""
    if values.dtype.kind in "mM":
        return np.array(pd.Series(values).astype(object), dtype=object)
    return values.astype(object)


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
