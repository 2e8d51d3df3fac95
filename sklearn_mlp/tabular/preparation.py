"""What is done before networks for tables are trained: check, encode, split."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils import Bunch, check_consistent_length, check_random_state

from sklearn_mlp.arrays.target_checks import validate_targets
from sklearn_mlp.arrays.tensors import on_host
from sklearn_mlp.losses import Loss
from sklearn_mlp.machine.devices import resolve_device
from sklearn_mlp.machine.placement import resolve_dtype
from sklearn_mlp.machine.random_numbers import draw_seed
from sklearn_mlp.machine.shared_memory import tensor_to_read
from sklearn_mlp.network.architecture import hidden_units
from sklearn_mlp.sources.choice import check_in_memory
from sklearn_mlp.tabular.coded_rows import Part
from sklearn_mlp.tabular.encoder import TabularEncoder, check_weights
from sklearn_mlp.tabular.folds import Folds, RowsToSplit, check_groups, split_for_groups
from sklearn_mlp.tabular.judging import Task
from sklearn_mlp.tabular.plan import EXACT_ROWS, PASSES, ROWS_OF_LONG_RUNS, Settings
from sklearn_mlp.tabular.prepared_fit import GivenRows, Lesson, PreparedTable
from sklearn_mlp.tabular.scoring import HeldScorer
from sklearn_mlp.tabular.tables import read_table

# By default, even if there are fewer networks: each has to know most of the rows.
_LEAST_FOLDS = 4


class PreparesTables(ABC):
    """The parameters of the estimators, and what a fit settles before it trains."""

    hidden_layer_sizes: Any
    categorical_features: Any
    max_iter: int | str
    batch_size: int | str
    learning_rate_init: float | str
    dropout: float | str
    cv: Any
    n_members: int | None
    scoring: Any
    random_state: Any
    n_jobs: int | None
    max_time: float | None
    device: str | torch.device
    dtype: str
    verbose: bool | int | str

    # What the two tasks differ in.
    _parts: ClassVar[tuple[Part, Part]]
    _default_rate: ClassVar[float]
    _default_dropout: ClassVar[float]
    _betas: ClassVar[tuple[float, float]]
    _default_passes: ClassVar[int]
    # Of up to `ROWS_OF_LONG_RUNS` rows, and of more.
    _default_folds: ClassVar[tuple[int, int]]
    _most_cycles: ClassVar[int]
    _encoding: ClassVar[dict[str, int]]
    _is_calibrated: bool = False

    @abstractmethod
    def _check_targets(self, y: Any) -> np.ndarray:
        """Check what `validate_targets` has let pass."""

    @abstractmethod
    def _read_codec(self, y: np.ndarray, weights: np.ndarray | None) -> Any:
        """Return what the targets stand for."""

    @abstractmethod
    def _encode_targets(
        self, y: np.ndarray, weights: np.ndarray | None, codec: Any
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the targets as the losses take them, and what each row counts."""

    @abstractmethod
    def _choose_loss(self, codec: Any) -> tuple[Loss, int]:
        """Return the loss, and how many logits it needs."""

    @abstractmethod
    def _stratify(self, targets: np.ndarray) -> np.ndarray | None:
        """Return the class codes that folds are even in, if there are such."""

    @abstractmethod
    def _read_targets(
        self, codec: Any, y: np.ndarray, weights: np.ndarray | None
    ) -> dict[str, Any]:
        """Return the fitted attributes that are known from the targets."""

    def _labels(self, targets: np.ndarray) -> np.ndarray | None:
        """Return the targets if they are class codes, by which thresholds are found."""
        return None

    def _codec_of_rows(self, codec: Any, y: np.ndarray, weights: np.ndarray | None) -> Any:
        """Return what the targets of some of the rows stand for, beside that of all."""
        return codec

    def _translate(self, codec: Any, common: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return by what logits are multiplied, and what is added, for another codec.

        One number for each target, or one for all.
        """
        return np.ones(1), np.zeros(1)

    def _prepare(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> PreparedTable:
        """Check and encode all there is."""
        check_in_memory(X, y, type(self).__name__)
        device = resolve_device(self.device)
        encoder = TabularEncoder(self.categorical_features, **self._encoding)
        given = self._check_rows(encoder, X, y, sample_weight)
        table, y = given.table, given.y
        groups = check_groups(groups, table.n_rows)
        random_state = check_random_state(seed_of(self.random_state))
        codec = self._read_codec(y, given.weights)
        targets, weights = self._encode_targets(y, given.weights, codec)
        rows = RowsToSplit(X, y, self._stratify(targets), weights, groups)
        n_groups = len(self._parts)
        cv = self._choose_cv(table.n_rows)
        folds = split_for_groups(n_groups, cv, self.n_members, rows, random_state)
        # What takes longer comes when all else is known to be right.
        encoder._fit_table(table, given.weights, self._labels(targets))
        settings = self._settings(table.n_rows, device)
        known = self._read_targets(codec, y, weights)
        task = self._task(targets, weights, codec, known, given, settings.dtype)
        lessons = [Lesson(encoder._code, task, codec, known, task)]
        if folds[0].is_apart:
            lessons = self._lessons_of_folds(encoder, given, codec, folds[0], settings)
            first, common = lessons[0].codec, lessons[0].task.targets
            scorer = self._scorer(task.loss, first, known, given)
            task = replace(task, targets=common, scorer=scorer)
        seeds = [draw_seed(random_state) for _ in folds]
        return PreparedTable(encoder, given, weights, known, task, lessons, folds, settings, seeds)

    def _check_rows(
        self, encoder: TabularEncoder, X: Any, y: Any, sample_weight: Any
    ) -> GivenRows:
        """Check what was passed to `fit`."""
        table = read_table(encoder, X, reset=True)
        y = self._check_targets(validate_targets(self, on_host(y)))
        check_consistent_length(table.source, y)
        return GivenRows(table, X, y, check_weights(sample_weight, table.n_rows))

    def _lessons_of_folds(
        self,
        encoder: TabularEncoder,
        given: GivenRows,
        codec: Any,
        folds: Folds,
        settings: Settings,
    ) -> list[Lesson]:
        """Return what is known to the networks of each fold, by the rows that they learn from.

        Outputs are translated into the numbers of the first fold's targets.
        """
        lessons: list[Lesson] = []
        for one in folds.stacks():
            learned, held = one.learned[0], one.held[0]
            y, weights = given.of_rows(learned)
            own = self._codec_of_rows(codec, y, weights)
            targets, counted = self._encode_targets(given.y, given.weights, own)
            if counted is not None:
                # Balanced within the rows that are known, and all others are left out.
                counted = np.zeros(len(given.y))
                for rows in (held, learned):
                    found = self._encode_targets(*given.of_rows(rows), own)[1]
                    counted[rows] = 1.0 if found is None else found
            known = self._read_targets(own, y, weights)
            task = self._task(targets, counted, own, known, given, settings.dtype)
            counts = given.counts(learned)
            code = encoder._read_code(given.table, counts, self._labels(targets))
            first = lessons[0] if lessons else Lesson(code, task, own, known, task)
            scorer = self._scorer(task.loss, first.codec, known, given)
            common = replace(task, targets=first.task.targets, scorer=scorer)
            moved = self._translate(own, first.codec)
            factor, shift = (np.repeat(each, task.n_logits // len(each)) for each in moved)
            lessons.append(Lesson(code, task, own, known, common, factor, shift))
        return lessons

    def _choose_cv(self, n_rows: int) -> Any:
        """Return ``cv``, or how many folds there are to be."""
        if not isinstance(self.cv, str):
            return self.cv
        if self.cv != "auto":
            raise ValueError(
                f"cv must be 'auto', an integer, a splitter or splits, got {self.cv!r}."
            )
        n_folds = self._default_folds[n_rows > ROWS_OF_LONG_RUNS]
        if self.n_members is None:
            return n_folds
        # Not more than a group has networks, so that each row is held out by one.
        return min(n_folds, max(_LEAST_FOLDS, self.n_members // len(self._parts)))

    def _settings(self, n_rows: int, device: torch.device) -> Settings:
        """Return the parameters that training takes, the automatic ones settled."""
        rate, dropout = self.learning_rate_init, self.dropout
        passes = self._default_passes if n_rows <= ROWS_OF_LONG_RUNS else PASSES
        return Settings(
            hidden_units=list(hidden_units(self.hidden_layer_sizes)),
            learning_rate=self._default_rate if isinstance(rate, str) else float(rate),
            betas=self._betas,
            dropout=self._default_dropout if isinstance(dropout, str) else float(dropout),
            max_iter=passes if isinstance(self.max_iter, str) else int(self.max_iter),
            most_cycles=self._most_cycles,
            batch_size=None if isinstance(self.batch_size, str) else int(self.batch_size),
            dtype=resolve_dtype(self.dtype, "adam", device, n_rows, EXACT_ROWS),
            device=device,
        )

    def _task(
        self,
        targets: np.ndarray,
        weights: np.ndarray | None,
        codec: Any,
        known: dict[str, Any],
        given: GivenRows,
        dtype: torch.dtype,
    ) -> Task:
        """Return the targets as tensors, and what outputs are judged by."""
        loss, n_logits = self._choose_loss(codec)
        values = torch.from_numpy(np.ascontiguousarray(targets.T))
        if values.dtype != torch.int64:
            values = values.to(dtype)
        counted = None if weights is None else tensor_to_read(weights.astype(np.float64))
        has_classes = not hasattr(codec, "decode_deviations")
        scorer = self._scorer(loss, codec, known, given)
        return Task(loss, values, counted, n_logits, has_classes, self._is_calibrated, scorer)

    def _scorer(
        self, loss: Loss, codec: Any, known: dict[str, Any], given: GivenRows
    ) -> HeldScorer | str | None:
        """Return what ``scoring`` names."""
        if self.scoring is None or self.scoring == "loss":
            return self.scoring
        # What it takes to make predictions of outputs.
        fitted = {**vars(self), **known, "_codec": codec, "_ensemble": Bunch(loss=loss)}

        def predicting(outputs: np.ndarray) -> Any:
            """Return an estimator that predicts by these outputs."""
            double = object.__new__(type(self))
            double.__dict__.update(fitted, _outputs=lambda X: outputs)
            return double

        rows = np.arange(len(given.y))
        return HeldScorer(self.scoring, predicting, given.X, given.y, given.weights, rows)


def seed_of(random_state: Any) -> Any:
    """Return a generator of its own where none is given: no global one is read or changed."""
    return np.random.RandomState() if random_state is None else random_state
