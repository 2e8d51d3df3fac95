"""A user's changes to a network: whether it still is what it was made as.

``module_`` is the user's to change: hooks, layers replaced, pruned or re-parametrised, weights
frozen. Whatever computes a network from its weights alone, past its modules, asks here first.
"""

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor, nn

from sklearn_mlp.machine import kernels
from sklearn_mlp.machine.random_numbers import may_draw
from sklearn_mlp.network.activations import ACTIVATIONS, LayerActivation
from sklearn_mlp.network.dropout import Dropout
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.network.parameter_vector import split_by_dimensions

Affine = tuple[Tensor, Tensor]


def plain_layers(network: nn.Module) -> list[Affine] | None:
    """Return each layer's weight and bias, if with the activations they are all of a network.

    Asked before each prediction, and so written for speed.

    Returns
    -------
    layers : list of (Tensor, Tensor) or None
        None if the network has to be called as a module.
    """
    if type(network) is not MLP or not network.is_plain or altered_call(network) is not None:
        return None
    # Looking a parameter up in a module takes as long as a small product: once is enough.
    layers = kernels.parts_of(kernels.parts_of(network)["layers"]).values()
    own = [kernels.own_parameters(layer) for layer in layers]
    return [(values["weight"], values["bias"]) for values in own]  # type: ignore[misc]


def altered_call(network: MLP) -> str | None:
    """Say what keeps a network of ours from computing what it was made to; None if nothing does.

    The weights may be others, of any size.
    """
    if kernels.has_hooks_on_all_modules():
        return "torch has hooks on all modules"
    if not kernels.is_called_plainly(network, MLP):
        return "module_ has hooks, or a forward of its own"
    parts = kernels.parts_of(network)
    layers, activations = parts["layers"], parts["activation_modules"]
    for name, layer in kernels.parts_of(layers).items():
        values = kernels.own_parameters(layer)
        is_whole = values.get("weight") is not None and values.get("bias") is not None
        if not (is_whole and kernels.is_called_plainly(layer, nn.Linear)):
            return f"layers[{name}] has hooks, or is no linear layer with a weight and a bias"
    modules = kernels.parts_of(activations)
    if not len(modules) == len(network.activations) == len(kernels.parts_of(layers)) - 1:
        return "layers has another length"
    for (name, module), made in zip(modules.items(), network.activations, strict=True):
        if isinstance(made, str) and not _is_as_made(module, made):
            return f"activation_modules[{name!r}] has hooks, or is not what activation={made!r} is"
    if network.dropouts is None:
        return None
    rates = (network.input_dropout, *network.dropout)
    return _altered_dropout(network.dropouts, rates, network)


def _is_as_made(module: nn.Module, activation: LayerActivation) -> bool:
    """Tell whether a module does what the activation of that name does."""
    made = ACTIVATIONS[activation]  # type: ignore[index]
    return kernels.is_called_plainly(module, made.module) and (
        not made.settings
        or all(getattr(module, name) == value for name, value in made.settings.items())
    )


def _altered_dropout(dropouts: nn.Module, rates: tuple[float, ...], network: MLP) -> str | None:
    """Say which of the modules that drop values is not as it was made."""
    modules = kernels.parts_of(dropouts)
    if len(modules) != len(rates):
        return "dropouts has another length"
    for (name, module), rate in zip(modules.items(), rates, strict=True):
        if not kernels.is_called_plainly(module, Dropout):
            return f"dropouts[{name}] has hooks, or was replaced"
        assert isinstance(module, Dropout)
        if module.rate != rate or module.source is not network.masks:
            return f"dropouts[{name}] drops at another rate"
    return None


def may_write_to_inputs(network: nn.Module) -> bool:
    """Tell whether a network may change the samples that it is given: ours does not, as made.

    They may be the user's own, or those of the next epoch, too; others get copies.
    """
    return type(network) is not MLP or altered_call(network) is not None


def altered_training(network: MLP) -> str | None:
    """Say what keeps a network's gradients from being those of its layers alone, and all of them.

    What `altered_call` says, or hooks of autograd's, or parameters that are frozen, shared by two
    layers, or not the layers'.
    """
    reason = altered_call(network)
    if reason is not None:
        return reason
    if any(kernels.has_backward_hooks(part) for part in _called_parts(network)):
        return "a part of module_ has backward hooks"
    parameters = list(network.parameters())
    if any(kernels.has_gradient_hooks(parameter) for parameter in parameters):
        return "a parameter of module_ has hooks on its gradient"
    if not all(parameter.requires_grad for parameter in parameters):
        return "a parameter of module_ is frozen"
    layers = [kernels.own_parameters(layer) for layer in network.layers]
    found = split_by_dimensions(parameters)
    for values, name in zip(found, ("weight", "bias"), strict=True):
        if list(map(id, values)) != [id(own[name]) for own in layers]:
            return "the parameters of module_ are not one weight and one bias for each layer"
    return None


def can_be_trained_as_made(network: nn.Module, n_features: int, n_outputs: int) -> bool:
    """Tell whether a network of ours is unaltered, or no more than its numbers are others."""
    return (
        isinstance(network, MLP)
        and altered_training(network) is None
        and _has_matching_layers(network, n_features, n_outputs)
    )


def _has_matching_layers(network: MLP, n_features: int, n_outputs: int) -> bool:
    """Tell whether the layers of a network whose call is unaltered fit together."""
    shapes = [tuple(layer.weight.shape) for layer in network.linear_layers]
    return (
        all(before[0] == after[1] for before, after in pairwise(shapes))
        and shapes[0][1] == n_features
        and shapes[-1][0] == n_outputs
        and all(len(layer.bias) == len(layer.weight) for layer in network.linear_layers)
    )


def check_parts_fit(network: nn.Module, n_features: int, error: Exception) -> None:
    """Say what the user has done to a network that no longer runs; else do nothing.

    Raises
    ------
    ValueError
        If its parameters are of several types or on several devices, or two layers, or the first
        one and the samples, do not fit together.
    """
    values = [value for value in network.parameters() if value.is_floating_point()]
    places = sorted({f"{value.dtype} on {value.device}" for value in values})
    if len(places) > 1 or any(value.is_meta for value in values):
        raise ValueError(
            f"module_ must have its parameters in one type and on one device, got {places}; call "
            "module_.to(device, dtype)."
        ) from error
    if not isinstance(network, MLP):
        return
    n_given = n_features
    for index, layer in enumerate(network.layers):
        if not isinstance(layer, nn.Linear):
            return
        n_out, n_in = layer.weight.shape
        if n_in != n_given:
            raise ValueError(
                f"module_.layers[{index}] must take {n_given} features, as it is given, but its "
                f"weight takes {n_in}."
            ) from error
        n_given = n_out


def _called_parts(network: MLP) -> Iterator[nn.Module]:
    """Return the modules that a call goes through."""
    yield network
    for holder in (network.layers, network.activation_modules, network.dropouts):
        if holder is not None:
            yield from kernels.parts_of(holder).values()


def may_draw_globally(network: nn.Module) -> bool:
    """Tell whether a network calls functions of the user's, which may draw what they like."""
    if not isinstance(network, MLP) or any(map(may_draw, network.activations)):
        return True
    return altered_call(network) is not None
