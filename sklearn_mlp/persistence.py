"""How a fitted network is pickled: the weights once, as one array, on the CPU."""

from dataclasses import dataclass

import numpy as np
import torch

from sklearn_mlp.devices import available_devices
from sklearn_mlp.network import MLP, ParameterVector


@dataclass(frozen=True)
class PackedNetwork:
    """A network's form and its parameters as one NumPy array, which opens on any machine."""

    units: tuple[int, ...]
    activation: str
    values: np.ndarray

    @classmethod
    def of(cls, network: MLP) -> "PackedNetwork":
        """Pack a network; it stays as it is."""
        layers = network.linear_layers
        pieces = [layer.weight for layer in layers] + [layer.bias for layer in layers]
        values = torch.cat([piece.detach().reshape(-1) for piece in pieces]).cpu().numpy()
        return cls(network.units, network.activation, values)

    def unpack(self, device: torch.device) -> MLP:
        """Return the network on a device, in eval mode."""
        values = torch.from_numpy(self.values.copy())
        network = MLP(self.units, self.activation, values.dtype)
        vector = ParameterVector(values, self.units)
        with torch.no_grad():
            for layer, weight, bias in zip(
                network.linear_layers, vector.weights, vector.biases, strict=True
            ):
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)
        return network.to(device).eval()


def device_here(device: torch.device) -> torch.device:
    """Return the device if this machine has it, else the CPU."""
    return device if str(device) in available_devices() else torch.device("cpu")
