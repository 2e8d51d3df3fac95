"""The way back to a network as it was, for a fit that goes on with it and fails."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sklearn_mlp.contract.state import OptimizerState, TrainingState
from sklearn_mlp.contract.tensor_trees import map_tensors

# Up to so many numbers a copy takes a hundredth of a `partial_fit`, and of more up to a sixth.
_FEW_NUMBERS = 100_000

# The parts of a module that are dictionaries of their own.
_PARTS = ("_parameters", "_buffers", "_modules")


class Checkpoint:
    """A network, and what training goes on from, as they are before a fit goes on with them.

    Training moves the weights into new memory before it changes them: to remember the old one is
    enough, and costs next to nothing. The solver's memory is changed where it is. That of a small
    network is copied; of a large one, whose copy would take too long in each `partial_fit`, it is
    given up if training fails, and the next call begins with a new one.

    Parameters
    ----------
    network : Module
        The network.
    state : TrainingState
        What training goes on from; the fit itself is given a copy.
    """

    def __init__(self, network: nn.Module, state: TrainingState) -> None:
        self.state = state
        self._network = network
        self._modules = [
            (module, dict(vars(module)), [dict(getattr(module, part)) for part in _PARTS])
            for module in network.modules()
        ]
        tensors = [
            tensor
            for _, _, (parameters, buffers, _) in self._modules
            for tensor in (*parameters.values(), *buffers.values())
            # A lazy layer that the user has put in has no numbers yet.
            if tensor is not None and not is_lazy(tensor)
        ]
        # Counters, such as a batch normalisation's, are not among what training moves.
        self._tensors = [
            (tensor, tensor.data if tensor.is_floating_point() else tensor.data.clone())
            for tensor in tensors
        ]
        self._restore_trainer = None if state.trainer is None else state.trainer.checkpoint()
        self._optimizer: OptimizerState | None = None
        if state.optimizer is not None and sum(map(Tensor.numel, tensors)) <= _FEW_NUMBERS:
            self._optimizer = _copied(state.optimizer)

    def restore(self, *, has_begun: bool) -> None:
        """Put everything back; ``has_begun`` says that training may have begun."""
        for module, attributes, parts in self._modules:
            _refill(vars(module), attributes)
            for part, content in zip(_PARTS, parts, strict=True):
                _refill(getattr(module, part), content)
        for tensor, data in self._tensors:
            tensor.grad = None
            tensor.data = data
        if has_begun:
            self.state.optimizer = self._optimizer
        if self._restore_trainer is not None:
            self._restore_trainer()
        self._network.eval()


def _copied(optimizer: OptimizerState) -> OptimizerState:
    """Return a copy of a solver's memory."""
    moments = map_tensors(torch.clone, optimizer.moments)
    return OptimizerState(optimizer.solver, moments, optimizer.step)


def _refill(live: dict[str, Any], content: dict[str, Any]) -> None:
    """Let a dictionary that others know have a content."""
    live.clear()
    live.update(content)
