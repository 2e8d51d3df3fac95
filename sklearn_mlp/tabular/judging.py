"""What outputs of rows that a network has not seen say: its loss, its error, its temperature.

The outputs of all rows, each by networks that have not learned from it, decide when training was
best, how the two groups are weighed, how sure the classifier may be, and which classes it has
thought of too seldom.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

from sklearn_mlp.losses import Loss
from sklearn_mlp.losses.labels import ColumnsLoss
from sklearn_mlp.tabular.scoring import HeldScorer

# The logarithms of the lowest and the highest temperature, and how closely it is found.
_LOW, _HIGH, _PRECISION = -2.5, 2.0, 0.02

# How strongly the numbers added to logits are held at 0: as by so many rows. 5 and 80 do as well.
_ROWS_AGAINST_BIASES = 20.0

_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Task:
    """The targets, and what outputs are judged by.

    Attributes
    ----------
    loss : Loss
        What is minimised.
    targets : Tensor of shape (n_targets, n_rows)
        int64 codes, or numbers in the type of training.
    weights : Tensor of shape (n_rows,), of float64, or None
        What each row counts.
    n_logits : int
        How many outputs a network has.
    has_classes : bool
        Whether the targets are labels.
    is_calibrated : bool
        Whether temperatures are found, or are 1.
    scorer : HeldScorer, 'loss' or None
        What decides, instead of loss and error together.
    """

    loss: Loss
    targets: Tensor
    weights: Tensor | None
    n_logits: int
    has_classes: bool
    is_calibrated: bool
    scorer: HeldScorer | str | None = None

    def of_rows(self, rows: Tensor) -> "Task":
        """Return the task of some rows."""
        weights = None if self.weights is None else self.weights[rows]
        scorer = self.scorer
        if isinstance(scorer, HeldScorer):
            scorer = scorer.of_rows(rows.numpy())
        return replace(self, targets=self.targets[:, rows], weights=weights, scorer=scorer)

    def score_of(self, outputs: Tensor) -> float | None:
        """Return the scorer's score of outputs, (n_outputs, n_rows), if there is a scorer."""
        if not isinstance(self.scorer, HeldScorer):
            return None
        return self.scorer(outputs.t().numpy())

    def loss_of(self, logits: Tensor) -> float:
        """Return the mean loss of logits, (n_logits, n_rows)."""
        return self._mean(self.loss.per_sample(logits, self.targets))

    def error_of(self, logits: Tensor) -> float:
        """Return the share of labels that are wrong; 0 where there are none."""
        if not self.has_classes:
            return 0.0
        if self.targets.is_floating_point():
            is_wrong = (logits > 0) != (self.targets > 0.5)
        else:
            sizes = self.loss.sizes if isinstance(self.loss, ColumnsLoss) else [len(logits)]
            codes = torch.stack([block.argmax(0) for block in logits.split(sizes)])
            is_wrong = codes != self.targets
        return self._mean(is_wrong.double().mean(0))

    def temperature_of(self, logits: Tensor) -> float:
        """Return what logits are divided by for the least loss."""
        if not (self.has_classes and self.is_calibrated):
            return 1.0
        return math.exp(_golden_section(lambda place: self.loss_of(logits * math.exp(-place))))

    def biases_of(self, logits: Tensor) -> tuple[float, ...]:
        """Return what is added to each logit for the least loss; none where nothing is calibrated.

        Logits are those of each row, (n_logits, n_rows), in float64. A penalty, that of a normal
        prior, keeps what few rows say from counting much; a weight counts as so many rows, which
        scikit-learn asks of every estimator, so that the scale of the weights says something here.
        """
        if not (self.has_classes and self.is_calibrated):
            return ()
        counts = logits.new_ones(logits.shape[1]) if self.weights is None else self.weights

        def penalised_loss(biases: np.ndarray) -> tuple[float, np.ndarray]:
            """Return the summed loss and its gradient, both with the penalty."""
            added = torch.from_numpy(biases)
            moved = logits + added[:, None]
            gradient = self.loss.gradient(moved, self.targets, torch.empty_like(moved)) @ counts
            loss = self.loss.per_sample(moved, self.targets) @ counts
            penalty = _ROWS_AGAINST_BIASES * added
            return float(loss + penalty @ added / 2), (gradient + penalty).numpy()

        start = np.zeros(len(logits))
        found = scipy.optimize.minimize(penalised_loss, start, jac=True, method="L-BFGS-B")
        return tuple(found.x.tolist())

    def _mean(self, values: Tensor) -> float:
        """Return the weighted mean over the rows."""
        values = values.double()
        if self.weights is None:
            return float(values.mean())
        return float(values @ self.weights / self.weights.sum())


def outputs_of(loss: Loss, logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return probabilities, or numbers, of logits (..., n_logits, n_rows), in float64."""
    return loss.activate_(logits.double().div(temperature))


def logits_of(loss: Loss, outputs: Tensor) -> Tensor:
    """Return logits of outputs, up to what a softmax does not tell."""
    if loss.out_activation == "identity":
        return outputs
    positive = outputs.clamp(min=_LEAST_PROBABILITY)
    if loss.out_activation == "logistic":
        return positive.log() - (1 - outputs).clamp(min=_LEAST_PROBABILITY).log()
    return positive.log()


@dataclass(frozen=True)
class Mixture:
    """How the groups' outputs become one.

    Attributes
    ----------
    weights : tuple of float
        What each group counts; they sum to 1.
    temperatures : tuple of float
        What each group's logits are divided by.
    temperature : float
        The same for the logits of the mean of all networks.
    temperature_of_two : float
        The same for the mean of one network of each group.
    biases : tuple of float
        What is then added to each logit, of either mean; none if empty.
    """

    weights: tuple[float, ...]
    temperatures: tuple[float, ...]
    temperature: float = 1.0
    temperature_of_two: float = 1.0
    biases: tuple[float, ...] = ()

    def mix(self, loss: Loss, outputs: list[Tensor], temperature: float) -> Tensor:
        """Return outputs of the mixture, from those of each group, of one shape."""
        pairs = zip(self.weights, outputs, strict=True)
        mean = torch.stack([weight * each for weight, each in pairs if weight]).sum(0)
        if temperature == 1 and not self.biases:
            return mean
        logits = logits_of(loss, mean).div_(temperature)
        if self.biases:
            logits += torch.tensor(self.biases, dtype=logits.dtype)[:, None]
        return outputs_of(loss, logits)


def combine(
    task: Task, logits: list[Tensor], temperatures: list[float], k: float, n_seen: float = 1.0
) -> Mixture:
    """Weigh the groups by the outputs that each has for rows it has not seen.

    Parameters
    ----------
    task : Task
        That of these rows.
    logits : list of Tensor of shape (n_logits, n_rows)
        One per group.
    temperatures : list of float
        Those of the groups.
    k : float
        Networks of each group, whose mean predicts.
    n_seen : float
        Networks of each group that a row's logits are the mean of.

    Notes
    -----
    A mean of calibrated networks is less sure than it could be, and the more so the more networks
    it is of. The rows tell the temperature of a mean of two, one of each group. Of 2 k it is
    taken to be that to the power of ``2 (1 - 1 / k)``: the logarithm as a line in one over the
    number of pairs, which is 0 for single networks. Where more than one of each group have not
    seen a row, the 2 becomes ``1 / (1 - 1 / (2 n_seen))``. Where one group counts nothing there is
    no mean of two, and the temperature is 1, as of a group that is alone.

    Then a number for each class is added to its logits, which corrects for classes that are
    thought of too seldom: "bias-corrected temperature scaling" of Alexandari, Kundaje and
    Shrikumar (2020), :arxiv:`1901.06852`, but one after the other.
    """
    if len(logits) == 1:
        own = logits[0].double().div(temperatures[0])
        return Mixture((1.0,), (temperatures[0],), biases=task.biases_of(own))
    pairs = zip(logits, temperatures, strict=True)
    outputs = [outputs_of(task.loss, each, temperature) for each, temperature in pairs]

    def mean_at(weight: float) -> Tensor:
        """Return the mean of the groups at this weight of the first."""
        return weight * outputs[0] + (1 - weight) * outputs[1]

    def loss_at(weight: float) -> float:
        """Return what the mean at this weight is judged by; less is better."""
        mean = mean_at(weight)
        score = task.score_of(mean)
        return task.loss_of(logits_of(task.loss, mean)) if score is None else -score

    weight = min(_WEIGHTS, key=loss_at)
    # Where one group counts alone, the other's bad outputs would make it too sure of its own.
    is_pair = 0 < weight < 1
    of_two = task.temperature_of(logits_of(task.loss, mean_at(0.5))) if is_pair else 1.0
    of_all = of_two ** ((1 - 1 / k) / (1 - 1 / (2 * n_seen)))
    biases = task.biases_of(logits_of(task.loss, mean_at(weight)).div(of_two))
    return Mixture((weight, 1 - weight), tuple(temperatures), of_all, of_two, biases)


def _golden_section(function: Callable[[float], float]) -> float:
    """Return where a function with one minimum has it, between `_LOW` and `_HIGH`."""
    ratio = (math.sqrt(5) - 1) / 2
    low, high = _LOW, _HIGH
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > _PRECISION:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return (low + high) / 2
