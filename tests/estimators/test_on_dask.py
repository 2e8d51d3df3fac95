"""One network by the workers of a Dask cluster, each with its partitions."""

import os
import signal

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import rank_jobs
from dask_clusters import dask_cluster

from sklearn_mlp import TabularMLPClassifier, fit_on_dask
from sklearn_mlp.ranks.group import LostRankError

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iter")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Two workers, each a process."""
    folder = tmp_path_factory.mktemp("dask")
    with dask_cluster(n_workers=2, threads_per_worker=1, local_directory=folder) as found:
        yield found


def spread(client, collections):
    """Persist the partitions of some collections, in turns by both workers."""
    workers = sorted(client.scheduler_info()["workers"])
    placed = []
    for collection in collections:
        parts = [collection.partitions[number] for number in range(collection.npartitions)]
        there = [
            client.persist(part, workers=workers[number % 2], allow_other_workers=False)
            for number, part in enumerate(parts)
        ]
        join = dd.concat if hasattr(collection, "columns") else da.concatenate
        placed.append(join(there))
    return placed


def assert_as_alone(fitted, expected, X):
    """Compare with what one process has fitted on all."""
    learned, known = rank_jobs.numbers_of(fitted, X), rank_jobs.numbers_of(expected, X)
    for name, values in known.items():
        np.testing.assert_allclose(learned[name], values, rtol=1e-9, atol=1e-9, err_msg=name)


def test_arrays_have_the_numbers_of_one_process(client):
    X, labels, _, weights = rank_jobs.data()
    parts = [da.from_array(X, (20, -1)), da.from_array(labels, 20), da.from_array(weights, 20)]
    estimator = rank_jobs.make(early_stopping=True, class_weight="balanced")
    fitted = fit_on_dask(estimator, *spread(client, parts), client=client, timeout=20)
    assert_as_alone(fitted, estimator.fit(X, labels, weights), X)
    groups = client.cluster.scheduler.task_prefixes.items()
    n_tasks = [each.state_counts["processing"] for name, each in groups if "fit_parts" in name]
    assert n_tasks == [2]


def test_frames_have_the_numbers_of_one_process(client):
    X, _, numbers, _ = rank_jobs.data()
    frame = pd.DataFrame(X, columns=list("abcdef"))
    watched = {"X_val": frame[:20], "y_val": numbers[:20, 0]}
    (whole,) = spread(client, [dd.from_pandas(frame.assign(y=numbers[:, 0]), npartitions=3)])
    estimator = rank_jobs.make(is_classifier=False, scale_target="standard")
    fitted = fit_on_dask(estimator, whole, "y", timeout=20, **watched)
    assert fitted.feature_names_in_.tolist() == list("abcdef")
    assert not hasattr(estimator, "coefs_")
    assert_as_alone(fitted, estimator.fit(frame, numbers[:, 0], **watched), frame)


def test_an_error_of_a_worker_is_raised(client):
    X, labels, _, _ = rank_jobs.data()
    X[-1, 0] = np.nan
    parts = spread(client, [da.from_array(X, (60, -1)), da.from_array(labels, 60)])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fit_on_dask(rank_jobs.make(), *parts, client=client, timeout=20)


def test_what_it_takes(client):
    X, labels, _, _ = rank_jobs.data(20)
    with pytest.raises(TypeError, match="X must be a DataFrame or an array of Dask's, got a nd"):
        fit_on_dask(rank_jobs.make(), X, labels)
    with pytest.raises(TypeError, match="estimator must be a TorchMLPClassifier or a Torch"):
        fit_on_dask(TabularMLPClassifier(), X, labels)
    with pytest.raises(ValueError, match="X must have a row at least, got 1 partitions without"):
        fit_on_dask(rank_jobs.make(), da.from_array(X[:0]), da.from_array(labels[:0]))


class Dying:
    """A scorer that ends the process of one worker."""

    def __init__(self, process):
        self.process, self.n_calls = process, 0

    def __call__(self, estimator, X, y):
        self.n_calls += 1
        if self.n_calls == 3 and os.getpid() == self.process:
            os.kill(self.process, signal.SIGKILL)
        return estimator.score(X, y)

    def __repr__(self):
        return "Dying()"


# The last test: the cluster loses a worker.
def test_a_worker_that_dies_is_told(client):
    X, labels, _, _ = rank_jobs.data()
    parts = spread(client, [da.from_array(X, (60, -1)), da.from_array(labels, 60)])
    process = max(client.run(os.getpid).values())
    estimator = rank_jobs.make(max_iter=50, scoring=Dying(process))
    with pytest.raises(LostRankError, match="is gone"):
        fit_on_dask(estimator, *parts, timeout=20, X_val=X, y_val=labels)
