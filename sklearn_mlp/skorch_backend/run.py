"""One call of the backend, while it lasts: what skorch's loop is told of it."""

from dataclasses import dataclass, field, replace
from typing import Any

from skorch import NeuralNet
from torch import nn

from sklearn_mlp.contract.fit import PreparedFit
from sklearn_mlp.data.samples import TrainingData
from sklearn_mlp.skorch_backend.adapters import SolverOptimizer
from sklearn_mlp.skorch_backend.data import LabelledSamples
from sklearn_mlp.skorch_backend.trained_parts import TrainedParts
from sklearn_mlp.training.monitor import EpochMonitor


@dataclass
class NetRun:
    """One call of `train`, while it lasts.

    Attributes
    ----------
    samples, held_out : LabelledSamples
        Those to train on, and those that the network is watched on, if any.
    trained : TrainedParts
        What is trained, and what takes the steps.
    network : Module
        Whose parts they are.
    monitor : EpochMonitor
        Decides when to stop.
    module, optimizer : object
        The net's, which no callback may put others in the place of.
    rates : list of float or None
        Of the steps of an epoch, where the schedule plans them.
    is_last : bool
        Whether no epoch is to follow.
    is_within_epoch : bool
        Whether the history's last row is of an epoch that has not ended.
    is_restored : bool
        Whether the best weights are back in place.
    interrupt : KeyboardInterrupt or None
        What the user has ended training by.
    iterators : dict
        Over batches, for training and for validation.
    """

    samples: LabelledSamples
    held_out: LabelledSamples | None
    trained: TrainedParts
    network: nn.Module
    monitor: EpochMonitor
    module: nn.Module
    optimizer: SolverOptimizer
    rates: list[float] | None = None
    is_last: bool = False
    is_within_epoch: bool = False
    is_restored: bool = False
    interrupt: KeyboardInterrupt | None = None
    iterators: dict[bool, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, net: NeuralNet, fit: PreparedFit, trained: TrainedParts) -> "NetRun":
        """Make ready for a fit."""
        network, data, config = fit.network, fit.data, fit.config
        held_out, part = None, data.validation
        if part is not None:
            targets = part.targets.to(data.targets.device)
            weights = None if part.sample_weight is None else part.sample_weight.numpy()
            inputs = part.inputs
            if not data.inputs.has_sparse_batches:
                inputs = inputs.made_dense()
            size = min(inputs.chunk_rows, len(targets))
            settings = replace(config, shuffle=False, batch_size=size)
            watched = TrainingData(inputs, targets, data.codec, data.random_state, weights)
            held_out = LabelledSamples(watched, settings)
        monitor = EpochMonitor(fit, trained.parameters.memory, average=trained.average)
        samples = LabelledSamples(data, config)
        return cls(samples, held_out, trained, network, monitor, net.module_, net.optimizer_)

    def follow(self) -> None:
        """Train what is to be trained now: a callback may have frozen or freed parameters."""
        if not self.trained.has_changed:
            return
        self.optimizer.release()
        self.trained.follow()
        self.monitor.follow(self.trained.parameters.memory, self.trained.average)
        self.optimizer.bind(self.trained.solver, self.network, self.optimizer.learning_rate)

    def epoch_begins(self) -> None:
        """Plan the epoch's learning rates, where the schedule has a plan."""
        if self.monitor.schedule.is_planned:
            config = self.samples.config
            n_steps = -(-len(self.samples) // config.batch_size)
            self.rates = self.monitor.schedule.rates(n_steps)

    def epoch_ended(self, net: NeuralNet) -> None:
        """Record an epoch, as `EpochMonitor` does, from what skorch has recorded of it."""
        state, optimizer, n_samples = self.monitor.state, net.optimizer_, len(self.samples)
        records = [row for row in net.history[-1]["batches"] if "train_loss" in row]
        total = sum(row["train_loss"] * row["train_batch_size"] for row in records)
        if self.rates is None:
            # A callback of skorch's may have changed the rate.
            state.learning_rate = optimizer.learning_rate
        learning_rate = state.learning_rate
        self.is_last = self.monitor.epoch_ended(total / n_samples, n_samples)
        if state.learning_rate != learning_rate:
            optimizer.learning_rate = state.learning_rate

    def restore_best(self) -> None:
        """Put the best weights back in place, once."""
        if not self.is_restored:
            self.is_restored = True
            self.monitor.restore_best()

    def check_parts(self, net: NeuralNet) -> None:
        """Check that a net still has what is being trained.

        Raises
        ------
        ValueError
            If a callback has put something else in its place.
        """
        for name, part in (("module_", self.module), ("optimizer_", self.optimizer)):
            if getattr(net, name) is not part:
                raise ValueError(
                    f"A callback has put another {name} into the net, but the estimator trains "
                    f"the one that it has made. Change net.{name} in place, or set the "
                    "estimator's own parameters."
                )
