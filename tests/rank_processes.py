"""Processes that train together, kept for many tests: starting one takes seconds."""

import multiprocessing
import os
from multiprocessing import forkserver
from pathlib import Path

import pytest
from ranks_worker import answer_all

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
        context = forking_context()
        self.processes, self.pipes = [], []
        for rank in range(size):
            pipe, its_pipe = context.Pipe()
            own = {**environment, "RANK": str(rank), "WORLD_SIZE": str(size)}
            process = context.Process(
                target=answer_all, args=(rank, size, str(place), its_pipe, own), daemon=True
            )
            process.start()
            its_pipe.close()
            self.processes.append(process)
            self.pipes.append(pipe)

    def tell(self, rank, function, *arguments):
        """Tell one of them to call a function; the tests' modules are there."""
        self.pipes[rank].send((function, arguments))

    def hear(self, rank):
        """Return what it has returned or raised, and the warnings."""
        return self.pipes[rank].recv()

    def call(self, function, *arguments):
        """Tell all of them; return the answers without the warnings."""
        for rank in range(len(self.processes)):
            self.tell(rank, function, *arguments)
        return [self.hear(rank)[0] for rank in range(len(self.processes))]

    def close(self):
        """End the processes."""
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join(20)
            if process.exitcode is None:
                process.kill()
                process.join()


def forking_context():
    """Return what starts processes by forking one that has imported all they need, and no more."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rank_jobs", "sklearn_mlp.skorch_backend.train"])
    paths = [str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        forkserver.ensure_running()
    return context
