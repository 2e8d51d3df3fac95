"""Dask clusters of worker processes."""

import os
from contextlib import contextmanager

from distributed import Client, LocalCluster


@contextmanager
def dask_cluster(**options):
    """Have a cluster and its client, and leave this process's environment as it was.

    Dask writes its workers' numbers of threads into the environment of the process that starts
    them, too, from where every later program of the tests would inherit them.
    """
    found = dict(os.environ)
    try:
        with LocalCluster(dashboard_address=None, **options) as workers, Client(workers) as client:
            yield client
    finally:
        os.environ.clear()
        os.environ.update(found)
