"""What a fit on a table has settled before anything is trained."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sklearn_mlp.tabular.codes import TableCode
from sklearn_mlp.tabular.encoder import TabularEncoder
from sklearn_mlp.tabular.folds import Folds
from sklearn_mlp.tabular.judging import Task
from sklearn_mlp.tabular.plan import Plan, Settings
from sklearn_mlp.tabular.tables import Table


@dataclass(frozen=True)
class GivenRows:
    """The rows as they were passed to `fit`, checked.

    Attributes
    ----------
    table : Table
        The columns.
    X : table of shape (n_rows, n_columns)
        The same as the user has it.
    y : ndarray of shape (n_rows,) or (n_rows, n_targets)
        Labels or numbers.
    weights : ndarray of shape (n_rows,) or None
        The sample weights.
    """

    table: Table
    X: Any
    y: np.ndarray
    weights: np.ndarray | None

    def of_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return targets and sample weights of some rows."""
        return self.y[rows], None if self.weights is None else self.weights[rows]

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """Return what each row counts among some rows, (n_rows,)."""
        counts = np.bincount(rows, minlength=len(self.y)).astype(np.float64)
        return counts if self.weights is None else counts * self.weights


@dataclass(frozen=True)
class Lesson:
    """What networks are told of rows and targets: those of all folds, or those of one.

    Attributes
    ----------
    code : TableCode
        How rows are coded.
    task : Task
        What is learned.
    codec : LabelCodec or NumberCodec
        What the targets stand for.
    known : dict
        The fitted attributes that are known from the targets.
    common : Task
        The task with the targets of the first lesson, by which outputs are mixed.
    factor, shift : ndarray of shape (n_logits,) or (1,)
        By what logits are multiplied, and what is then added, to be those of the first lesson.
    """

    code: TableCode
    task: Task
    codec: Any
    known: dict[str, Any]
    common: Task
    factor: np.ndarray = field(default_factory=lambda: np.ones(1))
    shift: np.ndarray = field(default_factory=lambda: np.zeros(1))


@dataclass(frozen=True)
class PreparedTable:
    """Everything checked and encoded.

    Attributes
    ----------
    encoder : TabularEncoder
        Fitted.
    given : GivenRows
        The rows.
    weights : ndarray of shape (n_rows,) or None
        What each row counts, by its class, too.
    known : dict
        The fitted attributes that are known from the targets.
    task : Task
        What all rows are judged by.
    lessons : list of Lesson
        One, or one for each fold where these are to know nothing of one another.
    folds : list of Folds
        The rows of each group of networks.
    settings : Settings
        How they are trained.
    seeds : list of int
        One per group.
    """

    encoder: TabularEncoder
    given: GivenRows
    weights: np.ndarray | None
    known: dict[str, Any]
    task: Task
    lessons: list[Lesson]
    folds: list[Folds]
    settings: Settings
    seeds: list[int]

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self.given.table.n_rows

    @property
    def is_apart(self) -> bool:
        """Whether each fold has a lesson of its own."""
        return self.folds[0].is_apart

    def count_judgements(self) -> int:
        """Return how often networks are judged, unless training ends early."""
        stacks = [each for folds in self.folds for each in folds.stacks()]
        plans = [Plan.of(self.n_rows, folds, self.settings) for folds in stacks]
        return sum(len(plan.judged_after) for plan in plans)
