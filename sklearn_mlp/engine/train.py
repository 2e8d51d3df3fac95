"""The native backend: trains a network in closed form."""

from functools import partial

import torch

from sklearn_mlp.activations import ACTIVATIONS
from sklearn_mlp.batches import Batches
from sklearn_mlp.config import TrainingConfig
from sklearn_mlp.engine.graphs import EpochGraph, can_capture
from sklearn_mlp.engine.layers import FlatLayers, SparseInputLayers
from sklearn_mlp.engine.lbfgs import run_lbfgs
from sklearn_mlp.engine.loop import EpochLoss, run_epochs, take_steps
from sklearn_mlp.engine.step import ClosedFormStep
from sklearn_mlp.monitor import EpochMonitor
from sklearn_mlp.network import MLP, ParameterVector
from sklearn_mlp.solvers import make_solver
from sklearn_mlp.sparse import SparseRows
from sklearn_mlp.state import TrainingState
from sklearn_mlp.training_data import TrainingData
from sklearn_mlp.validation import make_scorer


def train(network: MLP, data: TrainingData, config: TrainingConfig, state: TrainingState) -> None:
    """Train a network in place.

    The order of calls, from here to the line that changes a weight::

        train
          run_epochs                     loop.py      until the monitor says stop
            take_steps                   loop.py      batches (on CUDA: graphs.py), each with
              ClosedFormStep.gradient    step.py      forward, loss gradient, backward
                FlatLayers.*             layers.py    the products
              Solver.update              solvers.py   the weights change here
            EpochMonitor.epoch_ended     monitor.py   records, stopping, best weights
          run_lbfgs                      lbfgs.py     instead of run_epochs, for solver="lbfgs"

    Parameters
    ----------
    network : MLP
        With the weights to start from, on the device and in the type to train in.
    data : TrainingData
        The samples, on the same device and in the same type.
    config : TrainingConfig
        The settings.
    state : TrainingState
        What earlier calls left; brought up to date.
    """
    is_sparse = isinstance(data.inputs, SparseRows) and data.inputs.is_multiplied_sparse
    parameters = ParameterVector.of(network, is_input_major=is_sparse)
    gradient = parameters.empty_like()
    layers_type = SparseInputLayers if is_sparse else FlatLayers
    layers = layers_type(parameters, gradient, config.batch_size)
    step = ClosedFormStep(layers, ACTIVATIONS[network.activation], config.loss)
    if not config.is_stochastic:
        run_lbfgs(step, parameters, gradient, data, config, state)
        return
    # Neither autograd nor version counters: a small call takes 1 us, of which they are a part.
    with torch.inference_mode():
        solver = make_solver(parameters, gradient, config, state)
        batches = Batches(data, config, config.random_state)
        score = make_scorer(network, data.validation, config.loss)
        monitor = EpochMonitor(config, state, parameters.values, score)
        epoch_loss = EpochLoss(step, batches, config.alpha)
        parts = (step, solver, batches, epoch_loss)
        is_graph = config.loss.is_capturable and can_capture(batches, parameters.values.device)
        run_epoch = EpochGraph(*parts) if is_graph else partial(take_steps, *parts)
        run_epochs(run_epoch, epoch_loss, batches, monitor)
