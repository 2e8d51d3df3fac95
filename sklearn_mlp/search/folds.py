"""The candidates of a search on their folds, and the samples of these."""

from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sklearn.pipeline import Pipeline

from sklearn_mlp.estimators.base import BaseTorchMLP


@dataclass
class FoldFit:
    """A candidate on a fold.

    Attributes
    ----------
    estimator : BaseTorchMLP or Pipeline
        With the candidate's parameters set.
    samples : hashable
        The same for two fits that see the same samples, preprocessed in the same way.
    own : dict
        The arguments of `_fit_and_score` that are this fit's.
    train, test : ndarray of int or bool
        The fold's rows.
    callback_ctx : CallbackContext or None
        What to tell scikit-learn's callbacks by.
    """

    estimator: Any
    samples: Hashable
    own: Mapping[str, Any]
    train: Any
    test: Any
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
    X_train
        Preprocessed, if there is any preprocessing; None if that fails.
    y_train, y_test
        The targets.
    raw : tuple
        The samples to train on and those to test on before preprocessing.
    weight : array-like or None
        The sample weights of those to train on.
    preprocessing : Pipeline or None
        Fitted.
    seconds : float
        The time that fitting it took.
    scored, checked : dict
        Samples to score by whether they are those of training, preprocessed and then checked.
    """

    X_train: Any
    y_train: Any
    y_test: Any
    raw: tuple[Any, Any]
    weight: Any = None
    preprocessing: Pipeline | None = None
    seconds: float = 0.0
    scored: dict[bool, Any] = field(default_factory=dict)
    checked: dict[bool, Any] = field(default_factory=dict)

    def to_score(self, *, is_train: bool) -> Any:
        """Return the samples to score on; None if preprocessing them fails.

        Those of training are not what the network was trained on: there are transformers whose
        `fit_transform` returns something else than `transform`.
        """
        raw = self.raw[0 if is_train else 1]
        if self.preprocessing is None:
            return raw
        if is_train not in self.scored:
            self.scored[is_train] = None
            with suppress(Exception):
                self.scored[is_train] = self.preprocessing.transform(raw)
        return self.scored[is_train]
