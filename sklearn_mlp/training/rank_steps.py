"""Steps of one of several processes: gradients are sums over the parts they have of a batch."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import final

import torch
from torch import Tensor

from sklearn_mlp.data.batches import Batch
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.ranks.group import Group
from sklearn_mlp.steps.base import Step
from sklearn_mlp.training.rank_batches import shares_of_rows


def never() -> bool:
    """Say that there was no interrupt: where it is raised instead."""
    return False


def gradient_with_flag(parameters: ParameterVector) -> tuple[ParameterVector, Tensor]:
    """Return where a step writes its gradients, and that memory with one number more.

    The number tells of an interrupt: among processes it travels with the gradient, in one sum.
    """
    memory = parameters.values.new_empty(len(parameters.values) + 1)
    return parameters.of_same_layout(memory[:-1]), memory


@final
class RankStep(Step):
    """Computes the gradient of a batch on this process's part, and adds all processes' up.

    The shares count within the whole batch, so that a sum is all there is to do: it is exact
    with parts of any size, with weights, and with none.

    Parameters
    ----------
    step : Step
        Computes the gradient of a part.
    memory : Tensor of shape (n_parameters + 1,)
        Where it is written, as `gradient_with_flag` returns it.
    group : Group
        The processes.
    is_interrupted : callable
        Whether the user has interrupted this process.
    """

    can_be_captured = False

    def __init__(
        self, step: Step, memory: Tensor, group: Group, is_interrupted: Callable[[], bool]
    ) -> None:
        self.loss, self.n_outputs, self.widest = step.loss, step.n_outputs, step.widest
        self._step = step
        self._memory = memory
        self._flag = memory[-1]
        self._group = group
        self._is_interrupted = is_interrupted
        self._is_stopping = False
        # Of a GPU the host would have to wait; there the epoch's end asks.
        self._is_on_host = memory.device.type == "cpu"

    def quiet(self) -> AbstractContextManager[None]:
        """Return what the loop around the steps runs in."""
        return self._step.quiet()

    def gradient(self, batch: Batch, logits: Tensor, *, is_first: bool = True) -> None:
        """Write the gradient of the whole batch's mean loss; keep our part's logits.

        Raises
        ------
        KeyboardInterrupt
            In all processes, before the step is taken, if one of them was interrupted.
        """
        try:
            self._step.gradient(batch, logits, is_first=is_first)
            self._is_stopping |= self._is_interrupted()
        except KeyboardInterrupt:
            self._is_stopping = True
        self._flag.fill_(float(self._is_stopping))
        self._group.sum_(self._memory)
        if self._is_on_host and self._flag.item():
            raise KeyboardInterrupt

    def was_stopped(self) -> bool:
        """Tell whether a step was taken in spite of an interrupt: on a GPU."""
        return bool(self._flag.item())


def sum_over(group: Group, values: list[float]) -> list[float]:
    """Return the sums of some numbers over all processes."""
    on_host = torch.tensor(values, dtype=torch.float64, device="cpu")
    sums: list[float] = group.sum_(on_host).tolist()
    return sums


@final
class Sums:
    """Adds up loss and gradient of all samples, where processes have a part of them each.

    Parameters
    ----------
    group : Group or None
        The processes; None where this one is alone.
    is_interrupted : callable
        Whether the user has interrupted this process.
    """

    def __init__(self, group: Group | None, is_interrupted: Callable[[], bool]) -> None:
        self._group = group
        self._is_interrupted = is_interrupted

    def part_of(self, n_rows: int) -> tuple[int, int]:
        """Return where this process's part of some rows begins, and how many it has."""
        group = self._group
        if group is None or group.has_own_rows:
            return 0, n_rows
        return shares_of_rows(n_rows, group.rank, group.size)

    def over_rows(self, value: float) -> float:
        """Return the sum of what is known of all rows that a process has, over their owners."""
        group = self._group
        if group is None or not group.has_own_rows:
            return value
        (total,) = sum_over(group, [value])
        return total

    def add_up(self, loss: Tensor, gradient: Tensor) -> None:
        """Replace both by their sums.

        Raises
        ------
        KeyboardInterrupt
            In all processes, if one of them was interrupted.
        """
        group = self._group
        if group is None:
            return
        total, n_stopping = sum_over(group, [loss.item(), float(self._is_interrupted())])
        if n_stopping:
            raise KeyboardInterrupt
        loss.fill_(total)
        group.sum_(gradient)
