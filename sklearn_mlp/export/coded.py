"""Plain values as JSON and arrays, and back: nothing in them is code, or names a class to import.

JSON's own values stand for themselves. All else is an object with one key that begins with a
dollar sign, and its details::

    {"$tuple": [1, 2]}, {"$dict": [[0, "a"]]}, {"$float": "nan"}, {"$device": "cpu"}
    {"$values": ["a", "b"], "dtype": "<U1", "shape": [2]}       a small array, or one of strings
    {"$array": "module_.layers.0.weight", "dtype": "<f4", "shape": [8, 4]}      one of the tensors
    {"$scalar": ...}                                            a number of NumPy's
    {"$table": [...], "keys": [...], "length": 200}             rows, column by column
    {"$random_state": [...]}                                    a `numpy.random.RandomState`
    {"$given": "loss"}                                          what the loader is given
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from sklearn_mlp.contract.tensor_trees import SavedTensor
from sklearn_mlp.export.plain import KIND
from sklearn_mlp.export.tables import columns_of, rows_of

# Types of arrays that are tensors as they are; others are tensors of their bytes.
_TENSORS = {"b1", *("i1", "i2", "i4", "i8"), *("u1", "u2", "u4", "u8"), *("f2", "f4", "f8", "c8")}

# Larger arrays of numbers are tensors, and arrays of strings whose width is out of proportion.
_MAX_NUMBERS, _MAX_BYTES = 256, 2**20

_PLAIN = (type(None), bool, str)
_SCALARS = (*_PLAIN, int, float)


class NotPlainError(TypeError):
    """Says that a value is neither a number nor text, nor made of these."""


class Encoder:
    """Turns plain values into JSON, and collects the arrays that do not belong into it.

    Parameters
    ----------
    given : mapping of int to str
        The names under which the loader is given objects, by their identity.
    others : callable
        Returns the JSON of a value of another kind, or None.

    Attributes
    ----------
    arrays : dict of str to ndarray
        What is to be saved beside the JSON, C-contiguous.
    """

    def __init__(self, given: Mapping[int, str], others: Callable[[Any, str], Any]) -> None:
        self._given = given
        self._others = others
        self._columns: dict[tuple[str, bytes], Any] = {}
        self.arrays: dict[str, np.ndarray] = {}

    def code(self, value: Any, name: str) -> Any:
        """Return the JSON of a value; ``name`` is where it is, for arrays and messages."""
        if id(value) in self._given and type(value) not in _SCALARS:
            return {"$given": self._given[id(value)]}
        kind = type(value)
        if kind in _PLAIN or (kind is int and value.bit_length() < 4096):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if kind is list:
            return self._code_list(value, name)
        if kind is tuple:
            return {"$tuple": self._code_items(value, name)}
        if kind is dict:
            return self._code_dict(value, name)
        if isinstance(value, np.generic):
            return {"$scalar": self._code_array(np.asarray(value), name)}
        if kind in (np.ndarray, np.memmap):
            return self._code_array(np.asarray(value), name)
        if kind is torch.device:
            return {"$device": str(value)}
        if kind is np.random.RandomState:
            return {"$random_state": self._code_random_state(value, name)}
        coded = self._others(value, name)
        if coded is None:
            raise NotPlainError(f"{name} is of type {kind.__module__}.{kind.__qualname__}")
        return coded

    def _code_items(self, items: Any, name: str) -> list[Any]:
        return [self.code(item, f"{name}.{index}") for index, item in enumerate(items)]

    def _code_list(self, rows: list[Any], name: str) -> Any:
        """Return the JSON of a list; of many rows of one form, column by column."""
        table = columns_of(rows)
        if table is None:
            return self._code_items(rows, name)
        keys, columns = table
        labels = range(len(columns)) if type(keys) is int else keys
        return {
            "$table": [
                self._code_column(column, f"{name}.{label}")
                for column, label in zip(columns, labels, strict=True)
            ],
            "keys": keys,
            "length": len(rows),
        }

    def _code_column(self, column: dict[str, Any], name: str) -> dict[str, Any]:
        """Return the JSON of a table's column, whose numbers are a tensor."""
        array = column.get("array")
        if array is None:
            return {key: self.code(item, name) for key, item in column.items()}
        # Backends keep records of their own, of the same numbers.
        key = array.dtype.str, array.tobytes()
        if key not in self._columns:
            self._columns[key] = self._code_tensor(array, name)
        return {"of": column["of"], "array": self._columns[key]}

    def _code_dict(self, value: dict[Any, Any], name: str) -> Any:
        if value.get(KIND) == SavedTensor.__name__:
            values = self._code_tensor(value["values"], name)
            return {KIND: SavedTensor.__name__, "values": values, "dtype": value["dtype"]}
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: self.code(item, f"{name}.{key}") for key, item in value.items()}
        pairs = enumerate(value.items())
        return {
            "$dict": [
                [self.code(key, f"{name}.key{i}"), self.code(item, f"{name}.{i}")]
                for i, (key, item) in pairs
            ]
        }

    def _code_random_state(self, value: np.random.RandomState, name: str) -> list[Any]:
        kind, keys, *rest = value.get_state()
        if kind != "MT19937":
            raise NotPlainError(f"{name} is a RandomState of {kind}; only MT19937 is kept")
        return [self._code_array(np.asarray(keys), name), *rest]

    def _code_array(self, array: np.ndarray, name: str) -> dict[str, Any]:
        kind, form = array.dtype.kind, {"dtype": array.dtype.str, "shape": list(array.shape)}
        is_text = kind in "OU" and (kind == "O" or array.nbytes <= _MAX_BYTES)
        is_small = kind in "biuf" and array.itemsize <= 8 and array.size <= _MAX_NUMBERS
        if is_text or is_small:
            return {"$values": self._code_items(array.ravel().tolist(), name), **form}
        if kind not in "biufcUSmM":
            raise NotPlainError(f"{name} is an array of {array.dtype}")
        return self._code_tensor(array, name)

    def _code_tensor(self, array: np.ndarray, name: str) -> dict[str, Any]:
        """Return the JSON of an array that is a tensor however small it is."""
        name = name.encode("ascii", "replace").decode()
        while name in self.arrays:
            name += "_"
        self.arrays[name] = _as_tensor(array)
        form = {"dtype": array.dtype.str, "shape": list(array.shape)}
        order = _memory_order(array)
        return {"$array": name, **form, **({} if order is None else {"order": order})}


def _as_tensor(array: np.ndarray) -> np.ndarray:
    """Return an array as a tensor, or its bytes as one if there is no tensor of its type."""
    contiguous = np.ascontiguousarray(array).reshape(array.shape)
    if _is_tensor(array.dtype):
        return contiguous
    return np.frombuffer(contiguous.tobytes(), np.uint8)


def _is_tensor(dtype: np.dtype) -> bool:
    """Tell whether there are tensors of a type."""
    return dtype.isnative and dtype.str[1:] in _TENSORS


def _memory_order(array: np.ndarray) -> list[int] | None:
    """Return the axes from the slowest to the fastest in memory; None if that is their order.

    Sparse samples want the first weight transposed, and sums come in another order then.
    """
    if array.flags.c_contiguous or array.ndim < 2:
        return None
    return [int(axis) for axis in np.argsort([-stride for stride in array.strides], kind="stable")]


class Decoder:
    """Undoes what `Encoder` does.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        The tensors of the file.
    given : mapping of str to object
        What the loader is given.
    others : callable
        Returns the value of an object with an unknown key that begins with a dollar sign.

    Attributes
    ----------
    unused : set of str
        The tensors that nothing has named yet.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        given: Mapping[str, Any],
        others: Callable[[dict[str, Any]], Any],
    ) -> None:
        self._arrays = arrays
        self._given = given
        self._others = others
        self.unused = set(arrays)

    def value(self, coded: Any) -> Any:
        """Return the value that JSON stands for.

        Raises
        ------
        ValueError, TypeError, KeyError
            If it stands for nothing.
        """
        if type(coded) is list:
            return [self.value(item) for item in coded]
        if type(coded) is not dict:
            return coded
        kind = next((key for key in coded if key.startswith("$")), None)
        if kind is None:
            return {key: self.value(item) for key, item in coded.items()}
        details = {key: item for key, item in coded.items() if key != kind}
        if kind in ("$values", "$array", "$table"):
            return getattr(self, f"_{kind[1:]}")(coded[kind], **details)
        return self._of_kind(kind, coded[kind], coded) if not details else self._others(coded)

    def _of_kind(self, kind: str, coded: Any, whole: dict[str, Any]) -> Any:
        """Return a value whose JSON has no details."""
        if kind == "$tuple":
            return tuple(self.value(item) for item in coded)
        if kind == "$dict":
            return {self.value(key): self.value(item) for key, item in coded}
        if kind == "$float":
            return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[coded]
        if kind == "$device":
            return torch.device(coded)
        if kind == "$scalar":
            return self.value(coded)[()]
        if kind == "$given":
            return self._given[coded]
        if kind == "$random_state":
            made = np.random.RandomState()
            made.set_state(("MT19937", *map(self.value, coded)))
            return made
        return self._others(whole)

    def _values(self, coded: list[Any], *, dtype: str, shape: list[int]) -> np.ndarray:
        """Return an array whose values are in the JSON."""
        values = [self.value(item) for item in coded]
        size = math.prod(_checked_shape(shape))
        if len(values) != size:
            raise ValueError(f"{len(values)} values are no array of the shape {shape}")
        if dtype == "|O":
            array = np.empty(size, dtype=object)
            for index, value in enumerate(values):
                array[index] = value
            return array.reshape(shape)
        of = _checked_dtype(dtype)
        if of.itemsize * size > _MAX_BYTES:
            raise ValueError(f"{size} values of {dtype} are too many to be in the JSON")
        expected = {"b": bool, "i": int, "u": int, "f": float, "U": str}[of.kind]
        if not all(type(value) is expected for value in values):
            raise ValueError(f"the values of an array of {dtype} are of another type")
        return np.array(values, dtype=of).reshape(shape)

    def _array(
        self, name: str, *, dtype: str, shape: list[int], order: list[int] | None = None
    ) -> np.ndarray:
        """Return one of the tensors, if it is what the JSON says."""
        tensor, of = self._arrays[name], _checked_dtype(dtype)
        self.unused.discard(name)
        size = math.prod(_checked_shape(shape))
        if not _is_tensor(of):
            if tensor.dtype != np.uint8 or tensor.shape != (size * of.itemsize,):
                raise ValueError(f"the tensor {name!r} has {tensor.dtype} {tensor.shape}")
            return np.frombuffer(tensor.tobytes(), of).reshape(shape)
        if tensor.dtype != of or list(tensor.shape) != shape:
            raise ValueError(
                f"the tensor {name!r} is of {tensor.dtype} and the shape {tensor.shape}, and not "
                f"of {of} and {tuple(shape)}"
            )
        if order is None:
            return tensor
        if sorted(order) != list(range(tensor.ndim)):
            raise ValueError(f"{order} is no order of {tensor.ndim} axes")
        arranged = np.empty([shape[axis] for axis in order], of).transpose(np.argsort(order))
        arranged[...] = tensor
        return arranged

    def _table(self, coded: list[Any], *, keys: Any, length: int) -> list[Any]:
        """Return rows."""
        return rows_of([self.value(column) for column in coded], keys, length)


def _checked_dtype(text: str) -> np.dtype:
    """Return a type of arrays that hold numbers or text."""
    dtype = np.dtype(text)
    if dtype.kind not in "biufcUSmM" or dtype.str != text:
        raise ValueError(f"there are no arrays of {text!r}")
    return dtype


def _checked_shape(shape: Any) -> list[int]:
    """Check that a shape is one."""
    if type(shape) is not list or not all(type(one) is int and one >= 0 for one in shape):
        raise ValueError(f"{shape!r} is no shape")
    return shape


def read_json(text: str) -> Any:
    """Return what strict JSON says: no key twice, no NaN, no number beyond those of float64.

    Raises
    ------
    ValueError
        If it is not that, or nested too deeply.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_without_repeats,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def write_json(value: Any) -> str:
    """Return a value as JSON, in ASCII."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a key twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON's")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is beyond all numbers")
    return number
