"""The parameter ``scoring``: a scorer is asked what outputs of rows not seen are worth."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from sklearn_mlp.contract.state import TrainingState
from sklearn_mlp.estimators.scorers import Rescore
from sklearn_mlp.machine.sklearn_internals import safe_indexing


@dataclass(frozen=True)
class HeldScorer:
    """Scores outputs of rows by networks that have not learned from them.

    Attributes
    ----------
    scoring : str or callable
        A scorer's name, or a scorer.
    predicting : callable
        Of outputs, (n_rows, n_outputs): returns an estimator that predicts these whatever it is
        given.
    X, y, sample_weight
        The rows of training as the user has them; weights or None.
    rows : ndarray of int
        Which of them are scored.
    """

    scoring: Any
    predicting: Callable[[np.ndarray], Any]
    X: Any
    y: np.ndarray
    sample_weight: np.ndarray | None
    rows: np.ndarray

    def of_rows(self, rows: np.ndarray) -> "HeldScorer":
        """Return a scorer of some of the rows."""
        return replace(self, rows=self.rows[rows])

    def __call__(self, outputs: np.ndarray) -> float:
        """Return the score of outputs, (n_rows, n_outputs); higher is better."""
        estimator = self.predicting(outputs)
        self._rescore.fitted_now = lambda state, is_copy: estimator
        return self._rescore()

    @cached_property
    def _rescore(self) -> Rescore:
        """What asks the scorer, and tells where it fails."""
        weights = None if self.sample_weight is None else self.sample_weight[self.rows]
        X = safe_indexing(self.X, self.rows)
        estimator, origin = self.predicting(np.empty((0, 0))), "that the folds hold out"
        made = Rescore(estimator, self.scoring, X, self.y[self.rows], weights, origin)
        made.state = TrainingState()
        return made
