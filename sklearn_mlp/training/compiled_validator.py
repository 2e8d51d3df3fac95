"""Loss and score on a validation set of a network whose epochs are compiled, by the same code.

On networks of microseconds a step, the calls of `validator` take as long as the epoch.
"""

from typing import final

import torch
from torch import Tensor

from sklearn_mlp.compiled.plan import CompiledPlan, JudgedSamples
from sklearn_mlp.data.dense import DenseRows
from sklearn_mlp.data.samples import ValidationData
from sklearn_mlp.losses import Loss
from sklearn_mlp.losses.metrics import accuracy
from sklearn_mlp.machine.kernels import inference_mode
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.steps.prediction import widened

# Of these the largest logit, or the logit's sign, is all that the accuracy depends on.
_OF_CLASSES = ("softmax", "identity")
_OF_LABELS = ("logistic",)


@final
class CompiledValidator:
    """Evaluates a network, as it is, on the validation set; as `Validator` does in torch.

    Parameters
    ----------
    network : MLP
        Being trained.
    plan : CompiledPlan
        Of it.
    data : ValidationData
        The samples.
    loss : Loss
        For the loss and the output activation.
    """

    def __init__(self, network: MLP, plan: CompiledPlan, data: ValidationData, loss: Loss) -> None:
        assert isinstance(data.inputs, DenseRows)
        self._plan, self._data, self._loss = plan, data, loss
        has_codes = not data.targets.is_floating_point()
        counted = _OF_CLASSES if has_codes else _OF_LABELS
        self._counts_right = data.score is accuracy and loss.out_activation in counted
        is_by_loss = data.score is None or data.rescore is not None
        self._logits: Tensor | None = None
        if not (self._counts_right or is_by_loss):
            shape = network.units[-1], len(data.inputs)
            self._logits = torch.empty(shape, dtype=data.inputs.dtype, device="cpu")
        self._samples = JudgedSamples(
            data.inputs.source,
            data.targets.contiguous(),
            data.sample_weight,
            self._logits,
            is_scored=self._counts_right,
        )

    @classmethod
    def of(
        cls, network: MLP, plan: CompiledPlan, data: ValidationData | None, loss: Loss
    ) -> "CompiledValidator | None":
        """Return what evaluates a network; None where there is nothing, or it cannot."""
        if data is None or not isinstance(data.inputs, DenseRows):
            return None
        like = network.linear_layers[0].weight
        is_alike = data.inputs.source.dtype == like.dtype and data.inputs.source.is_cpu
        return cls(network, plan, data, loss) if is_alike else None

    def __call__(self) -> tuple[float, float]:
        """Return the loss, without the penalty, and the score."""
        data = self._data
        total, right = self._plan.judge(self._samples, n_threads=torch.get_num_threads())
        loss = total / self._samples.weight
        if data.rescore is not None:
            return loss, data.rescore()
        if self._counts_right:
            return loss, right / self._samples.weight
        return loss, -loss if self._logits is None else self._score(self._logits)

    def _score(self, logits: Tensor) -> float:
        """Return the score of outputs, (n_outputs, n_samples), before their activation."""
        data = self._data
        assert data.score is not None
        with inference_mode():
            outputs = widened(logits.unsqueeze(0), data.output_dtype)
            outputs = self._loss.activate_(outputs, dim=-2)
            (score,) = data.score(outputs.mT, data.targets, data.sample_weight)
        return score
