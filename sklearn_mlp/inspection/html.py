"""The network's layers as a table, for the HTML representation of a fitted estimator."""

import html
from typing import Any, NamedTuple

from torch import nn

from sklearn_mlp.network.activations import ACTIVATIONS
from sklearn_mlp.network.mlp import MLP


class LayerSummary(NamedTuple):
    """A line of the table."""

    name: str
    form: str
    n_parameters: int


def summarize_layers(network: nn.Module, out_activation: str) -> list[LayerSummary]:
    """Return a line for each layer; of a user's own module, for each of its parts."""
    if isinstance(network, MLP) and _is_in_layers(network):
        return _layers_of_mlp(network, out_activation)
    parts = [(name, part) for name, part in network.named_children() if _count(part)]
    if not parts or sum(_count(part) for _, part in parts) != _count(network):
        # Some of its parameters are in none of its parts, or in two of them.
        parts = [("module", network)]
    return [LayerSummary(name, type(part).__name__, _count(part)) for name, part in parts]


def network_table(network: nn.Module, out_activation: str) -> str:
    """Return the layers, and how many parameters each has, as an HTML table."""
    lines = summarize_layers(network, out_activation)
    lines.append(LayerSummary("all", type(network).__name__, _count(network)))
    rows = "".join(
        f'<tr class="default"><td class="param">{html.escape(line.name)}</td>'
        f"<td>{html.escape(line.form)}</td><td>{line.n_parameters:,}</td></tr>"
        for line in lines
    )
    return (
        '<div class="estimator-table"><details open><summary>Network</summary>'
        '<table class="parameters-table"><tbody>'
        f"<tr><th>Layer</th><th>Form</th><th>Parameters</th></tr>{rows}"
        "</tbody></table></details></div>"
    )


class WithNetworkTable:
    """scikit-learn's view of a fitted estimator, with the table of layers before it.

    Parameters
    ----------
    shown : object
        scikit-learn's, with a length and ``_repr_html_inner``.
    table : str
        Ours.
    """

    def __init__(self, shown: Any, table: str) -> None:
        self._shown = shown
        self._table = table

    def __len__(self) -> int:
        return len(self._shown) + 1

    def _repr_html_inner(self) -> str:
        return self._table + (self._shown._repr_html_inner() if len(self._shown) else "")


def _is_in_layers(network: MLP) -> bool:
    """Tell whether a network of ours still has linear layers, and what belongs to each."""
    layers, activations = network.linear_layers, list(network.activation_modules)
    names = [str(index) for index in range(len(layers) - 1)]
    is_linear = all(isinstance(layer, nn.Linear) for layer in layers)
    return is_linear and activations == names and len(network.activations) == len(names)


def _count(part: nn.Module) -> int:
    """Return how many numbers the parameters of a network, or of a part, are at present."""
    return sum(value.numel() for value in part.parameters())


def _layers_of_mlp(network: MLP, out_activation: str) -> list[LayerSummary]:
    """Return a line for each layer of ours, with what belongs to it."""
    lines = []
    *hidden, last = network.linear_layers
    for index, layer in enumerate(hidden):
        activation = network.activations[index]
        module = network.activation_modules[str(index)]
        if isinstance(activation, str):
            is_made = type(module) is ACTIVATIONS[activation].module
            name = activation if is_made else _name_of(module)
        else:
            name = _name_of(activation)
        form = [f"{layer.in_features} → {layer.out_features}", name]
        n_parameters = _count(layer)
        if network.normalization is not None:
            form.insert(1, f"{network.normalization} normalization")
            n_parameters += _count(network.normalizations[index])
        n_parameters += _count(module)
        if network.dropout[index]:
            form.append(f"dropout {network.dropout[index]:g}")
        if network.is_skipped[index]:
            form.append("residual")
        lines.append(LayerSummary(f"hidden {index}", ", ".join(form), n_parameters))
    form_of_last = f"{last.in_features} → {last.out_features}, {out_activation}"
    return [*lines, LayerSummary("output", form_of_last, _count(last))]


def _name_of(activation: Any) -> str:
    """Return the name of a function, or of a module's class."""
    return str(getattr(activation, "__name__", type(activation).__name__))
