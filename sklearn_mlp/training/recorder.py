"""How an epoch, or an iteration of lbfgs, comes into the history."""

import time
from collections.abc import Callable
from typing import Any, final

import numpy as np

from sklearn_mlp.contract.fit import PreparedFit


@final
class Recorder:
    """Has the network evaluated, appends to the history, keeps the time, tells the observers.

    Parameters
    ----------
    fit : PreparedFit
        With the observers, the time there is, and the records; those of earlier calls are left
        behind.
    validate : callable or None
        Returns loss and score on the validation set, if there is one.
    """

    def __init__(
        self, fit: PreparedFit, validate: Callable[[], tuple[float, float]] | None
    ) -> None:
        self._config = fit.config
        self._state = state = fit.state
        validation = fit.data.validation
        self._rescore = None if validation is None else validation.rescore
        self._validate = validate
        self._began = self._epoch_began = time.perf_counter()
        state.n_iter = 0
        state.is_converged = False

    @property
    def is_out_of_time(self) -> bool:
        """Whether ``max_time`` is over."""
        max_time = self._config.max_time
        return max_time is not None and time.perf_counter() - self._began >= max_time

    def evaluate(self, loss: float, learning_rate: float, **found: Any) -> tuple[float, float]:
        """Return loss and score on the validation set, NaN without one.

        What a scorer of the user's reads has the epoch, with what was found, but for the score.
        """
        if self._validate is None:
            return np.nan, np.nan
        if self._rescore is not None:
            row = self._row(loss, np.nan, np.nan, learning_rate)
            self._rescore.state = self._state.preview(row, **found)
        return self._validate()

    def record(
        self,
        loss: float,
        validation_loss: float,
        score: float,
        learning_rate: float,
        **found: Any,
    ) -> None:
        """Append the epoch to the history, and let the state have what else was found."""
        row = self._row(loss, validation_loss, score, learning_rate)
        self._state.epoch_recorded(row, **found)
        self._epoch_began += row["seconds"]

    def tell(self, *, is_last: bool) -> bool:
        """Tell all observers of the epoch; return whether one of them ends training with it."""
        is_ended = False
        for observer in self._config.observers:
            is_ended = observer.epoch_ended(is_last=is_last or is_ended) or is_ended
        return is_ended

    def _row(
        self, loss: float, validation_loss: float, score: float, learning_rate: float
    ) -> dict[str, float]:
        """Return a row of the history, as of now."""
        return {
            "loss": loss,
            "validation_loss": validation_loss,
            "validation_score": score,
            "learning_rate": learning_rate,
            "seconds": time.perf_counter() - self._epoch_began,
        }
