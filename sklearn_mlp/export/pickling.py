"""How a fitted network is saved: its form as plain values, and its numbers as arrays."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_mlp.contract.tensor_trees import SavedTensor
from sklearn_mlp.export.plain import plain, restored
from sklearn_mlp.machine.devices import available_devices
from sklearn_mlp.network.mlp import MLP


class Place:
    """Stands in a network of the user's own for one of its tensors."""


def pack_network(network: nn.Module) -> dict[str, Any]:
    """Return a network as plain values; it stays as it is.

    One of ours, as it was made, is what it was made from. Of any other, or one that the user has
    changed or given a module or function, the object itself is kept, with a `Place` for each
    tensor.
    """
    tensors = tensors_of(network)
    packed: dict[str, Any] = {
        "tensors": [plain(tensor) for tensor in tensors],
        "is_trained": [tensor.requires_grad for tensor in tensors],
    }
    arguments = _arguments(network)
    if arguments is not None:
        return {"mlp": arguments, **packed}
    places = [Place() for _ in tensors]
    # A tensor that is in the network twice is copied once, and stays in both places.
    stand_ins: dict[int, Any] = {
        id(tensor): place for tensor, place in zip(tensors, places, strict=True)
    }
    packed["is_parameter"] = [isinstance(tensor, nn.Parameter) for tensor in tensors]
    return {"module": copy.deepcopy(network, stand_ins), "places": places, **packed}


def unpack_network(packed: dict[str, Any], device: torch.device) -> nn.Module:
    """Return the network on a device, in eval mode, in memory of its own.

    Raises
    ------
    ValueError
        If something is missing, or does not fit.
    """
    saved = [restored(tensor) for tensor in packed["tensors"]]
    if not all(isinstance(tensor, SavedTensor) for tensor in saved):
        raise ValueError("its numbers are not there")
    tensors = [each.tensor() for each in saved]
    network: nn.Module
    if "mlp" in packed:
        network = MLP(dtype=torch.float32, **packed["mlp"])
        for empty, tensor, is_trained in zip(
            tensors_of(network), tensors, packed["is_trained"], strict=True
        ):
            if empty.shape != tensor.shape:
                raise ValueError(f"{tuple(tensor.shape)} is no shape of this network's")
            empty.data = tensor
            empty.requires_grad_(is_trained)
    else:
        flags = zip(tensors, packed["is_trained"], packed["is_parameter"], strict=True)
        tensors = [
            nn.Parameter(tensor, requires_grad=is_trained) if is_parameter else tensor
            for tensor, is_trained, is_parameter in flags
        ]
        places = zip(packed["places"], tensors, strict=True)
        network = copy.deepcopy(packed["module"], {id(place): one for place, one in places})
    return network.to(device).eval()


def tensors_of(network: nn.Module) -> list[Tensor]:
    """Return parameters and buffers, and what else modules hold as attributes, each once."""
    found: dict[int, Tensor] = {}
    for tensor in (*network.parameters(), *network.buffers(), *_loose_tensors(network)):
        found.setdefault(id(tensor), tensor)
    return list(found.values())


def names_of_tensors(network: nn.Module) -> list[str]:
    """Return the names of these tensors; of one that is there twice, the first."""
    loose = (
        (f"{path}.{name}".lstrip("."), value)
        for path, module in network.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, Tensor)
    )
    found: dict[int, str] = {}
    for name, tensor in (*network.named_parameters(), *network.named_buffers(), *loose):
        found.setdefault(id(tensor), name)
    return list(found.values())


def _loose_tensors(network: nn.Module) -> Iterator[Tensor]:
    """Return tensors that are no parameters, such as what a pruned weight was computed to."""
    for module in network.modules():
        yield from (value for value in vars(module).values() if isinstance(value, Tensor))


def _arguments(network: nn.Module) -> dict[str, Any] | None:
    """Return what makes a network of ours of the same form, or None if nothing does."""
    if type(network) is not MLP:
        return None
    per_layer = network.activations
    if not all(isinstance(name, str) for name in per_layer):
        return None
    if not all(type(layer) is nn.Linear for layer in network.layers):
        return None
    arguments = {
        "units": network.units,
        "activation": network.activation,
        "dropout": network.dropout,
        "input_dropout": network.input_dropout,
        "normalization": network.normalization,
        "residual": any(network.is_skipped),
    }
    made = MLP(dtype=torch.float32, **arguments)
    return arguments if is_of_same_form(network, made) else None


def is_of_same_form(network: nn.Module, made: nn.Module) -> bool:
    """Tell whether two networks differ in nothing but their numbers."""
    modules, others = dict(network.named_modules()), dict(made.named_modules())
    return modules.keys() == others.keys() and all(
        type(module) is type(others[name])
        and vars(module).keys() == vars(others[name]).keys()
        and all(
            _is_same_attribute(value, vars(others[name])[attribute])
            for attribute, value in vars(module).items()
            if attribute != "training"
        )
        for name, module in modules.items()
    )


def _is_same_attribute(value: Any, other: Any) -> bool:
    """Tell whether an attribute of a module, its hooks and parameters among them, is the same."""
    if isinstance(value, Tensor):
        return type(value) is type(other) and value.shape == other.shape
    if isinstance(value, dict):
        return value.keys() == other.keys() and all(
            _is_same_attribute(item, other[key]) for key, item in value.items()
        )
    if isinstance(value, nn.Module) or not isinstance(value, _PLAIN):
        # Modules are compared by themselves, and the rest is of no other kind.
        return type(value) is type(other)
    return bool(value == other)


_PLAIN = (bool, int, float, str, tuple, list, type(None))


def device_here(device: torch.device) -> torch.device:
    """Return the device if this machine has it, else the CPU."""
    return device if str(device) in available_devices() else torch.device("cpu")
