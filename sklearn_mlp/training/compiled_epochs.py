"""An epoch's steps in compiled code, for the networks that `sklearn_mlp.compiled` can run."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.compiled.forms import form_of_loss, form_of_network, form_of_solver
from sklearn_mlp.compiled.plan import CompiledPlan, EpochMemory
from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.contract.state import OptimizerState
from sklearn_mlp.data.batches import Batches
from sklearn_mlp.data.samples import TrainingData
from sklearn_mlp.network.dropout import MaskSource
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.solvers.averaging import WeightAverage

# Multiply-adds between two looks for an interrupt, some hundredths of a second, and bytes of
# masks that are drawn at a time.
_UNINTERRUPTED_WORK = 500_000_000
_MASK_BYTES = 4 << 20


class CompiledEpochs:
    """Runs the epochs of a fit; what the steps leave behind is the epoch's loss.

    Parameters
    ----------
    network : MLP
        The network.
    parameters : ParameterVector
        Its parameters.
    data : TrainingData
        The samples.
    batches : Batches
        Their order, of an epoch that has begun; samples that lie in memory are gathered by the
        steps, others come block by block, with the targets in the epoch's order.
    config : TrainingConfig
        The loss and the solver.
    state : OptimizerState
        The solver's memory; changed in place.
    average : WeightAverage or None
        Of the weights, if any.

    Attributes
    ----------
    largest : float
        What rates and penalties are cut to, as in `EpochLoss`.
    plan : CompiledPlan
        What takes the steps.
    """

    def __init__(
        self,
        network: MLP,
        parameters: ParameterVector,
        data: TrainingData,
        batches: Batches,
        config: TrainingConfig,
        state: OptimizerState,
        average: WeightAverage | None,
    ) -> None:
        self.largest = torch.finfo(parameters.values.dtype).max ** 0.75
        self._alpha = min(config.penalty, self.largest)
        self._batches = batches
        self._state = state
        self._average = average if average is not None and average.is_stepwise else None
        loss = form_of_loss(config.loss)
        assert loss is not None
        self.plan = CompiledPlan(
            form_of_network(network, config.batch_size),
            loss,
            form_of_solver(config),
            parameters.values,
            list(state.moments.values()),
            None if self._average is None else self._average.values,
        )
        self._is_in_place = data.inputs.is_in_place
        samples = data.inputs.source if self._is_in_place else None
        targets = batches.epoch_targets().contiguous()
        self._memory = EpochMemory(samples, targets, batches.epoch_shares(), len(batches))
        self._memory.weight_sums[:] = batches.sizes
        self._memory.penalties[:] = self._alpha / self._memory.weight_sums
        self._masks = _Masks.of(network, parameters.values)
        largest_batch = max(batches.sizes)
        work = 3 * parameters.layout.n_weights * largest_batch
        self._at_once = max(1, _UNINTERRUPTED_WORK // work)
        if self._masks is not None:
            self._at_once = self._masks.at_most(self._at_once, largest_batch)
        self._total = 0.0

    def __call__(self, rates: Sequence[float]) -> None:
        """Take the steps of one epoch, each at its learning rate."""
        batches, memory = self._batches, self._memory
        memory.rates[:] = rates
        if batches.is_weighted:
            self._weigh(np.array(batches.weight_sums))
        rows = np.ascontiguousarray(batches.rows, dtype=np.int64) if self._is_in_place else None
        n_threads = torch.get_num_threads()
        self._total = 0.0
        # What reads ahead is done with when the steps are, or fail.
        with closing(self._parts()) as parts:
            for first, last in parts:
                sizes = self._sizes_of_steps(first, last)
                masks = None if self._masks is None else self._masks.draw(sizes)
                step, averaged = self._count(len(sizes))
                self._total += self.plan.run(
                    memory,
                    rows,
                    (first, last),
                    n_samples=batches.n_samples,
                    step=step,
                    averaged=averaged,
                    masks=masks,
                    n_threads=n_threads,
                )

    def _parts(self) -> Generator[tuple[int, int], None, None]:
        """Go through the batches to take at a time: the first, and the first not to."""
        if self._is_in_place:
            yield from self._cut(0, len(self._batches))
            return
        with closing(self._batches.blocks()) as blocks:
            for (first, last), inputs in blocks:
                self._memory.hold(inputs, self._batches.bounds[first])
                yield from self._cut(first, last)

    def _cut(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Cut a stretch of batches into parts between which an interrupt is looked for."""
        return pairwise([*range(first, last, self._at_once), last])

    def _count(self, n_steps: int) -> tuple[int, int]:
        """Count steps that are about to be taken; return how many there were before.

        An interrupt during the steps is raised when they have been taken.
        """
        step, averaged = self._state.step, 0
        self._state.step += n_steps
        if self._average is not None:
            averaged = self._average.n_averaged
            self._average.count_steps(n_steps)
        return step, averaged

    def _weigh(self, weight_sums: np.ndarray) -> None:
        """Take the sums of the samples' weights in each batch of an epoch."""
        self._memory.weight_sums[:] = weight_sums
        self._memory.penalties[:] = self._alpha / np.where(weight_sums == 0, 1.0, weight_sums)

    def _sizes_of_steps(self, first: int, last: int) -> list[int]:
        """Return the sizes of the batches that a step is taken on: their weights are not all 0."""
        sizes = self._batches.sizes[first:last]
        if not self._batches.is_weighted:
            return sizes
        weight_sums = self._memory.weight_sums[first:last]
        return [size for size, weight in zip(sizes, weight_sums, strict=True) if weight]

    def values(self) -> list[float]:
        """Return the epoch's loss: the batches' losses, averaged by their sizes."""
        return [self._total / self._batches.n_samples]


class _Masks:
    """Draws the masks of some steps, as the steps in torch would draw them.

    Parameters
    ----------
    source : MaskSource
        Of the network.
    places : list of tuple of int, float
        The units, and the rate, of the features and of each hidden layer that have one.
    like : Tensor
        Of their type.
    """

    def __init__(self, source: MaskSource, places: list[tuple[int, float]], like: Tensor) -> None:
        self._source = source
        self._places = places
        self._like = like
        self._units = sum(units for units, _ in places)

    @classmethod
    def of(cls, network: MLP, like: Tensor) -> "_Masks | None":
        """Return what draws a network's masks; None if it has none."""
        rates = (network.input_dropout, *network.dropout)
        places = [(units, rate) for units, rate in zip(network.units, rates, strict=False) if rate]
        return cls(network.masks, places, like) if places else None

    def at_most(self, n_steps: int, size: int) -> int:
        """Return for how many steps, and not more than so many, masks are drawn at a time."""
        n_bytes = self._units * size * self._like.itemsize
        return max(1, min(n_steps, _MASK_BYTES // n_bytes))

    def draw(self, sizes: Sequence[int]) -> Tensor:
        """Return the masks of batches of such sizes, one behind the other."""
        masks = self._like.new_empty(self._units * sum(sizes))
        start = 0
        for size in sizes:
            for units, rate in self._places:
                mask = masks[start : start + units * size].view(units, size)
                self._source.fill(mask, rate)
                start += units * size
        return masks
