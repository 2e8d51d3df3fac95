"""Fitted attributes that the user writes: of a fitted network, and those that make one."""

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_mlp.arrays.tensors import on_host
from sklearn_mlp.contract.state import History
from sklearn_mlp.estimators.coefficients import list_parameters
from sklearn_mlp.machine.isolation import isolated
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.targets.codecs import TargetCodec

if TYPE_CHECKING:
    from torch import nn

# What a network that is made of weights has; another value would be another network.
_SETTLED = ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_")

# What says something of training, and nothing of the network.
_RECORDS = ("n_iter_", "t_", "converged_", "best_loss_", "best_validation_score_")


class SettledAttribute:
    """A fitted attribute that the network has, and that cannot be written to say otherwise."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, estimator: Any, owner: type | None = None) -> Any:
        if estimator is None:
            return self
        if self._name not in vars(estimator):
            raise AttributeError(
                f"{type(estimator).__name__!r} object has no attribute {self._name!r} before fit."
            )
        return vars(estimator)[self._name]

    def __set__(self, estimator: Any, value: Any) -> None:
        attributes = vars(estimator)
        # An estimator that is put together from its attributes gets them one by one.
        if "module_" in attributes and self._name in attributes:
            check_settled(self._name, value, attributes[self._name])
        attributes[self._name] = value


def check_settled(name: str, value: Any, settled: Any) -> None:
    """Check that an attribute is written as what the network has.

    Raises
    ------
    ValueError
        If not: scikit-learn's network would predict otherwise from then on.
    """
    if value != settled:
        raise ValueError(
            f"{name} is {settled!r}, as the network has it, and cannot be set to {value!r}; "
            "what its hidden layers hold is returned by hidden_activations, and its outputs as "
            "they are by module_."
        )


class WrittenAttributes:
    """The fitted attributes of scikit-learn's networks that its users write.

    Before a fit, weights that are written make a network, which predicts and from which
    `partial_fit`, and with ``warm_start`` `fit`, go on.
    """

    n_outputs_ = SettledAttribute()
    out_activation_ = SettledAttribute()

    if TYPE_CHECKING:
        # Of the estimator that this is a part of.
        best_validation_score_: float | None
        _fit_dtype: np.dtype
        _epochs: History

        def _own_network(self, attribute: str) -> MLP: ...
        def _fitted_network(self, attribute: str) -> nn.Module: ...
        def _codec_of_written(self, n_outputs: int) -> TargetCodec | None: ...
        def _attributes_of_weights(
            self, weights: list[np.ndarray], biases: list[np.ndarray], codec: TargetCodec
        ) -> dict[str, Any]: ...

    def __sklearn_is_fitted__(self) -> bool:
        if "module_" in vars(self):
            return True
        return "_written_attributes" in vars(self) and self._begin_from_written()

    @property
    def coefs_(self) -> Any:
        """Weights of each layer, (n_in, n_out); assigning them changes what predicts."""
        if self._is_only_written("coefs_"):
            return self._written["coefs_"]
        network = self._own_network("coefs_")
        return list_parameters(network, "weight", self._fit_dtype, "coefs_")

    @coefs_.setter
    def coefs_(self, values: Any) -> None:
        if "module_" in vars(self):
            self.coefs_.assign(values)
        else:
            self._write("coefs_", as_arrays("coefs_", values, ndim=2))

    @property
    def intercepts_(self) -> Any:
        """Biases of each layer, (n_out,); assigning them changes what predicts."""
        if self._is_only_written("intercepts_"):
            return self._written["intercepts_"]
        network = self._own_network("intercepts_")
        return list_parameters(network, "bias", self._fit_dtype, "intercepts_")

    @intercepts_.setter
    def intercepts_(self, values: Any) -> None:
        if "module_" in vars(self):
            self.intercepts_.assign(values)
        else:
            self._write("intercepts_", as_arrays("intercepts_", values, ndim=1))

    @property
    def n_layers_(self) -> int:
        """Layers, input and output among them."""
        if self._is_only_written("n_layers_"):
            return int(self._written["n_layers_"])
        return len(self._own_network("n_layers_").layers) + 1

    @n_layers_.setter
    def n_layers_(self, value: int) -> None:
        if "module_" in vars(self):
            check_settled("n_layers_", value, self.n_layers_)
        else:
            self._write("n_layers_", value)

    @property
    def loss_curve_(self) -> list[float]:
        """The training loss of each epoch, as a new list; ``lbfgs`` has none."""
        if "loss_curve_" in self._written:
            return self._written["loss_curve_"]
        return self._first_order("loss_curve_").epochs("loss")

    @loss_curve_.setter
    def loss_curve_(self, value: Any) -> None:
        self._write("loss_curve_", value)

    @property
    def validation_scores_(self) -> list[float] | None:
        """The score on the validation set after each epoch, likewise, if there was one."""
        if "validation_scores_" in self._written:
            return self._written["validation_scores_"]
        epochs = self._first_order("validation_scores_")
        return None if self.best_validation_score_ is None else epochs.epochs("validation_score")

    @validation_scores_.setter
    def validation_scores_(self, value: Any) -> None:
        self._write("validation_scores_", value)

    def _first_order(self, attribute: str) -> History:
        """Return the history that epochs of a first-order solver are in."""
        self._fitted_network(attribute)
        if not hasattr(self, "_epochs"):
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {attribute!r}: it was fitted "
                "with solver='lbfgs', whose iterations are in history_."
            )
        return self._epochs

    @property
    def _written(self) -> dict[str, Any]:
        """Attributes that were written and have no other place, until the next fit."""
        return vars(self).get("_written_attributes", {})

    def _write(self, name: str, value: Any) -> None:
        """Keep what was written, if weights and biases fit each other."""
        written = {**self._written, name: value}
        if "coefs_" in written and "intercepts_" in written and name not in ("n_layers_",):
            check_fit_each_other(written["coefs_"], written["intercepts_"])
        self.__dict__["_written_attributes"] = written

    def _is_only_written(self, name: str) -> bool:
        """Tell whether an attribute was written before there is a network."""
        return name in self._written and not self.__sklearn_is_fitted__()

    @isolated
    def _begin_from_written(self, codec: TargetCodec | None = None) -> bool:
        """Make the network that was written, and tell whether there is one.

        ``codec`` is what the targets stand for; None takes what was written of it.
        """
        written = dict(self._written)
        weights, biases = written.pop("coefs_", None), written.pop("intercepts_", None)
        if "module_" in vars(self) or weights is None or biases is None:
            return False
        codec = codec or self._codec_of_written(weights[-1].shape[1])
        if codec is None:
            return False
        made = self._attributes_of_weights(weights, biases, codec)
        told = {**vars(self), "n_layers_": written.pop("n_layers_", len(weights) + 1)}
        for name in _SETTLED:
            settled = len(weights) + 1 if name == "n_layers_" else made[name]
            check_settled(name, told.get(name, settled), settled)
        records = {name: told[name] for name in _RECORDS if name in told}
        self.__dict__ = {**vars(self), **made, **records, "_written_attributes": written}
        return True


def as_arrays(name: str, values: Any, ndim: int) -> list[np.ndarray]:
    """Return weights or biases of all layers as arrays of floating-point numbers.

    Raises
    ------
    ValueError
        If they are none.
    """
    if not isinstance(values, Iterable):
        raise ValueError(f"{name} must be a list of arrays, one for each layer, got {values!r}.")
    arrays = []
    for index, value in enumerate(values):
        array = np.array(on_host(value))
        if array.ndim != ndim or array.dtype.kind not in "biuf":
            raise ValueError(
                f"{name}[{index}] must be an array of numbers with {ndim} dimension"
                f"{'s' * (ndim > 1)}, got {array.dtype} of the shape {array.shape}."
            )
        arrays.append(array if array.dtype in (np.float32, np.float64) else array.astype(float))
    if not arrays:
        raise ValueError(f"{name} must have an array for each layer, got none.")
    return arrays


def check_fit_each_other(weights: list[np.ndarray], biases: list[np.ndarray]) -> None:
    """Check that layers can follow one another.

    Raises
    ------
    ValueError
        If the shapes do not let them.
    """
    shapes = [weight.shape for weight in weights]
    widths = [len(bias) for bias in biases]
    is_chain = all(above[1] == below[0] for above, below in pairwise(shapes))
    if not is_chain or [shape[1] for shape in shapes] != widths:
        raise ValueError(
            "coefs_ and intercepts_ must be those of layers that follow one another, (n_in, n_out)"
            f" and (n_out,), got the shapes {shapes} and {[(width,) for width in widths]}."
        )
