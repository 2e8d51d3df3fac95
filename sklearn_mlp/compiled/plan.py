"""The compiled plan of a fit, and its epochs: numbers and addresses, checked here."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.compiled.forms import LossForm, NetworkForm, SolverForm
from sklearn_mlp.compiled.library import compiled_steps, gemm_of, instruction_set


class EpochMemory:
    """The samples of a fit, and how the batches of an epoch count, in the same memory always.

    Parameters
    ----------
    inputs : Tensor of shape (n_all, n_features) or None
        All samples, in whatever order they lie; None if `hold` will say.
    targets : Tensor of shape (n_all, 1) or (n_all, n_outputs)
        Class codes in int64, or values; contiguous.
    shares : Tensor of shape (n_samples,) or None
        What each sample counts in its batch, in the epoch's order.
    n_batches : int
        Of an epoch.

    Attributes
    ----------
    weight_sums, rates, penalties : ndarray of shape (n_batches,)
        Of each batch; float64, to be filled.
    addresses : tuple of int
        Where everything lies, and the strides of the inputs.
    """

    addresses: tuple[int, ...]

    def __init__(
        self, inputs: Tensor | None, targets: Tensor, shares: Tensor | None, n_batches: int
    ) -> None:
        assert targets.is_contiguous()
        self.weight_sums, self.rates, self.penalties = np.zeros((3, n_batches))
        self._targets, self._shares = targets, shares
        if inputs is not None:
            self.hold(inputs)

    def hold(self, inputs: Tensor, start: int = 0) -> None:
        """Let the steps read some samples, of which the first has the number ``start``."""
        targets, shares = self._targets, self._shares
        # Kept alive, since what is handed over are their addresses.
        self._inputs = inputs
        self.addresses = (
            inputs.data_ptr() - start * inputs.stride(0) * inputs.itemsize,
            *inputs.stride(),
            targets.data_ptr(),
            0 if shares is None else shares.data_ptr(),
            self.weight_sums.ctypes.data,
            self.rates.ctypes.data,
            self.penalties.ctypes.data,
        )


class JudgedSamples:
    """Samples by which a network is judged, in the same memory always.

    Parameters
    ----------
    inputs : Tensor of shape (n_samples, n_features)
        The samples.
    targets : Tensor of shape (n_samples, 1) or (n_samples, n_outputs)
        Class codes in int64, or values; contiguous.
    weights : Tensor of shape (n_samples,) or None
        In float64.
    logits : Tensor of shape (n_outputs, n_samples) or None
        Where outputs before the activation are written to, if they are wanted.
    is_scored : bool
        Whether those whose labels are all right are counted.

    Attributes
    ----------
    weight : float
        The sum of the weights.
    addresses : tuple of int
        Where everything lies, and the strides of the inputs.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        weights: Tensor | None,
        logits: Tensor | None,
        *,
        is_scored: bool,
    ) -> None:
        weights = None if weights is None else weights.contiguous()
        self.weight = float(len(inputs) if weights is None else weights.sum())
        # Kept alive, since what is handed over are their addresses.
        self._tensors = inputs, targets, weights, logits
        self.addresses = (
            inputs.data_ptr(),
            *inputs.stride(),
            targets.data_ptr(),
            0 if weights is None else weights.data_ptr(),
            0 if logits is None else logits.data_ptr(),
            len(inputs),
            is_scored,
        )


class CompiledPlan:
    """A network, its loss and its solver, ready to take steps without returning to Python.

    Parameters
    ----------
    network : NetworkForm
        What it is made of.
    loss : LossForm
        What is minimised.
    solver : SolverForm
        How.
    values : Tensor of shape (n_parameters,)
        All weights, then all biases, then the features' scales if there are any; changed by the
        steps. It may be longer.
    moments : sequence of Tensor of shape (n_parameters,)
        The solver's memory; changed by the steps.
    average : Tensor of shape (n_parameters,) or None
        The exponential average of the steps; changed by them.
    """

    def __init__(
        self,
        network: NetworkForm,
        loss: LossForm,
        solver: SolverForm,
        values: Tensor,
        moments: Sequence[Tensor],
        average: Tensor | None = None,
    ) -> None:
        # Kept, since what is handed over are their addresses.
        self._memory = (values, *moments, *([] if average is None else [average]))
        assert all(one.is_contiguous() and one.dtype == values.dtype for one in self._memory)
        self._steps = compiled_steps()
        self._plan = self._steps.plan(
            instruction_set(),
            "float64" if values.dtype == torch.float64 else "float32",
            gemm_of(values.dtype),
            *network,
            *loss,
            *solver,
            values.data_ptr(),
            moments[0].data_ptr(),
            moments[-1].data_ptr(),
            0 if average is None else average.data_ptr(),
        )

    def run(
        self,
        memory: EpochMemory,
        rows: np.ndarray | None,
        batches: tuple[int, int],
        *,
        n_samples: int,
        step: int,
        averaged: int,
        masks: Tensor | None,
        n_threads: int,
    ) -> float:
        """Take the steps of some batches; return the sum of their samples' losses.

        Parameters
        ----------
        memory : EpochMemory
            The samples, with how the epoch's batches count.
        rows : ndarray of shape (n_samples,) or None
            Which samples the epoch is made of, in order; int64, contiguous. None is the order in
            which they lie.
        batches : tuple of int
            The first to take, and the first not to.
        n_samples : int
            How many samples the epoch has.
        step, averaged : int
            How many steps the solver has taken before, and how many the average is of.
        masks : Tensor or None
            Of the dropout of these batches, in the order in which they are drawn.
        n_threads : int
            How many share the work.
        """
        total: float = self._steps.run(
            self._plan,
            *memory.addresses,
            0 if rows is None else rows.ctypes.data,
            0 if masks is None else masks.data_ptr(),
            n_samples,
            step,
            averaged,
            *batches,
            n_threads,
        )
        return total

    def judge(self, samples: JudgedSamples, n_threads: int) -> tuple[float, float]:
        """Return the sum of samples' losses, and of the weights of those that are right.

        Without dropout and penalty, by the weights that the network has now; the logits, where
        they are wanted, are in their place then, and nothing is counted.
        """
        found: tuple[float, float] = self._steps.judge(self._plan, *samples.addresses, n_threads)
        return found
