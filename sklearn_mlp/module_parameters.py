"""Parameters named ``module__...``: those of a user's module, on the estimator and in a grid.

They are attributes of the estimator like any other parameter, but only those that were set: which
ones there are, the module decides. scikit-learn's own tools take them from ``**`` of the
constructor, as `clone` and the printed form do for any such estimator.
"""

from collections.abc import Mapping
from typing import Any

from sklearn_mlp.architecture import MODULE_PREFIX


def set_module_parameters(estimator: Any, parameters: Mapping[str, Any]) -> None:
    """Set what the constructor was given besides its own parameters.

    Raises
    ------
    TypeError
        If a name does not begin with ``module__``; in Python's own words.
    """
    for name, value in parameters.items():
        if not is_module_parameter(name):
            raise TypeError(
                f"{type(estimator).__name__}.__init__() got an unexpected keyword argument "
                f"{name!r}"
            )
        setattr(estimator, name, value)


def module_parameters_of(estimator: Any) -> dict[str, Any]:
    """Return the parameters for the module that were set, sorted by name."""
    return {
        name: value for name, value in sorted(vars(estimator).items()) if is_module_parameter(name)
    }


def is_module_parameter(name: str) -> bool:
    """Tell whether a parameter is for the module."""
    return name.startswith(MODULE_PREFIX)
