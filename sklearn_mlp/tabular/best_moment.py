"""When networks are best: by the rows that each has not seen, of which the outputs are kept."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.tabular.coded_rows import CodedRows, Part, chunk_size
from sklearn_mlp.tabular.folds import Folds
from sklearn_mlp.tabular.judging import Task, outputs_of
from sklearn_mlp.tabular.members import FrozenMembers, Members
from sklearn_mlp.tabular.plan import Settings


@dataclass(frozen=True)
class Best:
    """The networks when they were best, and what they said of rows they had not seen."""

    values: Tensor
    temperature: float
    logits: Tensor


class Judge:
    """Judges networks by the rows that each has not seen, and keeps the best."""

    def __init__(
        self, coded: CodedRows, part: Part, task: Task, folds: Folds, settings: Settings
    ) -> None:
        self.coded, self.part, self.held = coded, part, folds.held
        self.history: list[dict[str, float]] = []
        self.best: Best | None = None
        self._n_before = 0
        self._dtype = settings.dtype
        seen = np.zeros(coded.n_rows)
        for rows in folds.held:
            np.add.at(seen, rows, 1)
        self._n_seen = torch.from_numpy(seen)
        counted = self._n_seen > 0
        if task.weights is not None:
            counted &= task.weights > 0
        if not counted.any():
            counted = self._n_seen > 0
        self._counted = counted.nonzero()[:, 0]
        self._task = task
        self._task_of_counted = task.of_rows(self._counted)

    def judge(self, members: Members) -> dict[str, float]:
        """Judge networks, and keep a copy of them if they are the best so far."""
        frozen = members.frozen()
        total = torch.zeros(members.units[-1], self.coded.n_rows, dtype=self._dtype)
        losses = {}
        for member, held in enumerate(self.held):
            logits = self._logits(frozen, member, held)
            total[:, held] += logits
            if len(held):
                losses[f"loss_{member}"] = self._task.of_rows(torch.from_numpy(held)).loss_of(
                    logits
                )
        logits = total / self._n_seen.to(self._dtype)
        task, counted = self._task_of_counted, logits[:, self._counted]
        temperature = task.temperature_of(counted)
        row = {
            "loss": task.loss_of(counted / temperature),
            "error": task.error_of(counted),
            "temperature": temperature,
            **losses,
        }
        score = task.score_of(outputs_of(task.loss, counted, temperature))
        if score is not None:
            row["score"] = score
        self.history.append(row)
        if self.best is None or self._is_best():
            self.best = Best(members.values.clone(), temperature, logits)
            self._place_of_best = len(self.history) - 1
        return row

    @property
    def best_loss(self) -> float:
        """The loss when the networks were best."""
        return self.history[self._place_of_best]["loss"]

    def end_cycle(self) -> float:
        """Return by what share this cycle has bettered loss and error, in the mean of both.

        Squares fall twice as fast as what they are squares of, and so does the loss of a
        regression: half of its fall is taken alone.
        """
        before, since = self.history[: self._n_before], self.history[self._n_before :]
        self._n_before = len(self.history)
        if not before:
            return 1.0

        def fall(name: str, offset: float) -> float:
            """Return by what share the lowest value so far has fallen."""
            least, now = (min(row[name] for row in rows) + offset for rows in (before, since))
            return (least - now) / max(abs(least), 1e-12)

        return (fall("loss", 0.0) + fall("error", 0.01)) / 2

    def _is_best(self) -> bool:
        """Tell whether the last row of the history is no worse than the best one.

        Loss and error both count, each beside its lowest so far; or what ``scoring`` says.
        """
        last, best = self.history[-1], self.history[self._place_of_best]
        if math.isnan(best["loss"]):
            return True
        if "score" in last:
            # No score, where a scorer has none, is no better than any.
            return last["score"] >= best["score"] or math.isnan(best["score"])
        if self._task.scorer == "loss":
            return last["loss"] <= best["loss"]
        least_loss = min(row["loss"] for row in self.history)
        least_error = min(row["error"] for row in self.history)

        def score(row: dict[str, float]) -> float:
            """Return loss and error, each beside its lowest; less is better."""
            error = (row["error"] + 0.01) / (least_error + 0.01)
            return row["loss"] / max(least_loss, 1e-12) + error

        return score(last) <= score(best)

    def _logits(self, frozen: FrozenMembers, member: int, rows: np.ndarray) -> Tensor:
        """Return one network's logits of rows, (n_logits, n_rows)."""
        parts = [torch.empty(frozen.weights[-1].shape[1], 0, dtype=self._dtype)]
        step = chunk_size(self.coded.device)
        for start in range(0, len(rows), step):
            chunk = torch.from_numpy(rows[start : start + step])
            parts.append(frozen.logits(self.coded.pick(chunk, self.part), member)[0].cpu())
        return torch.cat(parts, dim=1)
