"""A group of processes: sums over them by torch.distributed, and its errors made clear."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, final

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor


def is_initialized() -> bool:
    """Tell whether this process has a group of torch's; not every build of torch can have one."""
    return dist.is_available() and dist.is_initialized()


class LostRankError(RuntimeError):
    """Another process of the group has failed, is gone, or did not come within the time set."""


@final
class Group:
    """The processes that train a network together.

    A group of its own for each fit, or each `distributed`: it is closed where a fit fails, which
    the others notice at once, and the user's own group stays as it is.

    Parameters
    ----------
    timeout : float
        Seconds that a process waits for another.
    backend : str
        torch's backend for the type of device that is trained on.
    has_own_rows : bool
        Whether each process has rows of its own; else all are given the same.
    pieces : sequence of (int, int), optional
        Of which pieces this process's rows are made, one after the other: a number by which the
        pieces of all are put in order, and how many rows. The default is one, in the order of
        the processes.

    Attributes
    ----------
    rank, size : int
        The number of this process, and how many there are.
    seed : int
        What all draw from where ``random_state`` is None; set by the agreement.
    """

    def __init__(
        self,
        timeout: float,
        *,
        backend: str = "gloo",
        has_own_rows: bool = False,
        pieces: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        self.timeout = timeout
        self.has_own_rows, self.pieces = has_own_rows, pieces
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.seed = 0
        self._group: Any = None
        self._is_closed = False
        with self._told_clearly():
            self._group = dist.new_group(
                backend=backend, timeout=timedelta(seconds=timeout), group_desc="sklearn_mlp"
            )
            # One that fails at once must not leave while another is about to connect.
            dist.barrier(group=self._group)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that speaks for all."""
        return self.rank == 0

    @property
    def is_open(self) -> bool:
        """Whether the processes can still be reached."""
        return self._group is not None

    def sum_(self, values: Tensor) -> Tensor:
        """Replace values by their sums over all processes, the same bits for each of them."""
        with self._told_clearly():
            dist.all_reduce(values, group=self._group)
        return values

    def sum_of(self, values: np.ndarray) -> np.ndarray:
        """Return the sums of float64 values over all processes."""
        return self.sum_(torch.from_numpy(values.copy())).numpy()

    def broadcast_(self, values: Tensor) -> Tensor:
        """Replace values by those of the first process."""
        with self._told_clearly():
            dist.broadcast(values, 0, group=self._group)
        return values

    def gather(self, value: Any) -> list[Any]:
        """Return what each process has, in their order."""
        values = [None] * self.size
        with self._told_clearly():
            dist.all_gather_object(values, value, group=self._group)
        return values

    @contextmanager
    def errors_told(self, of_what: str) -> Iterator[None]:
        """Let an error of one process in the body be told by all of them.

        Parameters
        ----------
        of_what : str
            What a process could not do, for the others' message.

        Raises
        ------
        ValueError
            In the others, with what was said.
        """
        try:
            yield
        except Exception as error:
            self.gather(f"{type(error).__name__}: {error}")
            raise
        for rank, text in enumerate(self.gather("")):
            if text:
                raise ValueError(f"rank {rank} could not {of_what}. {text}")

    def leave(self) -> None:
        """Leave the group when all are done with it."""
        if self._group is not None:
            with self._told_clearly():
                dist.barrier(group=self._group)
            self.close()

    def close(self) -> None:
        """Leave the group at once; whoever waits for this process is told so."""
        group, self._group = self._group, None
        self._is_closed = True
        if group is not None and is_initialized():
            dist.destroy_process_group(group)

    @contextmanager
    def _told_clearly(self) -> Iterator[None]:
        """Say what torch's errors mean here."""
        if self._is_closed:
            raise LostRankError(
                f"training over {self.size} processes has ended on rank {self.rank}, because a "
                "fit within it has failed."
            )
        try:
            yield
        except (RuntimeError, ValueError) as error:
            # torch has a class for some of them, and a plain RuntimeError for the rest.
            text = str(error).partition("\n")[0]
            raise LostRankError(
                f"training over {self.size} processes has ended on rank {self.rank}, because "
                "another process has failed or is gone (see its own error), or did not call fit "
                f"as this one did within timeout={self.timeout:g} s: {text}"
            ) from error


def backend_for(n_ranks_here: int) -> str:
    """Return torch's backend: NCCL where each process on this machine has a GPU of its own.

    Decisions are exchanged on the CPU, by gloo, which can also take what lies on a GPU.
    """
    has_gpus = torch.cuda.is_available() and torch.cuda.device_count() >= n_ranks_here
    return "cpu:gloo,cuda:nccl" if has_gpus and dist.is_nccl_available() else "gloo"
