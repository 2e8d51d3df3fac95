"""Two groups of networks: trained one after the other or side by side, and what they say."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.losses import Loss
from sklearn_mlp.machine.kernels import inference_mode
from sklearn_mlp.machine.threads import shared_threads
from sklearn_mlp.tabular.coded_rows import CodedRows, Part, chunk_size
from sklearn_mlp.tabular.codes import TableCode
from sklearn_mlp.tabular.judging import Mixture, outputs_of
from sklearn_mlp.tabular.members import FrozenMembers
from sklearn_mlp.tabular.tables import Table
from sklearn_mlp.tabular.training import TrainedGroup, Watch

_SECONDS_OF_WAITING = 0.2


@dataclass(frozen=True)
class Group:
    """A group of fitted networks, and the part of the code that they take."""

    members: FrozenMembers
    part: Part

    def logits(self, coded: CodedRows, member: int | None, step: int) -> Tensor:
        """Return the logits of one network or of all, (k, n_logits, n_rows), on the CPU."""
        chunks = [
            self.members.logits(coded.chunk(slice(start, start + step), self.part), member)
            for start in range(0, coded.n_rows, step)
        ]
        return torch.cat(chunks, -1).cpu()


@dataclass(frozen=True)
class Ensemble:
    """All fitted networks.

    Attributes
    ----------
    code : TableCode
        How a table is coded.
    groups : list of Group
        The networks.
    mixture : Mixture
        How their outputs become one.
    loss : Loss
        Makes outputs of logits.
    codes : list of TableCode
        Where they do not share one code, that of the first network of each group, and so on.
    """

    code: TableCode
    groups: list[Group]
    mixture: Mixture
    loss: Loss
    codes: list[TableCode] = field(default_factory=list)

    def member_outputs(
        self, table: Table, device: torch.device, *, skip: bool = False
    ) -> list[Tensor | None]:
        """Return the outputs of each group's networks, (k, n_outputs, n_rows), in float64.

        With ``skip``, those of a group that counts nothing are None.
        """
        dtype = self.groups[0].members.dtype
        step = chunk_size(device)
        work = sum(weight[0].size for weight in self.groups[0].members.weights) * step
        is_asked = [bool(weight) or not skip for weight in self.mixture.weights]
        parts: list[list[Tensor]] = [[] for _ in self.groups]
        with shared_threads(float(work)), inference_mode():
            for member, code in enumerate(self.codes or [self.code]):
                coded = CodedRows.of(code, table, dtype, device, keep=False)
                chosen = member if self.codes else None
                for place, group in enumerate(self.groups):
                    if is_asked[place] and member < group.members.k:
                        parts[place].append(group.logits(coded, chosen, step))
            temperatures = self.mixture.temperatures
            return [
                outputs_of(self.loss, torch.cat(each), temperature) if each else None
                for each, temperature in zip(parts, temperatures, strict=True)
            ]

    def outputs(self, table: Table, device: torch.device) -> np.ndarray:
        """Return the mean outputs, (n_rows, n_outputs)."""
        found = self.member_outputs(table, device, skip=True)
        means = [each.mean(0) for each in found if each is not None]
        counted = [weight for weight in self.mixture.weights if weight]
        mixture = replace(self.mixture, weights=tuple(counted))
        return mixture.mix(self.loss, means, mixture.temperature).t().numpy()


def train_groups(
    train: Callable[[int], TrainedGroup],
    n_groups: int,
    *,
    watch: Watch,
    max_time: float | None,
    n_threads: int,
) -> list[TrainedGroup]:
    """Train groups of networks; one after the other, or each on a thread.

    After an interrupt, or the end of ``max_time`` seconds, those that have begun are as good as
    they have become; the first one is always there.
    """
    began = time.monotonic()
    if n_threads > 1:
        watch.deadline = None if max_time is None else began + max_time
        return _train_side_by_side(train, n_groups, watch)
    trained: list[TrainedGroup] = []
    for place in range(n_groups):
        if max_time is not None:
            watch.deadline = began + max_time * (place + 1) / n_groups
        if not trained or not watch.is_ending.is_set():
            trained.append(train(place))
    return trained


def _train_side_by_side(
    train: Callable[[int], TrainedGroup], n_groups: int, watch: Watch
) -> list[TrainedGroup]:
    """Train each group on a thread; an interrupt, which comes to this one, ends them all."""
    with ThreadPoolExecutor(n_groups) as pool:
        futures = [pool.submit(train, place) for place in range(n_groups)]
        while True:
            try:
                # Not for ever: only between two waits can the signal of an interrupt be handled.
                if not wait(futures, timeout=_SECONDS_OF_WAITING).not_done:
                    return [future.result() for future in futures]
            except KeyboardInterrupt as interrupt:
                watch.interrupt = interrupt
                watch.is_ending.set()
            except BaseException:
                watch.is_ending.set()
                raise
