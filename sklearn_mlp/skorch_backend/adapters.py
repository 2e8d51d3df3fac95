"""Our losses and solvers in the forms that a training loop of torch's own kind expects.

For loops other than the engine's, which call ``loss.backward()`` and ``optimizer.step()``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sklearn_mlp.contract.state import OptimizerState
from sklearn_mlp.contract.tensor_trees import map_tensors
from sklearn_mlp.data.batches import Batch
from sklearn_mlp.losses import Loss
from sklearn_mlp.network.parameter_vector import trained_parameters
from sklearn_mlp.solvers.base import Solver
from sklearn_mlp.training.sparse_order import copied_in_order


class LogitsLoss(nn.Module):
    """One of our losses on logits, as a criterion for autograd.

    Parameters
    ----------
    loss : Loss
        Its value and its gradient are what is used: a squared error has the gradient of the sum
        over the outputs and the value of the mean.
    """

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the weighted mean of the loss over a batch.

        Parameters
        ----------
        logits : Tensor of shape (size, n_outputs)
            What the network returns.
        batch : Batch
            For the targets and the samples' shares.
        """
        return _LossOfLogits.apply(logits, self.loss, batch)


class _LossOfLogits(torch.autograd.Function):
    """The losses are written feature-major, with their gradients in closed form."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, loss: Loss, batch: Batch) -> Tensor:
        """Return the weighted mean of the losses; logits are (size, n_outputs)."""
        ctx.save_for_backward(logits)
        ctx.loss, ctx.batch = loss, batch
        losses = loss.per_sample(logits.t(), batch.targets)
        return losses.mean() if batch.shares is None else losses.dot(batch.shares.to(losses))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient with respect to the logits in closed form, times ``scale``."""
        (logits,) = ctx.saved_tensors
        outputs, batch = logits.t(), ctx.batch
        delta = ctx.loss.gradient(outputs, batch.targets, out=torch.empty_like(outputs))
        if batch.shares is None:
            delta.mul_(scale / batch.size)
        else:
            delta.mul_(batch.shares.to(delta) * scale)
        return delta.t(), None, None


class SolverOptimizer(torch.optim.Optimizer):
    """Takes the steps of scikit-learn's Adam and SGD, as the native backend does.

    The parameters' gradients are views of one vector, so that a step is one call.

    Parameters
    ----------
    params : iterable
        As for any optimizer.
    lr : float
        The learning rate; kept in ``param_groups``, where skorch's callbacks change it.

    Attributes
    ----------
    penalty : float
        The coming step adds so much times a weight to its gradient.
    """

    penalty: float = 0.0
    _solver: Solver | None = None
    _memory: OptimizerState | None = None
    _gradients: Sequence[tuple[nn.Parameter, Tensor]] = ()

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    def bind(self, solver: Solver, network: nn.Module, learning_rate: float) -> None:
        """Make ready for a fit with a solver of those of a network's parameters that are trained.

        The user may have put others in their place since the last one.
        """
        self._solver, self._memory = solver, solver.state
        self.param_groups[0]["params"] = list(network.parameters())
        weights, biases = trained_parameters(network)
        views = [*solver.gradient.weights, *solver.gradient.biases]
        self._gradients = list(zip([*weights, *biases], views, strict=True))
        self.learning_rate = learning_rate

    def release(self) -> None:
        """Let go of the solver and of the gradients when a fit has ended."""
        for parameter, _ in self._gradients:
            parameter.grad = None
        if self._solver is not None:
            self._solver.remember()
        self._solver, self._gradients = None, ()

    @property
    def learning_rate(self) -> float:
        """The learning rate of the coming step."""
        return float(self.param_groups[0]["lr"])

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        for group in self.param_groups:
            group["lr"] = value

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set all gradients to 0; they stay where they are."""
        if self._solver is None:
            super().zero_grad(set_to_none)
            return
        self._solver.gradient.values.zero_()
        for parameter, gradient in self._gradients:
            if parameter.grad is not gradient:
                parameter.grad = gradient

    def step(self, closure: Any = None) -> Any:
        """Compute the gradient by a closure, if there is one, and take a step."""
        assert self._solver is not None
        loss = None if closure is None else closure()
        with torch.no_grad():
            for parameter, gradient in self._gradients:
                # A callback may have put another tensor there.
                if parameter.grad is None:
                    gradient.zero_()
                elif parameter.grad is not gradient:
                    gradient.copy_(parameter.grad)
            self._solver.update(self.learning_rate, self.penalty)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the parameter groups and the solver's memory, in the order of the layers."""
        memory = self._memory
        moments = {} if memory is None else memory.moments
        if self._solver is not None:
            layout = self._solver.parameters.layout
            moments = copied_in_order(self._solver.remember().moments, layout, to_layers=True)
        saved = {} if memory is None else {"step": memory.step, **moments}
        return {**super().state_dict(), "memory": saved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        super().load_state_dict({key: state_dict[key] for key in ("state", "param_groups")})
        saved = dict(state_dict["memory"])
        if self._memory is not None and saved:
            self._memory.step = saved.pop("step")
            if self._solver is not None:
                layout = self._solver.parameters.layout
                self._solver.take_over(copied_in_order(saved, layout, to_layers=False))
            else:
                self._memory.moments = map_tensors(torch.clone, saved)
