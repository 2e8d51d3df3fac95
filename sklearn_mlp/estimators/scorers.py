"""A scorer of scikit-learn's kind, or the user's own, asked while a network is trained."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.metrics import check_scoring

from sklearn_mlp.contract.state import TrainingState
from sklearn_mlp.machine.kernels import inference_mode
from sklearn_mlp.machine.sklearn_internals import BaseScorer, takes_sample_weight
from sklearn_mlp.machine.user_errors import retold


class Rescore:
    """Asks a scorer for the score of the network as it is.

    Parameters
    ----------
    estimator : estimator
        What is being fitted.
    scoring : str or callable
        A scorer's name, or a scorer.
    X, y, sample_weight
        The samples as the user has them, checked. The weights are for a scorer that takes any.
    origin : str
        Where they are from.

    Attributes
    ----------
    fitted_now : callable
        ``fitted_now(state, is_copy)`` returns a fitted estimator, as if training had ended in a
        state. A scorer of the user's gets a copy: it may keep it, or train it. Set when the fit
        is ready.
    state : TrainingState
        With the present epoch, but for its score. Set before each call.
    """

    fitted_now: Callable[[TrainingState, bool], Any]
    state: TrainingState

    def __init__(
        self,
        estimator: Any,
        scoring: Any,
        X: Any,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        origin: str,
    ) -> None:
        # A function's address differs from process to process.
        self._name = getattr(scoring, "__name__", None) or repr(scoring)
        self._scorer = check_scoring(estimator, scoring)
        self._samples = X, y
        is_weighted = sample_weight is not None and takes_sample_weight(self._scorer)
        self._weights = {"sample_weight": sample_weight} if is_weighted else {}
        self._origin = origin

    def __call__(self) -> float:
        """Return the score.

        Raises
        ------
        TypeError
            If the scorer returns no number.
        """
        # One of scikit-learn's only predicts.
        is_users = not isinstance(self._scorer, BaseScorer)
        # A scorer of the user's may do anything with torch.
        with inference_mode(False), config_context(array_api_dispatch=False):
            estimator = self.fitted_now(self.state, is_users)
            try:
                score = self._scorer(estimator, *self._samples, **self._weights)
            except Exception as error:
                told = retold(error, self._say_where())
                if told is error:
                    raise
                raise told from error
            return self._as_number(score)

    def _as_number(self, score: Any) -> float:
        """Return a score as a number of Python's."""
        try:
            value = score.item() if hasattr(score, "item") else score
        except (RuntimeError, TypeError, ValueError):
            # More than one number, or none.
            value = None
        if not isinstance(value, Real):
            shape = f" of shape {tuple(score.shape)}" if hasattr(score, "shape") else ""
            raise TypeError(
                f"scoring={self._name} must return a number for the validation set, got "
                f"{type(score).__name__}{shape}."
            )
        return float(value)

    def _say_where(self) -> str:
        """Say which scorer has failed, on which samples, and what these lack."""
        X, y = self._samples
        classes = getattr(self.fitted_now(self.state, False), "classes_", None)
        missing = ""
        if isinstance(classes, np.ndarray) and classes.ndim == y.ndim == 1:
            present = set(y.tolist())
            lacking = [label for label in classes.tolist() if label not in present]
            named = f"{lacking}" if len(lacking) < 10 else f"{len(lacking)} of {len(classes)}"
            missing = f", which lack the classes {named}" if lacking else ""
        return (
            f"scoring={self._name} failed on the validation set, {X.shape[0]} samples "
            f"{self._origin}{missing}"
        )
