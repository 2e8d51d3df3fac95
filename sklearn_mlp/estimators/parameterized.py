"""The estimators' parameters: set by the constructor, read and changed as scikit-learn does."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from sklearn.base import BaseEstimator
from torch import nn

from sklearn_mlp.estimators.parameters import PARAMETERS, Parameter, constraints_of
from sklearn_mlp.machine.sklearn_internals import validate_parameter_constraints
from sklearn_mlp.network.module_parameters import (
    is_module_parameter,
    module_parameters_of,
    set_module_parameters,
)


class Parameterized(BaseEstimator):
    """An estimator before it is fitted: its parameters, those of a user's module among them."""

    # Those of classifier and regressor both; their constructors have the defaults.
    hidden_layer_sizes: Any
    activation: Any
    solver: Any
    alpha: float
    batch_size: int | str
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: bool | int | str
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    # Network.
    dropout: float | Sequence[float]
    input_dropout: float
    normalization: str | None
    residual: bool
    weight_init: Any
    module: Callable[..., nn.Module] | None
    # Loss and output.
    loss: Any
    output_activation: str
    # Solvers, schedules, averaging.
    solver_params: dict[str, Any] | None
    gradient_clip: float | None
    weight_averaging: str | None
    ema_decay: float
    swa_start: float
    warmup: float
    lr_decay: float | None
    lr_step_size: int
    lr_patience: int
    lr_min: float
    # Watching and stopping.
    scoring: str | Callable[..., float] | None
    max_time: float | None
    # Where it runs.
    device: str | torch.device
    dtype: str
    compile: bool
    backend: str
    backend_params: dict[str, Any] | None

    _names: ClassVar[list[str]]
    _table: ClassVar[Mapping[str, Parameter]] = PARAMETERS
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = constraints_of(PARAMETERS)
    # The table of the package's own class, whatever a subclass makes of the one above.
    _own_constraints: ClassVar[dict[str, list[Any]]]

    def _set_parameters(self, arguments: dict[str, Any]) -> None:
        """Set the parameters, given the ``locals()`` of an estimator's constructor.

        Each estimator's signature is the one list of its parameters: what is not in it ends among
        ``module__``, where a name that does not begin so is an error.
        """
        own = {name: arguments[name] for name in arguments if name not in ("self", "module__")}
        self.__dict__.update(own)
        set_module_parameters(self, arguments["module__"])

    @classmethod
    def _get_param_names(cls) -> list[str]:
        """Return the constructor's parameters, read off it once.

        scikit-learn reads them whenever it asks for the parameters, which for so many takes as
        long as a tenth of a small fit.
        """
        if "_names" not in vars(cls):
            cls._names = super()._get_param_names()
        return list(cls._names)

    def _own_parameters(self) -> dict[str, Any]:
        """Return the parameters of the package's own class, as training reads them.

        They are attributes: the constructor of a subclass may name fewer of them, or others.
        """
        return {name: getattr(self, name) for name in self._own_constraints}

    def _checkable_parameters(self) -> tuple[dict[str, list[Any]], dict[str, Any]]:
        """Return the table of constraints and the values that have to meet them."""
        table = {**self._own_constraints, **self._parameter_constraints}
        return table, {**self.get_params(deep=False), **self._own_parameters()}

    def _validate_params(self) -> None:
        """Check the parameters against the table; `fit` calls it through scikit-learn."""
        validate_parameter_constraints(*self._checkable_parameters(), type(self).__name__)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, those set for the module among them.

        Parameters
        ----------
        deep : bool, default=True
            Of no consequence: no parameter is an estimator.

        Returns
        -------
        params : dict
            Values by name.
        """
        return {**super().get_params(deep=deep), **module_parameters_of(self)}

    def set_params(self, **params: Any) -> Self:
        """Set parameters.

        Parameters
        ----------
        **params : any
            Values by name; ``module__<name>`` is what ``module`` is called with as ``name``.

        Returns
        -------
        self : estimator
            The estimator.
        """
        others = {name: value for name, value in params.items() if not is_module_parameter(name)}
        super().set_params(**others)
        for_module = {name: params[name] for name in params if name not in others}
        set_module_parameters(self, for_module)
        return self
