"""What the classifier and the regressor for tables share: `fit` from top to bottom."""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, Self

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
from sklearn_mlp.machine.interrupts import end_training
from sklearn_mlp.machine.isolation import isolated
from sklearn_mlp.machine.kernels import inference_mode
from sklearn_mlp.machine.sklearn_internals import has_callbacks
from sklearn_mlp.network.memory import less_to_fit, less_to_predict, naming_device_memory
from sklearn_mlp.ranks.context import check_same_rows
from sklearn_mlp.tabular.apart import train_apart
from sklearn_mlp.tabular.coded_rows import CodedRows, Part
from sklearn_mlp.tabular.encoder import TabularEncoder
from sklearn_mlp.tabular.ensemble import Ensemble, Group, train_groups
from sklearn_mlp.tabular.folds import rows_judged, warn_of_few_rows
from sklearn_mlp.tabular.held_outputs import held_outputs, weigh_groups
from sklearn_mlp.tabular.importances import permuted_scores
from sklearn_mlp.tabular.judgements import Judgements
from sklearn_mlp.tabular.preparation import PreparesTables, seed_of
from sklearn_mlp.tabular.prepared_fit import PreparedTable
from sklearn_mlp.tabular.saved_state import SavedTable
from sklearn_mlp.tabular.scoring import HeldScorer
from sklearn_mlp.tabular.tables import Table, read_table
from sklearn_mlp.tabular.training import TrainedGroup, Watch, train_group


class BaseTabularMLP(CallbackSupportMixin, SavedTable, PreparesTables, BaseEstimator):
    """Base of the estimators; use `TabularMLPClassifier` or `TabularMLPRegressor`."""

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
    _column_labels: list[str] | None
    _held: list[list[np.ndarray]]
    _history: list[dict[str, Any]]

    @abstractmethod
    def _judge_all(self, outputs: np.ndarray, prepared: PreparedTable, judged: np.ndarray) -> None:
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
        check_same_rows(f"A {type(self).__name__}")
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

    def _begin_tasks(
        self, X: Any, sample_weight: Any, prepared: PreparedTable, judgements: Judgements
    ) -> None:
        """Tell scikit-learn's callbacks that training begins, and let them be told the rest."""
        if not has_callbacks(self):
            return
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        arguments = {"X": X, "y": prepared.given.y, "metadata": metadata}

        def reconstruct() -> dict[str, Any]:
            """Return the fitted attributes of the networks so far at their best."""
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
        n_jobs = effective_n_jobs(self.n_jobs)
        n_threads = min(n_jobs, len(prepared.folds))
        if judgements.tasks is not None:
            # Which are told of one group after the other.
            n_threads = 1
            if judgements.tasks.is_interrupted:
                watch.is_ending.set()
        with ThreadPoolExecutor(n_jobs) if n_jobs > 1 else nullcontext() as workers:
            trained = train_groups(
                _trainer(prepared, self._parts, watch, workers),
                len(prepared.folds),
                watch=watch,
                max_time=self.max_time,
                n_threads=n_threads,
            )
        if watch.interrupt is not None:
            end_training(watch.interrupt)
        return trained

    def _finish(self, prepared: PreparedTable, trained: list[TrainedGroup]) -> None:
        """Weigh the groups, and set the fitted attributes."""
        task, n_rows = prepared.task, prepared.n_rows
        judged = rows_judged([group.held for group in trained], n_rows)
        mixture = weigh_groups(task, trained, judged)
        codes = [lesson.code for lesson in prepared.lessons] if prepared.is_apart else []
        made = [Group(group.members, group.part) for group in trained]
        self._ensemble = Ensemble(prepared.encoder._code, made, mixture, task.loss, codes)
        self._codec, self.encoder_ = prepared.lessons[0].codec, prepared.encoder
        self.device_ = prepared.settings.device
        # Half the bytes of NumPy's own indices.
        small = np.int32 if n_rows < 2**31 else np.int64
        self._held = [[rows.astype(small) for rows in group.held] for group in trained]
        self.n_features_in_ = self.encoder_.n_features_in_
        self._column_labels = self.encoder_._column_labels
        if hasattr(self.encoder_, "feature_names_in_"):
            self.feature_names_in_ = self.encoder_.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.n_members_ = sum(group.members.k for group in trained)
        self._history = [dict(row) for group in trained for row in group.history]
        self.n_iter_ = max(math.ceil(row["n_iter"]) for row in self._history)
        for name, value in prepared.known.items():
            setattr(self, name, value)
        outputs = held_outputs(prepared, trained, mixture)
        self._judge_all(outputs, prepared, judged)
        if isinstance(task.scorer, HeldScorer):
            self.oof_score_ = task.scorer.of_rows(np.flatnonzero(judged))(outputs[judged])

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
        if n_repeats < 1:
            raise ValueError(f"n_repeats must be at least 1, got {n_repeats!r}.")
        check_consistent_length(y, sample_weight)
        judged = np.isfinite(self.oof_prediction_.reshape(len(y), -1)).all(axis=1)
        weights = None if sample_weight is None else np.asarray(sample_weight)[judged]
        scores = permuted_scores(
            self._ensemble,
            self.device_,
            table,
            self._held,
            lambda outputs: self._score_outputs(outputs[judged], y[judged], weights),
            n_repeats,
            check_random_state(seed_of(random_state)),
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


def _trainer(
    prepared: PreparedTable, parts: Sequence[Part], watch: Watch, workers: Executor | None
) -> Callable[[int], TrainedGroup]:
    """Return what trains a group, given its place."""
    if prepared.is_apart:
        return lambda place: train_apart(prepared, parts[place], place, watch)
    lesson, settings = prepared.lessons[0], prepared.settings
    table = prepared.given.table
    coded = CodedRows.of(lesson.code, table, settings.dtype, settings.device, keep=True)

    def train(place: int) -> TrainedGroup:
        """Train the group of this place."""
        folds, seed = prepared.folds[place], prepared.seeds[place]
        known = coded, parts[place], lesson.task, folds, settings
        return train_group(*known, seed, watch, place, workers)

    return train
