"""One of two processes that train together: it fits what it is told, and answers what came of it.

Started by `ranks.Ranks`; jobs and answers are pickles on standard input and output.
"""

import os
import pickle
import sys
import warnings
from datetime import timedelta


def answer_all(rank, size, place):
    """Do job after job until there is none."""
    jobs, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What a fit prints is no answer.
    os.dup2(2, 1)
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    if place:
        store = dist.FileStore(place, size)
        dist.init_process_group(
            "gloo", store=store, rank=rank, world_size=size, timeout=timedelta(seconds=60)
        )
    while True:
        try:
            function, arguments = pickle.load(jobs)
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
        answers.write(data)
        answers.flush()


if __name__ == "__main__":
    answer_all(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
