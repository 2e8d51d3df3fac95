"""To scikit-learn's own networks, and back."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from sklearn_mlp.estimators.written import as_arrays, check_fit_each_other
from sklearn_mlp.export.sklearn_models import (
    check_is_sklearns,
    make_sklearn,
    shared_parameters,
    state_of_sklearn,
)
from sklearn_mlp.machine.isolation import isolated
from sklearn_mlp.targets.codecs import TargetCodec
from sklearn_mlp.targets.label_codecs import ClassCodec

_FITTED = (
    *("n_iter_", "t_", "loss_", "n_layers_", "n_outputs_", "out_activation_"),
    *("n_features_in_", "feature_names_in_"),
)
# What a fit by epochs leaves, and `lbfgs` does not.
_OF_EPOCHS = ("loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_")


class SklearnConversionMixin:
    """Makes a fitted estimator of scikit-learn's, and is made of one."""

    # The name of scikit-learn's class in ``sklearn.neural_network``.
    _sklearn_name: ClassVar[str]

    @abstractmethod
    def _codec_of_sklearn(self, fitted: Any) -> TargetCodec:
        """Return what the targets of a fitted estimator of scikit-learn's stand for."""

    if TYPE_CHECKING:
        # Of the estimator that this is a part of.
        dtype: str

        @classmethod
        def _get_param_names(cls) -> list[str]: ...
        def _validate_params(self) -> None: ...
        def _check_is_fitted(self) -> None: ...
        def _plain_parameters(self) -> dict[str, Any]: ...
        def _attributes_of_weights(
            self, weights: list[np.ndarray], biases: list[np.ndarray], codec: TargetCodec
        ) -> dict[str, Any]: ...

    @classmethod
    def from_sklearn(
        cls, fitted: Any, *, device: str | torch.device = "auto", dtype: str = "auto"
    ) -> Self:
        """Take over a fitted estimator of scikit-learn's.

        It predicts the same, to rounding, and `partial_fit` or a warm start go on as they would
        have there: with the same weights, moments, step count, loss curve and best score.

        Parameters
        ----------
        fitted : MLPClassifier or MLPRegressor
            The one of ``sklearn.neural_network`` that is for the same task. It stays as it is.
        device : str or torch.device, default='auto'
            The parameter ``device``.
        dtype : str, default='auto'
            The parameter ``dtype``; ``'auto'`` goes on in the type of ``fitted.coefs_``, which
            gives scikit-learn's numbers. A later `fit` from the beginning chooses anew.

        Returns
        -------
        estimator : TorchMLPClassifier or TorchMLPRegressor
            Fitted, with scikit-learn's parameters. In ``history_``, what scikit-learn does not
            record is NaN, and the learning rate of its epochs is the last one.

        Raises
        ------
        TypeError
            If ``fitted`` is of another class.
        NotFittedError
            If it is not fitted.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from sklearn_mlp import TorchMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> theirs = MLPClassifier(max_iter=20, tol=1, random_state=0).fit(X, y)
        >>> ours = TorchMLPClassifier.from_sklearn(theirs)
        >>> bool(abs(ours.predict_proba(X) - theirs.predict_proba(X)).max() < 1e-12)
        True
        """
        kind = cls._sklearns_class()
        if not isinstance(fitted, kind):
            raise TypeError(
                f"fitted must be a fitted sklearn.neural_network.{cls._sklearn_name}, got "
                f"{type(fitted).__name__}."
            )
        check_is_fitted(fitted)
        given = {**shared_parameters(fitted, kind), "device": device, "dtype": dtype}
        # The constructor of a subclass may name fewer of them, which are attributes all the same.
        named = [name for name in cls._get_param_names() if name in given]
        estimator = cls(**{name: given[name] for name in named})
        vars(estimator).update(given)
        estimator._validate_params()
        estimator._take_over(fitted)
        return estimator

    @classmethod
    def _sklearns_class(cls) -> type:
        """Return scikit-learn's class; who converts nothing need not import it."""
        import sklearn.neural_network

        kind: type = getattr(sklearn.neural_network, cls._sklearn_name)
        return kind

    @isolated
    def _take_over(self, fitted: Any) -> None:
        """Set the fitted attributes to those of an estimator of scikit-learn's."""
        weights = as_arrays("coefs_", fitted.coefs_, ndim=2)
        biases = as_arrays("intercepts_", fitted.intercepts_, ndim=1)
        check_fit_each_other(weights, biases)
        made = self._attributes_of_weights(weights, biases, self._codec_of_sklearn(fitted))
        if self.dtype == "auto" and weights[0].dtype == np.float32:
            made["module_"].float()
            made["dtype_"] = torch.float32
        state = state_of_sklearn(fitted, made["dtype_"])
        made.update(
            _state=state,
            n_iter_=state.n_iter,
            t_=state.samples_seen,
            loss_=state.loss,
            converged_=state.is_converged,
        )
        for name in ("_epochs", "best_loss_", "best_validation_score_"):
            made.pop(name)
        if hasattr(fitted, "loss_curve_"):
            made["_epochs"] = state.history
            made["best_loss_"] = state.best_loss
            made["best_validation_score_"] = state.best_validation_score
        if hasattr(fitted, "feature_names_in_"):
            made["feature_names_in_"] = fitted.feature_names_in_
        self.__dict__.update(made)

    def to_sklearn(self) -> Any:
        """Return scikit-learn's own estimator with this network.

        It predicts the same, to rounding, and its `partial_fit` or a warm start go on as they
        would have here, in float64 with the same numbers. Tools made for scikit-learn's networks
        read it.

        Returns
        -------
        estimator : MLPClassifier or MLPRegressor
            Of ``sklearn.neural_network``; it shares no memory with this one.

        Raises
        ------
        ValueError
            If a parameter, the network or the targets are nothing that scikit-learn's class has;
            the sentence names it. What only training depends on can be set back by ``set_params``
            before.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_mlp import TorchMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> ours = TorchMLPClassifier(max_iter=20, tol=1, random_state=0).fit(X, y)
        >>> theirs = ours.to_sklearn()
        >>> theirs
        MLPClassifier(max_iter=20, random_state=0, tol=1.0)
        >>> bool(abs(ours.predict_proba(X) - theirs.predict_proba(X)).max() < 1e-6)
        True
        """
        self._check_is_fitted()
        fitted: Any = self
        kind = self._sklearns_class()
        network, codec, parameters = fitted.module_, fitted._codec, self._plain_parameters()
        check_is_sklearns(kind, parameters, network, fitted._loss, codec)
        names = _FITTED + (_OF_EPOCHS if hasattr(self, "_epochs") else ())
        attributes = {name: getattr(fitted, name) for name in names if hasattr(fitted, name)}
        attributes["coefs_"] = [np.array(coef, order="C") for coef in fitted.coefs_]
        attributes["intercepts_"] = [np.array(intercept) for intercept in fitted.intercepts_]
        if isinstance(codec, ClassCodec):
            attributes["classes_"] = codec.classes
        return make_sklearn(kind, parameters, network, codec, fitted._state, attributes)
