"""The candidates of a search on their folds, and the samples of these."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn.pipeline import Pipeline

from sklearn_mlp.base import BaseTorchMLP


@dataclass
class FoldFit:
    """A candidate on a fold.

    Attributes
    ----------
    estimator : BaseTorchMLP or Pipeline
        With the candidate's parameters set.
    parameters : dict or None
        These.
    train, test : ndarray of int
        The fold's rows.
    samples : hashable
        The same for two fits that see the same samples, preprocessed in the same way.
    split_progress, candidate_progress : tuple of int or None
        Which it is of how many, for the messages.
    callback_ctx : CallbackContext or None
        What to tell scikit-learn's callbacks by.
    """

    estimator: Any
    parameters: Mapping[str, Any] | None
    train: Any
    test: Any
    samples: Hashable
    split_progress: tuple[int, int] | None = None
    candidate_progress: tuple[int, int] | None = None
    callback_ctx: Any = None

    @property
    def network(self) -> BaseTorchMLP:
        """The estimator itself, or the last step of the pipeline."""
        last: BaseTorchMLP = (
            self.estimator.steps[-1][1] if isinstance(self.estimator, Pipeline) else self.estimator
        )
        return last


@dataclass
class FoldSamples:
    """The samples of a fold, as the network gets them.

    Attributes
    ----------
    X_train, y_train, X_test, y_test
        Preprocessed, if there is any preprocessing.
    raw : tuple
        The same before preprocessing.
    weight : array-like or None
        The sample weights of those to train on.
    preprocessing : Pipeline or None
        Fitted.
    seconds : float
        The time that fitting it took.
    cache : dict
        The same samples, checked by the estimator.
    """

    X_train: Any
    y_train: Any
    X_test: Any
    y_test: Any
    raw: tuple[Any, Any]
    weight: Any = None
    preprocessing: Pipeline | None = None
    seconds: float = 0.0
    cache: dict[str, Any] = field(default_factory=dict)
