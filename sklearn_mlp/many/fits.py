"""Many fits at once: `fit_many`, and what the batched searches share with it."""

import time
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse
import torch
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from sklearn_mlp.arrays.stored import StoredArray
from sklearn_mlp.contract.fit import CheckedSamples, PreparedFit
from sklearn_mlp.data.kinds import copied_features, rows_to_train_on
from sklearn_mlp.estimators.backends import BACKENDS
from sklearn_mlp.estimators.base import BaseTorchMLP
from sklearn_mlp.machine.interrupts import interrupts_end_all
from sklearn_mlp.machine.isolation import isolated
from sklearn_mlp.machine.sklearn_internals import safe_indexing, validate_parameter_constraints
from sklearn_mlp.machine.threads import shared_threads
from sklearn_mlp.many.arguments import (
    check_arguments,
    check_estimators,
    check_lengths,
    number_index_sets,
    with_shape,
)
from sklearn_mlp.many.planning import (
    FitRequest,
    equal_parameters,
    plan_stacks,
    value_key,
    why_not_stacked,
)
from sklearn_mlp.network.memory import is_device_full, release_memory
from sklearn_mlp.network.mlp import count_parameters
from sklearn_mlp.ranks.context import check_same_rows
from sklearn_mlp.training.stack import stack_key


def fit_many(
    estimators: Iterable[BaseTorchMLP],
    X: Any,
    y: Any,
    *,
    indices: Sequence[Any] | None = None,
    sample_weight: Any = None,
    n_jobs: int | None = None,
    max_memory: float = 0.5,
    verbose: int = 0,
) -> list[BaseTorchMLP]:
    """Fit many estimators, those that have the same form together, as one stack of networks.

    Each ends as if it had been fitted alone: with ``dtype="float64"`` on the CPU its numbers are
    the same up to rounding. For repeated seeds, bagging, ensembles; the batched searches rest on
    it. Those whose epochs are compiled (``engine_ == "compiled"``) are trained one by one within a
    job, which takes less time than a stack.

    Parameters
    ----------
    estimators : iterable of TorchMLPClassifier or TorchMLPRegressor
        Unfitted; they are fitted in place. Those are stacked that differ in ``random_state``,
        ``class_weight``, ``dropout`` and in numbers of training only, such as ``alpha``,
        ``learning_rate_init`` or ``max_iter``.
    X : array-like, sparse matrix, DataFrame or Tensor of shape (n_samples, n_features)
        The samples.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets.
    indices : sequence of array-like of int, default=None
        For each estimator the rows of ``X`` that it is fitted on, at least one, as often as they
        are named; or a mask of them. By default each is fitted on all.
    sample_weight : array-like of shape (n_samples,) or float, default=None
        Weights of the rows of ``X``, or one for all.
    n_jobs : int, default=None
        In how many processes to train the stacks, as everywhere in scikit-learn. On several GPUs
        stacks go to each in turn: as many processes keep all of them busy.
    max_memory : float or int, default=0.5
        What the stacks may take: up to 1 a share of the free memory, above it a number of bytes.
    verbose : int, default=0
        1 says which estimators are not stacked, and why.

    Returns
    -------
    estimators : list of estimators
        The same objects, fitted.

    Raises
    ------
    TypeError
        If one of the estimators is not of this package.
    ValueError
        If an argument is none of those above, or ``max_memory`` too small for one network. If an
        estimator cannot be fitted, or whatever else its `fit` raises; the others are fitted then.
    KeyboardInterrupt
        If the user interrupts: those are not fitted that were being trained.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mlp import TorchMLPClassifier, fit_many
    >>> X, y = load_iris(return_X_y=True)
    >>> seeds = [TorchMLPClassifier((8,), tol=0.05, random_state=seed) for seed in range(5)]
    >>> len({float(clf.loss_) for clf in fit_many(seeds, X, y)})
    5
    """
    check_same_rows("What fit_many is given")
    check_arguments(locals())
    estimators = check_estimators(estimators)
    X = with_shape(X)
    check_lengths(X.shape[0], y, sample_weight)
    index_sets, samples = number_index_sets(indices, len(estimators), X.shape[0])
    reasons = _why_alone(estimators)
    if verbose:
        for place, reason in enumerate(reasons):
            if reason is not None:
                print(f"fit_many: estimator {place} is not stacked: {reason}.")
    jobs = _plan_jobs(estimators, samples, index_sets, reasons, X, y, n_jobs, max_memory)
    results = Parallel(n_jobs=n_jobs)(
        delayed(_run_job)(
            [estimators[place] for place in places],
            [samples[place] for place in places],
            index_sets,
            (X, y, sample_weight),
            number,
            is_stacked=reasons[places[0]] is None,
        )
        for number, places in enumerate(jobs)
    )
    _take_fitted(estimators, jobs, results)
    return estimators


def _take_fitted(
    estimators: Sequence[BaseTorchMLP], jobs: Sequence[Sequence[int]], results: Sequence[Any]
) -> None:
    """Give the estimators what their jobs have fitted; raise the first one's error, if any."""
    errors: dict[int, Exception] = {}
    for places, (fitted, outcomes) in zip(jobs, results, strict=True):
        for place, one, outcome in zip(places, fitted, outcomes, strict=True):
            if one is not estimators[place]:
                # A process has fitted a copy.
                estimators[place].__dict__.update(vars(one))
            if outcome.error is not None:
                errors[place] = outcome.error
    if errors:
        raise errors[min(errors)]


@dataclass
class Outcome:
    """The outcome of one fit of many.

    Attributes
    ----------
    seconds : float
        The fit's share of the time.
    error : Exception or None
        Why it failed.
    """

    seconds: float = 0.0
    error: Exception | None = None


@isolated
def fit_stacked(
    estimators: Sequence[BaseTorchMLP],
    samples: Sequence[Hashable],
    sets: Mapping[Any, tuple[Any, Any, Any]],
    number: int = 0,
) -> list[Outcome]:
    """Fit estimators in place, those in one stack that can be.

    Parameters
    ----------
    estimators : sequence of BaseTorchMLP
        The estimators.
    samples : sequence of hashable
        The key of each one's samples.
    sets : dict of hashable to (X, y, sample_weight)
        The samples.
    number : int
        Which stack it is: on several GPUs they go to each in turn.

    Returns
    -------
    outcomes : list of Outcome
        One per estimator. Errors are kept, not raised.
    """
    n_gpus = torch.cuda.device_count()
    # Doubles are told the device, and trained: the user's parameters stay what they are.
    doubles = [estimator._double() for estimator in estimators]
    for double in doubles:
        double.device = device_of_stack(double.device, number, n_gpus)
    return _fit_stacked(estimators, doubles, samples, sets)


def device_of_stack(device: Any, number: int, n_gpus: int) -> Any:
    """Return the parameter ``device`` for a stack: one of the GPUs, if it may be any."""
    is_any = isinstance(device, str) and device in ("auto", "cuda")
    return f"cuda:{number % n_gpus}" if is_any and n_gpus > 1 else device


def _fit_stacked(
    estimators: Sequence[BaseTorchMLP],
    doubles: Sequence[BaseTorchMLP],
    samples: Sequence[Hashable],
    sets: Mapping[Any, tuple[Any, Any, Any]],
) -> list[Outcome]:
    """Fit estimators, by way of doubles that name the devices."""
    began = time.perf_counter()
    outcomes = [Outcome() for _ in estimators]
    generators = _states_of_generators(estimators)
    prepared = _prepared(doubles, samples, sets, outcomes)
    failed: list[int] = []
    for places in _stacks_of(prepared):
        try:
            _train_together([doubles[place] for place in places], [prepared[p] for p in places])
        except Exception as error:
            outcomes[places[0]].error = error
            failed += places if len(places) > 1 else []
            continue
        for place in places:
            try:
                estimators[place]._finish(prepared[place])
            except Exception as error:
                outcomes[place].error = error
    epochs = {place: fit.state.n_iter for place, fit in prepared.items()}
    seconds = (time.perf_counter() - began) / max(1, sum(epochs.values()))
    for place, n_epochs in epochs.items():
        outcomes[place].seconds = seconds * n_epochs
    prepared.clear()
    for place in [*failed, *_short_of_memory(outcomes, failed)]:
        # Which of a stack it was is not known, nor what is left of the others.
        if place in generators:
            estimators[place].random_state.set_state(generators[place])
        outcomes[place] = _fit_alone(estimators[place], sets[samples[place]])
    return outcomes


def _prepared(
    doubles: Sequence[BaseTorchMLP],
    samples: Sequence[Hashable],
    sets: Mapping[Any, tuple[Any, Any, Any]],
    outcomes: Sequence[Outcome],
) -> dict[int, PreparedFit]:
    """Return by its place each fit that can be trained; the others' outcomes get their errors."""
    prepared = {}
    for key in dict.fromkeys(samples):
        places = [place for place, one in enumerate(samples) if one == key]
        ready = prepare_together([doubles[place] for place in places], *sets[key])
        for place, one in zip(places, ready, strict=True):
            if isinstance(one, Exception):
                outcomes[place].error = one
            else:
                prepared[place] = one
    return prepared


def _stacks_of(prepared: Mapping[int, PreparedFit]) -> list[list[int]]:
    """Return the places of those that are trained as one, stack by stack."""
    stacks: dict[Hashable, list[int]] = {}
    for place, fit in prepared.items():
        # A callable weight_init may have hooked, frozen or pruned a layer.
        # Compiled epochs take less time one by one than in a stack: measured, 0.75 to 0.85 of it.
        is_stacked = fit.config.engine == "closed_form"
        stacks.setdefault(stack_key(fit) if is_stacked else place, []).append(place)
    return list(stacks.values())


def _short_of_memory(outcomes: Sequence[Outcome], failed: Sequence[int]) -> list[int]:
    """Return who else had not enough of a device's memory; free what the errors hold of it."""
    places = []
    for place, outcome in enumerate(outcomes):
        if outcome.error is not None and is_device_full(outcome.error):
            release_memory(outcome.error)
            places += [place] if place not in failed else []
    return places


def _states_of_generators(estimators: Sequence[BaseTorchMLP]) -> dict[int, Any]:
    """Return the state of each estimator's generator, where ``random_state`` is one."""
    states = [estimator.random_state for estimator in estimators]
    return {
        place: state.get_state()
        for place, state in enumerate(states)
        if isinstance(state, np.random.RandomState)
    }


def _train_together(estimators: Sequence[BaseTorchMLP], fits: Sequence[PreparedFit]) -> None:
    """Train what can be stacked, or a single one."""
    if len(fits) == 1:
        estimators[0]._train(fits[0])
        return
    work = count_parameters(fits[0].network) * fits[0].config.batch_size
    with shared_threads(len(fits) * work):
        BACKENDS["torch"](fits)


def _fit_alone(estimator: BaseTorchMLP, samples: tuple[Any, Any, Any]) -> Outcome:
    """Fit an estimator in place, by its own `fit`, called as scikit-learn's tools call it."""
    began = time.perf_counter()
    outcome = Outcome()
    X, y, sample_weight = samples
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    try:
        estimator.fit(X, y, **weights)
    except Exception as error:
        outcome.error = error
    outcome.seconds = time.perf_counter() - began
    return outcome


def prepare_together(
    estimators: Sequence[BaseTorchMLP], X: Any, y: Any, sample_weight: Any
) -> list[PreparedFit | Exception]:
    """Prepare estimators that are fitted on the same samples, which are checked once."""
    checked: dict[Hashable, CheckedSamples] = {}
    converted: dict[Hashable, Any] = {}
    valid: set[Hashable] = set()
    ready: list[PreparedFit | Exception] = []
    for estimator in estimators:
        try:
            _validate_parameters(estimator, valid)
            # The targets, and what they count, depend on these.
            class_weight = getattr(estimator, "class_weight", None)
            key = (equal_parameters(estimator), value_key(class_weight))
            parameters = estimator._check_parameters()
            if key not in checked:
                checked[key] = estimator._check_samples(
                    parameters, X, y, sample_weight, incremental=False
                )
            samples = _in_training_type(estimator, checked[key], converted)
            ready.append(estimator._prepare(parameters, samples, incremental=False))
        except Exception as error:
            ready.append(error)
    return ready


def _validate_parameters(estimator: BaseTorchMLP, valid: set[Hashable]) -> None:
    """Check parameters as `fit` does, but for values that others of its type have had.

    ``valid`` knows these, and is added to.
    """
    kind = type(estimator).__name__
    table, parameters = estimator._checkable_parameters()
    values = {
        name: value
        for name, value in parameters.items()
        if (f"{kind}.{name}", value_key(value)) not in valid
    }
    validate_parameter_constraints(table, values, kind)
    valid.update((f"{kind}.{name}", value_key(value)) for name, value in values.items())


def _in_training_type(
    estimator: BaseTorchMLP, samples: CheckedSamples, converted: dict[Hashable, Any]
) -> CheckedSamples:
    """Bring the samples into the type, and to the device, to train in: once for all that do."""
    # A scorer of the user's gets held-out samples as they came; what is in a file stays there.
    if estimator.scoring not in (None, "loss") or isinstance(samples.X, StoredArray):
        return samples
    dtype, device = samples.placement.dtype, samples.placement.device
    # Sparse matrices, which SciPy holds, are on the host.
    place = torch.device("cpu") if scipy.sparse.issparse(samples.X) else device
    if (dtype, place) not in converted:
        converted[dtype, place] = rows_to_train_on(samples.X, dtype, place).source
    return replace(samples, samples=replace(samples.samples, X=converted[dtype, place]))


def take_samples(X: Any, y: Any, sample_weight: Any, rows: Any) -> tuple[Any, Any, Any]:
    """Return some rows of the samples; all for None."""
    if rows is None:
        return X, y, sample_weight
    weight = sample_weight
    if not (weight is None or isinstance(weight, Real)):
        weight = safe_indexing(weight, rows)
    return safe_indexing(X, rows), safe_indexing(y, rows), weight


def _why_alone(estimators: Sequence[BaseTorchMLP]) -> list[str | None]:
    """Say for each estimator why it cannot be stacked, if it cannot."""
    generators = [id(estimator.random_state) for estimator in estimators]
    reasons = []
    for estimator, generator in zip(estimators, generators, strict=True):
        reason = why_not_stacked(estimator)
        # Fits that draw from one generator have to follow each other.
        is_generator = isinstance(estimator.random_state, np.random.RandomState)
        if reason is None and is_generator and generators.count(generator) > 1:
            reason = "its random_state is a generator that others draw from, too"
        reasons.append(reason)
    return reasons


def _plan_jobs(
    estimators: Sequence[BaseTorchMLP],
    samples: Sequence[int],
    index_sets: Sequence[Any],
    reasons: Sequence[str | None],
    X: Any,
    y: Any,
    n_jobs: int | None,
    max_memory: float,
) -> list[list[int]]:
    """Return which estimators go into one job, in the order to start them in."""
    stacked = [place for place, reason in enumerate(reasons) if reason is None]
    requests = [
        FitRequest(
            estimators[place],
            samples[place],
            X.shape[0] if (rows := index_sets[samples[place]]) is None else len(rows),
            X.shape[1] if len(X.shape) > 1 else 1,
            count_outputs(y),
            copied_features(X),
        )
        for place in stacked
    ]
    stacks = plan_stacks(requests, effective_n_jobs(n_jobs), max_memory)
    jobs = [[stacked[place] for place in places] for places in stacks]
    alone: dict[int, list[int]] = {}
    for place, reason in enumerate(reasons):
        if reason is not None:
            state = estimators[place].random_state
            is_generator = isinstance(state, np.random.RandomState)
            alone.setdefault(id(state) if is_generator else -place, []).append(place)
    return jobs + list(alone.values())


def count_outputs(y: Any) -> int:
    """Return about how many outputs networks for these targets have.

    1 if it cannot be told: what is wrong with them the fits will say.
    """
    try:
        shape = np.shape(y)
        if len(shape) > 1 and shape[1] > 1:
            return int(shape[1])
        array = np.asarray(y).reshape(-1)
        return 1 if array.dtype.kind == "f" else len(np.unique(array))
    except Exception:
        return 1


def _run_job(
    estimators: list[BaseTorchMLP],
    samples: list[int],
    index_sets: Sequence[Any],
    data: tuple[Any, Any, Any],
    number: int,
    *,
    is_stacked: bool,
) -> tuple[list[BaseTorchMLP], list[Outcome]]:
    """Fit some estimators, in one stack or one after the other; return them."""
    sets = {key: take_samples(*data, index_sets[key]) for key in dict.fromkeys(samples)}
    with interrupts_end_all():
        if is_stacked:
            return estimators, fit_stacked(estimators, samples, sets, number)
        pairs = zip(estimators, samples, strict=True)
        return estimators, [_fit_alone(estimator, sets[key]) for estimator, key in pairs]
