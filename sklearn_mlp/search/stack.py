"""What a process does with a stack of fits: preprocess, fit, score."""

import copy
import time
import traceback
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joblib.logger import short_format_time
from sklearn.pipeline import Pipeline

from sklearn_mlp.fit_many import Outcome, fit_stacked
from sklearn_mlp.search.folds import FoldFit, FoldSamples
from sklearn_mlp.search.scoring import Scorer
from sklearn_mlp.sklearn_internals import check_method_params, safe_split


@dataclass(frozen=True)
class Settings:
    """What is the same for all fits of a search.

    The names are those of scikit-learn's `_fit_and_score`, whose place a stack takes.
    """

    scorer: Any
    fit_params: Mapping[str, Any]
    score_params: Mapping[str, Any]
    return_train_score: bool
    return_n_test_samples: bool
    return_estimator: bool
    error_score: Any
    verbose: int
    caller: Any


def fit_and_score_stack(
    fits: Sequence[FoldFit], X: Any, y: Any, settings: Settings, number: int = 0
) -> list[dict[str, Any]]:
    """Fit candidates together and score each; return what `_fit_and_score` would of each.

    ``number`` is that of the stack; see `fit_stacked`.
    """
    folds: dict[Hashable, FoldSamples] = {}
    failures: dict[Hashable, Exception] = {}
    for fit in fits:
        _say_start(fit, settings)
        if fit.samples in folds or fit.samples in failures:
            continue
        try:
            folds[fit.samples] = _take_fold(fit, X, y, settings)
        except Exception as error:
            # Preprocessing fails for all that share it.
            failures[fit.samples] = error
    for fit in fits:
        _tell_callbacks("call_on_fit_task_begin", fit, folds, settings)
    ready = [fit for fit in fits if fit.samples in folds]
    fitted = fit_stacked(
        [fit.network for fit in ready],
        [fit.samples for fit in ready],
        {key: (fold.X_train, fold.y_train, fold.weight) for key, fold in folds.items()},
        number,
    )
    outcomes = iter(fitted)
    results = []
    for fit in fits:
        fold = folds.get(fit.samples)
        if fold is None:
            result = _failure(fit, Outcome(0.0, failures[fit.samples]), settings)
        else:
            outcome = next(outcomes)
            outcome.seconds += fold.seconds / sum(one.samples == fit.samples for one in fits)
            result = (
                _failure(fit, outcome, settings)
                if outcome.error is not None
                else _success(fit, fold, outcome.seconds, X, settings)
            )
        _tell_callbacks("call_on_fit_task_end", fit, folds, settings)
        _say_end(fit, result, settings)
        results.append(result)
    return results


def _take_fold(fit: FoldFit, X: Any, y: Any, settings: Settings) -> FoldSamples:
    """Take a fold's samples and preprocess them."""
    began = time.perf_counter()
    X_train, y_train = safe_split(fit.estimator, X, y, fit.train)
    X_test, y_test = safe_split(fit.estimator, X, y, fit.test, fit.train)
    params = check_method_params(X, params=settings.fit_params, indices=fit.train)
    fold = FoldSamples(
        X_train, y_train, X_test, y_test, (X_train, X_test), next(iter(params.values()), None)
    )
    steps = fit.estimator.steps[:-1] if isinstance(fit.estimator, Pipeline) else []
    if steps:
        fold.preprocessing = Pipeline(list(steps), memory=fit.estimator.memory)
        fold.X_train = fold.preprocessing.fit_transform(X_train, y_train)
        fold.seconds = time.perf_counter() - began
        fold.X_test = fold.preprocessing.transform(X_test)
    return fold


def _success(
    fit: FoldFit, fold: FoldSamples, seconds: float, X: Any, settings: Settings
) -> dict[str, Any]:
    """Return the result of a fit, as `_fit_and_score` does."""
    scorer = Scorer(settings.scorer, settings.score_params, settings.error_score)
    estimator = _as_fitted(fit, fold, settings)
    result: dict[str, Any] = {"fit_error": None}
    began = time.perf_counter()
    result["test_scores"] = scorer(estimator, fit, fold, X, is_train=False)
    score_seconds = time.perf_counter() - began
    if settings.return_train_score:
        result["train_scores"] = scorer(estimator, fit, fold, X, is_train=True)
    return _completed(result, fit, estimator, (seconds, score_seconds), settings)


def _failure(fit: FoldFit, outcome: Outcome, settings: Settings) -> dict[str, Any]:
    """Return the result of a fit that has failed, as `_fit_and_score` does."""
    error = outcome.error
    assert error is not None
    if settings.error_score == "raise":
        raise error
    scorer = Scorer(settings.scorer, settings.score_params, settings.error_score)
    result: dict[str, Any] = {"fit_error": "".join(traceback.format_exception(error))}
    result["test_scores"] = scorer.of_failure()
    if settings.return_train_score:
        result["train_scores"] = scorer.of_failure()
    return _completed(result, fit, fit.estimator, (outcome.seconds, 0.0), settings)


def _completed(
    result: dict[str, Any],
    fit: FoldFit,
    estimator: Any,
    seconds: tuple[float, float],
    settings: Settings,
) -> dict[str, Any]:
    """Add to a result what it has besides scores."""
    if settings.return_n_test_samples:
        result["n_test_samples"] = len(fit.test)
    result["fit_time"], result["score_time"] = seconds
    if settings.return_estimator:
        result["estimator"] = estimator
    return result


def _as_fitted(fit: FoldFit, fold: FoldSamples, settings: Settings) -> Any:
    """Return the estimator as its own `fit` would have left it."""
    if fold.preprocessing is None:
        return fit.estimator
    steps = fold.preprocessing.steps
    if settings.return_estimator:
        # Each caller may change its own.
        steps = copy.deepcopy(steps)
    fit.estimator.steps = [*steps, fit.estimator.steps[-1]]
    return fit.estimator


def _tell_callbacks(
    hook: str, fit: FoldFit, folds: Mapping[Hashable, FoldSamples], settings: Settings
) -> None:
    """Call scikit-learn's callbacks, if there are any."""
    if fit.callback_ctx is None or fit.samples not in folds:
        return
    fold = folds[fit.samples]
    weight = settings.fit_params.get("sample_weight")
    metadata = None
    if weight is not None:
        weights = {"sample_weight": weight}
        metadata = check_method_params(fold.raw[0], params=weights, indices=fit.train)
    getattr(fit.callback_ctx, hook)(
        estimator=settings.caller, X=fold.raw[0], y=fold.y_train, metadata=metadata
    )


# The messages are those of scikit-learn's _fit_and_score.


def _progress(fit: FoldFit, verbose: int) -> str:
    message = ""
    if verbose > 2 and fit.split_progress is not None:
        message = f" {fit.split_progress[0] + 1}/{fit.split_progress[1]}"
    if verbose > 9 and fit.candidate_progress:
        message += f"; {fit.candidate_progress[0] + 1}/{fit.candidate_progress[1]}"
    return message


def _named(fit: FoldFit) -> str:
    parameters = fit.parameters or {}
    return ", ".join(f"{name}={parameters[name]}" for name in sorted(parameters))


def _say_start(fit: FoldFit, settings: Settings) -> None:
    if settings.verbose > 9:
        message = f"[CV{_progress(fit, settings.verbose)}] START {_named(fit)}"
        print(f"{message}{(80 - len(message)) * '.'}")


def _say_end(fit: FoldFit, result: Mapping[str, Any], settings: Settings) -> None:
    if settings.verbose <= 1:
        return
    begin = f"[CV{_progress(fit, settings.verbose)}] END "
    message = _named(fit) + (";" if fit.parameters else "")
    if settings.verbose > 2:
        test, train = result["test_scores"], result.get("train_scores")
        if isinstance(test, dict):
            for name in sorted(test):
                of_train = f"train={train[name]:.3f}, " if train is not None else ""
                message += f" {name}: ({of_train}test={test[name]:.3f})"
        elif train is not None:
            message += f", score=(train={train:.3f}, test={test:.3f})"
        else:
            message += f", score={test:.3f}"
    message += f" total time={short_format_time(result['fit_time'] + result['score_time'])}"
    print(begin + "." * (80 - len(begin) - len(message)) + message)
