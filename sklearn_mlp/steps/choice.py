"""The choice of what computes gradients: closed form, compiled or not, autograd, or skorch.

`choose_engine` decides, once per fit; what comes of it for each option is in
``docs/what-runs-where.md``.
"""

from collections.abc import Callable
from typing import cast

from torch import nn

from sklearn_mlp.network.alterations import altered_training
from sklearn_mlp.network.mlp import MLP


def reason_for_autograd(network: nn.Module) -> str | None:
    """Say what keeps a network's gradients from being written out; None if nothing does."""
    if not isinstance(network, MLP):
        return "the network is not this package's own"
    if network.normalization is not None:
        return f"normalization={network.normalization!r} has no closed form here"
    if any(callable(activation) for activation in network.activations):
        return "an activation is a callable"
    return altered_training(network)


def choose_engine(
    network: nn.Module,
    backend: str,
    why_not_compiled: Callable[[MLP], str | None] | None = None,
) -> str:
    """Choose what trains a network, once per fit.

    Parameters
    ----------
    network : Module
        The network to train.
    backend : {'torch', 'skorch'}
        The parameter.
    why_not_compiled : callable or None
        Says of a network whose gradients are written out why its epochs are not compiled, or
        returns None; without it they are not.

    Returns
    -------
    engine : {'compiled', 'closed_form', 'autograd', 'skorch'}
        What the fitted attribute ``engine_`` says.
    """
    if backend == "skorch":
        return "skorch"
    if reason_for_autograd(network) is not None:
        return "autograd"
    is_compiled = why_not_compiled is not None and why_not_compiled(cast(MLP, network)) is None
    return "compiled" if is_compiled else "closed_form"
