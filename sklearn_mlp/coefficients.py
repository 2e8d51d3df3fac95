"""``coefs_`` and ``intercepts_``: the network's parameters as scikit-learn shows them."""

from collections.abc import Iterable
from typing import Any, NoReturn, SupportsIndex

import numpy as np
import torch
from torch import Tensor


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
    """

    def __init__(self, parameters: Iterable[Tensor], dtype: np.dtype, name: str) -> None:
        self._parameters = list(parameters)
        self._dtype = dtype
        self._name = name
        super().__init__(self._as_array(parameter) for parameter in self._parameters)

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
        super().__setitem__(index, self._as_array(parameter))

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy is a plain list: it has no network to write to.
        return list, ([array.copy() for array in self],)

    def _as_array(self, parameter: Tensor) -> np.ndarray:
        array = parameter.detach().cpu().numpy()
        if array.dtype == self._dtype and parameter.device.type == "cpu":
            return array
        array = array.astype(self._dtype)
        array.flags.writeable = False
        return array
