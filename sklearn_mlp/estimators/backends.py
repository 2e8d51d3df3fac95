"""The backends, functions ``train(fits)`` of one fit or many; all leave the same behind."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from sklearn_mlp.contract.fit import PreparedFit
from sklearn_mlp.losses import Loss
from sklearn_mlp.skorch_backend.parameters import check_skorch
from sklearn_mlp.targets.codecs import TargetCodec
from sklearn_mlp.training.native import train as train_torch

# Trains the networks in place, and brings their states up to date.
Backend = Callable[[Sequence[PreparedFit]], None]


def _train_skorch(fits: Sequence[PreparedFit]) -> None:
    # Importing skorch takes as long as the rest of the package without torch.
    from sklearn_mlp.skorch_backend.train import train

    for fit in fits:
        # It becomes ``net_``.
        fit.state.trainer = train(fit)


BACKENDS: dict[str, Backend] = {"torch": train_torch, "skorch": _train_skorch}


def restore_trainer(
    saved: Mapping[str, Any],
    network: nn.Module,
    loss: Loss,
    codec: TargetCodec,
    backend_params: Mapping[str, Any] | None,
) -> Any:
    """Return what has trained a network, from what was saved of it."""
    from sklearn_mlp.skorch_backend.making import restore_net

    return restore_net(saved, network, loss, codec, backend_params)


def check_backend(backend: str, solver: Any, backend_params: Mapping[str, Any] | None) -> None:
    """Check that a backend can do what the parameters ask of it.

    Raises
    ------
    ValueError
        If it lacks the solver, or takes no such ``backend_params``.
    """
    if backend == "skorch":
        check_skorch(solver, backend_params or {})
    elif backend_params:
        raise ValueError(
            f"backend_params={dict(backend_params)} cannot be used with backend={backend!r}, "
            "which has no parameters of its own; they are for backend='skorch'."
        )
