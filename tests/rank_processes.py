"""Processes that train together, kept for many tests: starting one takes seconds."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


class Ranks:
    """Some processes of one group, each of which does what it is told.

    Parameters
    ----------
    size : int
        How many.
    place : Path or ""
        A file to meet at; without one they have no group until they make one.
    """

    def __init__(self, size, place="", **environment):
        paths = [str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
        common = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
        self.processes = [
            subprocess.Popen(
                [sys.executable, str(HERE / "ranks_worker.py"), str(rank), str(size), str(place)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**common, **environment, "RANK": str(rank), "WORLD_SIZE": str(size)},
            )
            for rank in range(size)
        ]

    def tell(self, rank, function, *arguments):
        """Tell one of them to call a function; the tests' modules are there."""
        stream = self.processes[rank].stdin
        pickle.dump((function, arguments), stream)
        stream.flush()

    def hear(self, rank):
        """Return what it has returned or raised, and the warnings."""
        return pickle.load(self.processes[rank].stdout)

    def call(self, function, *arguments):
        """Tell all of them; return the answers without the warnings."""
        for rank in range(len(self.processes)):
            self.tell(rank, function, *arguments)
        return [self.hear(rank)[0] for rank in range(len(self.processes))]

    def close(self):
        """End the processes."""
        for process in self.processes:
            process.stdin.close()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
