"""An ONNX graph in the making, and the hidden activations written as its operators.

Only operators are used that ONNX has had since opset 17, or in the same form before, and that
onnxruntime has for float32 and float64, so that one graph serves both types.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_mlp.machine.optional_packages import import_optional

# The oldest with all that is used here, and its format's version.
OPSET, IR_VERSION = 17, 8


def import_onnx(name: str = "onnx") -> Any:
    """Import a package that the export needs, or say how to install it."""
    return import_optional(name, extra="onnx", purpose="writing ONNX")


class Graph:
    """Nodes and constants of one graph.

    Parameters
    ----------
    dtype : dtype
        The floating type, float32 or float64, of constants and results until `cast` changes it.

    Attributes
    ----------
    nodes, constants : list
        The NodeProto and TensorProto messages so far.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self._onnx = import_onnx()
        self.dtype = np.dtype(dtype)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._names: set[str] = set()

    def add(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node; return the name of its (first) result."""
        return self.add_several(operator, inputs, [name], **attributes)[0]

    def add_several(
        self, operator: str, inputs: list[str], names: list[str], **attributes: Any
    ) -> list[str]:
        """Add a node with several results; return their names."""
        outputs = [self._unique(name) for name in names]
        self.nodes.append(
            self._onnx.helper.make_node(
                operator, inputs, outputs, name=f"{outputs[0]}/{operator}", **attributes
            )
        )
        return outputs

    def constant(self, name: str, values: Any) -> str:
        """Add an array as it is, strings among them; return its name."""
        array = np.asarray(values)
        if array.dtype.kind == "U":
            array = array.astype(object)
        name = self._unique(name)
        self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def numbers(self, name: str, values: Any) -> str:
        """Add numbers in the graph's floating type; return their name."""
        return self.constant(name, np.asarray(values, self.dtype))

    def cast(self, value: str, dtype: np.dtype) -> str:
        """Go on in another floating type."""
        self.dtype = np.dtype(dtype)
        return self.as_type(value, dtype, "cast")

    def as_type(self, value: str, dtype: Any, name: str) -> str:
        """Return a value in a type of NumPy's."""
        to = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", [value], name, to=to)

    def _unique(self, name: str) -> str:
        """Return a name that is not taken, which for the first one is the name itself."""
        unique, count = name, 1
        while unique in self._names:
            count += 1
            unique = f"{name}_{count}"
        self._names.add(unique)
        return unique


# The activations. onnxruntime has Elu, Selu, Softplus and Erf for float32 alone.


def _positive(graph: Graph, value: str) -> str:
    """Return the positive part."""
    return graph.add("Relu", [value], f"{value}/positive")


def _negative_exp(graph: Graph, value: str, scale: float) -> str:
    """Return ``scale * (exp(min(value, 0)) - 1)``."""
    low = graph.add("Min", [value, graph.numbers("zero", 0)], f"{value}/negative")
    power = graph.add("Exp", [low], f"{value}/exp")
    less = graph.add("Sub", [power, graph.numbers("one", 1)], f"{value}/exp_minus_1")
    return graph.add("Mul", [less, graph.numbers("scale", scale)], f"{value}/scaled")


def _leaky_relu(graph: Graph, value: str, name: str) -> str:
    low = graph.add("Mul", [value, graph.numbers("slope", 0.01)], f"{value}/low")
    return graph.add("Max", [value, low], name)


def _elu(graph: Graph, value: str, name: str) -> str:
    return graph.add("Add", [_positive(graph, value), _negative_exp(graph, value, 1.0)], name)


# torch.nn.SELU's: Klambauer et al. (2017).
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _selu(graph: Graph, value: str, name: str) -> str:
    low = _negative_exp(graph, value, _SELU_ALPHA)
    both = graph.add("Add", [_positive(graph, value), low], f"{value}/unscaled")
    return graph.add("Mul", [both, graph.numbers("scale", _SELU_SCALE)], name)


def _softplus(graph: Graph, value: str, name: str) -> str:
    """Return ``max(x, 0) + log(1 + exp(-abs(x)))``, which overflows nowhere."""
    size = graph.add("Abs", [value], f"{value}/abs")
    power = graph.add("Exp", [graph.add("Neg", [size], f"{value}/neg")], f"{value}/exp")
    more = graph.add("Add", [power, graph.numbers("one", 1)], f"{value}/exp_plus_1")
    rest = graph.add("Log", [more], f"{value}/log")
    return graph.add("Add", [_positive(graph, value), rest], name)


def _gelu(graph: Graph, value: str, name: str) -> str:
    """Return ``x / 2 * (1 + erf(x / sqrt(2)))``; the error function itself is float32's."""
    dtype = graph.dtype
    small = graph.numbers("root", math.sqrt(0.5))
    scaled = graph.add("Mul", [value, small], f"{value}/scaled")
    if dtype == np.float64:
        scaled = graph.as_type(scaled, np.float32, f"{value}/float32")
    error = graph.add("Erf", [scaled], f"{value}/erf")
    if dtype == np.float64:
        error = graph.as_type(error, np.float64, f"{value}/float64")
    more = graph.add("Add", [error, graph.numbers("one", 1)], f"{value}/erf_plus_1")
    half = graph.add("Mul", [value, graph.numbers("half", 0.5)], f"{value}/half")
    return graph.add("Mul", [half, more], name)


def _silu(graph: Graph, value: str, name: str) -> str:
    return graph.add("Mul", [value, graph.add("Sigmoid", [value], f"{value}/sigmoid")], name)


def _mish(graph: Graph, value: str, name: str) -> str:
    bent = graph.add("Tanh", [_softplus(graph, value, f"{value}/softplus")], f"{value}/tanh")
    return graph.add("Mul", [value, bent], name)


def _by(operator: str) -> Callable[[Graph, str, str], str]:
    """Return what writes an activation that is an operator of ONNX's."""
    return lambda graph, value, name: graph.add(operator, [value], name)


# As `sklearn_mlp.network.activations.ACTIVATIONS`: (graph, value, name of the result) -> name.
ACTIVATION_NODES: dict[str, Callable[[Graph, str, str], str]] = {
    "identity": lambda graph, value, name: value,
    "logistic": _by("Sigmoid"),
    "tanh": _by("Tanh"),
    "relu": _by("Relu"),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "silu": _silu,
    "mish": _mish,
    "softplus": _softplus,
}
