"""Numbers of any kind that the table of parameters takes, as Python's own."""

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from sklearn_mlp.machine.sklearn_internals import Interval

# What most parameters are, and stay: to ask what else a number may be takes a microsecond each.
_PLAIN = (float, str, type(None))


def plain_parameters(
    parameters: Mapping[str, Any], constraints: Mapping[str, list[Any]]
) -> dict[str, Any]:
    """Return parameters with every number as Python's own, a float where it may be one.

    So training meets no narrow type of NumPy's, whose arithmetic overflows, no boolean and no
    integer where torch takes floats only.

    Parameters
    ----------
    parameters : mapping
        Values that have passed the table, by name.
    constraints : mapping
        The table.
    """
    return {
        name: value if type(value) in _PLAIN else plain_number(value, constraints.get(name, ()))
        for name, value in parameters.items()
    }


def plain_number(value: Any, constraints: Iterable[Any] = ()) -> Any:
    """Return a number as Python's own, of the type that fits constraints; all else as it is."""
    if isinstance(value, np.bool_):
        value = bool(value)
    if not isinstance(value, Real):
        return value
    types = [one.type for one in constraints if isinstance(one, Interval)]
    if isinstance(value, bool) and not types:
        return value
    return float(value) if Real in types or not isinstance(value, Integral) else int(value)
