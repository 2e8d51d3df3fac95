"""A time counts only where the results agree.

The reference is scikit-learn's own estimator on float64 arrays. A peer that follows the same
trajectory (same initial weights, same mini-batches, same update) is held to the reference's loss
curve; one that draws its own weights and batches is held to the reference's test score; a
prediction is held to the reference's predictions.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.wording import count

FLOAT64_CURVE_MARGIN = 1e-9
"""Largest relative difference of a loss curve in float64: rounding, nothing else."""

FLOAT32_CURVE_MARGIN = 1e-3
"""Largest relative difference of a float32 loss curve from the float64 one."""

CLIPPED_CURVE_MARGIN = 1e-2
"""The same for scikit-learn's own float32, which cuts probabilities off at float32's epsilon
before it takes their logarithm: the loss that it reports is lower while a few rows are far off."""

PREDICTION_MARGIN = 1e-3
"""Largest share of rows predicted differently; float32 may break a tie the other way."""


@dataclass(frozen=True)
class Agreement:
    """The outcome of one comparison with the reference.

    Attributes
    ----------
    rule : str
        What was compared.
    deviation : float
        How far it was off, in the rule's own unit; nan where there is nothing to compare.
    margin : float
        How far it may be off.
    note : str
        Why the comparison failed, or why there was none.
    """

    rule: str
    deviation: float
    margin: float
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the peer's times may be reported."""
        return bool(self.deviation <= self.margin)


def compare_curves(
    curve: npt.ArrayLike, reference: npt.ArrayLike, margin: float, rule: str = "loss curve"
) -> Agreement:
    """Hold a loss curve, one value per epoch, to the reference's over all epochs run.

    The deviation is the largest relative difference of any epoch's loss. Curves of different
    lengths never agree: one of the two stopped early, and did less work.
    """
    ours, theirs = np.atleast_1d(np.asarray(curve)), np.atleast_1d(np.asarray(reference))
    if ours.shape != theirs.shape:
        note = f"{count(len(ours), 'epoch')} instead of {len(theirs)}"
        return Agreement(rule, float("inf"), margin, note)
    deviation = float(np.max(np.abs(ours - theirs) / np.abs(theirs)))
    if not np.isfinite(deviation):
        return Agreement(rule, float("inf"), margin, "the loss is not finite")
    return Agreement(rule, deviation, margin, _excess(rule, deviation, margin))


def compare_scores(score: float, reference: float, margin: float) -> Agreement:
    """Hold a test score to the reference's; better by more than the margin is off as well."""
    deviation = abs(score - reference)
    if not np.isfinite(deviation):
        return Agreement("test score", float("inf"), margin, "the score is not finite")
    note = _excess("test score", deviation, margin)
    return Agreement("test score", deviation, margin, note)


def compare_predictions(
    predictions: npt.ArrayLike, reference: npt.ArrayLike, margin: float = PREDICTION_MARGIN
) -> Agreement:
    """Hold predicted labels to the reference's: the share that differs."""
    ours, theirs = np.asarray(predictions), np.asarray(reference)
    if ours.shape != theirs.shape:
        note = f"shape {ours.shape} instead of {theirs.shape}"
        return Agreement("predictions", float("inf"), margin, note)
    deviation = float(np.mean(ours != theirs))
    return Agreement("predictions", deviation, margin, _excess("predictions", deviation, margin))


def _excess(rule: str, deviation: float, margin: float) -> str:
    return "" if deviation <= margin else f"{rule} off by {deviation:.2g}, margin {margin:.2g}"
