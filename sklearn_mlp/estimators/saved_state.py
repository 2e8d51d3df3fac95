"""The state that an estimator is pickled by, and how one of another version is read."""

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn import exceptions
from sklearn.utils.metadata_routing import MetadataRequest
from torch import Tensor, nn

from sklearn_mlp.contract.tensor_trees import owned
from sklearn_mlp.estimators.backends import restore_trainer
from sklearn_mlp.export.pickling import device_here, pack_network, unpack_network
from sklearn_mlp.export.plain import KIND, PLAIN_CLASSES, plain, restored
from sklearn_mlp.steps.choice import choose_engine

_VERSION = "_sklearn_mlp_version"

# What has been asked of scikit-learn's metadata routing.
_REQUEST = "_metadata_request"

# The fitted attributes that are objects of this package.
_OURS = ("_architecture", "_codec", "_loss", "_state", "_epochs")

# Without these there is nothing to predict with, or to go on from.
_NEEDED = (*_OURS[:-1], "module_", "device_", "_fit_dtype", "n_outputs_", "n_features_in_")


class InconsistentVersionWarning(exceptions.InconsistentVersionWarning):
    """Warns of an estimator that another version of this package has saved.

    Parameters
    ----------
    estimator_name : str
        The estimator's class.
    original_version : str
        The version that saved it.
    current_version : str
        The present one.
    missing : list of str
        Parameters that have their defaults, since they were not saved.
    """

    def __init__(
        self,
        *,
        estimator_name: str,
        original_version: str,
        current_version: str,
        missing: list[str],
    ) -> None:
        self.estimator_name = estimator_name
        self.original_version = original_version
        self.current_version = current_version
        self.missing = missing

    def __str__(self) -> str:
        defaults = f" It lacks {', '.join(self.missing)}, which get their defaults."
        return (
            f"{self.estimator_name} was saved by version {self.original_version} of sklearn_mlp "
            f"and is loaded by version {self.current_version}: it may not work, or not as it did."
            f"{defaults if self.missing else ''} Load it with the version that it was saved by, "
            "or fit it again."
        )


def save_state(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return an estimator's attributes as what is pickled: arrays, plain values, the user's own.

    Nothing in it changes when training goes on.
    """
    state = {**attributes, _VERSION: present_version()}
    request = state.get(_REQUEST)
    if request is not None:
        # It knows its owner, a circle that skops goes round without end.
        state[_REQUEST] = plain_requests(request)
    if "module_" not in state:
        return state
    state["module_"] = pack_network(state["module_"])
    classes = state.get("classes_")
    if any(isinstance(part, Tensor) for part in (classes if type(classes) is list else [classes])):
        # Under array API dispatch; the same as an array.
        state["classes_"] = state["_codec"].classes
    state["device_"] = str(state["device_"])
    state["dtype_"] = str(state["dtype_"]).removeprefix("torch.")
    state["_fit_dtype"] = state["_fit_dtype"].name
    training = state.get("_state")
    if training is not None:
        if state.get("_epochs") is training.history:
            state["_epochs"] = None
        if training.trainer is not None:
            trainer = training.trainer.plain(state.get("backend_params"))
            state["_state"] = replace(training, trainer=trainer)
    for name in _OURS:
        if name in state:
            state[name] = plain(state[name])
    return state


def load_state(estimator: Any, state: Any) -> dict[str, Any]:
    """Return the attributes that a state stands for.

    Raises
    ------
    TypeError
        If it is no dictionary.
    ValueError
        If it was not saved by an estimator of this class, or is not whole.
    """
    name = type(estimator).__name__
    if not isinstance(state, dict):
        raise TypeError(
            f"the state of a {name} must be what its __getstate__ has returned, a dict, got "
            f"{type(state).__name__}."
        )
    version = state.get(_VERSION, "unknown")
    attributes = {key: value for key, value in state.items() if key != _VERSION}
    if isinstance(attributes.get(_REQUEST), dict):
        attributes[_REQUEST] = restored_requests(estimator, attributes[_REQUEST])
    defaults = _defaults_of(type(estimator))
    missing = [key for key in defaults if key not in attributes]
    if len(missing) == len(defaults) or _is_of_others(estimator, attributes):
        raise ValueError(f"the state is not that of a {name}; it must be what one was saved as.")
    if missing or version != present_version():
        warnings.warn(
            InconsistentVersionWarning(
                estimator_name=name,
                original_version=version,
                current_version=present_version(),
                missing=missing,
            ),
            stacklevel=3,
        )
    attributes.update({key: defaults[key] for key in missing})
    if "module_" not in attributes:
        return attributes
    try:
        return _fitted(attributes)
    except Exception as error:
        raise ValueError(
            f"the state of a {name}, saved by version {version} of sklearn_mlp, cannot be read "
            f"by version {present_version()}, or is not whole: {error}. Fit it again."
        ) from error


def _fitted(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a fitted estimator, from what was saved of them."""
    lacking = [name for name in _NEEDED if name not in attributes]
    if lacking:
        raise ValueError(f"it lacks {', '.join(lacking)}")
    made = {name: restored(attributes[name]) for name in _OURS if name in attributes}
    device = device_here(torch.device(attributes["device_"]))
    network = unpack_network(attributes["module_"], device)
    training = made["_state"]
    if made.get("_epochs", training) is None:
        made["_epochs"] = training.history
    if training.trainer is not None:
        training.trainer = restore_trainer(
            owned(training.trainer),
            network,
            made["_loss"],
            made["_codec"],
            attributes.get("backend_params"),
        )
    return {
        **_derived(network, training, made["_loss"], attributes),
        **attributes,
        **made,
        "module_": network,
        "device_": device,
        "dtype_": next(network.parameters()).dtype,
        "_fit_dtype": np.dtype(attributes["_fit_dtype"]),
    }


def _derived(
    network: nn.Module, training: Any, loss: Any, attributes: dict[str, Any]
) -> dict[str, Any]:
    """Return fitted attributes that another version may not have saved."""
    if "engine_" not in attributes:
        attributes["engine_"] = choose_engine(network, attributes.get("backend", "torch"))
    return {
        "n_iter_": training.n_iter,
        "t_": training.samples_seen,
        "loss_": training.loss,
        "converged_": training.is_converged,
        "out_activation_": loss.out_activation,
    }


def _defaults_of(kind: type) -> dict[str, Any]:
    """Return the defaults of all parameters, those of the classes that it derives from, too."""
    defaults: dict[str, Any] = {}
    for each in kind.__mro__:
        if "__init__" not in vars(each) or each is object:
            continue
        for name, parameter in inspect.signature(vars(each)["__init__"]).parameters.items():
            if parameter.default is not inspect.Parameter.empty:
                defaults.setdefault(name, parameter.default)
    return defaults


def _is_of_others(estimator: Any, attributes: dict[str, Any]) -> bool:
    """Tell whether fitted attributes are of another kind of estimator, or of another package's."""
    kind = type(estimator)
    if "module_" not in attributes:
        # Ours are views of the network.
        return any(isinstance(getattr(kind, name, None), property) for name in attributes)
    codec = attributes.get("_codec")
    name = codec.get(KIND) if isinstance(codec, dict) else None
    return name in PLAIN_CLASSES and not issubclass(PLAIN_CLASSES[name], kind._codec_type)


def plain_requests(request: MetadataRequest) -> dict[str, dict[str, Any]]:
    """Return what has been asked of metadata routing, by method."""
    methods = {name: getattr(one, "requests", None) for name, one in vars(request).items()}
    return {name: dict(requests) for name, requests in methods.items() if requests}


def restored_requests(owner: Any, plain: Mapping[str, Mapping[str, Any]]) -> MetadataRequest:
    """Undo `plain_requests`."""
    request = MetadataRequest(owner=owner)
    for method, of_method in plain.items():
        for parameter, alias in of_method.items():
            getattr(request, method).add_request(param=parameter, alias=alias)
    return request


def present_version() -> str:
    """Return this package's version."""
    from sklearn_mlp import __version__

    return __version__
