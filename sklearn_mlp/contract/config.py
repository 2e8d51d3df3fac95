"""The settings of one fit, checked and resolved, as the backends take them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from sklearn_mlp.contract.observers import Observer
from sklearn_mlp.losses import Loss
from sklearn_mlp.machine.placement import is_stochastic
from sklearn_mlp.ranks.group import Group

# Those that shrink the weights by themselves: Loshchilov and Hutter (2019).
DECOUPLED_SOLVERS = ("adamw", "muon")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The estimator's parameters that training depends on, under their own names.

    ``batch_size`` is a number here, clipped to the samples there are; ``incremental`` tells a
    `partial_fit`, one epoch that goes on from the last, from a `fit`. ``engine`` is what computes
    the gradients, and ``n_outputs`` how many outputs the network has; ``backend_params`` is for a
    backend that has parameters of its own. ``group`` are the processes that train together, if
    there are others.
    """

    solver: Any
    alpha: float
    batch_size: int
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    tol: float
    verbose: bool | int | str
    momentum: float
    nesterovs_momentum: bool
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    # Solvers, schedules, averaging.
    solver_params: Mapping[str, Any] | None
    gradient_clip: float | None
    weight_averaging: str | None
    ema_decay: float
    swa_start: float
    warmup: Any
    lr_decay: float | None
    lr_step_size: int
    lr_patience: int
    lr_min: float
    # Where it runs.
    dtype: str
    compile: bool
    # Watching and stopping.
    early_stopping: bool
    scoring: str | Callable[..., float] | None
    max_time: float | None
    backend_params: Mapping[str, Any] | None
    # The rest is no parameter, or another form of one.
    incremental: bool
    loss: Loss
    engine: str
    n_outputs: int
    observers: tuple[Observer, ...] = ()
    group: Group | None = None

    @classmethod
    def of(
        cls,
        parameters: Mapping[str, Any],
        *,
        batch_size: int,
        incremental: bool,
        loss: Loss,
        engine: str,
        n_outputs: int,
        group: Group | None = None,
    ) -> Self:
        """Take an estimator's parameters over, and with them what was resolved from them."""
        ours = {"batch_size", "loss"}
        names = {field.name for field in fields(cls)} - ours
        return cls(
            **{name: parameters[name] for name in names if name in parameters},
            batch_size=batch_size,
            incremental=incremental,
            loss=loss,
            engine=engine,
            n_outputs=n_outputs,
            group=group,
        )

    @property
    def is_printing(self) -> bool:
        """Whether to print, as scikit-learn does, what each epoch has come to."""
        return bool(self.verbose) and self.verbose != "progress"

    @property
    def is_stochastic(self) -> bool:
        """Whether the solver trains in epochs of mini-batches."""
        return is_stochastic(self.solver)

    @property
    def is_mixed(self) -> bool:
        """Whether products are taken in bfloat16; the parameters are float32."""
        return self.dtype == "bfloat16"

    @property
    def penalty(self) -> float:
        """The strength of the L2 penalty; 0 where ``alpha`` is a decoupled weight decay."""
        is_decoupled = isinstance(self.solver, str) and self.solver in DECOUPLED_SOLVERS
        return 0.0 if is_decoupled else self.alpha
