"""What the skorch backend adds to skorch: the same network, trained by skorch on its own.

One question: is a fit through this package's estimator slower than the same fit in plain skorch,
as its documentation would write it? Both take the same number of steps, in turn, on one thread;
the clock is the processor time of the whole process, so that another program's load does not
count. As in the other sections, only results that agree are timed::

    $ python -m benchmarks --sections overhead --workloads mnist-128 --peers ours-skorch skorch
    MNIST, (128,), batch 64
      ours-skorch          agrees: loss curve off by 2.8e-07 (margin 1e-03)
      skorch               agrees: test score off by 1.2e-03 (margin 2e-02)
      ...
    | workload | ours, ms/step | plain skorch, ms/step | ratio | range |
"""

import time
from collections.abc import Mapping
from dataclasses import replace

import torch

from benchmarks.data import DataSource
from benchmarks.peers import Peer
from benchmarks.results import Measurement
from benchmarks.runner import Log, run_workload
from benchmarks.workloads import Workload

PEERS = ("ours-skorch", "skorch")
WORKLOADS = ("small", "digits", "mnist-128", "california")


def run_overhead(
    workload: Workload,
    source: DataSource,
    peers: Mapping[str, Peer],
    *,
    repeats: int = 5,
    log: Log = print,
) -> list[Measurement]:
    """Time a workload in both; see `benchmarks.runner.run_workload`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run_workload(
            replace(workload, section="overhead", measures_limit=False),
            source,
            peers,
            repeats=repeats,
            log=log,
            clock=time.process_time,
        )
    finally:
        torch.set_num_threads(threads)
