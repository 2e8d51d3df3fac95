"""The end of an epoch, for every backend: records, progress, stopping, the best weights."""

import time
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from sklearn_mlp.config import TrainingConfig
from sklearn_mlp.schedules import make_schedule
from sklearn_mlp.state import TrainingState


class EpochMonitor:
    """Decides at each epoch's end whether training goes on, and keeps the best weights.

    Parameters
    ----------
    config : TrainingConfig
        The rules.
    state : TrainingState
        The records; brought up to date at each epoch's end.
    weights : Tensor of shape (n_parameters,)
        The parameters being trained, read when they are the best so far.
    score : callable or None
        Returns the validation score of the present weights; None without early stopping.
    """

    def __init__(
        self,
        config: TrainingConfig,
        state: TrainingState,
        weights: Tensor,
        score: Callable[[], float] | None,
    ) -> None:
        self.config = config
        self.state = state
        self.weights = weights
        self.score = score
        self.schedule = make_schedule(config, state)
        self.best_weights: Tensor | None = None
        state.n_iter = 0
        if score is None:
            state.best_loss = np.inf if state.best_loss is None else state.best_loss
        elif state.best_validation_score is None:
            # A later, warm-started fit has no such copy: if nothing in it is better than what
            # came before, scikit-learn ends with its last weights.
            state.best_validation_score = -np.inf
            self.best_weights = weights.clone()
        self._latest_score = np.nan
        self._epoch_began = time.perf_counter()

    def epoch_ended(self, loss: float, n_samples: int) -> bool:
        """Record an epoch and tell whether it was the last.

        Parameters
        ----------
        loss : float
            The epoch's training loss.
        n_samples : int
            How many samples it used.
        """
        state, config = self.state, self.config
        state.n_iter += 1
        state.loss = loss
        state.samples_seen += n_samples
        self._say("Iteration %d, loss = %.8f", state.n_iter, loss)
        is_better = self._validate() if self.score else self._compare_loss(loss)
        state.no_improvement_count = 0 if is_better else state.no_improvement_count + 1
        self._record(loss)
        self.schedule.epoch_ended()
        if state.no_improvement_count > config.n_iter_no_change and self._stalled():
            return True
        if config.incremental:
            return True
        if state.n_iter == config.max_iter:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({config.max_iter}) "
                "reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )
            return True
        return False

    def restore_best(self) -> None:
        """Put the best weights seen, if any were kept, back in place."""
        if self.best_weights is not None:
            self.weights.copy_(self.best_weights)

    def _compare_loss(self, loss: float) -> bool:
        """Keep the best loss and tell whether this one improved on it by more than ``tol``."""
        best = self.state.best_loss
        assert best is not None
        # Written so that a NaN counts as an improvement, as it does in scikit-learn.
        is_better = not loss > best - self.config.tol
        self.state.best_loss = min(best, loss) if loss == loss else best
        return is_better

    def _validate(self) -> bool:
        """Score the present weights, keep the best, and tell whether they improved."""
        assert self.score is not None
        score, best = self.score(), self.state.best_validation_score
        assert best is not None
        self._say("Validation score: %f", score)
        self._latest_score = score
        if score > best:
            self.state.best_validation_score = score
            self.best_weights = self.weights.clone()
        return not score < best + self.config.tol

    def _record(self, loss: float) -> None:
        """Append the epoch to the history."""
        # All at once: an interrupt must not leave columns of different lengths.
        history, now = self.state.history, time.perf_counter()
        history.validation_score.append(self._latest_score)
        history.loss.append(loss)
        history.learning_rate.append(self.schedule.last_rate)
        history.seconds.append(now - self._epoch_began)
        self._epoch_began = now

    def _stalled(self) -> bool:
        """Stop, or let the schedule lower the learning rate and count anew."""
        what = "Validation score" if self.score else "Training loss"
        is_stopping, answer = self.schedule.progress_stalled()
        self._say(
            "%s did not improve more than tol=%f for %s consecutive epochs. %s",
            what,
            self.config.tol,
            self.config.n_iter_no_change,
            answer,
        )
        if not is_stopping:
            self.state.no_improvement_count = 0
        return is_stopping

    def _say(self, message: str, *values: object) -> None:
        if self.config.verbose:
            print(message % values)
