"""What hidden values are multiplied by in training: dropout's masks, one for all k networks."""

import torch
from torch import Tensor

from sklearn_mlp.tabular.plan import Plan, Settings, dropout_at

# A share that is dropped is so many of 128 parts: seven bits decide.
_PARTS = 128


class Masks:
    """Draws masks; a step's holds those of all hidden layers, one after the other.

    One that holds all rows of a network drops a unit for all of them: it does not depend on how
    many there are.

    Parameters
    ----------
    settings : Settings
        Units, dropout and type.
    plan : Plan
        How much of training is done after a step.
    generator : torch.Generator
        On the device of the networks.

    Attributes
    ----------
    is_needed : bool
        Whether anything is dropped in any step.
    """

    def __init__(self, settings: Settings, plan: Plan, generator: torch.Generator) -> None:
        self._settings, self._plan, self._generator = settings, plan, generator
        n_rows = 1 if plan.is_whole else plan.batch_size
        self._n_rows = n_rows
        self._sizes = [units * n_rows for units in settings.hidden_units]
        self.is_needed = bool(self._dropped(0)) and bool(self._sizes)

    @property
    def bytes_a_step(self) -> int:
        """How much memory a step's take at most; 0 if nothing is dropped."""
        n_units = sum(self._settings.hidden_units) * self.is_needed
        return n_units * self._plan.batch_size * self._settings.dtype.itemsize

    def draw(self, first: int, n_steps: int) -> Tensor | None:
        """Draw those of some steps, (n_steps, n_units * n_rows); None where nothing is dropped."""
        dropped = [self._dropped(step) for step in range(first, first + n_steps)]
        if not self._sizes or not any(dropped):
            return None
        n_drawn = sum(map(bool, dropped))
        # Eight numbers of one draw of 64 bits; less and less is dropped, in the end nothing.
        n_words = -(-sum(self._sizes) // 8)
        device, dtype = self._generator.device, self._settings.dtype
        drawn = torch.empty(n_drawn, n_words, dtype=torch.int64, device=device)
        drawn.random_(generator=self._generator)
        limits = torch.tensor(dropped[:n_drawn], dtype=torch.uint8, device=device)[:, None]
        bits = drawn.view(torch.uint8)[:, : sum(self._sizes)]
        kept = bits.bitwise_and_(_PARTS - 1).ge(limits)
        masks = torch.ones(n_steps, sum(self._sizes), dtype=dtype, device=device)
        masks[:n_drawn] = kept.to(dtype).div_(1 - limits.to(dtype) / _PARTS)
        return masks

    def by_layer(self, masks: Tensor | None) -> list[list[Tensor]]:
        """Return each step's masks, (units, batch) or (units, 1) for each layer; none for None."""
        return [
            [mask.view(-1, self._n_rows) for mask in step.split(self._sizes)]
            for step in ([] if masks is None else masks)
        ]

    def for_each_row(self, masks: Tensor | None) -> Tensor | None:
        """Return masks (n_steps, n_units * batch), with those that hold for all rows repeated."""
        if masks is None or not self._plan.is_whole:
            return masks
        return masks.repeat_interleave(self._plan.batch_size, dim=1)

    def _dropped(self, step: int) -> int:
        """Return how many of all parts are dropped in a step; never all of them."""
        share = dropout_at(self._settings.dropout, self._plan.share(step))
        return min(round(_PARTS * share), _PARTS - 1)
