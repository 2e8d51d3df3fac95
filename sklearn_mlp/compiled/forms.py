"""The fits that the compiled steps can run, told from their parts; of others, why not.

The numbers are those of the enumerations in ``forms.hpp``.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from sklearn_mlp.compiled.library import why_not_here
from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.data.rows import Rows
from sklearn_mlp.losses import BinaryLogLoss, Loss, MulticlassLogLoss, Poisson, SquaredError
from sklearn_mlp.losses.classification import SoftTargetLogLoss
from sklearn_mlp.losses.errors import AbsoluteError, ErrorLoss, Huber, MeanSquaredError
from sklearn_mlp.losses.labels import LabelLoss
from sklearn_mlp.losses.regression import Gamma
from sklearn_mlp.network.mlp import MLP

ACTIVATIONS = (
    "identity",
    "logistic",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "softplus",
)
SOLVERS = ("sgd", "nesterov", "adam", "adamw")
_LOSSES = (
    "softmax_codes",
    "softmax_values",
    "logistic",
    "squared",
    "mean_squared",
    "absolute",
    "huber",
    "poisson",
    "gamma",
)

# Multiply-adds of a step, forwards, from which on torch takes less time: on one thread, and where
# it may share each product among several, which for large ones beats sharing the samples.
# Measured on two cores with AVX-512.
_MOST_WORK = 500_000_000
_MOST_SHARED_WORK = 30_000_000

# Those that compare outputs with a number for each, and of which nothing else is asked.
_OF_NUMBERS: dict[type[Loss], str] = {
    SoftTargetLogLoss: "softmax_values",
    BinaryLogLoss: "logistic",
    SquaredError: "squared",
    Poisson: "poisson",
    Gamma: "gamma",
}
_ERRORS = {MeanSquaredError: "mean_squared", AbsoluteError: "absolute", Huber: "huber"}


class LossForm(NamedTuple):
    """A loss in numbers.

    Attributes
    ----------
    kind : int
        Which one.
    number : float
        Huber's delta.
    are_codes : bool
        Whether targets are class codes.
    off, on : float
        What 0 and 1, or another class and its own, become before they are compared.
    """

    kind: int
    number: float = 0.0
    are_codes: bool = False
    off: float = 0.0
    on: float = 1.0


class NetworkForm(NamedTuple):
    """A network in numbers, and what a step of it takes.

    Attributes
    ----------
    units : list of int
        Features, units of each hidden layer, outputs.
    activations : list of int
        Which one each hidden layer has.
    is_dropped : list of bool
        Whether features, then each hidden layer, have a mask.
    factors : list of float
        What each layer's products are multiplied by, before the bias.
    batch_size : int
        How many samples a step takes at most.
    has_scales : bool
        Whether each feature is multiplied by a number that is learned; these come behind the
        biases. One thread takes the steps then.
    """

    units: list[int]
    activations: list[int]
    is_dropped: list[bool]
    factors: list[float]
    batch_size: int
    has_scales: bool = False


def form_of_network(network: MLP, batch_size: int) -> NetworkForm:
    """Return a network in numbers."""
    activations = [ACTIVATIONS.index(str(name)) for name in network.activations]
    is_dropped = [bool(rate) for rate in (network.input_dropout, *network.dropout)]
    factors = [1.0] * len(network.linear_layers)
    return NetworkForm(list(network.units), activations, is_dropped, factors, batch_size)


class SolverForm(NamedTuple):
    """A solver in numbers.

    Attributes
    ----------
    kind : int
        Which one.
    beta_1, beta_2, epsilon : float
        Adam's; of SGD the first is the momentum.
    decay : float
        AdamW's, of weights alone.
    longest : float
        What a gradient is clipped to; 0 leaves it.
    bias_rate, scale_rate : float
        What the learning rate is multiplied by for biases, and for features' scales.
    ema_decay : float
        Of the average of the steps.
    """

    kind: int
    beta_1: float
    beta_2: float = 0.0
    epsilon: float = 0.0
    decay: float = 0.0
    longest: float = 0.0
    bias_rate: float = 1.0
    scale_rate: float = 1.0
    ema_decay: float = 0.0


def form_of_solver(config: TrainingConfig) -> SolverForm:
    """Return a fit's solver in numbers."""
    longest = config.gradient_clip or 0.0
    if config.solver == "sgd":
        kind = "nesterov" if config.nesterovs_momentum else "sgd"
        form = SolverForm(SOLVERS.index(kind), config.momentum)
    else:
        numbers = config.beta_1, config.beta_2, config.epsilon
        decay = config.alpha if config.solver == "adamw" else 0.0
        form = SolverForm(SOLVERS.index(str(config.solver)), *numbers, decay)
    return form._replace(longest=longest, ema_decay=config.ema_decay)


def form_of_loss(loss: Loss) -> LossForm | None:
    """Return a loss in numbers; None if it is not compiled."""
    if isinstance(loss, MulticlassLogLoss):
        return LossForm(_LOSSES.index("softmax_codes"), are_codes=True)
    if isinstance(loss, LabelLoss):
        inner = form_of_loss(loss.inner)
        if inner is None or not isinstance(loss.off, float) or not isinstance(loss.on, float):
            return None
        return inner._replace(are_codes=loss.is_exclusive, off=loss.off, on=loss.on)
    if isinstance(loss, ErrorLoss):
        name = _ERRORS.get(type(loss.error))
        if name is None or loss.out_activation != "identity":
            return None
        return LossForm(_LOSSES.index(name), getattr(loss.error, "delta", 0.0))
    name = _OF_NUMBERS.get(type(loss))
    return None if name is None else LossForm(_LOSSES.index(name))


def why_not_compiled(
    network: MLP, loss: Loss, parameters: Mapping[str, Any], inputs: Rows, batch_size: int
) -> str | None:
    """Say why a network's epochs are not compiled; None if they are.

    Parameters
    ----------
    network : MLP
        One whose gradients are written out, on the device and in the type to train in.
    loss : Loss
        Of the output.
    parameters : mapping
        The estimator's.
    inputs : Rows
        What it is to be trained on.
    batch_size : int
        How many samples a step takes.
    """
    return (
        _why_not_by_solver(parameters)
        or _why_not_by_size(network, batch_size)
        or _why_not_on(network, inputs, parameters["dtype"])
        or _why_not_of(network, loss)
        or why_not_here()
    )


def _why_not_by_solver(parameters: Mapping[str, Any]) -> str | None:
    """Say which of the parameters of training stands against it."""
    solver = parameters["solver"]
    if solver not in ("sgd", "adam", "adamw") or parameters["solver_params"]:
        return f"solver={solver!r} is not compiled"
    return None


def _why_not_by_size(network: MLP, batch_size: int) -> str | None:
    """Say whether a step is so large that what is between its products does not count."""
    work = network.n_parameters * batch_size
    limit = _MOST_WORK if torch.get_num_threads() == 1 else _MOST_SHARED_WORK
    return None if work < limit else "torch's products are faster for steps of this size"


def _why_not_on(network: MLP, inputs: Rows, dtype: str) -> str | None:
    """Say what about device, type or samples stands against it."""
    weight = network.linear_layers[0].weight
    if weight.device.type != "cpu":
        return f"the device is {weight.device}"
    if dtype == "bfloat16" or weight.dtype not in (torch.float32, torch.float64):
        return f"dtype={dtype!r} is not compiled"
    if inputs.has_sparse_batches:
        return "the samples are sparse"
    return None


def _why_not_of(network: MLP, loss: Loss) -> str | None:
    """Say what about the network or its loss stands against it."""
    if any(network.is_skipped):
        return "residual=True is not compiled"
    if not all(name in ACTIVATIONS for name in network.activations):
        return "an activation is not compiled"
    if form_of_loss(loss) is None:
        return f"the loss {type(loss).__name__} is not compiled"
    return None
