"""The trained parts of a network, in a loop whose callbacks may freeze some, or free them."""

from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from torch import nn

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.contract.state import TrainingState
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.network.parameter_vector import ParameterVector, check_some, trained_parameters
from sklearn_mlp.solvers.averaging import WeightAverage, make_average
from sklearn_mlp.solvers.base import Solver
from sklearn_mlp.solvers.choice import make_solver
from sklearn_mlp.training.carried_memory import go_on_with
from sklearn_mlp.training.sparse_order import input_major


class TrainedParts:
    """The parameters that are trained, as one vector, with what changes and averages it.

    A context manager: on leaving it the state is in the order of the layers again.

    Parameters
    ----------
    network : Module
        The network.
    config : TrainingConfig
        Names the solver and the average.
    state : TrainingState
        Their memory; brought up to date.
    is_sparse : bool
        Whether the first layer is given sparse samples.

    Attributes
    ----------
    parameters : ParameterVector
        The parameters; a frozen one is none of them.
    solver : Solver
        Takes the steps.
    average : WeightAverage or None
        Of the weights.
    """

    parameters: ParameterVector
    solver: Solver
    average: WeightAverage | None

    def __init__(
        self, network: nn.Module, config: TrainingConfig, state: TrainingState, *, is_sparse: bool
    ) -> None:
        self._network = network
        self._config = config
        self._state = state
        self._is_sparse = is_sparse
        self._order = ExitStack()
        self._found: list[nn.Parameter] = []

    def __enter__(self) -> Self:
        self._gather(self._config)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._order.close()

    def follow(self) -> None:
        """Gather the parameters anew; the solver's memory goes on as far as it can."""
        self.solver.remember()
        self._order.close()
        self._gather(replace(self._config, incremental=True))

    @property
    def has_changed(self) -> bool:
        """Whether other parameters are to be trained than were gathered."""
        present = self._present()
        return len(present) != len(self._found) or any(
            one is not other for one, other in zip(present, self._found, strict=True)
        )

    def _present(self) -> list[nn.Parameter]:
        weights, biases = trained_parameters(self._network)
        return [*weights, *biases]

    def _gather(self, config: TrainingConfig) -> None:
        """Make a vector of what is to be trained now."""
        network, state = self._network, self._state
        self._found = self._present()
        check_some(self._found)
        is_input_major = (
            self._is_sparse
            and isinstance(network, MLP)
            and self._found[0] is network.linear_layers[0].weight
        )
        self.parameters = ParameterVector.of(network, is_input_major=is_input_major)
        go_on_with(state, self.parameters.layout)
        self._order.enter_context(input_major(state, self.parameters.layout))
        self.average = make_average(self.parameters.memory, config, state)
        gradient = self.parameters.empty_like()
        self.solver = make_solver(self.parameters, gradient, config, state, self.average)
