"""`distributed`, and how a fit finds out whether it is one of many processes' or alone."""

import multiprocessing
import os
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self, final

import torch.distributed as dist

from sklearn_mlp.ranks.group import Group, LostRankError, backend_for, is_initialized

_TIMEOUT = 600.0
# What torch's own ``env://`` reads.
_NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# Where the processes meet, by address and port. One is kept for as long as the process lives: were
# it closed with a group, processes that are ahead would meet the next time at one about to close.
_stores: dict[tuple[str, int], Any] = {}
# How many groups this process has initialised there: each has names of its own in the store.
_n_joined: Counter[tuple[str, int]] = Counter()
# The group of the process that this one was forked from, if it had any: it is not one of ours.
_inherited: Any = None


def _mark_inherited() -> None:
    """Take note, in a process that was just forked, of a group that is another's."""
    global _inherited
    _inherited = dist.group.WORLD if is_initialized() else None
    _JOINED.set(None)
    _stores.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_inherited)


@final
@dataclass
class _Wish:
    """What `distributed` asks for within its body.

    Attributes
    ----------
    is_on : bool
        Whether fits are one of many processes'.
    timeout, has_own_rows, pieces
        As `Group` has them.
    group : Group or None
        That of all fits within the body.
    """

    is_on: bool
    timeout: float
    has_own_rows: bool = False
    pieces: Sequence[tuple[int, int]] | None = None
    group: Group | None = None

    def open_group(self) -> Group:
        """Return the group; a new one if the last was closed, because a fit has failed."""
        if self.group is None or not self.group.is_open:
            self.group = _open_group(
                self.timeout, has_own_rows=self.has_own_rows, pieces=self.pieces
            )
        return self.group


_WISH: ContextVar[_Wish | None] = ContextVar("distributed", default=None)
# The group that a fit has joined: what it does within, such as reading a source, belongs to it.
_JOINED: ContextVar[Group | None] = ContextVar("joined", default=None)


@contextmanager
def distributed(
    enabled: bool = True, *, timeout: float = _TIMEOUT, rows: str = "same"
) -> Iterator[None]:
    """Train over the processes of torch.distributed within the body, or do not.

    Each process calls `fit` (or `partial_fit`) as if it were alone, with the same parameters and
    the same rows, and trains on its part of every mini-batch. All end with the same fitted
    estimator, whose numbers are those of a single process, to rounding.

    With ``rows="own"`` each process passes rows that the others have not, as many as it likes,
    and the numbers are those of a single process that is given all of them, one process's after
    the other's. Classes, the scale of the targets, ``class_weight="balanced"`` and the part that
    ``early_stopping`` holds out are those of all rows. Of each mini-batch a process trains on
    the rows that it has; none are exchanged, but for those held out, which all are given.

    Where ``torchrun`` has started a process, or ``torch.distributed.init_process_group`` was
    called in it, that is so without this, too. It is needed for what differs from its defaults,
    and spares many small fits from opening a group each.

    The processes find one another by torch's own means: a group that is initialised is used and
    left as it is; else one is initialised from ``RANK``, ``WORLD_SIZE``, ``MASTER_ADDR`` and
    ``MASTER_PORT``, which ``torchrun`` sets, and destroyed at the end.

    Parameters
    ----------
    enabled : bool, default=True
        Whether to train over processes. False trains alone, in this process, whatever there is.
    timeout : float, default=600.0
        Seconds that a process waits for another, before it raises an error.
    rows : {'same', 'own'}, default='same'
        Whether all processes pass the same ``X``, ``y`` and ``sample_weight``, or each its own.
        ``X_val`` and ``y_val`` are the same for all. Ignored where a process is alone.

    Raises
    ------
    ValueError
        If the time is none, ``rows`` is neither, or there is no group and nothing to initialise
        one from.

    Examples
    --------
    A script for ``torchrun --nproc-per-node 2 script.py``::

        X, y = load_digits(return_X_y=True)
        with sklearn_mlp.distributed(timeout=60):
            classifier = TorchMLPClassifier(random_state=0).fit(X, y)

    With rows in a file for each process::

        part = np.load(f"rows-{os.environ['RANK']}.npz")
        with sklearn_mlp.distributed(rows="own"):
            classifier = TorchMLPClassifier(random_state=0).fit(part["X"], part["y"])

    Within it, one process may fit something by itself:

    >>> from sklearn.datasets import make_classification
    >>> import sklearn_mlp
    >>> X, y = make_classification(n_samples=60, random_state=0)
    >>> with sklearn_mlp.distributed(False):
    ...     classifier = sklearn_mlp.TorchMLPClassifier(max_iter=2).set_params(tol=0)
    >>> classifier.max_iter
    2
    """
    if not timeout > 0:
        raise ValueError(f"timeout must be a number of seconds above 0. Got {timeout!r} instead.")
    if rows not in ("same", "own"):
        raise ValueError(f"rows must be 'same' or 'own'. Got {rows!r} instead.")
    with ExitStack() as contexts:
        if enabled and not is_initialized():
            contexts.enter_context(_initialised(Meeting.of_environment(), timeout))
        contexts.enter_context(_wished(_Wish(enabled, timeout, rows == "own")))
        yield


def open_store(address: str) -> tuple[str, int]:
    """Open, in the first process, a store for others to meet at; return where it is."""
    store = dist.TCPStore(address, 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    _stores[address, store.port] = store
    return address, store.port


@contextmanager
def joined_at(
    meeting: "Meeting", timeout: float, pieces: Sequence[tuple[int, int]]
) -> Iterator[None]:
    """Train within the body over processes that meet somewhere, each with its own rows.

    Parameters
    ----------
    meeting : Meeting
        Where; the store is no longer kept afterwards.
    timeout, pieces
        As `Group` has them.
    """
    try:
        with ExitStack() as contexts:
            is_alone = meeting.size == 1
            if not is_alone:
                contexts.enter_context(_initialised(meeting, timeout))
            contexts.enter_context(_wished(_Wish(not is_alone, timeout, True, pieces)))
            yield
    finally:
        place = meeting.address, meeting.port
        _stores.pop(place, None)
        _n_joined.pop(place, None)


@contextmanager
def _wished(wish: _Wish) -> Iterator[None]:
    """Do within the body as is wished.

    The group is opened before, so that all are told at once if the body fails in one process,
    even where that has not begun to fit.
    """
    if wish.is_on and dist.get_world_size() > 1:
        wish.open_group()
    token = _WISH.set(wish)
    try:
        yield
        if wish.group is not None:
            wish.group.leave()
    finally:
        _WISH.reset(token)
        if wish.group is not None:
            wish.group.close()


@contextmanager
def joined_group() -> Iterator[Group | None]:
    """Give the group that a fit in the body is one of; None where it is alone.

    The group is closed where the body fails: the other processes then fail, too, at once. Within
    a body it is that of the body around.
    """
    joined = _JOINED.get()
    if joined is not None and joined.is_open:
        with _closed_by_errors(joined):
            yield joined
        return
    wish = _WISH.get()
    if wish is None and not is_initialized() and "TORCHELASTIC_RUN_ID" not in os.environ:
        yield None
        return
    is_alone = not _may_join() if wish is None else not wish.is_on
    if is_alone:
        yield None
        return
    with ExitStack() as contexts:
        if not is_initialized():
            timeout = _TIMEOUT if wish is None else wish.timeout
            contexts.enter_context(_initialised(Meeting.of_environment(), timeout))
        if dist.get_world_size() == 1:
            yield None
            return
        group = _open_group(_TIMEOUT) if wish is None else wish.open_group()
        token = _JOINED.set(group)
        try:
            with _closed_by_errors(group):
                yield group
        finally:
            _JOINED.reset(token)
        if wish is None:
            group.leave()


@contextmanager
def _closed_by_errors(group: Group) -> Iterator[None]:
    """Close a group where the body fails."""
    try:
        yield
    except BaseException:
        group.close()
        raise


def check_same_rows(whose: str) -> None:
    """Check that a fit that each process does by itself is not one of those with own rows.

    Parameters
    ----------
    whose : str
        Who fits.

    Raises
    ------
    ValueError
        If each process has rows of its own, on which alone it would be trained.
    """
    wish = _WISH.get()
    if wish is not None and wish.is_on and wish.has_own_rows and dist.get_world_size() > 1:
        raise ValueError(
            f"{whose} is fitted by each process by itself, on all rows, and not within "
            "`with sklearn_mlp.distributed(rows='own'):`; fit one TorchMLPClassifier or "
            "TorchMLPRegressor there, or pass all rows within "
            "`with sklearn_mlp.distributed(False):`."
        )


def _may_join() -> bool:
    """Tell whether a fit may be one of many processes' without having been asked.

    Not in a thread, or in a process that this one has started: those of a search, say, each have
    fits of their own, and would meet one another's.
    """
    if not _is_member():
        return False
    if threading.current_thread() is threading.main_thread():
        return True
    warnings.warn(
        "a fit in a thread is this process's alone, though it is one of a group; enter `with "
        "sklearn_mlp.distributed():` in the thread to train over all of them, or `with "
        "sklearn_mlp.distributed(False):` to fit alone.",
        stacklevel=2,
    )
    return False


def _is_member() -> bool:
    """Tell whether this process is one of a group of several, or one that torchrun has started."""
    if is_initialized():
        return dist.group.WORLD is not _inherited and dist.get_world_size() > 1
    is_child = multiprocessing.parent_process() is not None
    return not is_child and int(os.environ.get("WORLD_SIZE", "1")) > 1


def _open_group(timeout: float, **rows: Any) -> Group:
    """Open a group of all processes for our own use."""
    n_here = int(os.environ.get("LOCAL_WORLD_SIZE", dist.get_world_size()))
    return Group(timeout, backend=backend_for(n_here), **rows)


@final
@dataclass(frozen=True)
class Meeting:
    """Where processes find one another.

    Attributes
    ----------
    rank, size : int
        Which of them this is, and how many there are.
    address, port : str, int
        Where the first one, or who has started them, has a store of torch's.
    """

    rank: int
    size: int
    address: str
    port: int

    @classmethod
    def of_environment(cls) -> Self:
        """Return what ``torchrun``, or another launcher, has set.

        Raises
        ------
        ValueError
            If none has.
        """
        missing = [name for name in _NAMES if name not in os.environ]
        if missing:
            raise ValueError(
                "there is no group of processes to train over: call "
                "torch.distributed.init_process_group, or start the script by torchrun, which "
                f"sets {', '.join(_NAMES)}; got no {', '.join(missing)}."
            )
        rank, size, address, port = (os.environ[name] for name in _NAMES)
        return cls(int(rank), int(size), address, int(port))

    def store(self, timeout: timedelta) -> Any:
        """Return the store, which is kept."""
        place = self.address, self.port
        if place not in _stores:
            # torchrun's own process may have it already.
            is_served = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
            _stores[place] = dist.TCPStore(  # type: ignore[attr-defined]
                *place, self.size, is_master=self.rank == 0 and not is_served, timeout=timeout
            )
        return _stores[place]


@contextmanager
def _initialised(meeting: Meeting, timeout: float) -> Iterator[None]:
    """Initialise torch's default group, and destroy it at the end."""
    patience = timedelta(seconds=timeout)
    try:
        store, place = meeting.store(patience), (meeting.address, meeting.port)
        _n_joined[place] += 1
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        own_part = dist.PrefixStore(  # type: ignore[attr-defined]
            f"sklearn_mlp/{attempt}/{_n_joined[place]}", store
        )
        dist.init_process_group(
            "gloo",
            store=own_part,
            rank=meeting.rank,
            world_size=meeting.size,
            timeout=patience,
        )
    except (RuntimeError, ValueError) as error:
        if is_initialized():
            dist.destroy_process_group()
        text = str(error).partition("\n")[0]
        raise LostRankError(
            f"rank {meeting.rank} of {meeting.size} processes could not reach the others at "
            f"{meeting.address}:{meeting.port} within timeout={timeout:g} s: {text}"
        ) from error
    try:
        yield
    finally:
        dist.destroy_process_group()
