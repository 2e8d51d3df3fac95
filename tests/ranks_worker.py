"""One of two processes that train together: it fits what it is told, and answers what came of it.

Started by `rank_processes.Ranks`; jobs and answers go through a pipe.
"""

import os
import pickle
import warnings
from datetime import timedelta


def answer_all(rank, size, place, pipe, environment):
    """Do job after job until there is none."""
    import torch
    import torch.distributed as dist

    os.environ.update(environment)
    torch.set_num_threads(1)
    if place:
        store = dist.FileStore(place, size)
        dist.init_process_group(
            "gloo", store=store, rank=rank, world_size=size, timeout=timedelta(seconds=60)
        )
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            break
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                answer = function(*arguments)
            except BaseException as error:
                answer = error
        texts = [str(warning.message) for warning in caught]
        try:
            data = pickle.dumps((answer, texts))
        except Exception as error:
            data = pickle.dumps((RuntimeError(f"{answer!r}: {error!r}"), texts))
        pipe.send_bytes(data)
