"""Which fits can be trained in one stack, and how they are divided into stacks."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch

from sklearn_mlp.estimators.base import BaseTorchMLP
from sklearn_mlp.estimators.classifier import TorchMLPClassifier
from sklearn_mlp.estimators.regressor import TorchMLPRegressor
from sklearn_mlp.machine.devices import free_memory, resolve_device
from sklearn_mlp.machine.kernels import has_hooks_on_all_modules
from sklearn_mlp.machine.placement import Placement
from sklearn_mlp.machine.sklearn_internals import Interval, has_callbacks
from sklearn_mlp.network.architecture import hidden_units

# What the parameter max_memory may be.
MAX_MEMORY = [
    Interval(Real, 0, 1, closed="right"),
    Interval(Integral, 1, None, closed="neither"),
]

# A stack's activations and parameters should stay in the cache that a core has to itself, or
# nearly: measured, see benchmarks/.
_CACHE_BYTES = 4 << 20


def why_not_stacked(estimator: Any) -> str | None:
    """Say why an estimator cannot be trained together with others; None if it can.

    Parameters
    ----------
    estimator : estimator
        Unfitted, or to be fitted anew.
    """
    if type(estimator) not in (TorchMLPClassifier, TorchMLPRegressor):
        return f"{type(estimator).__name__} is not TorchMLPClassifier or TorchMLPRegressor itself"
    try:
        return _why_its_parameters_forbid(estimator)
    except Exception as error:
        # Such as an array where a flag should be; its fit will tell.
        return f"its parameters cannot be compared: {error}"


def _why_its_parameters_forbid(estimator: Any) -> str | None:
    """Say why an estimator's parameters keep it out of a stack, if they do."""
    if estimator.warm_start and estimator.__sklearn_is_fitted__():
        return "warm_start=True goes on from an earlier fit"
    if has_hooks_on_all_modules():
        return "torch has hooks on all modules, which a stack does not call"
    if has_callbacks(estimator):
        return "callbacks follow one fit after the other"
    for name, row in estimator._table.items():
        value = getattr(estimator, name)
        why = row.alone(value)
        if why is not None:
            return f"{name}={value!r} is trained one by one: {why}"
    return None


def equal_parameters(estimator: BaseTorchMLP) -> Hashable:
    """Return the parameters that networks of one stack share."""
    shared = [name for name, row in estimator._table.items() if not row.differs]
    return type(estimator), tuple((name, value_key(getattr(estimator, name))) for name in shared)


def value_key(value: Any) -> Hashable:
    """Return what is equal for two values of a parameter that mean the same."""
    if isinstance(value, list | tuple):
        return type(value), tuple(map(value_key, value))
    if isinstance(value, dict):
        return type(value), tuple((value_key(key), value_key(one)) for key, one in value.items())
    if hasattr(value, "__array__"):
        # An array, or a Series, prints no more than some digits of some of its numbers.
        return type(value), np.asarray(value).dtype.str, value_key(np.asarray(value).tolist())
    # Of a function, or a scorer, its name: each network calls its own.
    return repr(value)


@dataclass(frozen=True)
class FitRequest:
    """A fit that can be stacked.

    Attributes
    ----------
    estimator : BaseTorchMLP
        With its parameters set.
    samples : int
        Which of the sets of samples it is fitted on.
    n_samples, n_features, n_outputs : int
        How many there are; the last may be an estimate.
    n_copied : int
        Of how many of a sample's numbers an epoch holds a copy.
    """

    estimator: BaseTorchMLP
    samples: int
    n_samples: int
    n_features: int
    n_outputs: int
    n_copied: int

    @property
    def key(self) -> Hashable:
        """A value that has to be equal for two fits to be stacked."""
        return equal_parameters(self.estimator), self.n_samples, self.n_features

    @cached_property
    def placement(self) -> Placement:
        """Device, type and batch size that the fit would have."""
        device = resolve_device(self.estimator.device)
        return Placement.of(vars(self.estimator), device, self.n_samples)

    @property
    def footprint(self) -> tuple[int, int]:
        """Bytes of one such network: those that each step touches, and all."""
        estimator, n_samples = self.estimator, self.n_samples
        batch, n_bytes = self.placement.batch_size, self.placement.dtype.itemsize
        units = (self.n_features, *hidden_units(estimator.hidden_layer_sizes), self.n_outputs)
        n_parameters = sum((n_in + 1) * n_out for n_in, n_out in pairwise(units))
        # Parameters, gradient, two moments; activations and their gradients.
        step = 4 * n_parameters + 2 * sum(units[1:]) * batch
        # The network's own parameters, before and after; an epoch's logits and what the loss
        # makes of them; an epoch's samples, if no other network shares them.
        rest = 4 * n_parameters + 4 * n_samples * self.n_outputs + n_samples * self.n_copied
        return step * n_bytes, (step + rest) * n_bytes


def plan_stacks(requests: Sequence[FitRequest], n_jobs: int, max_memory: float) -> list[list[int]]:
    """Divide fits into stacks.

    Parameters
    ----------
    requests : sequence of FitRequest
        The fits.
    n_jobs : int
        Into how many processes the stacks will go.
    max_memory : float
        See `memory_bound`.

    Returns
    -------
    stacks : list of list of int
        Places in ``requests``, those that share samples side by side.
    """
    groups: dict[Hashable, list[int]] = {}
    for place, request in enumerate(requests):
        groups.setdefault(request.key, []).append(place)
    stacks = []
    for places in groups.values():
        limit = _largest_stack(requests[places[0]], n_jobs, max_memory)
        by_samples: dict[int, list[int]] = {}
        for place in places:
            by_samples.setdefault(requests[place].samples, []).append(place)
        stacks += _divide(list(by_samples.values()), limit)
    stacks.sort(key=len, reverse=True)
    return _balance(stacks, n_jobs)


def _divide(parts: list[list[int]], limit: int) -> list[list[int]]:
    """Cut parts that are too large into even pieces, and put small ones together."""
    stacks: list[list[int]] = []
    for part in parts:
        n_pieces = -(-len(part) // limit)
        if n_pieces == 1 and stacks and len(stacks[-1]) + len(part) <= limit:
            stacks[-1] = stacks[-1] + part
            continue
        bounds = np.linspace(0, len(part), n_pieces + 1).astype(int)
        stacks += [part[start:stop] for start, stop in pairwise(bounds)]
    return stacks


def _balance(stacks: list[list[int]], n_jobs: int) -> list[list[int]]:
    """Cut the last stacks into pieces, so that all processes end at about the same time."""
    n_left = len(stacks) % n_jobs
    if n_left == 0:
        return stacks
    whole, left = stacks[: len(stacks) - n_left], stacks[len(stacks) - n_left :]
    pieces = []
    for index, stack in enumerate(left):
        n_pieces = min(len(stack), n_jobs // n_left + (index < n_jobs % n_left))
        bounds = np.linspace(0, len(stack), n_pieces + 1).astype(int)
        pieces += [stack[start:stop] for start, stop in pairwise(bounds)]
    return whole + pieces


def _largest_stack(request: FitRequest, n_jobs: int, max_memory: float) -> int:
    """Return how many such networks make a stack."""
    try:
        device = request.placement.device
        per_step, total = request.footprint
    except Exception:
        # A parameter is wrong, as fitting it will tell.
        return 1
    limit = 1 << 20
    bound = memory_bound(max_memory, device)
    if bound is not None:
        bound //= n_jobs if device.type == "cpu" else 1
        if total > bound:
            raise ValueError(
                f"max_memory={max_memory} allows {bound} bytes for a stack of networks, but one "
                f"with hidden_layer_sizes={request.estimator.hidden_layer_sizes} needs about "
                f"{total}; raise max_memory, or lower hidden_layer_sizes or batch_size"
                + (f", or n_jobs={n_jobs}." if n_jobs > 1 else ".")
            )
        limit = int(bound // total)
    if device.type == "cpu":
        limit = min(limit, max(1, _CACHE_BYTES // per_step))
    return limit


def memory_bound(max_memory: float, device: torch.device) -> int | None:
    """Return how many bytes stacks may take; None if it is not known how many there are.

    Parameters
    ----------
    max_memory : float or int
        Up to 1 a share of the device's free memory, above it a number of bytes.
    device : torch.device
        Where the stacks go.
    """
    if max_memory > 1:
        return int(max_memory)
    free = free_memory(device)
    return None if free is None else int(free * float(max_memory))
