"""The activations of a fitted network's hidden layers."""

import operator
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if
from torch import Tensor, nn

from sklearn_mlp.estimators.array_api import follow_samples
from sklearn_mlp.machine.kernels import is_called_plainly
from sklearn_mlp.network.mlp import MLP


def _has_hidden_layers(estimator: Any) -> bool:
    """Make a method unavailable where the network is a module, whose layers are not known."""
    if estimator.module is not None:
        raise AttributeError(
            f"the hidden layers of module={estimator.module!r} are not known here; its own "
            "methods are in module_."
        )
    return True


class HiddenActivationsMixin:
    """Shows a fitted network's hidden layers."""

    if TYPE_CHECKING:
        # Of the estimator that this is a part of.
        def _predict(
            self, X: Any, finish: Callable[[Tensor, torch.dtype], Tensor], layer: int | None
        ) -> tuple[np.ndarray, np.dtype]: ...

    @available_if(_has_hidden_layers)
    @follow_samples
    def hidden_activations(self, X: Any, layer: int = -1) -> np.ndarray | Tensor:
        """Return the activations of a hidden layer.

        Parameters
        ----------
        X : array-like, CSR or CSC matrix, DataFrame or Tensor of shape (n_samples, n_features)
            The samples.
        layer : int, default=-1
            Which hidden layer, counted from 0, or from -1 backwards.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_units)
            As in a prediction.

        Raises
        ------
        ValueError
            If there is no such layer.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_mlp import TorchMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = TorchMLPClassifier((16, 4), max_iter=100, tol=1, random_state=0).fit(X, y)
        >>> clf.hidden_activations(X, 0).shape
        (150, 16)
        """
        number = _whole_number(layer)
        activations, dtype = self._predict(X, lambda values, dtype: values, number)
        result: np.ndarray = activations.astype(dtype, copy=False)
        return result


def up_to_layer(network: MLP, layer: int) -> nn.Module:
    """Return a network that ends with a hidden layer of another's, whose parameters it shares.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    return _HiddenLayers(network, check_layer(layer, len(network.layers) - 1) + 1)


def check_layer(layer: int, n_hidden: int) -> int:
    """Return the number of a hidden layer, counted from 0.

    Raises
    ------
    TypeError
        If it is no whole number.
    ValueError
        If there is no such layer.
    """
    number = _whole_number(layer)
    if not -n_hidden <= number < n_hidden:
        raise ValueError(
            f"layer={layer} is not among the network's {n_hidden} hidden layers"
            + (f", 0 to {n_hidden - 1} or -{n_hidden} to -1." if n_hidden else ".")
        )
    return number % n_hidden


def _whole_number(layer: Any) -> int:
    """Return what names a layer as an int."""
    try:
        return operator.index(layer)
    except TypeError:
        kind = type(layer).__name__
        raise TypeError(f"layer must be a whole number, got {layer!r}, a {kind}.") from None


class _HiddenLayers(nn.Module):
    """The first hidden layers of a network, so many."""

    def __init__(self, network: MLP, n_layers: int) -> None:
        super().__init__()
        self.network = network
        self.n_layers = n_layers

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the last one's values."""
        if is_called_plainly(self.network, MLP):
            return self.network.hidden_values(inputs, self.n_layers)
        return self._of_whole_call(inputs)

    def _of_whole_call(self, inputs: Tensor) -> Tensor:
        """Return what the next layer is given, where the network's own hooks change the inputs."""
        seen: list[Tensor] = []
        thread = threading.get_ident()

        def keep(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
            """Take note, before hooks of the user's change it."""
            if threading.get_ident() == thread:
                seen.append(given[0])

        next_layer = self.network.linear_layers[self.n_layers]
        hook = next_layer.register_forward_pre_hook(keep, prepend=True)
        try:
            self.network(inputs)
        finally:
            hook.remove()
        if not seen:
            raise ValueError(
                f"module_ has a forward that does not call layers[{self.n_layers}], so that the "
                "activations before it are not known."
            )
        return seen[0]
