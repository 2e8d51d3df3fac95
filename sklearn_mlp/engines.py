"""What computes a network's gradients: the closed form, autograd, or skorch."""

from torch import nn

from sklearn_mlp.network import MLP


def reason_for_autograd(network: nn.Module) -> str | None:
    """Say what keeps a network's gradients from being written out; None if nothing does."""
    if not isinstance(network, MLP):
        return "the network is not this package's own"
    if network.normalization is not None:
        return f"normalization={network.normalization!r} has no closed form here"
    if any(callable(activation) for activation in network.activations):
        return "an activation is a callable"
    return None


def choose_engine(network: nn.Module, backend: str) -> str:
    """Choose what trains a network, once per fit.

    Parameters
    ----------
    network : Module
        The network to train.
    backend : {'torch', 'skorch'}
        The parameter.

    Returns
    -------
    engine : {'closed_form', 'autograd', 'skorch'}
        What the fitted attribute ``engine_`` says.
    """
    if backend == "skorch":
        return "skorch"
    return "closed_form" if reason_for_autograd(network) is None else "autograd"
