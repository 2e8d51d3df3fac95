"""``coefs_`` and ``intercepts_``: the network's parameters as scikit-learn shows them."""

import operator
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NoReturn, SupportsIndex

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mlp.machine.kernels import own_parameters, recompute_attributes
from sklearn_mlp.network.mlp import MLP


def list_parameters(
    network: MLP, kind: Literal["weight", "bias"], dtype: np.dtype, name: str
) -> "ParameterList":
    """Return the weights, each (n_in, n_out), or the biases of a network's layers.

    Raises
    ------
    AttributeError
        If the user has put something else in the place of a linear layer.
    """
    tensors: list[Tensor] = []
    fixed: dict[int, str] = {}
    for index, layer in enumerate(network.linear_layers):
        if not isinstance(layer, nn.Linear):
            raise AttributeError(
                f"there is no {name}: module_.layers[{index}] is a {type(layer).__name__} and not "
                "torch.nn.Linear; its parameters are in module_."
            )
        own = own_parameters(layer)
        value: Tensor | None = own.get(kind)
        if value is None and kind in own:
            value = layer.weight.detach().new_zeros(len(layer.weight))
            fixed[index] = f"module_.layers[{index}] has no {kind}"
        elif value is None:
            recompute_attributes(layer)
            value = torch.as_tensor(getattr(layer, kind)).detach()
            fixed[index] = (
                f"module_.layers[{index}] computes its {kind} from other parameters; assign "
                "those, or undo the pruning or parametrization that does so"
            )
        assert value is not None
        tensors.append(value.t() if kind == "weight" else value)
    return ParameterList(tensors, dtype, name, fixed)


class ParameterList(list[np.ndarray]):
    """A list of NumPy arrays, one per layer, that writes through to the network.

    Assigning an item changes the network, and so what predicts. So does changing an array in
    place where it shares the network's memory; where it cannot (another type, or another device)
    it is read-only, so that a change that would be lost is an error instead.

    Parameters
    ----------
    parameters : iterable of Tensor
        The network's own, each in the shape of the array, as a view of them.
    dtype : dtype
        The type of the arrays.
    name : str
        The attribute's name, for messages.
    fixed : mapping of int to str
        Which of them are no parameters, and so cannot be assigned, and why.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        dtype: np.dtype,
        name: str,
        fixed: Mapping[int, str] | None = None,
    ) -> None:
        self._parameters = list(parameters)
        self._dtype = dtype
        self._name = name
        self._fixed = fixed or {}
        super().__init__(map(self._as_array, range(len(self._parameters))))

    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        if isinstance(index, slice):
            raise TypeError(f"assign {self._name} as a whole or one layer at a time.")
        self._write(index, self._checked(index, value))

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse what would change this list and not the network."""
        raise TypeError(
            f"{self._name} has an array for each layer of the network, {len(self)} here: none can "
            f"be added, removed or moved. Assign one, {self._name}[i] = array, or all, "
            f"{self._name} = arrays; list({self._name}) is a list of its own."
        )

    append = extend = insert = pop = remove = clear = sort = reverse = _refuse
    __delitem__ = __iadd__ = __imul__ = _refuse

    def assign(self, values: Any) -> None:
        """Assign all items, or none if one does not fit."""
        values = list(values)
        if len(values) != len(self):
            raise ValueError(f"{self._name} must have {len(self)} items, got {len(values)}.")
        arrays = [self._checked(index, value) for index, value in enumerate(values)]
        for index, array in enumerate(arrays):
            self._write(index, array)

    def _checked(self, index: SupportsIndex, value: Any) -> np.ndarray:
        """Return a new item as an array, if it has the shape of the old one."""
        why_fixed = self._fixed.get(operator.index(index) % max(1, len(self)))
        if why_fixed is not None:
            raise ValueError(f"{self._name}[{index}] cannot be assigned: {why_fixed}.")
        array = np.asarray(value, dtype=np.float64)
        shape = tuple(self._parameters[index].shape)
        if array.shape != shape:
            raise ValueError(
                f"{self._name}[{index}] must have the shape {shape} of the "
                f"fitted network's, got {array.shape}."
            )
        return array

    def _write(self, index: SupportsIndex, array: np.ndarray) -> None:
        """Put an item's values into the network."""
        parameter = self._parameters[index]
        with torch.no_grad():
            parameter.copy_(torch.tensor(array, device="cpu"))
        super().__setitem__(index, self._as_array(operator.index(index) % len(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy is a plain list: it has no network to write to.
        return list, ([array.copy() for array in self],)

    def _as_array(self, index: int) -> np.ndarray:
        parameter = self._parameters[index].detach()
        is_own = index not in self._fixed and parameter.device.type == "cpu"
        if parameter.dtype.itemsize < 4:
            # NumPy has no bfloat16.
            parameter, is_own = parameter.float(), False
        array = parameter.cpu().numpy()
        if array.dtype == self._dtype and is_own:
            return array
        array = array.astype(self._dtype)
        array.flags.writeable = False
        return array
