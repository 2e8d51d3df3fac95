"""Steps of k networks at once, by torch: forwards, backwards, and AdamW.

They run anywhere. Where there are compiled steps, those of `compiled_steps` take their place.
"""

from collections.abc import Sequence
from concurrent.futures import Executor

import torch
from torch import Tensor

from sklearn_mlp.machine.kernels import AdamVectors, adamw_update_, silu_backward_
from sklearn_mlp.tabular.batches import Stretch
from sklearn_mlp.tabular.coded_rows import CodedRows, Part
from sklearn_mlp.tabular.judging import Task
from sklearn_mlp.tabular.masks import Masks
from sklearn_mlp.tabular.members import DECAY, EPSILON, RATE_OF_BIASES, RATE_OF_SCALES, Members


class TorchSteps:
    """Takes steps of k networks.

    Parameters
    ----------
    members : Members
        The networks, changed by the steps; not apart.
    coded : CodedRows
        All rows.
    part : Part
        Of the code, that the networks take.
    task : Task
        What they learn.
    betas : tuple of float
        Of Adam.
    masks : Masks
        Draws dropout's, one for all k.
    """

    def __init__(
        self,
        members: Members,
        coded: CodedRows,
        part: Part,
        task: Task,
        betas: tuple[float, float],
        masks: Masks,
    ) -> None:
        assert not members.is_apart
        self._members, self._coded, self._part = members, coded, part
        self._betas, self._masks = betas, masks
        self._loss, self._targets = task.loss, task.targets.to(coded.device)
        values = members.values
        gradient, first, second = (torch.zeros_like(values) for _ in range(3))
        parts = members.parts_of(gradient)
        self._weight_gradients, self._bias_gradients, self._scale_gradient = parts
        # Weights, biases, scales: three runs of one vector, which a step updates at once.
        sizes = [
            sum(part.numel() for part in members.weights),
            sum(part.numel() for part in members.biases),
            members.scales.numel(),
        ]
        pieces = (vector.split(sizes) for vector in (values, gradient, first, second))
        self._runs = [AdamVectors(*run) for run in zip(*pieces, strict=True)]
        self._scaled = torch.empty_like(members.weights[0])
        self._step = 0
        self._step_holder = torch.zeros((), dtype=torch.float32, device=values.device)
        self._affine: list[Tensor] = []
        self._inputs: list[Tensor] = []
        self._picked: tuple[Tensor, Tensor] | None = None

    def take(
        self, stretch: Stretch, rates: Sequence[float], workers: Executor | None = None
    ) -> None:
        """Take steps one after the other, each at its learning rate.

        All networks take one together: there is nothing to share out among ``workers``.
        """
        masks = self._masks.by_layer(self._masks.draw(self._step, stretch.n_steps))
        device = self._coded.device
        rows, weights = stretch.rows.to(device), stretch.weights
        weights = None if weights is None else weights.to(device)
        for step, rate in enumerate(rates):
            dropped = masks[step] if masks else []
            if self._picked is None or not stretch.is_whole:
                self._picked = self._pick(rows[:, step])
            inputs, targets = self._picked
            logits = self._forward(inputs, dropped)
            delta = self._loss.gradient(logits, targets, torch.empty_like(logits))
            if weights is None:
                delta.div_(inputs.shape[-1])
            else:
                delta.mul_(weights[:, step].unsqueeze(1))
            self._backward(delta, dropped)
            self._update(rate)

    def _pick(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and targets, each (k, ..., batch), of rows (k, batch)."""
        picked = self._coded.pick(rows.reshape(-1), self._part)
        inputs = picked.view(*rows.shape, -1).transpose(1, 2)
        return inputs, self._targets[:, rows].transpose(0, 1)

    def _forward(self, inputs: Tensor, masks: list[Tensor]) -> Tensor:
        """Return the logits, (k, n_logits, batch), and keep what `_backward` needs."""
        members = self._members
        self._affine, self._inputs = [], [inputs]
        torch.mul(members.weights[0], members.scales, out=self._scaled)
        last = len(members.weights) - 1
        for layer, (weight, bias) in enumerate(zip(members.weights, members.biases, strict=True)):
            weight = weight if layer else self._scaled
            factor = members.factors[layer]
            affine = torch.baddbmm(bias, weight, self._inputs[-1], alpha=factor)
            if layer == last:
                return affine
            activated = torch.nn.functional.silu(affine)
            if masks:
                activated.mul_(masks[layer])
            self._affine.append(affine)
            self._inputs.append(activated)
        raise AssertionError("no layers")

    def _backward(self, delta: Tensor, masks: list[Tensor]) -> None:
        """Set the gradient, from that of the loss with respect to the logits."""
        members = self._members
        for layer in reversed(range(len(members.weights))):
            gradient, factor = self._weight_gradients[layer], members.factors[layer]
            inputs = self._inputs[layer].transpose(1, 2)
            torch.baddbmm(gradient, delta, inputs, beta=0, alpha=factor, out=gradient)
            torch.sum(delta, -1, keepdim=True, out=self._bias_gradients[layer])
            if layer:
                weight = members.weights[layer].transpose(1, 2)
                before = self._inputs[layer]
                delta = torch.baddbmm(before, weight, delta, beta=0, alpha=factor, out=before)
                if masks:
                    delta.mul_(masks[layer - 1])
                delta = silu_backward_(delta, self._affine[layer - 1])
        gradient = self._weight_gradients[0]
        # What the scaled weights were is not needed any more: their memory is.
        torch.mul(gradient, members.weights[0], out=self._scaled)
        torch.sum(self._scaled, 1, keepdim=True, out=self._scale_gradient)
        gradient.mul_(members.scales)

    def _update(self, rate: float) -> None:
        """Take a step of AdamW."""
        self._step += 1
        self._step_holder.add_(1)
        factors = (1.0, RATE_OF_BIASES, RATE_OF_SCALES)
        for vectors, factor, decay in zip(self._runs, factors, (DECAY, 0.0, 0.0), strict=True):
            settings = (rate * factor, *self._betas, EPSILON, decay)
            adamw_update_(vectors, self._step, self._step_holder, *settings)
