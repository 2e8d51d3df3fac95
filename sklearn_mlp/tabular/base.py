"""What the classifier and the regressor for tables share: `fit` from top to bottom."""

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import Bunch, Tags, check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_mlp.arrays.target_checks import validate_targets
from sklearn_mlp.arrays.tensors import on_host
from sklearn_mlp.estimators.callbacks import EpochTasks
from sklearn_mlp.losses import Loss
from sklearn_mlp.machine.devices import resolve_device
from sklearn_mlp.machine.interrupts import end_training
from sklearn_mlp.machine.isolation import isolated
from sklearn_mlp.machine.kernels import inference_mode
from sklearn_mlp.machine.placement import resolve_dtype
from sklearn_mlp.machine.random_numbers import draw_seed
from sklearn_mlp.machine.shared_memory import tensor_to_read
from sklearn_mlp.machine.sklearn_internals import check_sample_weight, has_callbacks
from sklearn_mlp.network.architecture import hidden_units
from sklearn_mlp.network.memory import less_to_fit, less_to_predict, naming_device_memory
from sklearn_mlp.sources.choice import check_in_memory
from sklearn_mlp.tabular.coded_rows import CodedRows, Part
from sklearn_mlp.tabular.columns import Table, read_table
from sklearn_mlp.tabular.encoder import TabularEncoder
from sklearn_mlp.tabular.ensemble import Ensemble, Group, train_groups
from sklearn_mlp.tabular.folds import rows_judged, split_for_groups, warn_of_few_rows
from sklearn_mlp.tabular.importances import permuted_scores
from sklearn_mlp.tabular.judgements import Judgements
from sklearn_mlp.tabular.judging import Task, combine, outputs_of
from sklearn_mlp.tabular.prepared_fit import PreparedTable
from sklearn_mlp.tabular.saved_state import SavedTable
from sklearn_mlp.tabular.scoring import HeldScorer
from sklearn_mlp.tabular.training import (
    EXACT_ROWS,
    PASSES,
    ROWS_OF_LONG_RUNS,
    Settings,
    TrainedGroup,
    Watch,
)


class BaseTabularMLP(CallbackSupportMixin, SavedTable, BaseEstimator, ABC):
    """Base of the estimators; use `TabularMLPClassifier` or `TabularMLPRegressor`."""

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
    _default_passes: ClassVar[int]
    _most_cycles: ClassVar[int]
    _is_calibrated: bool = False

    # What a fit leaves.
    encoder_: TabularEncoder
    device_: torch.device
    n_members_: int
    n_iter_: int
    oof_prediction_: np.ndarray
    oof_score_: float
    n_features_in_: int
    feature_names_in_: np.ndarray
    _ensemble: Ensemble
    _codec: Any
    _held: list[list[np.ndarray]]
    _history: list[dict[str, Any]]

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

    @abstractmethod
    def _judge_all(
        self, outputs: np.ndarray, y: np.ndarray, weights: np.ndarray | None, judged: np.ndarray
    ) -> None:
        """Set what is known of rows by networks that have not learned from them."""

    @abstractmethod
    def _score_outputs(self, outputs: np.ndarray, y: np.ndarray, weights: Any) -> float:
        """Return the score of outputs, (n_rows, n_outputs): accuracy, or R²."""

    @naming_device_memory(less_to_fit)
    @isolated
    def _fit(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> Self:
        """Check, encode, train two groups of networks, and weigh them by rows they have not seen.

        The estimator keeps what it had until all is there.
        """
        prepared = self._prepare(X, y, sample_weight, groups)
        warn_of_few_rows(prepared.n_rows)
        judgements = Judgements(prepared.count_judgements(), self.verbose)
        self._begin_tasks(X, sample_weight, prepared, judgements)
        with judgements.shown(type(self).__name__):
            trained = self._train(prepared, judgements)
        self._finish(prepared, trained)
        if judgements.tasks is not None:
            judgements.tasks.fit_ended()
        return self

    def _prepare(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> PreparedTable:
        """Check and encode all there is."""
        check_in_memory(X, y, type(self).__name__)
        device = resolve_device(self.device)
        encoder = TabularEncoder(self.categorical_features)
        table = read_table(encoder, X, reset=True)
        y = self._check_targets(validate_targets(self, on_host(y)))
        check_consistent_length(table.source, y, groups)
        given_weights = None
        if sample_weight is not None:
            rows = np.empty((table.n_rows, 0))
            given_weights = check_sample_weight(sample_weight, rows, ensure_non_negative=True)
        random_state = check_random_state(_seed_of(self.random_state))
        encoder._fit_table(table, given_weights)
        codec = self._read_codec(y, given_weights)
        targets, weights = self._encode_targets(y, given_weights, codec)
        labels, n_groups = self._stratify(targets), len(self._parts)
        rows_to_split = table.n_rows, labels, weights, groups, random_state
        folds = split_for_groups(n_groups, self.cv, self.n_members, *rows_to_split)
        settings = self._settings(table.n_rows, device)
        coded = CodedRows.of(encoder._code, table, settings.dtype, device, keep=True)
        known = self._read_targets(codec, y, weights)
        task = self._task(targets, weights, codec, settings.dtype)
        task = replace(task, scorer=self._scorer(task.loss, codec, known, X, y, given_weights))
        seeds = [draw_seed(random_state) for _ in folds]
        return PreparedTable(
            encoder, coded, y, weights, codec, known, task, folds, settings, seeds
        )

    def _begin_tasks(
        self, X: Any, sample_weight: Any, prepared: PreparedTable, judgements: Judgements
    ) -> None:
        """Tell scikit-learn's callbacks that training begins, and let them be told the rest."""
        if not has_callbacks(self):
            return
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        arguments = {"X": X, "y": prepared.y, "metadata": metadata}

        def reconstruct() -> dict[str, Any]:
            with inference_mode():
                trained = [best() for _, best in sorted(judgements.groups.items())]
            if not trained:
                return {}
            parameters = self.get_params(deep=False)
            double = type(self)(**parameters)
            double._finish(prepared, trained)
            return {name: each for name, each in vars(double).items() if name not in parameters}

        judgements.tasks = EpochTasks(
            self,
            prepared.count_judgements(),
            lambda: judgements.record,
            arguments,
            reconstruct,
        )

    def _train(self, prepared: PreparedTable, judgements: Judgements) -> list[TrainedGroup]:
        """Train the groups; an interrupt ends that, and is told."""
        is_watched = bool(self.verbose) or judgements.tasks is not None
        watch = Watch(report=judgements.tell if is_watched else None)
        n_threads = min(effective_n_jobs(self.n_jobs), len(prepared.folds))
        if judgements.tasks is not None:
            # Which are told of one group after the other.
            n_threads = 1
            if judgements.tasks.is_interrupted:
                watch.is_ending.set()
        trained = train_groups(
            prepared.coded,
            self._parts[: len(prepared.folds)],
            prepared.task,
            prepared.folds,
            prepared.settings,
            prepared.seeds,
            watch=watch,
            max_time=self.max_time,
            n_threads=n_threads,
        )
        if watch.interrupt is not None:
            end_training(watch.interrupt)
        return trained

    def _settings(self, n_rows: int, device: torch.device) -> Settings:
        """Return the parameters that training takes, the automatic ones settled."""
        rate, dropout = self.learning_rate_init, self.dropout
        passes = self._default_passes if n_rows <= ROWS_OF_LONG_RUNS else PASSES
        return Settings(
            hidden_units=list(hidden_units(self.hidden_layer_sizes)),
            learning_rate=self._default_rate if isinstance(rate, str) else float(rate),
            dropout=self._default_dropout if isinstance(dropout, str) else float(dropout),
            max_iter=passes if isinstance(self.max_iter, str) else int(self.max_iter),
            most_cycles=self._most_cycles,
            batch_size=None if isinstance(self.batch_size, str) else int(self.batch_size),
            dtype=resolve_dtype(self.dtype, "adam", device, n_rows, EXACT_ROWS),
            device=device,
        )

    def _task(
        self, targets: np.ndarray, weights: np.ndarray | None, codec: Any, dtype: torch.dtype
    ) -> Task:
        """Return the targets as tensors, and what outputs are judged by."""
        loss, n_logits = self._choose_loss(codec)
        values = torch.from_numpy(np.ascontiguousarray(targets.T))
        if values.dtype != torch.int64:
            values = values.to(dtype)
        counted = None if weights is None else tensor_to_read(weights.astype(np.float64))
        has_classes = not hasattr(codec, "decode_deviations")
        return Task(loss, values, counted, n_logits, has_classes, self._is_calibrated)

    def _scorer(
        self, loss: Loss, codec: Any, known: dict[str, Any], X: Any, y: np.ndarray, weights: Any
    ) -> HeldScorer | str | None:
        """Return what ``scoring`` names."""
        if self.scoring is None or self.scoring == "loss":
            return self.scoring
        # What it takes to make predictions of outputs.
        fitted = {**vars(self), **known, "_codec": codec, "_ensemble": Bunch(loss=loss)}

        def predicting(outputs: np.ndarray) -> Any:
            double = object.__new__(type(self))
            double.__dict__.update(fitted, _outputs=lambda X: outputs)
            return double

        return HeldScorer(self.scoring, predicting, X, y, weights, np.arange(len(y)))

    def _finish(self, prepared: PreparedTable, trained: list[TrainedGroup]) -> None:
        """Weigh the groups, and set the fitted attributes."""
        task, n_rows = prepared.task, prepared.n_rows
        folds = prepared.folds[: len(trained)]
        judged = rows_judged(folds, n_rows)
        self._ensemble = _weigh(prepared, trained, judged)
        self._codec, self.encoder_ = prepared.codec, prepared.encoder
        self.device_ = prepared.settings.device
        # Half the bytes of NumPy's own indices.
        small = np.int32 if n_rows < 2**31 else np.int64
        self._held = [[rows.astype(small) for rows in group.held] for group in trained]
        self.n_features_in_ = self.encoder_.n_features_in_
        if hasattr(self.encoder_, "feature_names_in_"):
            self.feature_names_in_ = self.encoder_.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.n_members_ = sum(group.members.k for group in trained)
        self.n_iter_ = max(math.ceil(group.history[-1]["n_iter"]) for group in trained)
        self._history = [dict(row) for group in trained for row in group.history]
        for name, value in prepared.known.items():
            setattr(self, name, value)
        outputs = self._held_outputs(trained)
        self._judge_all(outputs, prepared.y, prepared.weights, judged)
        if isinstance(task.scorer, HeldScorer):
            self.oof_score_ = task.scorer.of_rows(np.flatnonzero(judged))(outputs[judged])

    def _held_outputs(self, trained: list[TrainedGroup]) -> np.ndarray:
        """Return the outputs of rows by networks that have not seen them, (n_rows, n_outputs)."""
        ensemble = self._ensemble
        mixture, loss = ensemble.mixture, ensemble.loss
        settings = zip(trained, mixture.temperatures, strict=True)
        outputs = [outputs_of(loss, group.logits, used) for group, used in settings]
        return mixture.mix(loss, outputs, mixture.temperature_of_two).t().numpy()

    @property
    def history_(self) -> pd.DataFrame:
        """How the networks of each group were judged while they were trained.

        A row for each time: ``group``, ``n_iter`` (passes over the rows), ``loss`` and ``error``
        on rows that the networks have not learned from, ``temperature``, ``loss_0`` and so on of
        each network on its own rows, ``learning_rate``, ``seconds``.
        """
        check_is_fitted(self)
        front = ["group", "n_iter", "loss", "error"]
        frame = pd.DataFrame(self._history)
        return frame[front + [name for name in frame.columns if name not in front]]

    @isolated
    def feature_importances(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        n_repeats: int = 5,
        random_state: Any = None,
        verbose: bool = False,
    ) -> Bunch:
        """Tell what each column is worth, by permuting it among the rows of training.

        Rows are predicted by networks that have not learned from them, so that what was learned
        by heart counts for nothing.

        Parameters
        ----------
        X, y, sample_weight
            What was passed to `fit`, in the same order.
        n_repeats : int, default=5
            Permutations of each column.
        random_state : int, RandomState instance or None, default=None
            Draws them.
        verbose : bool, default=False
            Whether to show a progress bar.

        Returns
        -------
        result : Bunch
            ``importances``, (n_features, n_repeats), how much lower the score is, accuracy or R²;
            ``importances_mean`` and ``importances_std``, (n_features,).

        Raises
        ------
        ValueError
            If there are more or fewer rows than in `fit`.
        """
        table = self._table(X)
        y = self._check_targets(validate_targets(self, on_host(y)))
        if len(y) != table.n_rows or table.n_rows != len(self.oof_prediction_):
            raise ValueError(
                f"X and y must be what was passed to fit, {len(self.oof_prediction_)} rows, got "
                f"{table.n_rows} and {len(y)}."
            )
        judged = np.isfinite(self.oof_prediction_.reshape(len(y), -1)).all(axis=1)
        weights = None if sample_weight is None else np.asarray(sample_weight)[judged]
        scores = permuted_scores(
            self._ensemble,
            self.device_,
            table,
            self._held,
            lambda outputs: self._score_outputs(outputs[judged], y[judged], weights),
            n_repeats,
            check_random_state(_seed_of(random_state)),
        )
        _, best = next(scores)
        if verbose:
            from tqdm.auto import tqdm

            scores = tqdm(scores, total=table.n_columns * n_repeats, desc="permutations")
        losses = np.array([best - score for _, score in scores]).reshape(-1, n_repeats)
        return Bunch(
            importances=losses,
            importances_mean=losses.mean(axis=1),
            importances_std=losses.std(axis=1),
        )

    def _table(self, X: Any) -> Table:
        """Check what is to be predicted."""
        check_is_fitted(self)
        return read_table(self, X, reset=False)

    @naming_device_memory(less_to_predict)
    @isolated
    def _outputs(self, X: Any) -> np.ndarray:
        """Return the mean outputs of all networks, (n_rows, n_outputs), in float64."""
        table = self._table(X)
        return self._ensemble.outputs(table, self.device_)

    @naming_device_memory(less_to_predict)
    @isolated
    def _member_outputs(self, X: Any) -> list[np.ndarray]:
        """Return the outputs of each group's networks, (k, n_rows, n_outputs)."""
        table = self._table(X)
        found = self._ensemble.member_outputs(table, self.device_)
        return [each.transpose(1, 2).numpy() for each in found if each is not None]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.target_tags.multi_output = True
        return tags


def _weigh(prepared: PreparedTable, trained: list[TrainedGroup], judged: np.ndarray) -> Ensemble:
    """Weigh groups of networks by the rows that are held out in all of them."""
    task, folds = prepared.task, prepared.folds[: len(trained)]
    if task.weights is not None and (judged & (task.weights > 0).numpy()).any():
        judged = judged & (task.weights > 0).numpy()
    rows = torch.from_numpy(np.flatnonzero(judged))
    mixture = combine(
        task.of_rows(rows),
        [group.logits[:, rows] for group in trained],
        [group.temperature for group in trained],
        sum(len(each.learned) for each in folds) / len(folds),
        folds[0].n_seen,
    )
    groups = [Group(group.members, group.part) for group in trained]
    return Ensemble(prepared.encoder._code, groups, mixture, task.loss)


def _seed_of(random_state: Any) -> Any:
    """Return a generator of its own where none is given: no global one is read or changed."""
    return np.random.RandomState() if random_state is None else random_state
