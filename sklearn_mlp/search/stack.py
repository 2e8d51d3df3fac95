"""A stack of fits in one process: preprocess, fit, score."""

import copy
import time
import traceback
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from joblib.logger import short_format_time
from sklearn.pipeline import Pipeline

from sklearn_mlp.machine.interrupts import interrupts_end_all
from sklearn_mlp.machine.sklearn_internals import check_method_params, fit_and_score, safe_split
from sklearn_mlp.many.fits import Outcome, fit_stacked
from sklearn_mlp.search.folds import FoldFit, FoldSamples
from sklearn_mlp.search.scoring import Scorer


@dataclass(frozen=True)
class Settings:
    """A search, as far as it is the same for all of its fits.

    Attributes
    ----------
    options : dict
        The arguments of scikit-learn's `_fit_and_score`, whose place a stack takes, but for those
        of a single fit.
    """

    options: Mapping[str, Any]

    @property
    def fit_params(self) -> dict[str, Any]:
        """The arguments of fit besides samples and targets."""
        params = self.options["fit_params"] or {}
        return {name: value for name, value in params.items() if value is not None}

    @property
    def scorer(self) -> Scorer:
        """The scorer of a candidate on its fold."""
        options = self.options
        return Scorer(options["scorer"], options["score_params"] or {}, options["error_score"])

    def asks_for(self, option: str) -> bool:
        """Tell whether something is to be returned."""
        return bool(self.options.get(option, False))


def fit_and_score_stack(
    fits: Sequence[FoldFit], X: Any, y: Any, settings: Settings, number: int = 0
) -> list[dict[str, Any]]:
    """Fit candidates together and score each; return what `_fit_and_score` would of each.

    Where preprocessing fails, scikit-learn's function makes the fits, one by one, and tells of it.
    ``number`` is that of the stack; see `fit_stacked`.
    """
    with interrupts_end_all():
        folds: dict[Hashable, FoldSamples] = {}
        for fit in fits:
            if fit.samples not in folds:
                folds[fit.samples] = _take_fold(fit, X, y, settings)
        ready = [fit for fit in fits if folds[fit.samples].X_train is not None]
        outcomes = iter(_fit_ready(ready, folds, settings, number))
        results = []
        for fit in fits:
            fold = folds[fit.samples]
            if fold.X_train is None:
                results.append(fit_and_score(fit.estimator, X, y, **settings.options, **fit.own))
                continue
            outcome = next(outcomes)
            outcome.seconds += fold.seconds / sum(one.samples == fit.samples for one in fits)
            try:
                result = (
                    _failure(fit, fold, outcome, settings)
                    if outcome.error is not None
                    else _success(fit, fold, outcome.seconds, X, settings)
                )
            finally:
                _tell_callbacks("call_on_fit_task_end", fit, fold, settings)
            _say_end(fit, result, settings)
            results.append(result)
        return results


def run_alone(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Run a task of scikit-learn's as it is, but for an interrupt, which ends the search."""
    with interrupts_end_all():
        return function(*args, **options)


def _fit_ready(
    fits: Sequence[FoldFit],
    folds: Mapping[Hashable, FoldSamples],
    settings: Settings,
    number: int,
) -> list[Outcome]:
    """Fit candidates whose samples are preprocessed."""
    for fit in fits:
        _say_start(fit, settings)
    for fit in fits:
        _tell_callbacks("call_on_fit_task_begin", fit, folds[fit.samples], settings)
    return fit_stacked(
        [fit.network for fit in fits],
        [fit.samples for fit in fits],
        {key: (fold.X_train, fold.y_train, fold.weight) for key, fold in folds.items()},
        number,
    )


def _take_fold(fit: FoldFit, X: Any, y: Any, settings: Settings) -> FoldSamples:
    """Take a fold's samples and preprocess those to train on."""
    began = time.perf_counter()
    X_train, y_train = safe_split(fit.estimator, X, y, fit.train)
    X_test, y_test = safe_split(fit.estimator, X, y, fit.test, fit.train)
    params = check_method_params(X, params=settings.fit_params, indices=fit.train)
    fold = FoldSamples(
        X_train, y_train, y_test, (X_train, X_test), next(iter(params.values()), None)
    )
    steps = fit.estimator.steps[:-1] if isinstance(fit.estimator, Pipeline) else []
    if steps:
        fold.preprocessing = Pipeline(list(steps), memory=fit.estimator.memory)
        fold.X_train = None
        with suppress(Exception):
            fold.X_train = fold.preprocessing.fit_transform(X_train, y_train)
        fold.seconds = time.perf_counter() - began
    return fold


def _success(
    fit: FoldFit, fold: FoldSamples, seconds: float, X: Any, settings: Settings
) -> dict[str, Any]:
    """Return the result of a fit, as `_fit_and_score` does."""
    estimator = _as_fitted(fit, fold, settings)
    result: dict[str, Any] = {"fit_error": None}
    began = time.perf_counter()
    result["test_scores"] = settings.scorer(estimator, fit, fold, X, is_train=False)
    score_seconds = time.perf_counter() - began
    if settings.asks_for("return_train_score"):
        result["train_scores"] = settings.scorer(estimator, fit, fold, X, is_train=True)
    return _completed(result, fold, estimator, (seconds, score_seconds), settings)


def _failure(
    fit: FoldFit, fold: FoldSamples, outcome: Outcome, settings: Settings
) -> dict[str, Any]:
    """Return the result of a fit that has failed, as `_fit_and_score` does."""
    error = outcome.error
    assert error is not None
    if settings.options["error_score"] == "raise":
        raise error
    result: dict[str, Any] = {"fit_error": "".join(traceback.format_exception(error))}
    result["test_scores"] = settings.scorer.of_failure()
    if settings.asks_for("return_train_score"):
        result["train_scores"] = settings.scorer.of_failure()
    return _completed(result, fold, fit.estimator, (outcome.seconds, 0.0), settings)


def _completed(
    result: dict[str, Any],
    fold: FoldSamples,
    estimator: Any,
    seconds: tuple[float, float],
    settings: Settings,
) -> dict[str, Any]:
    """Add to a result what it has besides scores."""
    if settings.asks_for("return_n_test_samples"):
        result["n_test_samples"] = fold.raw[1].shape[0]
    result["fit_time"], result["score_time"] = seconds
    if settings.asks_for("return_estimator"):
        result["estimator"] = estimator
    return result


def _as_fitted(fit: FoldFit, fold: FoldSamples, settings: Settings) -> Any:
    """Return the estimator as its own `fit` would have left it."""
    if fold.preprocessing is None:
        return fit.estimator
    steps = fold.preprocessing.steps
    if settings.asks_for("return_estimator"):
        # Each caller may change its own.
        steps = copy.deepcopy(steps)
    fit.estimator.steps = [*steps, fit.estimator.steps[-1]]
    return fit.estimator


def _tell_callbacks(hook: str, fit: FoldFit, fold: FoldSamples, settings: Settings) -> None:
    """Call scikit-learn's callbacks, if there are any."""
    if fit.callback_ctx is None:
        return
    weight = settings.fit_params.get("sample_weight")
    metadata = None
    if weight is not None:
        weights = {"sample_weight": weight}
        metadata = check_method_params(fold.raw[0], params=weights, indices=fit.train)
    getattr(fit.callback_ctx, hook)(
        estimator=settings.options["caller"], X=fold.raw[0], y=fold.y_train, metadata=metadata
    )


# The messages are those of scikit-learn's _fit_and_score.


def _progress(fit: FoldFit, verbose: int) -> str:
    message = ""
    split, candidate = fit.own.get("split_progress"), fit.own.get("candidate_progress")
    if verbose > 2 and split is not None:
        message = f" {split[0] + 1}/{split[1]}"
    if verbose > 9 and candidate:
        message += f"; {candidate[0] + 1}/{candidate[1]}"
    return message


def _named(fit: FoldFit) -> str:
    parameters = fit.own["parameters"] or {}
    return ", ".join(f"{name}={parameters[name]}" for name in sorted(parameters))


def _say_start(fit: FoldFit, settings: Settings) -> None:
    if settings.options["verbose"] > 9:
        message = f"[CV{_progress(fit, settings.options['verbose'])}] START {_named(fit)}"
        print(f"{message}{(80 - len(message)) * '.'}")


def _say_end(fit: FoldFit, result: Mapping[str, Any], settings: Settings) -> None:
    if settings.options["verbose"] <= 1:
        return
    begin = f"[CV{_progress(fit, settings.options['verbose'])}] END "
    message = _named(fit) + (";" if fit.own["parameters"] else "")
    if settings.options["verbose"] > 2:
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
