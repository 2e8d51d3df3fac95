"""Columns of dates: how long ago, and where in the year, the week and the day."""

import numpy as np

# Lengths in days. The year is the mean one of the Gregorian calendar.
_CYCLES = {"year": 365.2425, "week": 7.0, "day": 1.0}

DATE_PARTS = ("time", *(f"{cycle}_{wave}" for cycle in _CYCLES for wave in ("sin", "cos")))

_MICROSECONDS_A_DAY = 86_400_000_000
# 1970 began on a Thursday: weeks begin on Mondays.
_DAYS_SINCE_MONDAY = 3


def split_dates(dates: np.ndarray) -> np.ndarray:
    """Return numbers that say when a date is, (n_rows, len(DATE_PARTS)).

    Parameters
    ----------
    dates : ndarray of shape (n_rows,), of datetime64
        NaT where one is missing, of which the numbers are NaN.

    Returns
    -------
    parts : ndarray
        Days since 1970, then a sine and a cosine for each cycle.
    """
    moments = dates.astype("datetime64[us]")
    is_missing = np.isnat(moments)
    days = moments.astype(np.int64) / _MICROSECONDS_A_DAY
    since = {
        "year": (moments - moments.astype("datetime64[Y]")).astype(np.int64) / _MICROSECONDS_A_DAY,
        "week": days + _DAYS_SINCE_MONDAY,
        "day": days,
    }
    parts = [days]
    for cycle, length in _CYCLES.items():
        angle = 2 * np.pi * (since[cycle] / length % 1)
        parts += [np.sin(angle), np.cos(angle)]
    numbers = np.column_stack(parts)
    # What is 0 but for rounding, such as the time of midnight, is to be constant.
    numbers[:, 1:] = np.round(numbers[:, 1:], 9)
    numbers[is_missing] = np.nan
    return numbers
