"""The regressor for tables."""

from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score, r2_score

from sklearn_mlp.arrays.target_checks import as_column, as_numbers, naming
from sklearn_mlp.losses import Loss, Quantiles, choose_regressor_loss
from sklearn_mlp.losses.choice import check_targets
from sklearn_mlp.machine.sklearn_internals import fit_context
from sklearn_mlp.tabular.base import BaseTabularMLP
from sklearn_mlp.tabular.coded_rows import Part
from sklearn_mlp.tabular.intervals import HeldResiduals
from sklearn_mlp.tabular.parameters import REGRESSOR_PARAMETERS
from sklearn_mlp.tabular.plan import PASSES
from sklearn_mlp.tabular.prepared_fit import PreparedTable
from sklearn_mlp.targets.codecs import NumberCodec

# Levels that differ by less are the same: 1 - 0.9 is not 0.1.
_SAME_LEVEL = 1e-9

# Numbers up to this have squares whose sum is finite; larger ones are scored as multiples of it.
_LARGE = 2.0**500


class TabularMLPRegressor(RegressorMixin, BaseTabularMLP):
    """Regressor for tables as they come: networks on folds, averaged.

    Takes a table of numbers, categories and dates with missing values, see `TabularEncoder`, and
    needs no preprocessing and no tuning; targets are standardised inside. Two groups of networks,
    which see the table in two codes, learn on folds of the rows. What each says of the rows that
    it has not seen decides when training was best and how the groups are weighed.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(128, 128, 128)
        Units of each hidden layer of each network.
    categorical_features : 'from_dtype', array-like of str, int or bool, or None, \
default='from_dtype'
        Which columns hold categories: by their types (categorical, strings, and objects that are
        no numbers), by name, by number, or as a mask; None for no column.
    max_iter : int or 'auto', default='auto'
        Passes of each network over its rows, at most; ``'auto'`` is 60, or 30 for more than 6,000
        rows. More are better where there is little noise. They are five cycles of the learning
        rate (four of fewer than 31 passes), each twice as long as the one before, and one that
        betters the networks by less than 8 % (2 % of four) is the last: on noisy tables after a
        fourth of the passes. A network never takes more than 4 million rows, so that of many rows
        there are fewer passes.
    batch_size : int or 'auto', default='auto'
        Rows of a batch. ``'auto'`` is a power of 2 between 16 and 128 (256 for more than 50,000
        rows) that makes some 32 steps a pass, or all rows of a network, eight times a pass, if the
        table has at most 200.
    learning_rate_init : float or 'auto', default='auto'
        The highest learning rate of each of the cycles, for weights scaled by the root of
        their number; ``'auto'`` is 0.1.
    dropout : float or 'auto', default='auto'
        The share of hidden values that a step leaves out, in [0, 1), falling to 0 in the second
        half of training; ``'auto'`` is 0.
    loss : {'squared_error', 'absolute_error', 'huber', 'quantile', 'poisson', 'gamma'}, \
default='squared_error'
        What is minimised. ``'poisson'``, for counts, and ``'gamma'``, for positive numbers, are
        half the deviances with a log link.
    huber_delta : float, default=1.35
        Where ``loss='huber'`` becomes linear, in standard deviations of ``y``.
    quantile : float or array-like of float, default=0.5
        Of ``loss='quantile'``: the level, between 0 and 1, or several in rising order, which the
        same networks predict; they never cross.
    clip : bool, default=True
        Whether predictions stay within the targets of training.
    cv : int, splitter, iterable of splits or 'auto', default='auto'
        The folds: for each there are two networks, one in each group. An integer holds out each
        row once, ``groups`` kept together; ``'auto'`` is 4. For rows in the order of time pass
        ``sklearn.model_selection.TimeSeriesSplit``, of which no network knows anything of rows
        that come after those it is judged by.
    n_members : int or None, default=None
        How many networks there are in both groups together; None is one for each fold in each
        group. More repeat the folds, those of an integer ``cv`` with other rows; fewer are
        faster, and leave rows of which nothing is known but by networks that have learned them.
    scoring : str or callable, default=None
        What decides when training was best and how the groups are weighed, by rows held out, and
        what ``oof_score_`` is: a name of `sklearn.metrics.get_scorer_names`, or a callable
        ``scorer(estimator, X, y)`` that returns a number, larger being better, whose estimator
        can predict these rows and no others. ``'loss'`` is the loss; None is the loss, too.
    random_state : int, RandomState instance or None, default=None
        Settles folds, weights, batches and dropout.
    n_jobs : int or None, default=None
        How many threads share the networks; -1 is one for each core. Where steps are not compiled,
        there is one for each of the two groups at most. The results are the same.
    max_time : float or None, default=None
        Seconds after which training ends, with the best networks so far.
    device : str or torch.device, default='auto'
        Where to train and predict: ``'auto'`` is cuda, then mps, then xpu, then cpu, whichever is
        there first; else any device that torch has on this machine.
    dtype : {'auto', 'float32', 'float64'}, default='auto'
        The type of training; ``'auto'`` is float32, or float64 for at most 100 rows
        where the device has it.
    verbose : bool, int or 'progress', default=False
        Whether to print how the networks do on rows held out; ``'progress'`` shows a progress bar
        instead.

    Attributes
    ----------
    oof_prediction_ : ndarray of shape (n_samples,) or (n_samples, n_targets)
        Predictions, as `predict` returns them, of the training rows by networks that have not
        learned from them, one of each group; NaN for rows that no fold holds out.
    oof_score_ : float
        The score of these, R² unless there is ``scoring`` or ``loss='quantile'``: what to expect
        of new rows, or a little less, since all networks together are better than two.
    history_ : pandas.DataFrame
        How the networks did while they were trained.
    encoder_ : TabularEncoder
        The fitted encoder.
    device_ : torch.device
        Where the networks predict.
    n_members_ : int
        Networks.
    n_iter_ : int
        Passes of the group that was trained for longer.
    n_features_in_ : int
        Columns of the table.
    feature_names_in_ : ndarray of shape (n_columns,)
        Their names, where all are strings.

    See Also
    --------
    TabularMLPClassifier : The same for labels.
    TorchMLPRegressor : One network, which takes the place of scikit-learn's.

    References
    ----------
    Barber, Candès, Ramdas and Tibshirani (2021), "Predictive inference with the jackknife+",
    :arxiv:`1905.02928`.

    Holzmüller, Grinsztajn and Steinwart (2024), "Better by default: Strong pre-tuned MLPs and
    boosted trees on tabular data", :arxiv:`2407.04491`.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mlp import TabularMLPRegressor
    >>> table = pd.DataFrame({"x": range(60), "kind": ["a", "b", None] * 20})
    >>> y = table["x"] + 100 * (table["kind"] == "a")
    >>> reg = TabularMLPRegressor(random_state=0).fit(table, y)
    >>> reg.oof_score_ > 0.99
    True
    >>> reg.predict_interval(table[:3], coverage=0.8).shape
    (3, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = REGRESSOR_PARAMETERS
    _parts = (Part(has_waves=False, has_bins=True), Part(has_waves=True, has_bins=False))
    _default_rate = 0.1
    _default_dropout = 0.0
    _betas = (0.9, 0.95)
    _default_passes = 2 * PASSES
    _default_folds = (4, 4)
    _most_cycles = 5
    _encoding: ClassVar[dict[str, int]] = {"n_components": 0}

    loss: str
    huber_delta: float
    quantile: Any
    clip: bool
    _codec: NumberCodec
    _range: tuple[Any, Any]
    _residuals: HeldResiduals

    def __init__(
        self,
        hidden_layer_sizes: Any = (128, 128, 128),
        *,
        categorical_features: Any = "from_dtype",
        max_iter: int | str = "auto",
        batch_size: int | str = "auto",
        learning_rate_init: float | str = "auto",
        dropout: float | str = "auto",
        loss: str = "squared_error",
        huber_delta: float = 1.35,
        quantile: Any = 0.5,
        clip: bool = True,
        cv: Any = "auto",
        n_members: int | None = None,
        scoring: Any = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        max_time: float | None = None,
        device: str | torch.device = "auto",
        dtype: str = "auto",
        verbose: bool | int | str = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.categorical_features = categorical_features
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.dropout = dropout
        self.loss = loss
        self.huber_delta = huber_delta
        self.quantile = quantile
        self.clip = clip
        self.cv = cv
        self.n_members = n_members
        self.scoring = scoring
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.max_time = max_time
        self.device = device
        self.dtype = dtype
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Fit the networks.

        Parameters
        ----------
        X : DataFrame of pandas or polars, Table of pyarrow, or array-like of shape \
                (n_samples, n_features)
            The table.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts, in training and in all that is decided by rows held out.
        groups : array-like of shape (n_samples,), default=None
            Rows that belong together, and are held out together.

        Returns
        -------
        self : TabularMLPRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data is unusable; a column is named.
        """
        return self._fit(X, y, sample_weight, groups)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict numbers.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            As in `fit`.
        return_std : bool, default=False
            Whether to return how far the networks disagree, too. It says how unusual a row is,
            not how noisy the targets are.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            The predictions. With ``loss='quantile'`` and several of them there is one more axis,
            for these, rising.
        std : ndarray of the same shape
            The standard deviation of the networks' predictions, with ``return_std``.
        """
        if not return_std:
            return self._clipped(self._decode(self._outputs(X)))
        groups = self._member_outputs(X)
        mean, spread = self._moments([self._decode(each) for each in groups])
        return self._clipped(mean), spread

    def _moments(self, groups: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation over networks that count as their groups do."""
        weights = np.concatenate(
            [
                np.full(len(each), weight / len(each))
                for each, weight in zip(groups, self._ensemble.mixture.weights, strict=True)
            ]
        )
        members = np.concatenate(groups)
        mean = np.tensordot(weights, members, 1)
        return mean, np.sqrt(np.tensordot(weights, (members - mean) ** 2, 1))

    def predict_members(self, X: Any) -> np.ndarray:
        """Predict the numbers of each network by itself.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            As in `fit`.

        Returns
        -------
        y : ndarray of shape (n_members, n_samples) or (n_members, n_samples, n_targets)
            Those of the first group of networks, then of the second, in the order of the folds.
        """
        return self._clipped(self._decode(np.concatenate(self._member_outputs(X))))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R², or with ``loss='quantile'`` its counterpart for quantiles.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            As in `fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            The true numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            `sklearn.metrics.r2_score`; of quantiles `sklearn.metrics.d2_pinball_score`, averaged
            over the levels. 1 is perfect, and 0 is no better than a constant.
        """
        return self._score(self.predict(X), y, sample_weight)

    def predict_quantiles(self, X: Any, quantile: Any = (0.05, 0.5, 0.95)) -> np.ndarray:
        """Predict quantiles of the targets, by the errors at rows held out.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            As in `fit`.
        quantile : float or array-like of float, default=(0.05, 0.5, 0.95)
            Levels, between 0 and 1.

        Returns
        -------
        quantiles : ndarray of shape (n_samples,) or (n_samples, n_levels)
            With several targets (n_samples, n_targets) or (n_samples, n_targets, n_levels).

        Raises
        ------
        ValueError
            If a level is not between 0 and 1, or none of those that the networks predict.

        Notes
        -----
        Cross-validation+, without further fits. Noise is taken to be alike everywhere; only the
        networks' disagreement differs from row to row. With ``loss='quantile'`` and several of
        them these levels can be asked for, and no others: what `predict` returns, moved by what
        was wrong with it at rows held out, and as wide as noise is there.
        """
        with naming("quantile"):
            levels = np.atleast_1d(np.asarray(quantile, dtype=np.float64))
        if levels.ndim != 1 or not len(levels) or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(f"quantile must be numbers between 0 and 1, got {quantile!r}.")
        if self._has_levels():
            found = self._level_residuals().quantiles_of_levels(
                self._members_by_level(X),
                self._ensemble.mixture.weights,
                [(self._place_of(level), level) for level in levels.tolist()],
            )
        else:
            found = self._quantiles(X, levels.tolist())
        found = found[:, 0] if found.shape[1] == 1 else found
        return found if np.ndim(quantile) else found[..., 0]

    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Predict intervals that hold the targets of so many new rows.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            As in `fit`.
        coverage : float, default=0.9
            The share of new rows, between 0 and 1, whose targets lie within, if they are like
            those of training.

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, n_targets, 2)
            Lower and upper ends.

        Raises
        ------
        ValueError
            If ``coverage`` is not between 0 and 1, or the networks predict other quantiles than
            the two that it needs.

        Notes
        -----
        With ``loss='quantile'`` and several of them the interval is that of the quantiles at
        ``(1 - coverage) / 2`` and ``(1 + coverage) / 2``, widened or narrowed by the errors at
        rows held out (Romano, Patterson and Candès, 2019, "Conformalized quantile regression",
        :arxiv:`1905.03222`): noise that differs from row to row is in it. Otherwise it is that of
        cross-validation+, of Barber, Candès, Ramdas and Tibshirani (2021). The folds choose when
        training was best and weigh the groups, too, which makes the intervals a little narrower
        than they should be where there are few rows.
        """
        if not isinstance(coverage, Real) or not 0 < coverage < 1:
            raise ValueError(f"coverage must be a number between 0 and 1, got {coverage!r}.")
        if self._has_levels():
            found = self._level_residuals().interval_of_levels(
                self._members_by_level(X),
                self._ensemble.mixture.weights,
                (self._place_of((1 - coverage) / 2), self._place_of((1 + coverage) / 2)),
                coverage,
            )
        else:
            lower = self._quantiles(X, [1 - coverage], sign=-1)
            upper = self._quantiles(X, [coverage], sign=1)
            found = np.concatenate([lower, upper], axis=2)
        return found[:, 0] if found.shape[1] == 1 else found

    def _quantiles(self, X: Any, levels: list[float], sign: int | None = None) -> np.ndarray:
        """Return quantiles, (n_rows, n_targets, n_levels)."""
        groups = self._member_outputs(X)
        numbers = [self._decode(each).reshape(each.shape) for each in groups]
        weights = self._ensemble.mixture.weights
        return self._residuals.quantiles(numbers, weights, levels, sign)

    def _place_of(self, level: float) -> int:
        """Return which of the networks' quantiles a level is."""
        levels = self._levels()
        places = np.flatnonzero(np.abs(np.subtract(levels, level)) < _SAME_LEVEL)
        if not len(places):
            raise ValueError(
                f"the networks predict the quantiles {list(levels)}, and {level:.6g} is none of "
                "these: fit with it in quantile, or with one number, for intervals and quantiles "
                "of any level."
            )
        return int(places[0])

    def _members_by_level(self, X: Any) -> list[np.ndarray]:
        """Return each group's quantiles, (k, n_rows, n_targets, n_levels)."""
        groups, n_levels = self._member_outputs(X), len(self._levels())
        return [self._decode(each).reshape(*each.shape[:2], -1, n_levels) for each in groups]

    def _level_residuals(self) -> HeldResiduals:
        """Return the residuals of each level, (n_kept, n_targets, n_levels)."""
        kept = self._residuals.residuals
        by_level = kept.reshape(len(kept), -1, len(self._levels()))
        return replace(self._residuals, residuals=by_level)

    def _levels(self) -> tuple[float, ...]:
        """Return the levels that the networks predict."""
        loss = self._ensemble.loss
        assert isinstance(loss, Quantiles)
        return loss.levels

    def _predict_any_quantile(self, X: Any) -> np.ndarray:
        """Return quantiles of some level, whichever there is."""
        return self.predict_quantiles(X, self._levels()[0] if self._has_levels() else 0.5)

    def _decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return numbers in the user's unit, of outputs (..., n_rows, n_outputs)."""
        predictions = self._ensemble.loss.predictions(outputs.reshape(-1, outputs.shape[-1]))
        numbers = self._codec.decode(predictions)
        return numbers.reshape(*outputs.shape[:-1], *numbers.shape[1:])

    def _clipped(self, numbers: np.ndarray, limits: Any = None) -> np.ndarray:
        """Bring what `_decode` returns into the range of the targets of training, or of some."""
        if not self.clip:
            return numbers
        low, high = self._range if limits is None else limits
        if np.ndim(low) and self._has_levels():
            low, high = low[:, None], high[:, None]
        return np.clip(numbers, low, high)

    def _has_levels(self) -> bool:
        """Tell whether the networks predict several quantiles."""
        loss = self._ensemble.loss
        return isinstance(loss, Quantiles) and loss.is_several

    def _check_targets(self, y: Any) -> np.ndarray:
        y = as_numbers(y)
        check_targets(y, self.loss)
        return as_column(y).astype(np.float64, copy=False)

    def _read_codec(self, y: np.ndarray, weights: np.ndarray | None) -> NumberCodec:
        columns = y.reshape(len(y), -1)
        if self._has_log_link():
            # The outputs begin at 0, which stands for the mean.
            mean = np.average(columns, axis=0, weights=weights)
            return NumberCodec(np.zeros_like(mean), np.where(mean > 0, mean, 1.0))
        return NumberCodec.from_targets(columns, weights)

    def _codec_of_rows(
        self, codec: NumberCodec, y: np.ndarray, weights: np.ndarray | None
    ) -> NumberCodec:
        return self._read_codec(y, weights)

    def _translate(self, codec: NumberCodec, common: NumberCodec) -> tuple[np.ndarray, np.ndarray]:
        (mean, scale), (first, unit) = _moments_of(codec), _moments_of(common)
        if self._has_log_link():
            return np.ones_like(scale), np.log(scale / unit)
        return scale / unit, (mean - first) / unit

    def _has_log_link(self) -> bool:
        return self.loss in ("poisson", "gamma")

    def _encode_targets(
        self, y: np.ndarray, weights: np.ndarray | None, codec: NumberCodec
    ) -> tuple[np.ndarray, np.ndarray | None]:
        return codec.encode(y), weights

    def _choose_loss(self, codec: NumberCodec) -> tuple[Loss, int]:
        delta = float(self.huber_delta)
        loss = choose_regressor_loss(self.loss, "auto", delta, self.quantile)
        assert codec.scale is not None
        return loss, loss.count_logits(len(codec.scale))

    def _stratify(self, targets: np.ndarray) -> np.ndarray | None:
        return None

    def _read_targets(
        self, codec: NumberCodec, y: np.ndarray, weights: np.ndarray | None
    ) -> dict[str, Any]:
        counted = y if weights is None else y[weights > 0]
        return {"_range": (counted.min(axis=0), counted.max(axis=0))}

    def _judge_all(self, outputs: np.ndarray, prepared: PreparedTable, judged: np.ndarray) -> None:
        y, weights = prepared.given.y, prepared.weights
        predicted = self._decode(outputs)
        self.oof_prediction_ = self._clipped(predicted)
        if prepared.is_apart:
            # To the targets that were known, and no others.
            for lesson, held in zip(prepared.lessons, prepared.folds[0].held, strict=True):
                self.oof_prediction_[held] = self._clipped(predicted[held], lesson.known["_range"])
        targets = (
            y.reshape(*y.shape, 1) if self._has_levels() and y.ndim == predicted.ndim - 1 else y
        )
        residuals = (targets - predicted).reshape(outputs.shape)
        self._residuals = HeldResiduals.of(residuals, weights, self._held)
        own_weights = None if weights is None else weights[judged]
        self.oof_score_ = self._score(self.oof_prediction_[judged], y[judged], own_weights)

    def _score_outputs(self, outputs: np.ndarray, y: np.ndarray, weights: Any) -> float:
        return self._score(self._clipped(self._decode(outputs)), y, weights)

    def _score(self, predicted: np.ndarray, y: Any, weights: Any) -> float:
        loss = self._ensemble.loss
        if not isinstance(loss, Quantiles):
            if np.max(np.abs(predicted), initial=0.0) > _LARGE:
                # Their squares would be infinite; R² is the same in any unit.
                y, predicted = np.multiply(y, 1 / _LARGE), predicted / _LARGE
            return float(r2_score(y, predicted, sample_weight=weights))
        by_level = np.moveaxis(predicted, -1, 0) if loss.is_several else predicted[None]
        scores = [
            d2_pinball_score(y, each, sample_weight=weights, alpha=level)
            for each, level in zip(by_level, loss.levels, strict=True)
        ]
        return float(np.mean(scores))


def _moments_of(codec: NumberCodec) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each target, which all codecs here have."""
    assert codec.mean is not None
    assert codec.scale is not None
    return codec.mean, codec.scale
