"""Parameters named ``module__...``: those of a user's module, on the estimator and in a grid.

Which ones there are, the module decides, so that the constructor takes them by ``**``, as
scikit-learn's `clone` and printed form provide for, and only those that were set are listed.
"""

from collections.abc import Mapping
from typing import Any

from sklearn_mlp.network.architecture import MODULE_PREFIX


def set_module_parameters(estimator: Any, parameters: Mapping[str, Any]) -> None:
    """Set what an estimator was given besides its own parameters.

    Raises
    ------
    TypeError
        If a name does not begin with ``module__``; in Python's own words.
    """
    for name in parameters:
        if not is_module_parameter(name):
            raise TypeError(
                f"{type(estimator).__name__}.__init__() got an unexpected keyword argument "
                f"{name!r}"
            )
    # Under one name: scikit-learn's checks allow no attribute that is not in the signature.
    estimator._module_parameters = {**module_parameters_of(estimator), **parameters}


def module_parameters_of(estimator: Any) -> dict[str, Any]:
    """Return the parameters for the module that were set."""
    parameters: dict[str, Any] = vars(estimator).get("_module_parameters", {})
    return parameters


def is_module_parameter(name: str) -> bool:
    """Tell whether a parameter is for the module."""
    return name.startswith(MODULE_PREFIX)
