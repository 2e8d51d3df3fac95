"""A stand-in for scikit-learn's `Parallel` that puts fits together before it runs them."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Self

import joblib
import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import Parallel, delayed

from sklearn_mlp.data.kinds import copied_features
from sklearn_mlp.machine.sklearn_internals import (
    has_callbacks,
    is_fit_and_score,
    warn_of_other_search,
)
from sklearn_mlp.many.fits import count_outputs
from sklearn_mlp.many.planning import FitRequest, plan_stacks, why_not_stacked
from sklearn_mlp.search.folds import FoldFit
from sklearn_mlp.search.stack import Settings, fit_and_score_stack, run_alone

# Those arguments of scikit-learn's `_fit_and_score` in which the fits of a search differ.
_OF_ONE_FIT = (
    *("train", "test", "parameters"),
    *("split_progress", "candidate_progress", "callback_ctx"),
)

Task = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class StackingParallel:
    """Runs the fits of a search, in stacks where that is possible.

    Parameters
    ----------
    parallel : Parallel
        What runs the stacks, and all else.
    n_jobs : int or None
        As scikit-learn has passed it to that.
    max_memory : float or int
        As for `fit_many`.
    report : bool
        Whether to print which fits are not stacked, and why.
    is_known : bool
        Whether what scikit-learn has passed is what it passes in 1.9; else nothing is stacked.
    """

    def __init__(
        self,
        parallel: Any,
        n_jobs: int | None,
        *,
        max_memory: float,
        report: bool,
        is_known: bool = True,
    ) -> None:
        self._parallel = parallel
        self._n_jobs = n_jobs
        self._max_memory = max_memory
        self._report = report
        self._is_known = is_known

    @classmethod
    def making(
        cls,
        n_jobs: int | None = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        *,
        max_memory: float,
        report: bool,
        **others: Any,
    ) -> Self:
        """Take the arguments of scikit-learn's `Parallel`, which this makes."""
        parallel = Parallel(n_jobs=n_jobs, verbose=verbose, pre_dispatch=pre_dispatch, **others)
        return cls(parallel, n_jobs, max_memory=max_memory, report=report, is_known=not others)

    def __enter__(self) -> Self:
        self._parallel.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._parallel.__exit__(*exception)

    def __call__(self, tasks: Iterable[Task]) -> list[dict[str, Any]]:
        """Run tasks, each a fit of a candidate on a fold; return their results in order."""
        tasks = list(tasks)
        if not (self._is_known and all(map(is_fit_and_score, tasks))):
            warn_of_other_search()
            alone: list[dict[str, Any]] = self._parallel(tasks)
            return alone
        folds: dict[int, int] = {}
        fits: dict[int, FoldFit] = {}
        reasons: Counter[str] = Counter()
        for place, task in enumerate(tasks):
            fit, reason = _read(task, folds)
            if fit is not None:
                fits[place] = fit
            elif reason is not None:
                reasons[reason] += 1
        if self._report:
            for reason, count in reasons.items():
                print(f"[stack] {count} of {len(tasks)} fits are not stacked: {reason}")
        stacks = self._plan(fits, tasks)
        jobs = [
            (stack, _stack_task([fits[place] for place in stack], tasks[stack[0]], number))
            for number, stack in enumerate(stacks)
        ]
        jobs += [
            ([place], _lone_task(task)) for place, task in enumerate(tasks) if place not in fits
        ]
        if effective_n_jobs(self._n_jobs) == 1:
            # As near to the order of scikit-learn's as stacks allow: which error is raised.
            jobs.sort(key=lambda job: job[0][0])
        outputs = self._parallel([job for _, job in jobs])
        results: dict[int, dict[str, Any]] = {}
        for (places, _), output in zip(jobs, outputs, strict=True):
            results.update(zip(places, output if type(output) is list else [output], strict=True))
        return [results[place] for place in range(len(tasks))]

    def _plan(self, fits: Mapping[int, FoldFit], tasks: Sequence[Task]) -> list[list[int]]:
        """Return which of the tasks make up each stack."""
        if not fits:
            return []
        places = list(fits)
        _, (_, X, y), _ = tasks[places[0]]
        n_outputs = count_outputs(y)
        numbers: dict[Hashable, int] = {}
        requests = [
            FitRequest(
                fit.network,
                numbers.setdefault(fit.samples, len(numbers)),
                len(fit.train) if fit.train.dtype != bool else int(fit.train.sum()),
                X.shape[1],
                n_outputs,
                copied_features(X),
            )
            for fit in fits.values()
        ]
        n_jobs = effective_n_jobs(self._n_jobs)
        stacks = plan_stacks(requests, n_jobs, self._max_memory)
        return [sorted(places[index] for index in stack) for stack in stacks]


def _read(task: Task, folds: dict[int, int]) -> tuple[FoldFit | None, str | None]:
    """Return a task as a fit to stack, or why it is none.

    ``folds`` numbers the folds, by the identity of their rows.
    """
    _, (estimator, X, y), options = task
    parameters = options["parameters"]
    if parameters is not None:
        # As in scikit-learn: a candidate may be an estimator itself.
        estimator = estimator.set_params(**clone(parameters, safe=False))
    reason = _why_not(estimator, X, y, options)
    if reason is not None:
        return None, reason
    fold = folds.setdefault(id(options["train"]), len(folds))
    own = {name: options[name] for name in _OF_ONE_FIT if name in options}
    if not has_callbacks(options.get("caller")) and "callback_ctx" in own:
        own["callback_ctx"] = None
    return (
        FoldFit(
            estimator,
            (fold, _preprocessing_key(estimator, parameters)),
            own,
            np.asarray(options["train"]),
            np.asarray(options["test"]),
            own.get("callback_ctx"),
        ),
        None,
    )


def _why_not(estimator: Any, X: Any, y: Any, options: Mapping[str, Any]) -> str | None:
    """Say why a fit cannot be stacked, if it cannot."""
    network = estimator
    if type(estimator) is Pipeline:
        network = estimator.steps[-1][1]
        if estimator.transform_input is not None:
            return "transform_input of a Pipeline"
        if estimator.verbose:
            return "verbose=True of a Pipeline prints one fit after the other"
    reason = why_not_stacked(network)
    if reason is not None:
        return reason
    if y is None or not hasattr(X, "shape") or len(X.shape) != 2:
        return f"X is a {type(X).__name__}, or there is no y"
    names = {name for name, value in (options["fit_params"] or {}).items() if value is not None}
    weight = "sample_weight"
    if type(estimator) is Pipeline:
        weight = f"{estimator.steps[-1][0]}__sample_weight"
    if names - {weight}:
        return f"fit is given {', '.join(sorted(names - {weight}))}"
    return None


def _preprocessing_key(estimator: Any, parameters: Mapping[str, Any] | None) -> str | None:
    """Return what is equal for two candidates whose samples are preprocessed in the same way."""
    if type(estimator) is not Pipeline or len(estimator.steps) == 1:
        return None
    of_network = f"{estimator.steps[-1][0]}__"
    others = {
        name: value
        for name, value in (parameters or {}).items()
        if not name.startswith(of_network)
    }
    try:
        key: str = joblib.hash(sorted(others.items(), key=lambda item: item[0])) if others else ""
    except Exception:
        # What cannot be pickled is only like itself: one candidate's on all of its folds.
        return str(id(parameters))
    return key


def _stack_task(fits: list[FoldFit], task: Task, number: int) -> Task:
    """Return the task of fitting and scoring a stack; all share what is in one of their tasks."""
    _, (_, X, y), options = task
    shared = {name: value for name, value in options.items() if name not in _OF_ONE_FIT}
    if "caller" in shared and fits[0].callback_ctx is None:
        # The search itself: nobody asks for it, and processes would be sent it.
        shared["caller"] = None
    stack: Task = delayed(fit_and_score_stack)(fits, X, y, Settings(shared), number)
    return stack


def _lone_task(task: Task) -> Task:
    """Return a task of scikit-learn's that an interrupt ends as it ends a stack."""
    function, args, options = task
    plain = getattr(function, "function", function)
    lone: Task = delayed(run_alone)(plain, *args, **options)
    return lone
