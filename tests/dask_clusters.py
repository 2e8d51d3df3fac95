"""Dask clusters of worker processes, forked from one that has imported torch and the package."""

import os
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster
from rank_processes import forking_context

FORKING = {"distributed.worker.multiprocessing-method": "forkserver"}


@contextmanager
def dask_cluster(**options):
    """Have a cluster and its client, and leave this process's environment as it was.

    Dask writes its workers' numbers of threads into the environment of the process that starts
    them, too, from where every later program of the tests would inherit them.
    """
    found = dict(os.environ)
    forking_context()  # starts the process that is forked
    try:
        with (
            dask.config.set(FORKING),
            LocalCluster(dashboard_address=None, **options) as workers,
            Client(workers) as client,
        ):
            yield client
    finally:
        os.environ.clear()
        os.environ.update(found)
