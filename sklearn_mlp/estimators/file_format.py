"""An estimator in a file: its class's name, its parameters, and what a fit has left.

The state is that which the estimator is pickled by; `EstimatorWriter` makes a document and arrays
of it, `EstimatorReader` an estimator of these, which it takes nothing from on trust.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from sklearn_mlp.estimators.own_network import code_network, read_network
from sklearn_mlp.export.checks import attributes_of, check_plain, check_type, check_types
from sklearn_mlp.export.coded import Decoder, Encoder, NotPlainError
from sklearn_mlp.network.module_parameters import is_module_parameter

# The name by which callbacks are left out and given; they are no parameter.
CALLBACKS = "callbacks"

# What an estimator may have besides its parameters; these are made of plain values when it is
# loaded.
_MADE = (
    *("_architecture", "_codec", "_loss", "_state", "_epochs"),
    *("_code", "_ensemble", "_residuals"),
)
_OWN = {
    *(*_MADE, "module_", "device_", "dtype_", "_fit_dtype", "_written_attributes"),
    *("_sklearn_output_config", "engine_", "n_outputs_", "n_features_in_", "feature_names_in_"),
    *("n_iter_", "t_", "loss_", "converged_", "best_loss_", "best_validation_score_"),
    *("out_activation_", "classes_", "estimator_", "_metadata_request"),
    # Those for tables.
    *("encoder_", "n_members_", "oof_prediction_", "oof_score_", "_held", "_history"),
    *("_range", "_column_labels"),
}
# Their annotations are of what they become.
_UNLIKE_ANNOTATED = {*_MADE, "module_", "device_", "dtype_", "_fit_dtype"}


class EstimatorWriter:
    """Makes a document of an estimator, and of those in it.

    Parameters
    ----------
    leave_out : collection of str
        Parameters that the loader will be given.
    solver_memory : bool
        Whether to keep what a solver remembers, averages and best weights.

    Attributes
    ----------
    arrays : dict of str to ndarray
        What belongs beside the document.
    left_out : set of str
        What was there to be left out.
    """

    def __init__(self, leave_out: Collection[str], solver_memory: bool) -> None:
        self._leave_out = leave_out
        self._solver_memory = solver_memory
        self._given: dict[int, str] = {}
        self._encoder = Encoder(self._given, self._code_other)
        self.arrays = self._encoder.arrays
        self.left_out: set[str] = set()

    def code(self, estimator: Any, prefix: str = "") -> dict[str, Any]:
        """Return the document of an estimator; ``prefix`` begins the names of its arrays."""
        kind = type(estimator)
        if not _is_ours(kind):
            raise TypeError(
                f"{kind.__name__} is not a class of this package: a file holds no code, and load "
                "would not know it. Use pickle or skops."
            )
        state = dict(estimator.__getstate__())
        state.pop("_sklearn_mlp_version", None)
        of_module = state.pop("_module_parameters", {})
        names = [name for name in kind._get_param_names() if name in state]
        parameters = {name: state.pop(name) for name in names} | of_module
        coded: dict[str, Any] = {"class": kind.__name__}
        for name in parameters.keys() & set(self._leave_out):
            self._given[id(parameters[name])] = name
        coded["parameters"] = {
            name: self._code_parameter(name, value, prefix) for name, value in parameters.items()
        }
        if state.pop("_skl_callbacks", None):
            self._leave(CALLBACKS, "scikit-learn's callbacks are set")
            coded[CALLBACKS] = True
        coded["fitted"] = self._code_fitted(estimator, state, prefix)
        return coded

    def _code_parameter(self, name: str, value: Any, prefix: str) -> Any:
        """Return the JSON of a parameter, or what stands for one that is left out."""
        if name in self._leave_out:
            self.left_out.add(name)
            return {"$given": name}
        try:
            return self._encoder.code(value, prefix + name)
        except NotPlainError as error:
            self._leave(name, str(error))
            raise

    def _leave(self, name: str, why: str) -> None:
        """Leave something out, or say how that is done."""
        if name not in self._leave_out:
            raise TypeError(
                f"{name} cannot be saved in a file that holds numbers and text, and no code: "
                f"{why}. Leave it out by save(path, leave_out=[{name!r}]), and pass it to "
                f"load(path, {name}=...)."
            )
        self.left_out.add(name)

    def _code_fitted(self, estimator: Any, state: dict[str, Any], prefix: str) -> dict[str, Any]:
        """Return the JSON of what a fit has left."""
        for name in sorted(state.keys() - _OWN):
            raise ValueError(
                f"{name!r} is no attribute of a {type(estimator).__name__}, but of whoever has "
                f"set it: a file does not keep it. Delete it before, or use pickle."
            )
        if "module_" in state:
            self._leave_training_out(state)
            network = state.pop("module_")
            state["module_"] = None
            if state.get("classes_") is getattr(estimator._codec, "classes", state):
                del state["classes_"]
        coded = {}
        for name, value in sorted(state.items()):
            try:
                if name == "module_":
                    coded[name] = code_network(estimator, network, self._encoder, prefix)
                else:
                    coded[name] = self._encoder.code(value, prefix + name)
            except NotPlainError as error:
                raise TypeError(
                    f"{name} cannot be saved: {error}, and is not that of the parameters any "
                    "more. Set the parameter that it comes from to it again, or call fit."
                ) from error
        return coded

    def _leave_training_out(self, state: dict[str, Any]) -> None:
        """Leave out what the solver remembers, if that is not asked for."""
        training = state["_state"] = dict(state["_state"])
        if not self._solver_memory:
            training.update(optimizer=None, average=None, best=None)
        trainer = training["trainer"]
        if trainer is not None and "backend_params" in self._leave_out:
            # The callbacks among them remember nothing in a file.
            training["trainer"] = {**trainer, "given": "backend_params", "callbacks": None}

    def _code_other(self, value: Any, name: str) -> Any:
        """Return the JSON of an estimator inside another; None of anything else."""
        if type(value) is FrozenEstimator:
            return {"$frozen": self.code(value.estimator, f"{name}.")}
        return {"$estimator": self.code(value, f"{name}.")} if _is_ours(type(value)) else None


def _is_ours(kind: type) -> bool:
    """Tell whether a class is one of this package that is saved, and not one derived from it."""
    package = __name__.partition(".")[0]
    return hasattr(kind, "save") and kind.__module__.partition(".")[0] == package


class EstimatorReader:
    """Makes an estimator of a document.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        What was beside the document.
    given : mapping of str to object
        What the loader is given.
    kinds : mapping of str to type
        The classes that there are.
    version : str
        That of this package that has saved it.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        given: Mapping[str, Any],
        kinds: Mapping[str, type],
        version: str,
    ) -> None:
        self._given = given
        self._kinds = kinds
        self._version = version
        self._decoder = Decoder(arrays, given, self._read_other)

    def read(self, coded: Any) -> Any:
        """Return the estimator.

        Raises
        ------
        Exception
            Of any kind, if the document or the arrays are not those of one.
        """
        estimator = self._read(coded)
        if self._decoder.unused:
            raise ValueError(f"nothing says what {min(self._decoder.unused)!r} is")
        return estimator

    def _read(self, coded: Any) -> Any:
        """Return an estimator, this one or one inside it."""
        needed = {"class", "parameters", "fitted"}
        _check_keys(coded, needed, needed | {CALLBACKS})
        if coded["class"] not in self._kinds:
            raise ValueError(f"there is no estimator {coded['class']!r}")
        kind: Any = self._kinds[coded["class"]]
        own = set(kind._get_param_names())
        parameters = {
            name: self._decoder.value(value) for name, value in coded["parameters"].items()
        }
        of_module = {name for name in parameters if is_module_parameter(name)}
        if "module" not in own:
            of_module = set()
        _check_keys(parameters, (), own | of_module)
        state = {name: value for name, value in parameters.items() if name in own}
        if "module" in own:
            state["_module_parameters"] = {name: parameters[name] for name in of_module}
        if kind.__setstate__ is not BaseEstimator.__setstate__:
            # It knows what to do with a state of another version.
            state["_sklearn_mlp_version"] = self._version
        elif state.keys() != own:
            raise ValueError(f"{kind.__name__} lacks {min(own - state.keys())!r}")
        state |= self._read_fitted(kind, coded["fitted"])
        made = object.__new__(kind)
        made.__setstate__(state)
        if coded.get(CALLBACKS):
            made._skl_callbacks = list(self._given[CALLBACKS])
        for name in vars(made).keys() & set(_MADE):
            check_type(name, vars(made)[name], attributes_of(kind)[name])
            check_types(vars(made)[name])
        if "module_" in state:
            _try_to_predict(made)
        elif hasattr(made, "_check_loaded"):
            made._check_loaded()
        return made

    def _read_fitted(self, kind: Any, coded: Any) -> dict[str, Any]:
        """Return what a fit has left, as a pickle has it."""
        _check_keys(coded, (), _OWN)
        hints = attributes_of(kind)
        fitted = {
            name: self._decoder.value(value) for name, value in coded.items() if name != "module_"
        }
        for name, value in fitted.items():
            if name in _MADE:
                check_plain(value)
            elif name in hints and name not in _UNLIKE_ANNOTATED:
                check_type(name, value, hints[name])
        if "module_" in coded:
            fitted["module_"] = read_network(self._decoder, coded["module_"], fitted)
            if "classes_" not in fitted and "classes" in fitted["_codec"]:
                fitted["classes_"] = fitted["_codec"]["classes"]
        return fitted

    def _read_other(self, coded: dict[str, Any]) -> Any:
        """Return an estimator inside another."""
        if coded.keys() == {"$frozen"}:
            return FrozenEstimator(self._read(coded["$frozen"]))
        if coded.keys() == {"$estimator"}:
            return self._read(coded["$estimator"])
        raise ValueError(f"{min(coded)!r} stands for nothing")


def _check_keys(coded: Any, needed: Collection[str], known: Collection[str]) -> None:
    """Check the names in an object of JSON's."""
    if type(coded) is not dict:
        raise ValueError(f"a {type(coded).__name__} is not what it should say")
    for name in sorted(coded.keys() - set(known)):
        raise ValueError(f"{name!r} is not known")
    for name in sorted(set(needed) - coded.keys()):
        raise ValueError(f"it lacks {name!r}")


def _try_to_predict(estimator: Any) -> None:
    """Let an estimator predict for a sample of zeros: its parts must go together."""
    double = estimator._double()
    names = double.__dict__.pop("feature_names_in_", None)
    n_features = double.n_features_in_
    if names is not None:
        is_named = names.shape == (n_features,) and all(type(name) is str for name in names)
        if not is_named:
            raise ValueError("feature_names_in_ are not the names of the features")
    predicted = double.predict(np.zeros((1, n_features)))
    if predicted.shape[:1] != (1,):
        raise ValueError(f"its predictions for a sample have the shape {predicted.shape}")
