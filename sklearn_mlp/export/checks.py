"""Objects read from a file, checked against their classes' own annotations.

A pickle is trusted, and one of another version is read as far as it goes; a file is neither.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from itertools import pairwise
from numbers import Integral, Real
from types import UnionType
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from torch import Tensor

from sklearn_mlp.contract.state import History
from sklearn_mlp.contract.tensor_trees import SavedTensor
from sklearn_mlp.export.plain import KIND, PLAIN_CLASSES
from sklearn_mlp.losses.outputs import OUTPUT_ACTIVATIONS

_CONTAINERS = (dict, list, tuple)


def check_plain(value: Any) -> None:
    """Check that plain values name nothing that their class does not have.

    Raises
    ------
    ValueError
        If they name an attribute, or a class, that is not there.
    """
    items: Any = value if type(value) in (list, tuple) else ()
    if type(value) is dict:
        items = value.values()
        if KIND in value:
            kind = PLAIN_CLASSES.get(value[KIND])
            if kind is None:
                raise ValueError(f"there is no {value[KIND]!r} in this version")
            _check_names(kind, value.keys() - {KIND})
    for item in items:
        if type(item) in _CONTAINERS:
            check_plain(item)


def _check_names(kind: type, names: Any) -> None:
    """Check that attributes are those of a class, all that it needs among them."""
    known = attributes_of(kind)
    for name in sorted(names - known.keys()):
        raise ValueError(f"{kind.__name__} has no {name!r}")
    if not is_dataclass(kind):
        needed = {name for name in known if not hasattr(kind, name)}
    else:
        needed = {
            one.name
            for one in fields(kind)
            if one.default is MISSING and one.default_factory is MISSING
        }
    for name in sorted(needed - names):
        raise ValueError(f"{kind.__name__} lacks {name!r}")


@cache
def attributes_of(kind: type) -> dict[str, Any]:
    """Return the annotations of a class's attributes."""
    hints = get_type_hints(kind)
    if is_dataclass(kind):
        return {one.name: hints[one.name] for one in fields(kind)}
    return {name: hint for name, hint in hints.items() if get_origin(hint) is not ClassVar}


_LEAVES = (str, bool, int, float, type(None))


def check_types(value: Any) -> None:
    """Check that what was restored is of the types that its class is annotated with.

    Raises
    ------
    ValueError
        If it is not.
    """
    if isinstance(value, dict):
        for item in value.values():
            check_types(item)
    elif isinstance(value, list | tuple):
        for item in value:
            check_types(item)
    elif PLAIN_CLASSES.get(type(value).__name__) is type(value):
        if isinstance(value, History):
            _check_rows(value)
        kind: Any = type(value)
        hints = attributes_of(kind)
        for name, item in vars(value).items():
            check_type(f"{type(value).__name__}.{name}", item, hints[name])
            if name == "out_activation" and item not in OUTPUT_ACTIVATIONS:
                raise ValueError(f"there is no output activation {item!r}")
            if not (isinstance(value, History) or type(item) in _LEAVES):
                check_types(item)


def _check_rows(history: History) -> None:
    """Check that records have as many rows as they say, each with all columns."""
    widths = {len(row) for row in history.rows}
    if len(history.rows) != history.length or widths - {len(History.COLUMNS)}:
        raise ValueError(f"the records are not {history.length} rows of {History.COLUMNS}")


def check_type(name: str, value: Any, hint: Any) -> None:
    """Check a value against an annotation.

    Raises
    ------
    ValueError
        If it does not fit.
    """
    if not _fits(value, hint):
        raise ValueError(f"{name} must not be of type {type(value).__name__}")


def _fits(value: Any, hint: Any) -> bool:
    """Tell whether a value is what an annotation says."""
    origin, arguments = _parts_of(hint)
    if hint is Any or origin is Callable or getattr(origin, "__name__", "") == "Callable":
        return True
    if getattr(hint, "_is_protocol", False):
        return True  # as of a function, what it can do is seen when it is asked to
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in arguments)
    if hint is None or hint is type(None):
        return value is None
    if origin is None:
        return _is_of(value, hint)
    if origin is tuple and Ellipsis not in arguments:
        return (
            type(value) is tuple
            and len(value) == len(arguments)
            and all(map(_fits, value, arguments))
        )
    if origin is tuple and arguments == (float, ...):
        # Rows of the records, of which there are many.
        return type(value) is tuple and all(issubclass(one, Real) for one in {*map(type, value)})
    if origin in (list, tuple, Sequence):
        return isinstance(value, list | tuple if origin is Sequence else origin) and all(
            _fits(item, arguments[0]) for item in value
        )
    if origin in (dict, Mapping):
        return isinstance(value, dict) and all(
            _fits(key, arguments[0]) and _fits(item, arguments[1]) for key, item in value.items()
        )
    return isinstance(value, origin)


@cache
def _parts_of(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return what an annotation is made of."""
    return get_origin(hint), get_args(hint)


def _is_of(value: Any, kind: type) -> bool:
    """Tell whether a value is of a class, or a number of NumPy's; no bool is a number."""
    if kind is Tensor:
        # It stays as it was saved until training goes on.
        return isinstance(value, SavedTensor | Tensor)
    if kind in (int, float):
        of = Integral if kind is int else Real
        return isinstance(value, of) and not isinstance(value, bool)
    return isinstance(value, bool | np.bool_ if kind is bool else kind)


def check_network(packed: Any) -> None:
    """Check that a packed network's numbers are those of its layers, before it is made.

    Raises
    ------
    ValueError
        If they are not: a network as large as the file says might have no place.
    """
    tensors = packed["tensors"]
    if not all(type(one) is dict and one.get(KIND) == SavedTensor.__name__ for one in tensors):
        raise ValueError("the network's numbers are no tensors")
    if not all(type(flag) is bool for flag in packed["is_trained"]):
        raise ValueError("is_trained must be true or false for each tensor")
    if "mlp" not in packed:
        return
    units = packed["mlp"]["units"]
    if type(units) is not tuple or not all(_is_of(one, int) and one > 0 for one in units):
        raise ValueError(f"{units} are no layers")
    if len(units) < 2 or len(tensors) < 2 * (len(units) - 1):
        raise ValueError(f"{len(tensors)} tensors are not those of {len(units) - 1} layers")
    shapes = [each["values"].shape for each in tensors]
    for layer, (n_in, n_out) in enumerate(pairwise(units)):
        if shapes[2 * layer : 2 * layer + 2] != [(n_out, n_in), (n_out,)]:
            raise ValueError(
                f"layer {layer} has the shapes {shapes[2 * layer : 2 * layer + 2]}, and not those "
                f"of {n_in} inputs and {n_out} units"
            )
    types = {each["dtype"] for each in tensors[: 2 * (len(units) - 1)]}
    if len(types) > 1 or not types <= {"float64", "float32", "float16", "bfloat16"}:
        raise ValueError(f"the network's numbers are of the types {sorted(types)}")
