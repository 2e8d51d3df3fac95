"""Scoring the candidates of a stack: scikit-learn's scorers, and its default one, faster."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sklearn_mlp.base import BaseTorchMLP
from sklearn_mlp.classifier import TorchMLPClassifier
from sklearn_mlp.inputs import validate_samples
from sklearn_mlp.isolation import isolated
from sklearn_mlp.prediction import predict_in_chunks
from sklearn_mlp.search.folds import FoldFit, FoldSamples
from sklearn_mlp.sklearn_internals import (
    BaseScorer,
    MultimetricScorer,
    PassthroughScorer,
    check_method_params,
    score_estimator,
    scorers_of,
)
from sklearn_mlp.threads import shared_threads


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
        if not self._is_of_predictions:
            samples = fold.raw[0 if is_train else 1]
            return score_estimator(estimator, samples, y, self._scorer, params, self._error_score)
        network, samples = fit.network, fold.X_train if is_train else fold.X_test
        if self._is_plain_accuracy(network, y, params):
            return _accuracy(network, fold, is_train=is_train)
        return score_estimator(network, samples, y, self._scorer, params, self._error_score)

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
            and y.dtype == network.classes_.dtype
        )


@isolated
def _accuracy(network: TorchMLPClassifier, fold: FoldSamples, *, is_train: bool) -> float:
    """Return ``network.score`` of the fold; its samples are checked once for all candidates."""
    samples, y = (fold.X_train, fold.y_train) if is_train else (fold.X_test, fold.y_test)
    name = "train" if is_train else "test"
    if name not in fold.cache:
        fold.cache[name] = validate_samples(network, samples)
    X = fold.cache[name]
    with shared_threads(network.module_.n_parameters * X.shape[0]):
        codes = predict_in_chunks(network.module_, X, lambda logits: logits.argmax(1)).numpy()
    return float(np.mean(network.classes_[codes] == y))
