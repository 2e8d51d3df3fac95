"""The quasi-Newton solver: SciPy's L-BFGS-B on a loss and gradient from torch."""

import warnings
from collections.abc import Callable

import numpy as np
import scipy.optimize
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from sklearn_mlp.contract.fit import PreparedFit
from sklearn_mlp.data.batches import Batch
from sklearn_mlp.machine.interrupts import end_training
from sklearn_mlp.machine.sklearn_internals import check_optimize_result
from sklearn_mlp.machine.threads import single_blas
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.steps.base import Step
from sklearn_mlp.training.divergence import warn_of_loss
from sklearn_mlp.training.rank_run import agreeing
from sklearn_mlp.training.rank_steps import Sums, never
from sklearn_mlp.training.recorder import Recorder
from sklearn_mlp.training.validator import Validator

# The samples go through in chunks of at most so many numbers per layer, which bounds the memory
# for activations and keeps a chunk's in the cache.
_CHUNK_SIZE = 1 << 21


def run_lbfgs(
    fit: PreparedFit,
    step: Step,
    parameters: ParameterVector,
    gradient: ParameterVector,
    is_interrupted: Callable[[], bool] = never,
) -> None:
    """Minimise the loss over all samples at once.

    Of several processes each has a part of the samples; the sums are the same for all, and so is
    what SciPy makes of them.

    Parameters
    ----------
    fit : PreparedFit
        What a backend gets; its state records an epoch per iteration.
    step : Step
        Computes gradients.
    parameters, gradient : ParameterVector
        Those of the network, left at the minimum, and where the step writes their gradients.
    is_interrupted : callable
        Whether the user has interrupted this process, where that is not raised.
    """
    config, state, validation = fit.config, fit.state, fit.data.validation
    sums = Sums(config.group, is_interrupted)
    objective = _Objective(fit, step, parameters, gradient, sums)
    validate = None
    if config.group is not None:
        fit, validate = agreeing(fit, is_interrupted)
    elif validation is not None:
        validate = Validator(fit.network, validation, config.loss)
    record = _Iterations(fit, parameters, validate)
    start = parameters.values.cpu().double().numpy()
    options = {"maxfun": config.max_fun, "maxiter": config.max_iter, "gtol": config.tol}
    try:
        with single_blas():
            result = scipy.optimize.minimize(
                objective, start, method="L-BFGS-B", jac=True, callback=record, options=options
            )
    except KeyboardInterrupt as interrupt:
        end_training(interrupt)
        _assign(parameters.values, record.best)
        return
    if record.is_stopped:
        state.n_iter = result.nit
    else:
        state.n_iter = check_optimize_result("lbfgs", result, config.max_iter)
    state.is_converged = result.status == 0
    state.loss = float(result.fun)
    if not state.n_iter:
        warn_of_loss(state.loss)
    _assign(parameters.values, result.x)


class _Objective:
    """The loss over all samples and its gradient, as functions of one float64 vector."""

    def __init__(
        self,
        fit: PreparedFit,
        step: Step,
        parameters: ParameterVector,
        gradient: ParameterVector,
        sums: Sums,
    ) -> None:
        self._step = step
        self._parameters = parameters
        self._gradient = gradient
        self._data = data = fit.data
        # As in mini-batches: torch refuses what is beyond the type's range.
        self._alpha = min(fit.config.alpha, torch.finfo(parameters.values.dtype).max ** 0.75)
        self._sums = sums
        n_samples = len(data.inputs)
        first, n_own = sums.part_of(n_samples)
        self._rows = range(first, first + n_own)
        widest = step.widest
        if not data.inputs.is_in_place:
            widest = max(widest, data.inputs.shape[1])
        self._chunk = max(1, min(n_samples, _CHUNK_SIZE // widest))
        self._weight_sum = float(data.n_train)
        self._shares: Tensor | None = None
        if data.sample_weight is not None:
            self._weight_sum = sums.over_rows(float(data.sample_weight.sum()))
            shares = torch.from_numpy(data.sample_weight / self._weight_sum)
            self._shares = shares.to(data.targets.device, parameters.values.dtype)

    def __call__(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient at a parameter vector."""
        with self._step.quiet():
            return self._evaluate(vector)

    def _evaluate(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        """Add up loss and gradient over chunks of the samples, and the penalty's."""
        parameters, gradient = self._parameters, self._gradient
        _assign(parameters.values, vector)
        rows = self._rows
        loss = torch.zeros((), dtype=torch.float64, device="cpu")
        if not rows:
            gradient.values.zero_()
        for start in rows[:: self._chunk]:
            batch = self._batch(start, min(start + self._chunk, rows.stop))
            logits = self._logits_for(batch.size)
            self._step.gradient(batch, logits, is_first=start == rows.start)
            losses = self._step.loss.per_sample(logits, batch.targets)
            if batch.shares is not None:
                losses = losses * batch.shares * self._weight_sum
            loss += losses.sum().cpu()
        self._sums.add_up(loss, gradient.values)
        weights = parameters.flat_weights
        gradient.flat_weights.add_(weights, alpha=self._alpha / self._weight_sum)
        square = torch.dot(weights, weights).item()
        total = (loss.item() + 0.5 * self._alpha * square) / self._weight_sum
        return total, gradient.values.cpu().double().numpy()

    def _batch(self, start: int, stop: int) -> Batch:
        """Return a chunk of the samples as a batch that counts within the whole."""
        rows = slice(start, stop)
        samples = self._data.inputs.batch(rows, copy=self._data.is_copied)
        targets = self._data.targets[rows]
        return Batch(
            samples,
            samples.t(),
            targets.t(),
            stop - start,
            None if self._shares is None else self._shares[rows],
            self._weight_sum,
        )

    def _logits_for(self, size: int) -> Tensor:
        return self._parameters.values.new_empty((self._step.n_outputs, size))


class _Iterations:
    """SciPy's callback: records iterations, prints them, ends them, keeps the last point."""

    def __init__(
        self,
        fit: PreparedFit,
        parameters: ParameterVector,
        validate: Callable[[], tuple[float, float]] | None,
    ) -> None:
        self._points = {0: parameters.values.cpu().double().numpy().copy()}
        self.is_stopped = False
        self._values = parameters.values
        self._config = fit.config
        self._state = fit.state
        self._is_looked_at = validate is not None or bool(fit.config.observers)
        self._recorder = Recorder(fit, validate)

    def __call__(self, intermediate_result: scipy.optimize.OptimizeResult) -> None:
        """Take note of one iteration."""
        point = intermediate_result.x.copy()
        self._points[self._state.n_iter + 1] = point
        loss = float(intermediate_result.fun)
        if self._config.is_printing:
            print(f"Iteration {self._state.n_iter + 1}, loss = {loss:.8f}")
        if self._is_looked_at:
            # SciPy may have evaluated another point last; it sets the next one itself.
            _assign(self._values, point)
        validation_loss, score = self._recorder.evaluate(loss, np.nan)
        self._recorder.record(loss, validation_loss, score, np.nan)
        self._points.pop(self._state.n_iter - 1, None)
        if self._recorder.is_out_of_time:
            warnings.warn(
                f"lbfgs: Maximum time (max_time={self._config.max_time} s) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=1,  # not from SciPy, which calls this
            )
            self.is_stopped = True
        # That SciPy has converged is known only afterwards.
        is_at_limit = self._state.n_iter == self._config.max_iter
        self.is_stopped |= self._recorder.tell(is_last=self.is_stopped or is_at_limit)
        if self.is_stopped:
            # SciPy takes it from here.
            raise StopIteration

    @property
    def best(self) -> np.ndarray:
        """The point of the last iteration that was recorded, whenever an interrupt comes."""
        return self._points[self._state.n_iter]


def _assign(values: Tensor, vector: np.ndarray) -> None:
    """Copy a float64 vector into the parameters."""
    with torch.no_grad():
        values.copy_(torch.from_numpy(vector))
