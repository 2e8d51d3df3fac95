"""Scoring the candidates of a stack: scikit-learn's scorers, and its default one, faster."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from sklearn_mlp.arrays.checks import validate_samples
from sklearn_mlp.estimators.base import BaseTorchMLP
from sklearn_mlp.estimators.classifier import TorchMLPClassifier
from sklearn_mlp.machine.isolation import isolated
from sklearn_mlp.machine.sklearn_internals import (
    BaseScorer,
    MultimetricScorer,
    PassthroughScorer,
    check_method_params,
    score_estimator,
    scorers_of,
)
from sklearn_mlp.machine.threads import shared_threads
from sklearn_mlp.search.folds import FoldFit, FoldSamples
from sklearn_mlp.steps.prediction import predict_in_chunks


class Scorer:
    """Scores a fitted candidate on its fold as scikit-learn does.

    Parameters
    ----------
    scorer : callable
        What scikit-learn has made of ``scoring``.
    score_params : dict
        What goes to it.
    error_score : 'raise' or number
        What to do where scoring fails.
    """

    def __init__(self, scorer: Any, score_params: Mapping[str, Any], error_score: Any) -> None:
        self._scorer = scorer
        self._score_params = score_params
        self._error_score = error_score
        # These ask the estimator for predictions only: the network's are the pipeline's, so that
        # the samples need not be preprocessed for each candidate.
        self._is_of_predictions = isinstance(scorer, PassthroughScorer | BaseScorer) or (
            isinstance(scorer, MultimetricScorer)
            and all(
                isinstance(one, PassthroughScorer | BaseScorer)
                for one in scorers_of(scorer).values()
            )
        )

    def __call__(
        self, estimator: Any, fit: FoldFit, fold: FoldSamples, X: Any, *, is_train: bool
    ) -> Any:
        """Return the score, or the scores by name, on the fold's test or training part."""
        rows = fit.train if is_train else fit.test
        y = fold.y_train if is_train else fold.y_test
        params = check_method_params(X, params=self._score_params, indices=rows)
        samples = fold.to_score(is_train=is_train) if self._is_of_predictions else None
        if samples is None:
            raw = fold.raw[0 if is_train else 1]
            return score_estimator(estimator, raw, y, self._scorer, params, self._error_score)
        if self._is_plain_accuracy(fit.network, y, params):
            # What goes wrong here goes wrong below, where scikit-learn deals with it.
            with suppress(Exception):
                return _accuracy(fit.network, fold, is_train=is_train)
        return score_estimator(fit.network, samples, y, self._scorer, params, self._error_score)

    def of_failure(self) -> Any:
        """Return what stands for the score of a fit that has failed."""
        if isinstance(self._scorer, MultimetricScorer):
            return dict.fromkeys(scorers_of(self._scorer), self._error_score)
        return self._error_score

    def _is_plain_accuracy(self, network: BaseTorchMLP, y: Any, params: Any) -> bool:
        """Tell whether the score is the share of right labels, and nothing in it is special."""
        return (
            isinstance(self._scorer, PassthroughScorer)
            and not params
            and type(network) is TorchMLPClassifier
            and network._codec.kind == "multiclass"
            and isinstance(y, np.ndarray)
            and y.ndim == 1
            and y.dtype == network._codec.classes.dtype
            # Of other kinds there are labels that a metric refuses: NaN, None, some of each type.
            and y.dtype.kind in "biuSU"
        )


@isolated
def _accuracy(network: Any, fold: FoldSamples, *, is_train: bool) -> float:
    """Return ``network.score`` of the fold; its samples are checked once for all candidates."""
    y = fold.y_train if is_train else fold.y_test
    if is_train not in fold.checked:
        fold.checked[is_train] = validate_samples(network, fold.to_score(is_train=is_train))
    X = fold.checked[is_train]
    with shared_threads(network.module_.n_parameters * X.shape[0]):
        codes = predict_in_chunks(network.module_, X, lambda logits: logits.argmax(1)).numpy()
    return float(np.mean(network._codec.classes[codes] == y))
