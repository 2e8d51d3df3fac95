"""scikit-learn's callbacks (`sklearn.callback`): a fit is a task, and each epoch a subtask.

An epoch's context has the epoch's row of ``history_`` as its attribute ``record``.

The hooks are called only if callbacks are set, on the estimator or on one that it is a part of.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sklearn.callback import CallbackContext, CallbackSupportMixin

from sklearn_mlp.machine.interrupts import end_training
from sklearn_mlp.machine.kernels import inference_mode


class EpochTasks:
    """Calls the hooks of scikit-learn's callbacks at the begin and the end of each epoch.

    Parameters
    ----------
    estimator : estimator
        What is being fitted.
    max_epochs : int
        How many there can be.
    last_record : callable
        Returns the row of ``history_`` of the epoch that ends, as a dictionary.
    hook_arguments : dict
        ``X``, ``y`` and ``metadata``, as the user passed them to `fit`.
    reconstruct : callable
        Returns the attributes that make a fitted estimator of this one, as if training had ended;
        called only if a callback asks for such an estimator.

    Attributes
    ----------
    is_interrupted : bool
        Whether the user has interrupted before training began: then it is not to begin.
    """

    def __init__(
        self,
        estimator: CallbackSupportMixin,
        max_epochs: int,
        last_record: Callable[[], dict[str, Any]],
        hook_arguments: Mapping[str, Any],
        reconstruct: Callable[[], dict[str, Any]],
    ) -> None:
        self._arguments = {"estimator": estimator, **hook_arguments}
        self._reconstruct = reconstruct
        self._last_record = last_record
        self._fit: CallbackContext | None = None
        self._epoch: CallbackContext | None = None
        self.is_interrupted = False
        with self._ending_training():
            self._fit = estimator._init_callback_context(max_subtasks=max_epochs)
            self._fit.call_on_fit_task_begin(**self._arguments)
            self._begin_epoch()

    def epoch_ended(self, *, is_last: bool) -> bool:
        """End the task of an epoch and begin the next; return whether a callback wants to stop."""
        # What a callback makes of the network must not be bound to inference.
        epoch, self._epoch = self._epoch, None
        assert epoch is not None
        epoch.record = self._last_record()
        with inference_mode(False):
            is_stopping: bool = epoch.call_on_fit_task_end(
                **self._arguments, reconstruction_attributes=self._reconstruct
            )
            if not (is_last or is_stopping):
                self._begin_epoch()
        return is_stopping

    def fit_ended(self) -> None:
        """End the task of the fit; the estimator is fitted."""
        if self._fit is None:
            return
        with self._ending_training():
            if self._epoch is not None:
                # Begun and never ended: the user interrupted, or lbfgs had no more to do.
                self._epoch.call_on_fit_task_end(**self._arguments)
            self._fit.call_on_fit_task_end(
                **self._arguments, reconstruction_attributes=self._reconstruct
            )

    @contextmanager
    def _ending_training(self) -> Iterator[None]:
        """Take an interrupt in a hook outside of the epochs as those within are taken."""
        try:
            yield
        except KeyboardInterrupt as interrupt:
            self.is_interrupted = True
            end_training(interrupt)

    def _begin_epoch(self) -> None:
        assert self._fit is not None
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(
            **self._arguments, reconstruction_attributes=self._reconstruct
        )
