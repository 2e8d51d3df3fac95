"""How a prediction changes with each feature: its gradient."""

import operator
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from sklearn_mlp.arrays.checks import validate_samples
from sklearn_mlp.arrays.target_checks import naming
from sklearn_mlp.arrays.tensors import exact_dtype, on_host, prediction_dtype
from sklearn_mlp.estimators.array_api import follow_samples
from sklearn_mlp.machine.isolation import isolated
from sklearn_mlp.machine.threads import shared_threads
from sklearn_mlp.network.alterations import check_parts_fit
from sklearn_mlp.network.memory import less_to_predict, naming_device_memory
from sklearn_mlp.network.mlp import count_parameters
from sklearn_mlp.steps.input_gradients import input_gradients_in_chunks
from sklearn_mlp.steps.prediction import widened


class InputGradientsMixin:
    """Differentiates a fitted network with respect to its features."""

    if TYPE_CHECKING:
        # Of the estimator that this is a part of.
        module_: nn.Module
        n_outputs_: int
        _fit_dtype: np.dtype

        def _check_is_fitted(self) -> None: ...

    @abstractmethod
    def _predicted(self, logits: Tensor) -> Tensor:
        """Return what is predicted, (n_samples, n_outputs), for autograd to follow."""

    @abstractmethod
    def _count_predicted(self) -> int:
        """Return how many numbers are predicted for a sample."""

    @abstractmethod
    def _as_predictions(self, gradients: np.ndarray) -> Any:
        """Return gradients, (n_samples, n_outputs, n_features), in the form of predictions."""

    @follow_samples
    @naming_device_memory(less_to_predict)
    @isolated
    def input_gradients(self, X: Any, output: Any = None, *, raw: bool = False) -> Any:
        """Return how predictions change with each feature.

        The derivatives of `predict_proba`, of a regressor those of `predict` in its units, with
        respect to the features as they are given; exact, by autograd, at each sample.

        Parameters
        ----------
        X : array-like, CSR or CSC matrix, DataFrame or Tensor of shape (n_samples, n_features)
            The samples.
        output : int or array-like of int of shape (n_samples,), default=None
            The column of `predict_proba`, or of the predictions, to differentiate: one for all
            samples, or one for each, such as that of the most probable class. None is all.
            Several targets with several quantiles, or several columns of labels, are counted one
            after the other.
        raw : bool, default=False
            Whether to differentiate the outputs of ``module_`` instead, which are before the
            output activation. Where a probability is near 0 or 1 it hardly changes; these still
            tell by what.

        Returns
        -------
        gradients : ndarray
            With ``output``, (n_samples, n_features). Without, the shape of what `predict_proba`
            or `predict` returns with an axis for the features: (n_samples, n_classes,
            n_features), for several columns of labels a list of them; of a regressor (n_samples,
            n_features), (n_samples, n_targets, n_features) and so on. With ``raw``,
            (n_samples, n_outputs, n_features).

        Raises
        ------
        TypeError
            If ``output`` is not a whole number, or one for each sample.
        ValueError
            If there is no such output, or autograd cannot follow the network.

        Notes
        -----
        At a kink, such as that of ``'relu'`` at 0, it is torch's choice of the slopes. All outputs
        take a pass each.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_mlp import TorchMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = TorchMLPClassifier(max_iter=20, tol=1, random_state=0).fit(X, y)
        >>> clf.input_gradients(X).shape
        (150, 3, 4)
        >>> most_probable = clf.predict_proba(X).argmax(1)
        >>> clf.input_gradients(X, most_probable, raw=True).shape
        (150, 4)
        """
        self._check_is_fitted()
        X = validate_samples(self, X)
        dtype = prediction_dtype(X, self._fit_dtype)
        exact = exact_dtype(dtype)
        n_outputs = self.n_outputs_ if raw else self._count_predicted()
        chosen = None if output is None else _chosen(output, X.shape[0], n_outputs)

        def outputs_of(logits: Tensor) -> Tensor:
            """Return what gradients are taken of: logits, or predictions."""
            return logits if raw else self._predicted(widened(logits, exact))

        try:
            with shared_threads(count_parameters(self.module_) * X.shape[0]):
                gradients = input_gradients_in_chunks(self.module_, X, outputs_of, chosen)
        except RuntimeError as error:
            check_parts_fit(self.module_, X.shape[1], error)
            raise
        gradients = gradients.astype(dtype, copy=False)
        return gradients if raw or chosen is not None else self._as_predictions(gradients)


def _chosen(output: Any, n_samples: int, n_outputs: int) -> np.ndarray:
    """Return the number of an output for each sample."""
    with naming("output"):
        numbers = np.asarray(on_host(output, "output"))
    if numbers.ndim == 0:
        try:
            numbers = np.full(n_samples, operator.index(output))
        except TypeError:
            raise TypeError(
                f"output must be a whole number or one for each sample, got {output!r}."
            ) from None
    if numbers.dtype.kind not in "iu" or numbers.shape != (n_samples,):
        raise TypeError(
            f"output must be a whole number or one for each of the {n_samples} samples, got "
            f"{numbers.dtype} of the shape {numbers.shape}."
        )
    if numbers.min() < 0 or numbers.max() >= n_outputs:
        found = numbers[(numbers < 0) | (numbers >= n_outputs)][0]
        raise ValueError(
            f"output={found} is not among the {n_outputs} outputs, which are 0 to {n_outputs - 1}."
        )
    return numbers.astype(np.int64)
