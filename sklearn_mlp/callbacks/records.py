"""Each epoch's row of ``history_``, passed on while a fit runs."""

import math
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any


class Records(ABC):
    """Where the records of one fit go."""

    @abstractmethod
    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Keep the numbers of an epoch, the ``step``-th since the estimator's first `fit`."""

    @abstractmethod
    def close(self, *, is_finished: bool) -> None:
        """Keep no more; a fit that has failed is not finished."""


class RecordsCallback(ABC):
    """A callback of scikit-learn's that keeps the records of every fit it is set on.

    Each fit has records of its own, whichever thread or process it runs in.
    """

    def __init__(self) -> None:
        self._open: dict[Any, Records] = {}
        self._lock = threading.Lock()

    @abstractmethod
    def _check_installed(self) -> None:
        """Raise ImportError by name if what this writes with is not there."""

    @abstractmethod
    def _begin(self, estimator: Any, name: str) -> Records:
        """Open the records of a fit; ``name`` is its place in a search, and else empty."""

    # scikit-learn's hooks.

    def setup(self, estimator: Any, context: Any) -> None:
        """Check, before anything is trained, that the records can be kept.

        Parameters
        ----------
        estimator : estimator
            What is to be fitted.
        context : CallbackContext
            Its task.
        """
        self._check_installed()

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Open the records of a fit.

        Parameters
        ----------
        estimator : estimator
            What is being fitted.
        context : CallbackContext
            The task that begins.
        """
        if context.task_name == "fit":
            records = self._begin(estimator, name_of_fit(context))
            with self._lock:
                self._open[key_of(context)] = records

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Log the epoch that has ended; close the records of a fit that has.

        Parameters
        ----------
        estimator : estimator
            What is being fitted.
        context : CallbackContext
            The task that ends.
        """
        record = getattr(context, "record", None)
        if record is not None:
            values = {
                name: value
                for name, value in record.items()
                if name != "epoch" and not math.isnan(value)
            }
            self._log(key_of(context.parent), record["epoch"], values)
        elif context.task_name == "fit":
            self._close(context, is_finished=True)

    def teardown(self, estimator: Any, context: Any) -> None:
        """Close the records of a fit that has failed.

        Parameters
        ----------
        estimator : estimator
            What was to be fitted.
        context : CallbackContext
            Its task.
        """
        self._close(context, is_finished=False)

    def _log(self, key: tuple[Any, ...], step: int, values: Mapping[str, float]) -> None:
        """Log an epoch; where that fails, the fit goes on without."""
        records = self._open.get(key)
        if records is None:
            return
        try:
            records.log(step, values)
        except Exception as error:
            with self._lock:
                del self._open[key]
            warnings.warn(
                f"{type(self).__name__} logs no more of this fit, which goes on: "
                f"{type(error).__name__}: {error}",
                stacklevel=2,
            )

    def _close(self, context: Any, *, is_finished: bool) -> None:
        with self._lock:
            records = self._open.pop(key_of(context), None)
        if records is not None:
            records.close(is_finished=is_finished)

    def __getstate__(self) -> dict[str, Any]:
        # In another process other fits are open.
        return {**vars(self), "_open": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


def _path_of(context: Any) -> list[Any]:
    """Return the tasks that a task is in, from the outermost to itself."""
    path = [context]
    while path[0].parent is not None:
        path.insert(0, path[0].parent)
    return path


def key_of(context: Any) -> tuple[Any, ...]:
    """Return what tells the task of a fit from all others."""
    path = [(one.task_name, one.task_id, one.estimator_name) for one in _path_of(context)]
    return (context.root_uuid, *path)


def name_of_fit(context: Any) -> str:
    """Return a fit's place in a search or a Pipeline, as a folder's name; empty if alone."""
    inner = [one for one in _path_of(context)[1:] if one.source_task_name]
    return "_".join(f"{one.source_task_name}-{one.task_id}" for one in inner)
