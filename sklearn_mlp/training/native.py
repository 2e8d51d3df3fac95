"""The native backend: trains a network in closed form, or by autograd where that is not enough."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, final

from torch import nn

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.contract.fit import PreparedFit
from sklearn_mlp.data.batches import Batches
from sklearn_mlp.machine.kernels import inference_mode
from sklearn_mlp.machine.threads import single_blas
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.network.normalization import settle_statistics
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.solvers.averaging import make_average
from sklearn_mlp.solvers.choice import make_solver, solver_memory
from sklearn_mlp.steps.autograd import AutogradStep
from sklearn_mlp.steps.base import Step
from sklearn_mlp.steps.closed_form import ClosedFormStep
from sklearn_mlp.steps.general import HiddenForm, make_step
from sklearn_mlp.steps.layers import FlatLayers, Layers, SparseInputLayers
from sklearn_mlp.steps.mixed_layers import MixedLayers
from sklearn_mlp.training.carried_memory import go_on_with
from sklearn_mlp.training.compiled_epochs import CompiledEpochs
from sklearn_mlp.training.compiled_validator import CompiledValidator
from sklearn_mlp.training.graphs import EpochGraph, can_capture
from sklearn_mlp.training.lbfgs import run_lbfgs
from sklearn_mlp.training.loop import EpochLoss, Run, run_epochs, take_steps
from sklearn_mlp.training.monitor import EpochMonitor
from sklearn_mlp.training.rank_run import RankRun, joined_ranks
from sklearn_mlp.training.rank_steps import RankStep, gradient_with_flag, never
from sklearn_mlp.training.sparse_order import input_major
from sklearn_mlp.training.stack import train_stack


def train(fits: Sequence[PreparedFit]) -> None:
    """Train one network in place, or those of many fits as one: their `stack_key` is the same.

    The order of calls, from here to the line that changes a weight::

        train
          run_epochs                     loop.py               until the monitor says stop
            Run.epoch                    loop.py               an epoch
              take_steps                 loop.py               batches (on CUDA: graphs.py; where
                                                               it can: compiled_epochs.py), with
                ClosedFormStep.gradient  steps/closed_form.py  forward, loss gradient, backward
                  FlatLayers.*           steps/layers.py       the products
                AutogradStep.gradient    steps/autograd.py     instead, for engine="autograd"
                Solver.update            solvers/base.py       the weights change here
              EpochMonitor.epoch_ended   monitor.py            records, stopping, best weights
          run_lbfgs                      lbfgs.py              instead, for solver="lbfgs"
          train_stack                    stack.py              instead, for many fits

    Parameters
    ----------
    fits : sequence of PreparedFit
        Networks with the weights to start from, on the device and in the type to train in, and
        their samples, settings and states, which are brought up to date.
    """
    if len(fits) > 1:
        train_stack(fits)
    else:
        _train_one(fits[0])
        fits[0].state.trainer = None


def _train_one(fit: PreparedFit) -> None:
    """Train a single network; ``config.engine`` says by which step."""
    network, config, state = fit.network, fit.config, fit.state
    is_autograd = config.engine == "autograd"
    # A mask on sparse samples would be as large as dense ones.
    is_masked = isinstance(network, MLP) and network.input_dropout > 0
    if is_autograd or is_masked or config.is_mixed:
        fit = fit.made_dense()
    is_sparse = fit.data.inputs.has_sparse_batches
    parameters = ParameterVector.of(network, is_input_major=is_sparse)
    go_on_with(state, parameters.layout)
    if config.engine == "compiled":
        # Each product is one thread's: those of a BLAS would wait for one another.
        with inference_mode(), single_blas():
            run_epochs(CompiledRun(fit, parameters))
        return
    gradient, memory = gradient_with_flag(parameters)
    group, is_interrupted = config.group, never
    with ExitStack() as contexts:
        if group is not None:
            is_interrupted = contexts.enter_context(joined_ranks(network, parameters, group))
        step = _make_step(network, parameters, gradient, config, contexts, is_sparse=is_sparse)
        if not config.is_stochastic:
            run_lbfgs(fit, step, parameters, gradient, is_interrupted)
            if is_autograd:
                settle_statistics(network, fit.data.inputs)
            return
        contexts.enter_context(input_major(state, parameters.layout))
        contexts.enter_context(step.quiet())
        if group is None:
            run_epochs(SingleRun(fit, step, parameters, gradient))
        else:
            rank_step = RankStep(step, memory, group, is_interrupted)
            run_epochs(RankRun(fit, rank_step, parameters, gradient, is_interrupted))


def _make_step(
    network: nn.Module,
    parameters: ParameterVector,
    gradient: ParameterVector,
    config: TrainingConfig,
    contexts: ExitStack,
    *,
    is_sparse: bool,
) -> Step:
    """Return what computes the gradients; what it has to undo is left to the contexts."""
    if config.engine != "autograd":
        return _closed_form(network, parameters, gradient, config, is_sparse=is_sparse)
    step = AutogradStep(
        network,
        parameters,
        gradient,
        config.loss,
        config.n_outputs,
        is_mixed=config.is_mixed,
        is_compiled=config.compile,
    )
    return contexts.enter_context(step)


def _closed_form(
    network: nn.Module,
    parameters: ParameterVector,
    gradient: ParameterVector,
    config: TrainingConfig,
    *,
    is_sparse: bool,
) -> ClosedFormStep[Any]:
    """Return the step of a network whose gradients are written out."""
    assert isinstance(network, MLP)
    layers_type: Callable[..., Layers] = SparseInputLayers if is_sparse else FlatLayers
    if config.is_mixed:
        layers_type = MixedLayers
    layers = layers_type(parameters, gradient, config.batch_size)
    return make_step(layers, HiddenForm.of(network), config.loss)


class _OneNetworkRun(Run):
    """One network, whose parameters are one vector, however its steps are taken."""

    _take_steps: Callable[[Sequence[float]], None]

    @final
    def take_epoch(self, rates: Sequence[Sequence[float]]) -> None:
        """Take the steps of one epoch, or replay them where they were captured."""
        self._take_steps(rates[0])

    @final
    def evaluate(self) -> None:
        """Leave it to the monitor."""

    def drop(self, finished: Sequence[int]) -> None:
        """End the run."""
        for monitor in self.monitors:
            monitor.restore_best()
        self.monitors = []


@final
class CompiledRun(_OneNetworkRun):
    """One network whose steps are compiled: torch's step and solver are not even made.

    Parameters
    ----------
    fit : PreparedFit
        What a backend gets.
    parameters : ParameterVector
        The network's.
    """

    def __init__(self, fit: PreparedFit, parameters: ParameterVector) -> None:
        network, data, config = fit.network, fit.data, fit.config
        assert isinstance(network, MLP)
        average = make_average(parameters.memory, config, fit.state)
        memory = solver_memory(parameters, config, fit.state)
        self.batches = batches = Batches(
            data,
            batch_size=config.batch_size,
            shuffle=config.shuffle,
            is_gathered=not data.inputs.is_in_place,
        )
        epochs = CompiledEpochs(network, parameters, data, batches, config, memory, average)
        self._take_steps = self.epoch_loss = epochs
        validate = CompiledValidator.of(network, epochs.plan, data.validation, config.loss)
        self.monitors = [EpochMonitor(fit, parameters.memory, validate, average)]


@final
class SingleRun(_OneNetworkRun):
    """One network whose steps are torch's.

    Parameters
    ----------
    fit : PreparedFit
        What a backend gets; the samples dense where the step wants them to be.
    step : Step
        Computes its gradients.
    parameters, gradient : ParameterVector
        Its parameters, and where the step writes their gradients.
    """

    def __init__(
        self,
        fit: PreparedFit,
        step: Step,
        parameters: ParameterVector,
        gradient: ParameterVector,
    ) -> None:
        data, config = fit.data, fit.config
        average = make_average(parameters.memory, config, fit.state)
        self._solver = make_solver(parameters, gradient, config, fit.state, average)
        self.batches = batches = Batches(
            data, batch_size=config.batch_size, shuffle=config.shuffle
        )
        self.epoch_loss = epoch_loss = EpochLoss(
            parameters, step.n_outputs, batches, [config.penalty], [step.loss]
        )
        parts = (step, self._solver, batches, epoch_loss)
        device = parameters.values.device
        is_graph = step.can_be_captured and can_capture(batches, self._solver, device)
        self._take_steps = (
            EpochGraph(*parts, config.max_iter) if is_graph else partial(take_steps, *parts)
        )
        self.monitors = [EpochMonitor(fit, parameters.memory, average=average)]

    def drop(self, finished: Sequence[int]) -> None:
        """End the run."""
        super().drop(finished)
        self._solver.remember()
