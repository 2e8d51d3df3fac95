"""The fitted half of an estimator: attributes, predictions, pickles."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sklearn_mlp.arrays.checks import validate_samples
from sklearn_mlp.arrays.tensors import exact_dtype, prediction_dtype
from sklearn_mlp.contract.fit import PreparedFit
from sklearn_mlp.contract.state import History, TrainingState
from sklearn_mlp.estimators.hidden import HiddenActivationsMixin, up_to_layer
from sklearn_mlp.estimators.parameterized import Parameterized
from sklearn_mlp.estimators.saved_state import load_state, save_state
from sklearn_mlp.estimators.saving import SavedInFiles
from sklearn_mlp.estimators.written import WrittenAttributes
from sklearn_mlp.inspection.html import WithNetworkTable, network_table
from sklearn_mlp.losses import Loss
from sklearn_mlp.machine.isolation import isolated
from sklearn_mlp.machine.kernels import recompute_attributes
from sklearn_mlp.machine.threads import shared_threads
from sklearn_mlp.network.alterations import check_parts_fit
from sklearn_mlp.network.architecture import Architecture
from sklearn_mlp.network.memory import less_to_predict, naming_device_memory
from sklearn_mlp.network.mlp import MLP, count_parameters, place_of
from sklearn_mlp.steps.prediction import predict_in_chunks, widened
from sklearn_mlp.targets.codecs import TargetCodec


def predicting_attributes(
    network: nn.Module, loss: Loss, fit_dtype: np.dtype, n_outputs: int
) -> dict[str, Any]:
    """Return the fitted attributes that predictions need."""
    parameter = place_of(network)
    return {
        "module_": network,
        "device_": parameter.device,
        "dtype_": parameter.dtype,
        "_loss": loss,
        "_fit_dtype": fit_dtype,
        "n_outputs_": n_outputs,
        "out_activation_": loss.out_activation,
    }


def fitted_attributes(prepared: PreparedFit, *, is_watched: bool) -> dict[str, Any]:
    """Return all attributes that a fit sets; ``is_watched`` says that it stops early."""
    network, state, config = prepared.network, prepared.state, prepared.config
    fitted = {
        **prepared.learned,
        **predicting_attributes(network, config.loss, prepared.fit_dtype, config.n_outputs),
        "_architecture": prepared.architecture,
        "_state": state,
        "engine_": config.engine,
        "n_iter_": state.n_iter,
        "t_": state.samples_seen,
        "loss_": state.loss,
        "converged_": state.is_converged,
    }
    if config.is_stochastic:
        score = state.best_validation_score if state.is_validated else None
        fitted["_epochs"] = state.history
        fitted["best_loss_"] = None if is_watched else state.best_loss
        fitted["best_validation_score_"] = score
    return fitted


def without_names(attributes: Mapping[str, Any], fitted: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes without the names of features, where a fit has found none."""
    has_names = "feature_names_in_" in fitted
    return {
        name: value
        for name, value in attributes.items()
        if has_names or name != "feature_names_in_"
    }


class FittedNetwork(SavedInFiles, WrittenAttributes, HiddenActivationsMixin, Parameterized):
    """The half of the estimators that comes after a fit."""

    # Set by fit; the rest of the fitted attributes are properties, below.
    module_: nn.Module
    engine_: str
    device_: torch.device
    dtype_: torch.dtype
    loss_: float
    best_loss_: float | None
    best_validation_score_: float | None
    n_iter_: int
    converged_: bool
    t_: int
    n_features_in_: int
    _state: TrainingState
    _epochs: History
    _loss: Loss
    _architecture: Architecture
    _fit_dtype: np.dtype
    _codec: TargetCodec
    _codec_type: ClassVar[type[TargetCodec]]

    def _set_fitted(self, prepared: PreparedFit) -> None:
        """Set the fitted attributes, all at once: an interrupt leaves the old or the new."""
        prepared.network.eval()
        fitted = fitted_attributes(prepared, is_watched=self.early_stopping)
        kept = without_names(vars(self), fitted)
        kept.pop("_written_attributes", None)
        self.__dict__ = {**kept, **fitted}

    def _reconstruction_attributes(self, prepared: PreparedFit) -> dict[str, Any]:
        """Return what makes a fitted estimator of this one, as if training had ended now."""
        view = self._as_of(prepared, prepared.state, True)
        return {**vars(view), **prepared.learned}

    def _as_of(self, prepared: PreparedFit, state: TrainingState, is_copy: bool) -> Self:
        """Return a fitted estimator of this one, as if training had ended in a state.

        With ``is_copy`` nothing that is done with it touches what is being trained.
        """
        network, scoring = prepared.network, state.scoring
        # The backend's own net is being trained, and cannot be taken apart.
        state = replace(state, trainer=None, scoring=None)
        if is_copy:
            recompute_attributes(network)
            network, state = copy.deepcopy(network), copy.deepcopy(state)
        state.scoring = scoring
        view = self._double()
        view._set_fitted(replace(prepared, network=network, state=state))
        # It is given checked samples, which have lost their names.
        view.__dict__.pop("feature_names_in_", None)
        return view

    def _double(self) -> Self:
        """Return an estimator with the same attributes, which may be set without harm."""
        double = object.__new__(type(self))
        double.__dict__.update(vars(self))
        return double

    # Predicting.

    @naming_device_memory(less_to_predict)
    @isolated
    def _predict(
        self, X: Any, finish: Callable[[Tensor, torch.dtype], Tensor], layer: int | None = None
    ) -> tuple[np.ndarray, np.dtype]:
        """Run the network over ``X``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As the user passed it.
        finish : callable
            ``finish(logits, dtype)`` is as in `predict_in_chunks`; ``dtype`` is what the result's
            type is in torch.
        layer : int or None
            The hidden layer to end with; None is the output layer.

        Returns
        -------
        result : ndarray
            What ``finish`` has made.
        dtype : dtype
            The type that scikit-learn's result would have.
        """
        self._check_is_fitted()
        X = validate_samples(self, X)
        network = self.module_
        if layer is not None:
            network = up_to_layer(self._own_network("hidden_activations"), layer)
        dtype = prediction_dtype(X, self._fit_dtype)
        exact = exact_dtype(dtype)
        n_outputs = self.n_outputs_ if layer is None else None
        try:
            with shared_threads(count_parameters(network) * X.shape[0]):
                result = predict_in_chunks(
                    network, X, lambda logits: finish(logits, exact), n_outputs
                )
        except RuntimeError as error:
            check_parts_fit(self.module_, self.n_features_in_, error)
            raise
        return result.numpy(), dtype

    def _activate(self, logits: Tensor, dtype: torch.dtype) -> Tensor:
        """Apply the output activation to logits of shape (n_samples, n_outputs).

        In the type of the result: probabilities rounded to float32 do not sum to 1 in float64,
        and some of them would be 0.
        """
        return self._loss.activate_(widened(logits, dtype), dim=1)

    # Fitted attributes that are views of the network and the state.

    def _check_is_fitted(self) -> None:
        """Raise scikit-learn's error before a fit.

        Its check reads all tags first, which would be a tenth of a prediction for one row.
        """
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)

    @property
    def history_(self) -> pd.DataFrame:
        """A row per epoch: losses, validation score, learning rate, seconds."""
        self._fitted_network("history_")
        history = self._state.history
        frame = pd.DataFrame({name: history.column(name) for name in history.COLUMNS})
        frame.index = pd.RangeIndex(1, len(frame) + 1, name="epoch")
        return frame

    @property
    def net_(self) -> Any:
        """The fitted `skorch.NeuralNet`, if the last fit had ``backend="skorch"``."""
        self._fitted_network("net_")
        if self._state.trainer is None:
            why = (
                "it is being trained, and so is its net."
                if self.engine_ == "skorch"
                else f"it was fitted with backend={self.backend!r}, and only backend='skorch' has "
                "a net."
            )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'net_': {why}")
        return self._state.trainer

    def _own_network(self, attribute: str) -> MLP:
        """Return the network, or say why there is no such attribute."""
        network = self._fitted_network(attribute)
        if not isinstance(network, MLP):
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {attribute!r}: it was fitted "
                f"with a network of the user's own, {type(network).__name__}, whose parameters "
                "are in module_."
            )
        return network

    def _fitted_network(self, attribute: str) -> nn.Module:
        """Return the network, or say that the attribute is there only after a fit."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {attribute!r} before fit."
            )
        return self.module_

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        """Return what scikit-learn's HTML representation shows when fitted, with the layers."""
        if not self.__sklearn_is_fitted__():
            # Inside another estimator that is fitted.
            return super()._get_fitted_attr_html(doc_link)
        table = network_table(self.module_, self.out_activation_)
        return WithNetworkTable(super()._get_fitted_attr_html(doc_link), table)

    # Persistence.

    def __getstate__(self) -> dict[str, Any]:
        return save_state(super().__getstate__())

    @isolated
    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(load_state(self, state))
