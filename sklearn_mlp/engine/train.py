"""The native backend: trains a network in closed form, or by autograd where that is not enough."""

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from torch import nn

from sklearn_mlp.averaging import make_average
from sklearn_mlp.batches import Batches
from sklearn_mlp.config import TrainingConfig
from sklearn_mlp.engine.autograd_step import AutogradStep
from sklearn_mlp.engine.general_step import make_closed_form
from sklearn_mlp.engine.graphs import EpochGraph, can_capture
from sklearn_mlp.engine.layers import FlatLayers, SparseInputLayers
from sklearn_mlp.engine.lbfgs import run_lbfgs
from sklearn_mlp.engine.loop import EpochLoss, run_epochs, take_steps
from sklearn_mlp.engine.mixed_layers import MixedLayers
from sklearn_mlp.engine.step import ClosedFormStep, Step
from sklearn_mlp.input_major import input_major
from sklearn_mlp.monitor import EpochMonitor
from sklearn_mlp.network import MLP, ParameterVector
from sklearn_mlp.normalization import settle_statistics
from sklearn_mlp.solver_choice import make_solver
from sklearn_mlp.sparse import SparseRows
from sklearn_mlp.state import TrainingState
from sklearn_mlp.training_data import TrainingData


def train(
    network: nn.Module, data: TrainingData, config: TrainingConfig, state: TrainingState
) -> None:
    """Train a network in place.

    The order of calls, from here to the line that changes a weight::

        train
          run_epochs                     loop.py      until the monitor says stop
            take_steps                   loop.py      batches (on CUDA: graphs.py), each with
              ClosedFormStep.gradient    step.py      forward, loss gradient, backward
                FlatLayers.*             layers.py    the products
              AutogradStep.gradient      autograd_step.py  instead, for engine="autograd"
              Solver.update              solvers.py   the weights change here
            EpochMonitor.epoch_ended     monitor.py   records, stopping, best weights
          run_lbfgs                      lbfgs.py     instead of run_epochs, for solver="lbfgs"

    Parameters
    ----------
    network : Module
        With the weights to start from, on the device and in the type to train in.
    data : TrainingData
        The samples, on the same device and in the same type.
    config : TrainingConfig
        The settings; ``engine`` says which step.
    state : TrainingState
        What earlier calls left; brought up to date.
    """
    is_autograd = config.engine == "autograd"
    # A mask on sparse samples would be as large as dense ones.
    is_masked = isinstance(network, MLP) and network.input_dropout > 0
    is_dense = is_autograd or is_masked or config.is_mixed
    if is_dense and isinstance(data.inputs, SparseRows):
        data = replace(data, inputs=data.inputs.made_dense())
    is_sparse = isinstance(data.inputs, SparseRows) and data.inputs.is_multiplied_sparse
    parameters = ParameterVector.of(network, is_input_major=is_sparse)
    gradient = parameters.empty_like()
    with ExitStack() as stack:
        step: Step
        if is_autograd:
            step = AutogradStep(
                network,
                parameters,
                gradient,
                config.loss,
                config.n_outputs,
                is_mixed=config.is_mixed,
                is_compiled=config.compile,
            )
            stack.enter_context(step)
        else:
            step = _closed_form(network, parameters, gradient, config, is_sparse=is_sparse)
        if not config.is_stochastic:
            run_lbfgs(step, parameters, gradient, data, config, state, network)
            if is_autograd:
                settle_statistics(network, data.inputs, data.targets.device)
            return
        stack.enter_context(input_major(state, parameters.layout))
        stack.enter_context(step.quiet())
        _train_in_epochs(step, network, parameters, gradient, data, config, state)


def _closed_form(
    network: nn.Module,
    parameters: ParameterVector,
    gradient: ParameterVector,
    config: TrainingConfig,
    *,
    is_sparse: bool,
) -> ClosedFormStep:
    """Return the step of a network whose gradients are written out."""
    assert isinstance(network, MLP)
    layers_type = SparseInputLayers if is_sparse else FlatLayers
    if config.is_mixed:
        layers_type = MixedLayers
    layers = layers_type(parameters, gradient, config.batch_size)
    return make_closed_form(layers, network, config.loss)


def _train_in_epochs(
    step: Step,
    network: nn.Module,
    parameters: ParameterVector,
    gradient: ParameterVector,
    data: TrainingData,
    config: TrainingConfig,
    state: TrainingState,
) -> None:
    """Train with a first-order solver."""
    average = make_average(parameters.memory, config, state)
    solver = make_solver(parameters, gradient, config, state, average)
    batches = Batches(
        data, config.random_state, batch_size=config.batch_size, shuffle=config.shuffle
    )
    monitor = EpochMonitor(
        config, state, network, parameters.memory, data.validation, average=average
    )
    epoch_loss = EpochLoss(step, batches, config.penalty)
    parts = (step, solver, batches, epoch_loss)
    is_graph = step.can_be_recorded and can_capture(batches, solver, parameters.values.device)
    run_epoch = EpochGraph(*parts) if is_graph else partial(take_steps, *parts)
    run_epochs(run_epoch, epoch_loss, batches, monitor)
    solver.remember()
