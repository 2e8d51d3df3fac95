"""Loss and score on a validation set, of a network, or of k that are watched on the same one."""

import math

from torch import Tensor, nn

from sklearn_mlp.data.samples import ValidationData
from sklearn_mlp.losses import Loss
from sklearn_mlp.machine.kernels import inference_mode
from sklearn_mlp.steps.prediction import predict_in_chunks, widened


class Validator:
    """Evaluates a network, as it is, on the validation set.

    Parameters
    ----------
    network : Module
        Being trained.
    data : ValidationData
        The samples.
    loss : Loss
        For the loss and the output activation.
    """

    def __init__(self, network: nn.Module, data: ValidationData, loss: Loss) -> None:
        self._network = network
        self._data = data
        self._loss = loss

    def __call__(self) -> tuple[float, float]:
        """Return the loss, without the penalty, and the score.

        A network for which it matters is left in eval mode; whoever trains it sets the other.
        """
        data = self._data
        logits = predict_in_chunks(self._network, data.inputs, lambda logits: logits)
        with inference_mode():
            ((loss, score),) = evaluate(logits.t().unsqueeze(0), data, self._loss)
        return loss, score if data.rescore is None else data.rescore()


def evaluate(logits: Tensor, data: ValidationData, loss: Loss) -> list[tuple[float, float]]:
    """Return loss, without the penalty, and score of k networks.

    Parameters
    ----------
    logits : Tensor of shape (k, n_outputs, n_samples)
        Their outputs before the activation, on the CPU; may be changed.
    data : ValidationData
        What they are compared with.
    loss : Loss
        For the loss and the output activation.

    Returns
    -------
    evaluations : list of (float, float)
        One per network; the score is NaN where a scorer of the user's has to find it.
    """
    targets, weights = data.targets, data.sample_weight
    losses = loss.per_sample(logits, targets.t().expand(len(logits), -1, -1)).double()
    means = losses.mean(1) if weights is None else (losses @ weights) / weights.sum()
    values: list[float] = means.tolist()
    if data.rescore is not None:
        return [(value, math.nan) for value in values]
    if data.score is None:
        return [(value, -value) for value in values]
    predictions = loss.activate_(widened(logits, data.output_dtype), dim=-2)
    return list(zip(values, data.score(predictions.mT, targets, weights), strict=True))
