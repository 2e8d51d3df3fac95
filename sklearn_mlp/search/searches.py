"""`BatchedGridSearchCV`, `BatchedRandomizedSearchCV` and `cross_validate_batched`."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_validate
from sklearn.pipeline import Pipeline

from sklearn_mlp.estimators.base import BaseTorchMLP
from sklearn_mlp.machine.interrupts import interrupts_end_all
from sklearn_mlp.machine.sklearn_internals import (
    BaseSearchCV,
    constraints_of,
    validate_parameter_constraints,
    with_parallel,
    with_variable,
)
from sklearn_mlp.many.planning import MAX_MEMORY
from sklearn_mlp.ranks.context import check_same_rows
from sklearn_mlp.search.parallel import StackingParallel
from sklearn_mlp.search.saved import load_search, save_search
from sklearn_mlp.sources.choice import check_in_memory


class _StackingSearch(BaseSearchCV):
    """scikit-learn's search, whose candidates and folds are trained in stacks."""

    max_memory: float

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit all candidates, together, and the best one on all of the data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        **params : dict of str to object
            As for scikit-learn's.

        Returns
        -------
        self : estimator
            The fitted search.

        Raises
        ------
        TypeError
            If the estimator is not of this package.
        ValueError
            As scikit-learn's; or if ``max_memory`` is too small for one network.
        KeyboardInterrupt
            If the user interrupts: the search is then as it was before.
        """
        check_same_rows(f"A {type(self).__name__}")
        _check_estimator(self.estimator, type(self).__name__)
        check_in_memory(X, y, type(self).__name__)
        before = dict(vars(self))
        try:
            with interrupts_end_all():
                fitted: Self = super().fit(X, y, **params)
        except KeyboardInterrupt:
            self.__dict__ = before
            raise
        return fitted

    def __getstate__(self) -> dict[str, Any]:
        return save_search(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(load_search(state))

    def _run_search(
        self, evaluate_candidates: Callable[..., Any], *, callback_ctx: Any = None
    ) -> None:
        """Run the candidates, where scikit-learn lets its subclasses say how: in stacks.

        So whoever has put another function in place of `GridSearchCV.fit` sees these fits, too.
        """
        stacking = partial(
            StackingParallel,
            n_jobs=self.n_jobs,
            max_memory=self.max_memory,
            report=bool(self.verbose),
        )
        others = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        super()._run_search(with_variable(evaluate_candidates, "parallel", stacking), **others)


class BatchedGridSearchCV(_StackingSearch, GridSearchCV):
    """scikit-learn's `GridSearchCV`, with all candidates and folds trained together.

    Networks of one form are trained as one stack: one product per layer for all of them. Each
    ends with the numbers that it would have got alone (in float64 on the CPU the same up to
    rounding), and everything else, from ``cv_results_`` to metadata routing, is scikit-learn's.

    Candidates are stacked that differ in ``random_state``, ``class_weight``, ``dropout``,
    ``label_smoothing`` and in numbers of training, such as ``alpha``, ``learning_rate_init``,
    ``beta_1``, ``tol`` or ``max_iter``. Those that differ in ``hidden_layer_sizes``,
    ``activation``, ``loss``, ``batch_size`` or ``solver`` make stacks of their own. What cannot be
    stacked, such as ``solver="lbfgs"`` or ``backend="skorch"``, is fitted one by one in the same
    call; ``verbose=1`` says which and why.

    Parameters
    ----------
    estimator : TorchMLPClassifier, TorchMLPRegressor or Pipeline
        What to search for parameters of. A Pipeline has to end in one of the others; what comes
        before is fitted once for each fold and each setting of its own parameters.
    param_grid, scoring, n_jobs, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As for scikit-learn's. ``n_jobs`` is the number of processes that the stacks are shared
        out to; under ``joblib.parallel_config(backend="dask")`` stacks are what is sent to the
        workers.
    max_memory : float or int, default=0.5
        What stacks may take: up to 1 a share of the device's free memory, above it a number of
        bytes.

    Attributes
    ----------
    cv_results_, best_estimator_, best_params_, ...
        As for scikit-learn's. ``fit_time`` and ``score_time`` are each fit's share of the time.

    See Also
    --------
    BatchedRandomizedSearchCV : The same for candidates drawn at random.
    fit_many : Fits a list of estimators together.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mlp import BatchedGridSearchCV, TorchMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = TorchMLPClassifier((8,), tol=0.01, random_state=0)
    >>> grid = {"alpha": [1e-4, 1e-2], "learning_rate_init": [0.01, 0.03]}
    >>> search = BatchedGridSearchCV(clf, grid, cv=3).fit(X, y)
    >>> sorted(search.best_params_)
    ['alpha', 'learning_rate_init']
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **constraints_of(GridSearchCV),
        "max_memory": MAX_MEMORY,
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        max_memory: float = 0.5,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.max_memory = max_memory


class BatchedRandomizedSearchCV(_StackingSearch, RandomizedSearchCV):
    """scikit-learn's `RandomizedSearchCV`, with all candidates and folds trained together.

    See `BatchedGridSearchCV` for what is trained together.

    Parameters
    ----------
    estimator : TorchMLPClassifier, TorchMLPRegressor or Pipeline
        What to search for parameters of.
    param_distributions, n_iter, scoring, n_jobs, refit, cv, verbose, pre_dispatch, random_state, \
error_score, return_train_score
        As for scikit-learn's.
    max_memory : float or int, default=0.5
        What stacks may take: up to 1 a share of the device's free memory, above it a number of
        bytes.

    Attributes
    ----------
    cv_results_, best_estimator_, best_params_, ...
        As for scikit-learn's.

    See Also
    --------
    BatchedGridSearchCV : The same for a whole grid.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mlp import BatchedRandomizedSearchCV, TorchMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = TorchMLPClassifier((8,), tol=0.01, learning_rate_init=0.02, random_state=0)
    >>> draws = {"alpha": loguniform(1e-5, 1)}
    >>> search = BatchedRandomizedSearchCV(clf, draws, n_iter=4, cv=3, random_state=0).fit(X, y)
    >>> len(search.cv_results_["params"])
    4
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **constraints_of(RandomizedSearchCV),
        "max_memory": MAX_MEMORY,
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        max_memory: float = 0.5,
    ) -> None:
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.max_memory = max_memory


def cross_validate_batched(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    scoring: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    params: dict[str, Any] | None = None,
    pre_dispatch: Any = "2*n_jobs",
    return_train_score: bool = False,
    return_estimator: bool = False,
    return_indices: bool = False,
    error_score: Any = np.nan,
    max_memory: float = 0.5,
) -> dict[str, Any]:
    """scikit-learn's `cross_validate`, with the folds trained together.

    Parameters
    ----------
    estimator : TorchMLPClassifier, TorchMLPRegressor or Pipeline
        A Pipeline has to end in one of the others.
    X, y, groups, scoring, cv, n_jobs, verbose, params, pre_dispatch, return_train_score, \
return_estimator, return_indices, error_score
        As for scikit-learn's.
    max_memory : float or int, default=0.5
        What stacks may take: up to 1 a share of the device's free memory, above it a number of
        bytes.

    Returns
    -------
    scores : dict of str to ndarray
        As scikit-learn's.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_mlp import TorchMLPClassifier, cross_validate_batched
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = TorchMLPClassifier((8,), tol=0.01, learning_rate_init=0.02, random_state=0)
    >>> cross_validate_batched(clf, X, y, cv=3)["test_score"].shape
    (3,)
    """
    check_in_memory(X, y, "cross_validate_batched")
    check_same_rows("What cross_validate_batched is given")
    table = {**constraints_of(cross_validate), "max_memory": MAX_MEMORY}
    validate_parameter_constraints(table, locals(), "cross_validate_batched")
    _check_estimator(estimator, "cross_validate_batched")
    parallel = partial(StackingParallel.making, max_memory=max_memory, report=bool(verbose))
    with interrupts_end_all():
        results: dict[str, Any] = with_parallel(cross_validate, parallel)(
            estimator,
            X,
            y,
            groups=groups,
            scoring=scoring,
            cv=cv,
            n_jobs=n_jobs,
            verbose=verbose,
            params=params,
            pre_dispatch=pre_dispatch,
            return_train_score=return_train_score,
            return_estimator=return_estimator,
            return_indices=return_indices,
            error_score=error_score,
        )
    return results


def _check_estimator(estimator: Any, name: str) -> None:
    """Check that an estimator is one whose candidates can be stacked, at least some of them."""
    last = estimator
    if isinstance(estimator, Pipeline) and estimator.steps:
        last = estimator.steps[-1][1]
    if not isinstance(last, BaseTorchMLP):
        raise TypeError(
            f"{name} takes a TorchMLPClassifier, a TorchMLPRegressor or a Pipeline that ends in "
            f"one, got {estimator!r}; use scikit-learn's own for other estimators."
        )
