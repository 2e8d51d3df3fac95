"""What a fit on a table has settled before anything is trained."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_mlp.tabular.coded_rows import CodedRows
from sklearn_mlp.tabular.encoder import TabularEncoder
from sklearn_mlp.tabular.folds import Folds
from sklearn_mlp.tabular.judging import Task
from sklearn_mlp.tabular.training import Plan, Settings


@dataclass(frozen=True)
class PreparedTable:
    """Everything checked and encoded.

    Attributes
    ----------
    encoder : TabularEncoder
        Fitted.
    coded : CodedRows
        The rows that it has coded.
    y : ndarray of shape (n_rows,) or (n_rows, n_targets)
        Labels or numbers.
    weights : ndarray of shape (n_rows,) or None
        What each row counts.
    codec : LabelCodec or NumberCodec
        What the targets stand for.
    known : dict
        The fitted attributes that are known from the targets.
    task : Task
        What is learned.
    folds : list of Folds
        The rows of each group of networks.
    settings : Settings
        How they are trained.
    seeds : list of int
        One per group.
    """

    encoder: TabularEncoder
    coded: CodedRows
    y: np.ndarray
    weights: np.ndarray | None
    codec: Any
    known: dict[str, Any]
    task: Task
    folds: list[Folds]
    settings: Settings
    seeds: list[int]

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self.coded.n_rows

    def count_judgements(self) -> int:
        """Return how often networks are judged, unless training ends early."""
        plans = [Plan.of(self.n_rows, folds, self.settings) for folds in self.folds]
        return sum(len(plan.judged_after) for plan in plans)
