"""Which rows each step of k networks takes, and what these count."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sklearn_mlp.tabular.folds import Folds
from sklearn_mlp.tabular.plan import Plan


@dataclass(frozen=True)
class Stretch:
    """Some steps, one after the other, that nothing comes between.

    Attributes
    ----------
    rows : Tensor of shape (k, n_steps, batch), of int64
        Which rows each network takes in each step.
    weights : Tensor of shape (k, n_steps, batch) or None
        What each of them counts in its batch; None is one over the batch's size.
    is_whole : bool
        Whether these are all rows of a network, in every step the same.
    """

    rows: Tensor
    weights: Tensor | None
    is_whole: bool

    @property
    def n_steps(self) -> int:
        """How many steps these are."""
        return self.rows.shape[1]


class Batches:
    """The batches of k networks, each from its own rows.

    Parameters
    ----------
    plan : Plan
        How many steps there are, of which size, and after which networks are judged.
    folds : Folds
        The rows of each network.
    weights : Tensor of shape (n_rows,), of float64, or None
        What each row counts.
    dtype : torch.dtype
        Of what they count in a batch.
    generator : torch.Generator
        Draws the order of an epoch when it begins.
    """

    def __init__(
        self,
        plan: Plan,
        folds: Folds,
        weights: Tensor | None,
        dtype: torch.dtype,
        generator: torch.Generator,
    ) -> None:
        self._plan, self._folds, self._dtype, self._generator = plan, folds, dtype, generator
        # Relative weights, of a mean of 1.
        self._weights = None if weights is None else weights / weights[weights > 0].mean()

    def stretches(self, most_steps: int) -> Iterator[Stretch]:
        """Go through all steps, at most so many at a time.

        A stretch ends where networks are judged, and with the epoch.
        """
        plan = self._plan
        of_epochs = self._same_rows() if plan.is_whole else self._drawn_rows()
        judged_after = iter([*plan.judged_after, plan.n_steps])
        step, judged = 0, next(judged_after)
        for rows, weights in of_epochs:
            end = step + rows.shape[1]
            while step < end:
                while judged <= step:
                    judged = next(judged_after)
                n_steps = min(most_steps, judged - step, end - step)
                first = rows.shape[1] - (end - step)
                cut = slice(first, first + n_steps)
                chosen = None if weights is None else weights[:, cut]
                yield Stretch(rows[:, cut], chosen, plan.is_whole)
                step += n_steps

    def _drawn_rows(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Draw the rows of each epoch, (k, n_steps, batch), with what they count."""
        size, steps = self._plan.batch_size, self._plan.steps_an_epoch
        learned = [torch.from_numpy(rows) for rows in self._folds.learned]
        weights = None if self._weights is None else (self._weights / size).to(self._dtype)
        for done in range(0, self._plan.n_steps, steps):
            orders = torch.stack([self._order(rows, steps * size) for rows in learned])
            # The last epoch may be a part of one.
            rows = orders.view(len(orders), steps, size)[:, : self._plan.n_steps - done]
            yield rows, None if weights is None else weights[rows]

    def _order(self, rows: Tensor, n_rows: int) -> Tensor:
        """Return so many rows in random order, all of them before one comes again."""
        orders = [
            rows[torch.randperm(len(rows), generator=self._generator)]
            for _ in range(-(-n_rows // len(rows)))
        ]
        return torch.cat(orders)[:n_rows]

    def _same_rows(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Return a batch of all rows for every step; what a fold lacks counts nothing."""
        k, size = len(self._folds.learned), self._plan.batch_size
        rows = torch.zeros(k, 1, size, dtype=torch.int64)
        weights = torch.zeros(k, 1, size, dtype=torch.float64)
        for member, learned in enumerate(map(torch.from_numpy, self._folds.learned)):
            rows[member, 0, : len(learned)] = learned
            own = None if self._weights is None else self._weights[learned]
            weights[member, 0, : len(learned)] = 1 if own is None else own
        weights = (weights / weights.sum(-1, keepdim=True)).to(self._dtype)
        n_steps = self._plan.n_steps
        yield rows.expand(k, n_steps, size), weights.expand(k, n_steps, size)
