"""The end of an epoch, for every backend: records, progress, stopping, the best weights."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from sklearn_mlp.contract.fit import PreparedFit
from sklearn_mlp.contract.state import Snapshot
from sklearn_mlp.solvers.averaging import Average
from sklearn_mlp.training.recorder import Recorder
from sklearn_mlp.training.schedules import make_schedule
from sklearn_mlp.training.validator import Validator

_UNCONVERGED = "%s reached and the optimization hasn't converged yet."
_NOTHING_TO_GO_BY = (
    "the validation score was not a finite number after any epoch, and the initial weights are "
    "put back in place. Lower learning_rate_init, or scale the data."
)


class EpochMonitor:
    """Decides at each epoch's end whether training goes on, and keeps the best weights.

    Parameters
    ----------
    fit : PreparedFit
        The network being trained, the rules, the validation set if there is one, and the records,
        which are brought up to date at each epoch's end.
    weights : Tensor of shape (n_parameters + n_buffers,)
        The network's parameters and floating-point buffers, kept when they are the best so far.
    validate : callable or None
        Returns loss and score on the validation set, where a `Validator` is not what finds them.
    average : Average or None
        Of the weights; what is scored, and left when training has ended, if it has begun.
    """

    def __init__(
        self,
        fit: PreparedFit,
        weights: Tensor,
        validate: Callable[[], tuple[float, float]] | None = None,
        average: Average | None = None,
    ) -> None:
        network, validation = fit.network, fit.data.validation
        self.config = config = fit.config
        self.state = state = fit.state
        self.schedule = make_schedule(config, state)
        self._average = average
        self.is_stopping_early = config.early_stopping and validation is not None
        self._is_watching = validation is not None or validate is not None
        if validation is not None and validate is None:
            validate = Validator(network, validation, config.loss)
        self._counters = [value for value in network.buffers() if not value.is_floating_point()]
        self._live = [weights, *self._counters]
        self._recorder = Recorder(fit, validate)
        state.is_validated = validation is not None
        if not self.is_stopping_early and state.best_loss is None:
            state.best_loss = np.inf
        self._begin_watching()

    def follow(self, weights: Tensor, average: Average | None) -> None:
        """Watch on, where other parameters are trained from now on, in other memory."""
        self._live, self._average = [weights, *self._counters], average
        self._begin_watching()

    def _begin_watching(self) -> None:
        """Set what scores are compared with."""
        state, config = self.state, self.config
        if not state.is_validated:
            return
        is_anew = state.best_validation_score is None or state.scoring != config.scoring
        if is_anew:
            state.best_validation_score = -np.inf
        state.scoring = config.scoring
        if not config.incremental:
            # A later, warm-started fit has no such copy: if nothing in it is better than what
            # came before, scikit-learn ends with its last weights.
            state.best = None
        if self.is_stopping_early and (is_anew or (config.incremental and state.best is None)):
            state.best = Snapshot.of(self._live)

    def epoch_ended(self, loss: float, n_samples: int) -> bool:
        """Record an epoch and tell whether it was the last.

        Parameters
        ----------
        loss : float
            The epoch's training loss.
        n_samples : int
            How many samples it used.
        """
        self._say("Iteration %d, loss = %.8f", self.state.n_iter + 1, loss)
        if self._average is None:
            return self._evaluate(loss, n_samples)
        self._average.epoch_ended(self.state.epochs_scheduled + 1)
        with self._average.in_place():
            return self._evaluate(loss, n_samples)

    def _evaluate(self, loss: float, n_samples: int) -> bool:
        """Evaluate the network as it is, record it, and tell whether training is to end."""
        state = self.state
        found: dict[str, Any] = {"samples_seen": state.samples_seen + n_samples}
        is_better = not self.is_stopping_early and self._compare_loss(loss, found)
        rate = self.schedule.last_rate
        validation_loss, score = self._recorder.evaluate(loss, rate, **found)
        if self._is_watching:
            is_improved = self._compare_score(score, found)
            is_better = is_improved if self.is_stopping_early else is_better
        found["no_improvement_count"] = 0 if is_better else state.no_improvement_count + 1
        self._recorder.record(loss, validation_loss, score, rate, **found)
        self.schedule.epoch_ended()
        is_last = self._is_last()
        return self._recorder.tell(is_last=is_last) or is_last

    def restore_best(self) -> None:
        """Put the averages, and then the best weights, if any were kept, in place.

        The best are those of averages, where there are averages; a fit forgets them.
        """
        state, config = self.state, self.config
        if self._average is not None:
            self._average.settle()
        if self.is_stopping_early and not config.incremental:
            # The solver's memory belongs to other weights, and is not pickled.
            state.optimizer = None
        if state.best is None or (config.incremental and not state.is_converged):
            return
        # Not where the user has interrupted before there was a score.
        last = state.history.column("validation_score")[-1:]
        if state.best_validation_score == -np.inf and not np.isfinite(last).all():
            self._warn(_NOTHING_TO_GO_BY)
        state.best.restore(self._live)
        if not config.incremental:
            state.best = None

    def _is_last(self) -> bool:
        """Tell whether the epoch that has just been recorded was the last."""
        state, config = self.state, self.config
        if state.no_improvement_count > config.n_iter_no_change and self._stalled():
            state.is_converged = True
            if config.incremental and self.is_stopping_early:
                # A later call goes on from the best weights and waits as long as this one did.
                state.no_improvement_count = 0
            return True
        if config.incremental:
            return True
        if state.n_iter == config.max_iter:
            self._warn(_UNCONVERGED % f"Maximum iterations ({config.max_iter})")
            return True
        if self._recorder.is_out_of_time:
            self._warn(_UNCONVERGED % f"Maximum time (max_time={config.max_time} s)")
            return True
        return False

    def _warn(self, message: str) -> None:
        """Warn of how training has ended."""
        warnings.warn(
            f"Stochastic Optimizer: {message}",
            ConvergenceWarning,
            stacklevel=1,  # from this package, so that a filter by module="sklearn" takes it
        )

    def _compare_loss(self, loss: float, found: dict[str, Any]) -> bool:
        """Find the best loss and tell whether this one improved on it by more than ``tol``."""
        best = self.state.best_loss
        assert best is not None
        # Written so that a NaN counts as an improvement, as it does in scikit-learn.
        is_better = not loss > best - self.config.tol
        found["best_loss"] = min(best, loss) if loss == loss else best
        return is_better

    def _compare_score(self, score: float, found: dict[str, Any]) -> bool:
        """Find the best score, with the weights, and tell whether this one improved on it."""
        best = self.state.best_validation_score
        assert best is not None
        self._say("Validation score: %f", score)
        self._check_score(score)
        if score > best:
            found["best_validation_score"] = score
            if self.is_stopping_early:
                found["best"] = Snapshot.of(self._live)
        return not score < best + self.config.tol

    def _check_score(self, score: float) -> None:
        """Check that a scorer of the user's gives something to go by.

        The network's own score, and loss, are NaN where it has diverged; what then follows is
        scikit-learn's: training goes on, and ends with the best weights there were.
        """
        scoring = self.config.scoring
        if self.is_stopping_early and scoring not in (None, "loss") and not math.isfinite(score):
            raise ValueError(
                f"scoring={scoring!r} must return a finite number where early stopping goes by "
                f"it, got {score} after epoch {self.state.n_iter + 1}."
            )

    def _stalled(self) -> bool:
        """Stop, or let the schedule lower the learning rate and count anew."""
        what = "Validation score" if self.is_stopping_early else "Training loss"
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
        if self.config.is_printing:
            print(message % values)
