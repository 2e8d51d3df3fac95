"""`fit_on_dask`: one network, trained by the workers of a Dask cluster, each on its partitions."""

import copy
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from sklearn_mlp.estimators.base import BaseTorchMLP
from sklearn_mlp.machine.optional_packages import import_optional
from sklearn_mlp.ranks.context import Meeting, joined_at, open_store
from sklearn_mlp.ranks.group import LostRankError
from sklearn_mlp.sources.dask import DaskSource

# How long the client waits before it looks whether all workers are still there, in seconds.
_PATIENCE = 1.0
# After one worker's error the others have so long to tell theirs.
_LAST_WORDS = 5.0


def fit_on_dask(
    estimator: Any,
    X: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    client: Any = None,
    timeout: float = 600.0,
    **fit_params: Any,
) -> Any:
    """Fit an estimator on the workers of a Dask cluster, each with its own partitions.

    One network is trained by all workers that hold a partition, as by processes with rows of
    their own (`distributed`): of each mini-batch a worker trains on the rows that it has, and the
    gradients are added up. Its numbers are those of ``estimator.fit`` on the computed collections,
    whichever worker has which partition.

    Parameters
    ----------
    estimator : TorchMLPClassifier or TorchMLPRegressor
        What to fit. It stays as it is; with ``warm_start`` the copy goes on from it.
    X : dask.dataframe.DataFrame or dask.array.Array of shape (n_samples, n_features)
        The samples. Partitions that are persisted stay where they are; else they are computed.
    y, sample_weight : Series or Array of Dask's, or str
        Targets and weights, in partitions of the same rows, or names of columns of ``X``.
    client : distributed.Client, default=None
        Of the cluster; None is the current one.
    timeout : float, default=600.0
        Seconds that a worker waits for another, before it raises an error.
    **fit_params
        Further arguments of ``fit``, such as ``X_val`` and ``y_val``: arrays in memory, the same
        for all workers.

    Returns
    -------
    fitted : TorchMLPClassifier or TorchMLPRegressor
        The fitted copy.

    Raises
    ------
    TypeError
        If the estimator, or ``X``, is something else.
    ValueError
        If there is no client, no row, or two workers share a process; and as ``fit`` does.
    RuntimeError
        If a worker is lost.

    Examples
    --------
    >>> import dask.array as da
    >>> from dask.distributed import Client
    >>> from sklearn.datasets import make_classification
    >>> from sklearn_mlp import TorchMLPClassifier, fit_on_dask
    >>> X, y = make_classification(n_samples=200, random_state=0)
    >>> X, y = da.from_array(X, chunks=(50, -1)), da.from_array(y, chunks=50)
    >>> with Client(n_workers=1, processes=False, dashboard_address=None) as client:
    ...     classifier = fit_on_dask(TorchMLPClassifier(solver="lbfgs", random_state=0), X, y)
    >>> classifier.classes_
    array([0, 1])
    """
    if not isinstance(estimator, BaseTorchMLP):
        raise TypeError(
            "estimator must be a TorchMLPClassifier or a TorchMLPRegressor, got a "
            f"{type(estimator).__name__}."
        )
    if not hasattr(X, "npartitions"):
        raise TypeError(
            f"X must be a DataFrame or an array of Dask's, got a {type(X).__name__}; call "
            "estimator.fit for what is in memory."
        )
    dask = import_optional("distributed", extra="streams", purpose="fit_on_dask")
    client = dask.default_client() if client is None else client
    given = {"X": X, "y": y, "sample_weight": sample_weight}
    names = [name for name, value in given.items() if value is not None]
    parts = _computed(client, DaskSource.of(X, y, sample_weight, None))
    by_worker = _by_worker(client, parts)
    workers = list(by_worker)
    _check_processes(client, workers)
    # Of two fits at once each would hold a worker that the other waits for.
    with dask.MultiLock(names=workers, client=client):
        futures = _submitted(client, estimator, names, by_worker, timeout, fit_params)
        return _result_of(client, futures)


def _submitted(
    client: Any,
    estimator: BaseTorchMLP,
    names: Sequence[str],
    by_worker: dict[str, list[tuple[int, int, Any]]],
    timeout: float,
    fit_params: dict[str, Any],
) -> dict[Any, str]:
    """Let each worker fit; return the futures, the first one's first, and whose they are."""
    dask = import_optional("distributed", extra="streams", purpose="fit_on_dask")
    first = next(iter(by_worker))
    host = dask.comm.get_address_host(first)
    place = client.submit(open_store, host, **_only_on(first)).result(timeout)
    futures = {}
    for rank, (worker, own) in enumerate(by_worker.items()):
        future = client.submit(
            _fit_parts,
            estimator,
            names,
            [part for _, _, part in own],
            [(number, n_rows) for number, n_rows, _ in own],
            Meeting(rank, len(by_worker), *place),
            timeout,
            fit_params,
            **_only_on(worker),
        )
        futures[future] = worker
    return futures


def _only_on(worker: str) -> dict[str, Any]:
    """Return how a task is submitted to one worker, and done anew each time."""
    return {"workers": [worker], "allow_other_workers": False, "pure": False}


def _computed(client: Any, source: DaskSource) -> list[Any]:
    """Return futures of the partitions, each a tuple of samples, targets and weights."""
    dask = import_optional("dask", extra="streams", purpose="fit_on_dask")
    together = dask.delayed(_together, pure=True)
    futures: list[Any] = client.compute([together(*part) for part in source.partitions])
    return futures


def _together(*arrays: Any) -> tuple[Any, ...]:
    """Return what belongs to a partition as one."""
    lengths = [array.shape[0] for array in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"X and y, and sample_weight, must have as many rows each, got {lengths} in a "
            "partition."
        )
    return arrays


def _n_rows_of(part: tuple[Any, ...]) -> int:
    """Return how many rows a partition has."""
    return int(part[0].shape[0])


def _by_worker(client: Any, parts: Sequence[Any]) -> dict[str, list[tuple[int, int, Any]]]:
    """Return, for each worker, which partitions it trains on: number, rows, and future."""
    sizes = client.gather(client.map(_n_rows_of, parts))
    holders = client.who_has(parts)
    by_worker: dict[str, list[tuple[int, int, Any]]] = defaultdict(list)
    n_rows: Counter[str] = Counter()
    for number, (part, size) in enumerate(zip(parts, sizes, strict=True)):
        if size:
            # Where several have it, the one with fewest rows.
            worker = min(sorted(holders[part.key]), key=n_rows.__getitem__)
            n_rows[worker] += size
            by_worker[worker].append((number, size, part))
    if not by_worker:
        raise ValueError(f"X must have a row at least, got {len(parts)} partitions without any.")
    return dict(by_worker)


def _check_processes(client: Any, workers: Sequence[str]) -> None:
    """Check that no two workers share a process: torch has one group in each."""
    if len(workers) == 1:
        return
    processes = client.run(_name_process, workers=list(workers))
    name, n_workers = Counter(processes.values()).most_common(1)[0]
    if n_workers > 1:
        raise ValueError(
            f"each worker must be a process of its own, got {n_workers} in process {name}; start "
            "the cluster with processes=True, or with a single worker."
        )


def _name_process() -> str:
    """Return what tells a process from those of any machine."""
    return f"{os.getpid()} of {os.uname().nodename}" if hasattr(os, "uname") else f"{os.getpid()}"


def _fit_parts(
    estimator: BaseTorchMLP,
    names: Sequence[str],
    parts: Sequence[tuple[Any, ...]],
    pieces: Sequence[tuple[int, int]],
    meeting: Meeting,
    timeout: float,
    fit_params: dict[str, Any],
) -> BaseTorchMLP | None:
    """Fit on the partitions that a worker has, together with the others; the first returns it."""
    # In a cluster of threads it is the client's own.
    estimator = copy.deepcopy(estimator)
    arrays = [_stacked(array) for array in zip(*parts, strict=True)]
    given = dict(zip(names, arrays, strict=True))
    with joined_at(meeting, timeout, pieces):
        estimator.fit(**given, **fit_params)
    return estimator if meeting.rank == 0 else None


def _stacked(arrays: Sequence[Any]) -> Any:
    """Return arrays or frames, one below the other."""
    if len(arrays) == 1:
        return arrays[0]
    if isinstance(arrays[0], pd.DataFrame | pd.Series):
        return pd.concat(list(arrays))
    if scipy.sparse.issparse(arrays[0]):
        return scipy.sparse.vstack(arrays, format="csr")
    return np.concatenate(arrays)


def _result_of(client: Any, futures: dict[Any, str]) -> BaseTorchMLP:
    """Wait for all workers; return what the first one has fitted.

    Raises
    ------
    Exception
        That of a worker, its own before those of the others that have noticed.
    """
    dask = import_optional("distributed", extra="streams", purpose="fit_on_dask")
    waiting, workers = set(futures), list(futures.values())
    errors: list[Exception] = []
    try:
        while waiting:
            patience = _LAST_WORDS if errors else _PATIENCE
            try:
                done, waiting = dask.wait(waiting, patience, return_when="FIRST_COMPLETED")
            except TimeoutError:
                done = set()
            errors += [future.exception() for future in done if future.status != "finished"]
            lost = set(workers) - set(client.nthreads(workers=workers))
            if lost:
                raise LostRankError(
                    f"training over {len(workers)} workers has ended, because the worker at "
                    f"{sorted(lost)[0]} is gone."
                )
            if errors and not done:
                break
        if errors:
            raise next((each for each in errors if not isinstance(each, LostRankError)), errors[0])
        fitted: BaseTorchMLP = next(iter(futures)).result()
        return fitted
    finally:
        client.cancel(list(waiting))
