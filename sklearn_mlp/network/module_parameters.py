"""Parameters named ``module__...``: those of a user's module, on the estimator and in a grid.

Which ones there are, the module decides, so that the constructor takes them by ``**``, as
scikit-learn's `clone` and printed form provide for, and only those that were set are listed.
"""

import difflib
from collections.abc import Mapping
from typing import Any

from sklearn_mlp.network.architecture import MODULE_PREFIX

# What skorch, Keras, torch and boosting libraries call what has another name here.
_NAMES_ELSEWHERE = {
    "lr": "learning_rate_init",
    "epochs": "max_iter",
    "max_epochs": "max_iter",
    "n_epochs": "max_iter",
    "optimizer": "solver",
    "criterion": "loss",
    "weight_decay": "alpha",
    "seed": "random_state",
    "patience": "n_iter_no_change",
    "validation_split": "validation_fraction",
    "batch_norm": "normalization",
}


def set_module_parameters(estimator: Any, parameters: Mapping[str, Any]) -> None:
    """Set what an estimator was given besides its own parameters.

    Raises
    ------
    TypeError
        If a name does not begin with ``module__``; in Python's own words, and with the name that
        may have been meant.
    """
    for name in parameters:
        if not is_module_parameter(name):
            raise TypeError(
                f"{type(estimator).__name__}.__init__() got an unexpected keyword argument "
                f"{name!r}{_meant(name, type(estimator)._get_param_names())}"
            )
    # Under one name: scikit-learn's checks allow no attribute that is not in the signature.
    estimator._module_parameters = {**module_parameters_of(estimator), **parameters}


def _meant(name: str, names: list[str]) -> str:
    """Return a question for the parameter that a name may stand for, or nothing."""
    elsewhere = _NAMES_ELSEWHERE.get(name)
    found = [elsewhere] if elsewhere in names else difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def module_parameters_of(estimator: Any) -> dict[str, Any]:
    """Return the parameters for the module that were set."""
    parameters: dict[str, Any] = vars(estimator).get("_module_parameters", {})
    return parameters


def is_module_parameter(name: str) -> bool:
    """Tell whether a parameter is for the module."""
    return name.startswith(MODULE_PREFIX)
