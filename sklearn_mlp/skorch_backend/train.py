"""The skorch backend: trains a network in skorch's own loop.

The samples' order, the update, the schedules and the stopping are those of the native backend,
and so are the numbers; forward and backward are autograd's, and the loop with its callbacks is
skorch's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from torch import nn

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.contract.fit import PreparedFit
from sklearn_mlp.machine.interrupts import end_training
from sklearn_mlp.network.alterations import altered_call
from sklearn_mlp.network.mlp import MLP, place_of
from sklearn_mlp.skorch_backend.making import make_net
from sklearn_mlp.skorch_backend.nets import OwnedNet
from sklearn_mlp.skorch_backend.run import NetRun
from sklearn_mlp.skorch_backend.trained_parts import TrainedParts


def train(fit: PreparedFit) -> OwnedNet:
    """Train a network in place.

    The order of calls, from here to the line that changes a weight::

        train
          partial_fit                    skorch
            OwnedNet.fit_loop            nets.py      until the monitor says stop
              fit_loop                   skorch       an epoch
                train_step               skorch       a batch of `EpochBatches`
                  OwnedNet.get_loss      nets.py      forward and backward by autograd
                  SolverOptimizer.step   adapters.py  hands over to
                    Solver.update        solvers/base.py  the weights change here
                OwnedNet.on_epoch_end    nets.py
                  EpochMonitor.epoch_ended  training/monitor.py  records, stopping, best weights

    Parameters
    ----------
    fit : PreparedFit
        The network with the weights to start from, on the device and in the type to train in, its
        samples, settings and state, which is brought up to date.

    Returns
    -------
    net : NeuralNetClassifier or NeuralNetRegressor
        The fitted net; with ``partial_fit`` or ``warm_start`` that of the call before.
    """
    network, config, state = fit.network, fit.config, fit.state
    net = cast(OwnedNet | None, state.trainer)
    if (
        net is None
        or net.is_trimmed
        or net.is_given_others(config)
        or net.module is not network  # the user has put another in its place
    ):
        net = make_net(
            network,
            config.loss,
            fit.data.codec,
            config.backend_params,
            is_compiled=config.compile,
        )
    net.lr, net.max_epochs = config.learning_rate_init, config.max_iter
    net.batch_size = config.batch_size
    # The network may have been brought to another device since.
    net.device = str(place_of(network).device)
    net.codec_, net.loss_, net.criterion_.loss = fit.data.codec, config.loss, config.loss
    if not _takes_sparse(net, network, config):
        fit = fit.made_dense()
    is_sparse = fit.data.inputs.has_sparse_batches
    with TrainedParts(network, config, state, is_sparse=is_sparse) as trained:
        run = NetRun.of(net, fit, trained)
        with _lent(net, run):
            net.optimizer_.bind(trained.solver, network, state.learning_rate)
            try:
                net.partial_fit(*run.samples.of_all())
            except KeyboardInterrupt as interrupt:
                # From a callback's on_train_begin or on_train_end.
                run.interrupt = interrupt
                run.restore_best()
            if run.interrupt is not None:
                end_training(run.interrupt)
            run.check_parts(net)
    return net


@contextmanager
def _lent(net: OwnedNet, run: NetRun) -> Iterator[None]:
    """Let a net train within the body; an error leaves it with the history that it had."""
    history, n_epochs = net.history, len(net.history)
    try:
        net.run_ = run
        yield
    except BaseException:
        del history[n_epochs:]
        net.history = history
        raise
    finally:
        net.run_ = None
        net.optimizer_.release()
        run.module.eval()


def _takes_sparse(net: OwnedNet, network: nn.Module, config: TrainingConfig) -> bool:
    """Tell whether a network can be given sparse tensors: its first layer has to take them."""
    # Neither a mask, nor bfloat16, nor torch's compiler goes with them.
    is_masked = isinstance(network, MLP) and network.input_dropout > 0
    if not isinstance(network, MLP) or altered_call(network) is not None:
        return False
    return not (is_masked or config.is_mixed or net.compile)
