"""Trains k networks of one form as one: the native backend for many fits at once."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import accumulate, groupby, pairwise
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.contract.fit import PreparedFit
from sklearn_mlp.contract.state import OptimizerState
from sklearn_mlp.data.batches import Batches
from sklearn_mlp.data.stacked_batches import StackedBatches, Stream
from sklearn_mlp.losses import Loss
from sklearn_mlp.losses.labels import ColumnsLoss, LabelLoss
from sklearn_mlp.machine.kernels import inference_mode
from sklearn_mlp.machine.random_numbers import draw_seed
from sklearn_mlp.network.dropout import StackedMasks
from sklearn_mlp.network.mlp import MLP, place_of
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.network.stacked_parameters import StackedParameters
from sklearn_mlp.solvers.stacked import make_stacked_solver
from sklearn_mlp.solvers.stacked_averaging import MemberAverage, StackedAverage
from sklearn_mlp.steps.general import HiddenForm, make_step
from sklearn_mlp.steps.layers import Layers
from sklearn_mlp.steps.stacked_layers import SparseStackedLayers, StackedLayers
from sklearn_mlp.training.carried_memory import go_on_with
from sklearn_mlp.training.graphs import EpochGraph, can_capture
from sklearn_mlp.training.loop import EpochLoss, Run, run_epochs, take_steps
from sklearn_mlp.training.monitor import EpochMonitor
from sklearn_mlp.training.randomness import draws_in_training
from sklearn_mlp.training.stacked_validator import StackedValidator


def stack_key(fit: PreparedFit) -> tuple[object, ...]:
    """Return what has to be equal for two fits to be trained in one stack.

    The estimators' parameters that networks of a stack must share are taken to be the same.
    """
    network, data, config = fit.network, fit.data, fit.config
    assert isinstance(network, MLP)
    parameter = network.linear_layers[0].weight
    weight = data.sample_weight
    return (
        network.units,
        network.activations,
        network.is_skipped,
        _loss_key(config.loss),
        config.solver,
        config.batch_size,
        data.n_train,
        None if data.validation is None else len(data.validation.targets),
        parameter.dtype,
        parameter.device,
        data.inputs.has_sparse_batches,
        weight is None,
        # A batch without weight is skipped, by all networks or by none.
        None if weight is None or weight.all() else stream_key(fit),
        # Copies of masks would be drawn in the wrong order.
        network.has_dropout if weight is not None and not weight.all() else None,
    )


def _loss_key(loss: Loss) -> object:
    """Return what has to be equal for the losses of two networks of one stack."""
    if isinstance(loss, ColumnsLoss):
        # Blocks of outputs: their smoothing is not told apart network by network.
        return tuple((type(one), getattr(one, "on", None)) for one in loss.losses)
    return type(loss)


def _stack_losses(members: Sequence["Member"], like: Tensor) -> Loss:
    """Return the losses of networks as one."""
    losses = [member.config.loss for member in members]
    with_labels = [loss for loss in losses if isinstance(loss, LabelLoss)]
    if with_labels and len({loss.on for loss in with_labels}) > 1:
        return LabelLoss.stacked(with_labels, like)
    return losses[0]


def stream_key(fit: PreparedFit) -> tuple[object, ...]:
    """Return what is equal for two fits that see the same samples in the same order."""
    data = fit.data
    name, keys, position, has_gauss, gauss = data.random_state.get_state(legacy=True)
    rows = None if data.rows is None else data.rows.tobytes()
    weights = None if data.sample_weight is None else data.sample_weight.tobytes()
    samples = (data.inputs.identity, rows, weights)
    return samples, name, np.asarray(keys).tobytes(), position, has_gauss, gauss


def train_stack(fits: Sequence[PreparedFit]) -> None:
    """Train networks in place, whose `stack_key` is the same.

    Each gets the numbers that it would get alone, up to rounding: its own order of samples, its
    own solver's numbers, its own rule of stopping. The order of calls::

        train_stack
          run_epochs                     loop.py                  as for one network
            Run.epoch                    loop.py
              take_steps                 loop.py
                ClosedFormStep.gradient  steps/closed_form.py
                  StackedLayers.*        steps/stacked_layers.py  the products, of all networks
                StackedSolver.update     solvers/stacked.py       the weights change here
              EpochMonitor.epoch_ended   monitor.py               for each network
            Stack.drop                   here, those that have stopped

    Parameters
    ----------
    fits : sequence of PreparedFit
        As a backend gets them; their states are brought up to date.
    """
    # Outside inference mode, so that the networks stay trainable by autograd.
    members = _side_by_side([Member(fit) for fit in _with_equal_batches(fits)])
    with inference_mode():
        run_epochs(Stack(members))


def _with_equal_batches(fits: Sequence[PreparedFit]) -> list[PreparedFit]:
    """Make the samples of all dense where those of one network, or its mask, have to be."""
    takes_sparse = all(
        isinstance(fit.network, MLP)
        and not fit.network.input_dropout
        and fit.data.inputs.has_sparse_batches
        for fit in fits
    )
    if takes_sparse:
        return list(fits)
    return [fit.made_dense() for fit in fits]


def _side_by_side(members: Sequence["Member"]) -> list["Member"]:
    """Sort so that those which share samples, and a solver's numbers, are neighbours."""
    places: dict[object, int] = {}

    def key(member: Member) -> tuple[int, int]:
        """Return when its samples, and then its solver's numbers on them, were first met."""
        config = member.config
        numbers = (config.learning_rate_init, config.beta_1, config.beta_2, config.epsilon)
        stream = stream_key(member.fit)
        return (
            places.setdefault(stream, len(places)),
            places.setdefault((stream, numbers), len(places)),
        )

    return sorted(members, key=key)


class Member:
    """One network of a stack, with its own rule of stopping."""

    def __init__(self, fit: PreparedFit) -> None:
        self.fit = fit
        self.config = fit.config
        self.state = fit.state
        # The network's parameters are views of it.
        self.vector = ParameterVector.of(fit.network)
        go_on_with(fit.state, self.vector.layout)
        self.masks = _mask_generator(fit)
        self.evaluation = (np.nan, np.nan)
        self.average: MemberAverage | None = None
        if self.config.weight_averaging is not None:
            self.average = MemberAverage(self.vector, self.state, self.config)
        validate = None if fit.data.validation is None else self._validate
        self.monitor = EpochMonitor(fit, self.vector.memory, validate, self.average)

    def _validate(self) -> tuple[float, float]:
        """Return the loss and the score after this epoch, which the stack has evaluated."""
        validation = self.fit.data.validation
        assert validation is not None
        rescore = validation.rescore
        return self.evaluation if rescore is None else (self.evaluation[0], rescore())

    @property
    def dropout(self) -> tuple[float, ...]:
        """The rate of the features, and of each hidden layer."""
        assert isinstance(self.fit.network, MLP)
        return (self.fit.network.input_dropout, *self.fit.network.dropout)


def _mask_generator(fit: PreparedFit) -> torch.Generator | None:
    """Return what a network's masks are drawn from, as in `settled_training`."""
    if not draws_in_training(fit.network):
        return None
    if fit.state.seed is None:
        fit.state.seed = draw_seed(fit.data.random_state)
    device = place_of(fit.network).device
    generator = torch.Generator(device).manual_seed(fit.state.seed)
    fit.state.seed = draw_seed(np.random.RandomState(fit.state.seed))
    return generator


def _make_stream(fits: Sequence[PreparedFit]) -> Stream:
    """Return the samples of some fits that see the same ones, in the same order."""
    first = fits[0]
    batches = Batches(first.data, batch_size=first.config.batch_size, shuffle=first.config.shuffle)
    return Stream(batches, len(fits))


@final
class Stack(Run):
    """The networks that are still being trained, as one.

    Parameters
    ----------
    members : sequence of Member
        Those that share a stream of samples side by side.
    """

    epoch_loss: EpochLoss

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = list(members)
        self.monitors = [member.monitor for member in members]
        self._config = members[0].config
        network = members[0].fit.network
        assert isinstance(network, MLP)
        self._form = HiddenForm.of(network)
        vectors = [member.vector for member in members]
        self._parameters = StackedParameters.of(vectors, network.units)
        self._gradient = self._parameters.zeros_like()
        configs = [member.config for member in members]
        self._average: StackedAverage | None = None
        if self._config.weight_averaging is not None:
            self._average = StackedAverage(self._parameters, configs)
        self._solver = make_stacked_solver(
            self._parameters, self._gradient, configs, self._average
        )
        self._streams = [
            _make_stream([member.fit for member in group])
            for _, group in groupby(members, lambda member: stream_key(member.fit))
        ]
        self._stream_of = [stream for stream in self._streams for _ in range(stream.count)]
        self._n_epochs = max(config.max_iter for config in configs)
        self._assemble()

    def take_epoch(self, rates: Sequence[Sequence[float]]) -> None:
        """Take the steps of one epoch, all networks at once."""
        self._n_epochs -= 1
        self._take_steps(list(zip(*rates, strict=True)))

    def evaluate(self) -> None:
        """Evaluate all on their validation sets, if they have any; averages of weights first."""
        if self._average is not None:
            epochs = [member.state.epochs_scheduled + 1 for member in self.members]
            self._average.epoch_ended(epochs)
        if self._validator is None:
            return
        with nullcontext() if self._average is None else self._average.in_place():
            evaluations = self._validator.evaluate()
        for index, member in enumerate(self.members):
            member.evaluation = evaluations[index]
            # The monitor keeps the best weights: it has to find those that were evaluated.
            scored = self._parameters
            if self._average is not None and self._average.counts[index]:
                scored = self._average.values
            scored.read(index, member.vector)

    def drop(self, finished: Sequence[int]) -> None:
        """Hand networks over as they are, or at their best, and go on with the others."""
        for index in finished:
            member = self.members[index]
            self._parameters.read(index, member.vector)
            moments = {}
            for name, stacked in self._solver.moments.items():
                moment = member.vector.empty_like()
                stacked.read(index, moment)
                moments[name] = moment.values
            if member.average is not None and self._average is not None:
                member.average.read(index, self._average)
            member.state.optimizer = OptimizerState(
                member.config.solver, moments, self._solver.steps_taken
            )
            member.monitor.restore_best()
        kept = [index for index in range(len(self.members)) if index not in set(finished)]
        self.members = [self.members[index] for index in kept]
        self.monitors = [member.monitor for member in self.members]
        if not kept:
            return
        for index in finished:
            self._stream_of[index].count -= 1
        self._stream_of = [self._stream_of[index] for index in kept]
        self._streams = [stream for stream in self._streams if stream.count]
        rows = torch.tensor(kept, device=self._parameters.values.device)
        self._parameters = self._parameters.take(rows)
        self._gradient = self._parameters.zeros_like()
        configs = [member.config for member in self.members]
        if self._average is not None:
            self._average.keep(kept, self._parameters, configs)
        self._solver.keep(rows, self._parameters, self._gradient, configs)
        self._assemble()

    def _assemble(self) -> None:
        """Make what depends on which networks are left."""
        self.batches = StackedBatches(self._streams)
        layers = self._layers(is_sparse=self.members[0].fit.data.inputs.has_sparse_batches)
        features, *hidden = (
            rates if any(rates) else 0.0
            for rates in zip(*(member.dropout for member in self.members), strict=True)
        )
        form = replace(
            self._form,
            dropout=hidden,
            input_dropout=features,
            masks=StackedMasks([member.masks for member in self.members]),
        )
        like = self._parameters.values
        loss = _stack_losses(self.members, like)
        bounds = [0, *accumulate(self.batches.counts)]
        losses = [
            _stack_losses(self.members[start:stop], like) for start, stop in pairwise(bounds)
        ]
        self._step = make_step(layers, form, loss)
        alphas = [member.config.penalty for member in self.members]
        self.epoch_loss = EpochLoss(
            self._parameters, self._step.n_outputs, self.batches, alphas, losses
        )
        parts = (self._step, self._solver, self.batches, self.epoch_loss)
        is_graph = self._step.can_be_captured and can_capture(
            self.batches, self._solver, like.device
        )
        self._take_steps: Callable[[Sequence[Any]], None] = (
            EpochGraph(*parts, self._n_epochs) if is_graph else partial(take_steps, *parts)
        )
        self._validator = self._make_validator(form, bounds, losses)

    def _make_validator(
        self, form: HiddenForm, bounds: Sequence[int], losses: Sequence[Loss]
    ) -> StackedValidator | None:
        """Return what evaluates the networks that are left, if they are validated."""
        # All that share a stream hold out the same samples.
        validations = [
            (validation, stream.count)
            for first, stream in zip(bounds, self._streams, strict=False)
            if (validation := self.members[first].fit.data.validation) is not None
        ]
        if not validations:
            return None
        is_sparse = all(one.inputs.has_sparse_batches for one, _ in validations)
        without = replace(form, dropout=[0.0] * len(form.dropout), input_dropout=0.0)
        step = make_step(self._layers(is_sparse=is_sparse), without, self._step.loss)
        return StackedValidator(step, validations, losses, is_sparse=is_sparse)

    def _layers(self, *, is_sparse: bool) -> Layers:
        """Return the affine maps of the networks that are left."""
        layers_type: Callable[..., Layers] = SparseStackedLayers if is_sparse else StackedLayers
        counts, batch_size = [stream.count for stream in self._streams], self._config.batch_size
        return layers_type(self._parameters, self._gradient, counts, batch_size)
