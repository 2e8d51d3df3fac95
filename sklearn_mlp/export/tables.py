"""Many rows of one form as columns: a record per epoch takes eight bytes for each number."""

from typing import Any

import numpy as np

# Fewer rows stay as they are.
_MIN_ROWS = 8

# What a column of numbers is made of, and the type of its array.
_NUMBERS: dict[type, Any] = {float: np.float64, np.float64: np.float64, bool: np.bool_, int: None}
_KINDS = {"float": float, "float64": np.float64, "bool": bool, "int": int}


def columns_of(rows: list[Any]) -> tuple[Any, list[Any]] | None:
    """Return rows, tuples or dictionaries of one form, as columns.

    Returns
    -------
    keys, columns : tuple
        The keys of the dictionaries, or how many items the tuples have; and for each column a
        dictionary that says what is in it. None if the rows are few, or of several forms.
    """
    if len(rows) < _MIN_ROWS:
        return None
    first = rows[0]
    if type(first) is tuple:
        keys: Any = len(first)
        if not all(type(row) is tuple and len(row) == keys for row in rows):
            return None
        columns = [_column(list(column)) for column in zip(*rows, strict=True)]
    elif type(first) is dict and all(type(key) is str for key in first):
        keys = list(first)
        if not all(type(row) is dict and list(row) == keys for row in rows):
            return None
        columns = [_column([row[key] for row in rows]) for key in keys]
    else:
        return None
    # One of them has to tell how many rows there are.
    is_long = any("all" not in column for column in columns)
    return (keys, columns) if is_long else None


def _column(values: list[Any]) -> dict[str, Any]:
    """Say what is in a column."""
    (kind, *others) = {type(value) for value in values}
    if kind in _NUMBERS and not others and _fits(kind, values):
        array = np.array(values, dtype=_NUMBERS[kind] or _narrow(values))
        if len(set(array.view(f"u{array.itemsize}").tolist())) == 1:
            return {"all": values[0]}
        return {"of": kind.__name__, "array": array}
    if kind in (list, dict) and not others and not any(values):
        return {"all": values[0]}
    return {"items": values}


def _fits(kind: type, values: list[Any]) -> bool:
    return kind is not int or all(
        -(2**63) <= value < 2**63 for value in (min(values), max(values))
    )


def _narrow(values: list[int]) -> Any:
    """Return the narrowest type that holds whole numbers."""
    return next(
        each
        for each in (np.int16, np.int32, np.int64)
        if np.iinfo(each).min <= min(values) and max(values) <= np.iinfo(each).max
    )


def rows_of(columns: list[Any], keys: Any, length: int) -> list[Any]:
    """Undo `columns_of`.

    Raises
    ------
    ValueError
        If the columns are of several lengths, or none has one.
    """
    lists = [_items(column, length) for column in columns]
    if all("all" in column for column in columns):
        raise ValueError("no column says how many rows there are")
    if any(len(items) != length for items in lists if items is not None):
        raise ValueError(f"there are not {length} rows")
    full = [
        _repeated(column["all"], length) if items is None else items
        for column, items in zip(columns, lists, strict=True)
    ]
    rows = list(zip(*full, strict=True))
    if type(keys) is int:
        if keys != len(columns):
            raise ValueError(f"there are not {keys} columns")
        return rows
    return [dict(zip(keys, row, strict=True)) for row in rows]


def _items(column: dict[str, Any], length: int) -> list[Any] | None:
    """Return what is in a column, or None if it is the same in all rows."""
    if column.keys() == {"all"}:
        return None
    if column.keys() == {"items"}:
        return list(column["items"])
    array, kind = column["array"], _KINDS[column["of"]]
    expected = "b" if kind is bool else "i" if kind is int else "f"
    if column.keys() != {"of", "array"} or array.dtype.kind != expected or array.ndim != 1:
        raise ValueError("a column is not of the type that it names")
    return list(array) if kind is np.float64 else array.tolist()


def _repeated(value: Any, length: int) -> list[Any]:
    """Return the same value so often, containers each of its own."""
    return [type(value)() if type(value) in (list, dict) else value for _ in range(length)]
