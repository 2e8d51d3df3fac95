"""`HiddenFeatures`: a network's hidden layer as a transformer, a step of a Pipeline."""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sklearn_mlp.estimators.hidden import check_layer
from sklearn_mlp.estimators.saving import SavedInFiles
from sklearn_mlp.machine.sklearn_internals import HasMethods, fit_context, routing_enabled
from sklearn_mlp.network.architecture import hidden_units


class HiddenFeatures(
    SavedInFiles,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    BaseEstimator,
):
    """The activations of a network's hidden layer, as features for what follows.

    A classifier or a regressor of this package is trained on the targets; the values of one of
    its hidden layers are what this passes on, so that it can be a step of a
    `~sklearn.pipeline.Pipeline` that another model follows.

    Parameters
    ----------
    estimator : TorchMLPClassifier or TorchMLPRegressor
        It is cloned, and the clone is fitted. One that is fitted already and is to stay as it is
        goes into a `~sklearn.frozen.FrozenEstimator`.
    layer : int, default=-1
        Which hidden layer, counted from 0, or from -1 backwards.

    Attributes
    ----------
    estimator_ : TorchMLPClassifier or TorchMLPRegressor
        The fitted clone, or the frozen estimator.
    n_features_in_ : int
        How many features the samples have.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where all are strings.

    See Also
    --------
    TorchMLPClassifier.hidden_activations : The same of a fitted classifier, without a transformer.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_mlp import HiddenFeatures, TorchMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> features = HiddenFeatures(TorchMLPClassifier((16, 4), tol=0.01, random_state=0))
    >>> features.fit_transform(X, y).shape
    (150, 4)
    >>> pipeline = make_pipeline(features, LogisticRegression()).fit(X, y)
    >>> pipeline[-1].coef_.shape
    (3, 4)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [HasMethods(["fit", "hidden_activations"])],
        "layer": [Integral],
    }

    def __init__(self, estimator: Any, *, layer: int = -1) -> None:
        self.estimator = estimator
        self.layer = layer

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Fit a clone of the estimator.

        Parameters
        ----------
        X : array-like, CSR or CSC matrix, DataFrame or Tensor of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        **fit_params : dict of str to object
            What else the estimator's ``fit`` takes; with metadata routing, what was requested.

        Returns
        -------
        self : HiddenFeatures
            The fitted transformer.

        Raises
        ------
        ValueError
            If there is no such layer; or whatever the estimator's ``fit`` raises.
        """
        return self._fit("fit", clone(self.estimator), X, y, fit_params)

    @available_if(lambda features: _can_go_on(features))
    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: Any, y: Any = None, **partial_fit_params: Any) -> Self:
        """Train the estimator for one more epoch; the first time, a clone of it.

        Parameters
        ----------
        X : array-like, CSR or CSC matrix, DataFrame or Tensor of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        **partial_fit_params : dict of str to object
            What else the estimator's ``partial_fit`` takes, such as ``classes``.

        Returns
        -------
        self : HiddenFeatures
            The transformer, trained further.
        """
        fitted = self.estimator_ if hasattr(self, "estimator_") else clone(self.estimator)
        return self._fit("partial_fit", fitted, X, y, partial_fit_params)

    def _fit(self, method: str, estimator: Any, X: Any, y: Any, params: dict[str, Any]) -> Self:
        """Train an estimator by one of its methods, and keep it once that has ended."""
        check_layer(self.layer, len(hidden_units(estimator.hidden_layer_sizes)))
        if routing_enabled():
            params = getattr(process_routing(self, method, **params).estimator, method)
        getattr(estimator, method)(X, y, **params)
        self.estimator_ = estimator
        return self

    def transform(self, X: Any) -> np.ndarray | Tensor:
        """Return the activations of the hidden layer.

        Parameters
        ----------
        X : array-like, CSR or CSC matrix, DataFrame or Tensor of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_units)
            As in a prediction: nothing is dropped, nothing is normalised by the batch.
        """
        check_is_fitted(self)
        activations: np.ndarray | Tensor = self.estimator_.hidden_activations(X, self.layer)
        return activations

    @property
    def n_features_in_(self) -> int:
        """How many features the samples have."""
        n_features: int = self._fitted("n_features_in_").n_features_in_
        return n_features

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The features' names, where all are strings."""
        names: np.ndarray = self._fitted("feature_names_in_").feature_names_in_
        return names

    @property
    def _n_features_out(self) -> int:
        """How many units the layer has."""
        units = self._fitted("_n_features_out").module_.units[1:-1]
        return int(units[self.layer])

    def _fitted(self, attribute: str) -> Any:
        """Return the fitted estimator, or say that the attribute is there only after a fit."""
        if "estimator_" not in vars(self):
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {attribute!r} before fit."
            )
        return self.estimator_

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what goes to whom: all that is passed to fit goes on to the estimator's.

        Returns
        -------
        routing : MetadataRouter
            As scikit-learn's metadata routing asks for it.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        mapping = mapping.add(caller="partial_fit", callee="partial_fit")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.target_tags = inner.target_tags
        tags.non_deterministic = inner.non_deterministic
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _can_go_on(features: HiddenFeatures) -> bool:
    """Make `partial_fit` unavailable where the estimator has none, or is to stay as it is."""
    if isinstance(features.estimator, FrozenEstimator):
        raise AttributeError("a FrozenEstimator stays as it is.")
    return hasattr(features.estimator, "partial_fit") or bool(features.estimator.partial_fit)
