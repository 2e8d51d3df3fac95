"""A fitted network in a file: its numbers by name, and what it is made from."""

from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_mlp.contract.tensor_trees import SavedTensor
from sklearn_mlp.export.checks import check_network
from sklearn_mlp.export.coded import Decoder, Encoder
from sklearn_mlp.export.pickling import is_of_same_form, names_of_tensors, tensors_of
from sklearn_mlp.export.plain import restored
from sklearn_mlp.network.architecture import Architecture


def code_network(
    estimator: Any, packed: dict[str, Any], encoder: Encoder, prefix: str
) -> dict[str, Any]:
    """Return the JSON of an estimator's network.

    Parameters
    ----------
    estimator : estimator
        It is fitted.
    packed : dict
        What `pack_network` has returned of its network.
    encoder : Encoder
        Takes the numbers.
    prefix : str
        What their names begin with.

    Raises
    ------
    TypeError
        If the network is not what the parameters make, so that nothing could make it again.
    """
    network = estimator.module_
    if "mlp" not in packed:
        packed = {name: packed[name] for name in ("tensors", "is_trained", "is_parameter")}
        sizes = estimator.n_features_in_, estimator.n_outputs_
        made = _made_again(estimator._architecture, *sizes, estimator.dtype_)
        if not is_of_same_form(network, made):
            raise TypeError(
                "module_ is not what the parameters make any more, since its layers, hooks or "
                "attributes have been changed: a file holds numbers and no code. Use pickle, or "
                "undo the changes."
            )
    coded = {
        name: encoder.code(value, f"{prefix}module_.{name}")
        for name, value in packed.items()
        if name != "tensors"
    }
    coded["tensors"] = {
        name: encoder.code(tensor, f"{prefix}module_.{name}")
        for name, tensor in zip(names_of_tensors(network), packed["tensors"], strict=True)
    }
    return coded


def read_network(decoder: Decoder, coded: Any, fitted: dict[str, Any]) -> dict[str, Any]:
    """Return what `unpack_network` makes the network of.

    Parameters
    ----------
    decoder : Decoder
        Has the numbers.
    coded : dict
        What `code_network` has returned.
    fitted : dict
        The other fitted attributes, as a pickle has them.

    Raises
    ------
    ValueError
        If the numbers are not those of the network.
    """
    packed = {name: decoder.value(value) for name, value in coded.items() if name != "tensors"}
    named = {name: decoder.value(tensor) for name, tensor in coded["tensors"].items()}
    packed["tensors"] = list(named.values())
    check_network(packed)
    if "mlp" in packed:
        if packed.keys() != {"mlp", "is_trained", "tensors"}:
            raise ValueError(f"the network has {sorted(packed)}")
        units = packed["mlp"]["units"]
        if (units[0], units[-1]) != (fitted["n_features_in_"], fitted["n_outputs_"]):
            raise ValueError(f"the network has the layers {units}")
        return packed
    sizes = fitted["n_features_in_"], fitted["n_outputs_"]
    dtype = getattr(torch, fitted["dtype_"])
    network = _made_again(restored(fitted["_architecture"]), *sizes, dtype)
    _fill(network, named, packed)
    # As it would be packed if it had no tensors to be put into it.
    empty: dict[str, Any] = {"places": [], "tensors": [], "is_trained": [], "is_parameter": []}
    return {"module": network, **empty}


def _made_again(
    architecture: Architecture, n_features: int, n_outputs: int, dtype: torch.dtype
) -> nn.Module:
    """Return a new network of the user's own module, or with activations of the user's own."""
    samples = torch.zeros(1, n_features, dtype=dtype)
    return architecture.build(samples, n_outputs, np.random.RandomState(0)).eval()


def _fill(network: nn.Module, named: dict[str, Any], packed: dict[str, Any]) -> None:
    """Put the saved numbers into a network that was made again."""
    names, tensors = names_of_tensors(network), tensors_of(network)
    if names != list(named):
        different = sorted(set(names) ^ set(named))
        raise ValueError(f"what it was given makes another network: {different or names}")
    flags = zip(packed["is_trained"], packed["is_parameter"], strict=True)
    for (name, saved), tensor, (is_trained, is_parameter) in zip(
        named.items(), tensors, flags, strict=True
    ):
        made: SavedTensor = restored(saved)
        values = made.tensor()
        if values.shape != tensor.shape or is_parameter != isinstance(tensor, nn.Parameter):
            raise ValueError(
                f"what it was given makes another network: {name} has the shape "
                f"{tuple(tensor.shape)}, and was saved with {tuple(values.shape)}"
            )
        tensor.data = values
        if is_parameter:
            tensor.requires_grad_(is_trained)
