"""How a fitted network is pickled: its values once, as arrays on the CPU."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mlp.devices import available_devices


@dataclass(frozen=True)
class PackedNetwork:
    """A network without its values, and these as NumPy arrays, which open on any machine.

    Attributes
    ----------
    skeleton : Module
        The network with an empty tensor in the place of each parameter and buffer.
    arrays : list of ndarray
        The values of the parameters and buffers.
    """

    skeleton: nn.Module
    arrays: list[np.ndarray]

    @classmethod
    def of(cls, network: nn.Module) -> "PackedNetwork":
        """Pack a network; it stays as it is."""
        tensors = list(_tensors(network))
        # A tensor that is in the network twice is copied once, and stays in both places.
        stand_ins: dict[int, Any] = {id(tensor): _empty_like(tensor) for tensor in tensors}
        arrays = [tensor.detach().cpu().numpy() for tensor in tensors]
        # What is a view of one long vector must not take all of it along.
        arrays = [array.copy() if array.base is not None else array for array in arrays]
        return cls(copy.deepcopy(network, stand_ins), arrays)

    def unpack(self, device: torch.device) -> nn.Module:
        """Return the network on a device, in eval mode."""
        network = copy.deepcopy(self.skeleton)
        for tensor, array in zip(_tensors(network), self.arrays, strict=True):
            tensor.data = torch.from_numpy(array.copy())
        return network.to(device).eval()


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    """Return the parameters and buffers, each once."""
    return chain(network.parameters(), network.buffers())


def _empty_like(tensor: Tensor) -> Tensor:
    """Return an empty tensor of the same type and kind, on the CPU."""
    empty = torch.empty(0, dtype=tensor.dtype)
    if not isinstance(tensor, nn.Parameter):
        return empty
    return nn.Parameter(empty, requires_grad=tensor.requires_grad)


def device_here(device: torch.device) -> torch.device:
    """Return the device if this machine has it, else the CPU."""
    return device if str(device) in available_devices() else torch.device("cpu")
