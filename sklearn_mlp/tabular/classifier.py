"""The classifier for tables."""

from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import Tags

from sklearn_mlp.arrays.target_checks import as_column
from sklearn_mlp.losses import Loss, choose_classifier_loss
from sklearn_mlp.machine.sklearn_internals import fit_context
from sklearn_mlp.tabular.base import BaseTabularMLP
from sklearn_mlp.tabular.coded_rows import Part
from sklearn_mlp.tabular.parameters import CLASSIFIER_PARAMETERS
from sklearn_mlp.tabular.plan import PASSES
from sklearn_mlp.tabular.prepared_fit import PreparedTable
from sklearn_mlp.targets.class_weights import weigh_classes
from sklearn_mlp.targets.label_codecs import ColumnsCodec, LabelCodec, read_labels
from sklearn_mlp.targets.labels import as_rows


class TabularMLPClassifier(ClassifierMixin, BaseTabularMLP):
    """Classifier for tables as they come: networks on folds, averaged and calibrated.

    Takes a table of numbers, categories and dates with missing values, see `TabularEncoder`, and
    needs no preprocessing and no tuning. Two groups of networks, which see the table in two codes,
    learn on folds of the rows. What each says of the rows that it has not seen decides when
    training was best, how the groups are weighed, and how sure the mean of all may be.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(128, 128, 128)
        Units of each hidden layer of each network.
    categorical_features : 'from_dtype', array-like of str, int or bool, or None, \
default='from_dtype'
        Which columns hold categories: by their types (categorical, strings, and objects that are
        no numbers), by name, by number, or as a mask; None for no column.
    max_iter : int or 'auto', default='auto'
        Passes of each network over its rows, ``'auto'`` is 30; more take longer, and are better
        where there is little noise. They are four cycles of the learning rate, each twice as long
        as the one before, and the third is the last where it betters the networks by less than
        2 %. A network never takes more than 4 million rows, so that of many rows there are fewer
        passes.
    batch_size : int or 'auto', default='auto'
        Rows of a batch. ``'auto'`` is a power of 2 between 16 and 128 (256 for more than 50,000
        rows) that makes some 32 steps a pass, or all rows of a network, eight times a pass, if the
        table has at most 200.
    learning_rate_init : float or 'auto', default='auto'
        The highest learning rate of each of the four cycles, for weights scaled by the root of
        their number; ``'auto'`` is 0.06.
    dropout : float or 'auto', default='auto'
        The share of hidden values that a step leaves out, in [0, 1), falling to 0 in the second
        half of training; ``'auto'`` is 0.2.
    class_weight : dict, 'balanced', None, or a list of these, default=None
        Weights of the classes, which multiply the sample weights, as in `TorchMLPClassifier`.
    calibrate : bool, default=True
        Whether logits are divided by the temperatures that suit the rows held out, and a number
        is then added to those of each class, that of the least loss on these rows with a penalty
        for large ones.
    cv : int, splitter, iterable of splits or 'auto', default='auto'
        The folds: for each there are two networks, one in each group. An integer holds out each
        row once, classes spread evenly, and ``groups`` kept together. ``'auto'`` is 10, or 6 for
        more than 6,000 rows, or as many as ``n_members`` leaves each group, but at least 4. For
        rows in the order of time pass ``sklearn.model_selection.TimeSeriesSplit``, of which no
        network knows anything of rows that come after those it is judged by.
    n_members : int or None, default=None
        How many networks there are in both groups together; None is one for each fold in each
        group. More repeat the folds, those of an integer ``cv`` with other rows; fewer are
        faster, and leave rows of which nothing is known but by networks that have learned them.
    scoring : str or callable, default=None
        What decides when training was best and how the groups are weighed, by rows held out, and
        what ``oof_score_`` is: a name of `sklearn.metrics.get_scorer_names`, or a callable
        ``scorer(estimator, X, y)`` that returns a number, larger being better, whose estimator
        can predict these rows and no others. ``'loss'`` is the loss; None is loss and error
        together.
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
    classes_ : ndarray of shape (n_classes,), or a list of them
        The labels; of several columns of labels, those of each.
    oof_prediction_ : ndarray of shape (n_samples, n_outputs)
        Probabilities of the training rows by networks that have not learned from them, one of
        each group; NaN for rows that no fold holds out. Several columns of labels have a block
        each.
    oof_score_ : float
        The accuracy of these, or what ``scoring`` says: what to expect of new rows, or a little
        less, since all networks together are better than two.
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
    TabularMLPRegressor : The same for numbers.
    TorchMLPClassifier : One network, which takes the place of scikit-learn's.

    References
    ----------
    Holzmüller, Grinsztajn and Steinwart (2024), "Better by default: Strong pre-tuned MLPs and
    boosted trees on tabular data", :arxiv:`2407.04491`.

    Guo, Pleiss, Sun and Weinberger (2017), "On calibration of modern neural networks",
    :arxiv:`1706.04599`.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mlp import TabularMLPClassifier
    >>> table = pd.DataFrame({"size": [1, 2, 8, 9] * 10, "kind": ["a", "b", None, "a"] * 10})
    >>> label = ["small", "small", "large", "large"] * 10
    >>> clf = TabularMLPClassifier(random_state=0).fit(table, label)
    >>> clf.predict(pd.DataFrame({"size": [0, 10], "kind": ["b", "new"]}))
    array(['small', 'large'], dtype='<U5')
    >>> clf.oof_score_
    1.0
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CLASSIFIER_PARAMETERS
    _parts = (Part(has_waves=True, has_bins=True), Part(has_waves=False, has_bins=False))
    _default_rate = 0.06
    _default_dropout = 0.2
    _betas = (0.8, 0.99)
    _default_passes = PASSES
    _default_folds = (10, 6)
    _most_cycles = 4
    _encoding: ClassVar[dict[str, int]] = {"n_bins": 24}

    classes_: Any
    _codec: LabelCodec

    def __init__(
        self,
        hidden_layer_sizes: Any = (128, 128, 128),
        *,
        categorical_features: Any = "from_dtype",
        max_iter: int | str = "auto",
        batch_size: int | str = "auto",
        learning_rate_init: float | str = "auto",
        dropout: float | str = "auto",
        class_weight: Any = None,
        calibrate: bool = True,
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
        self.class_weight = class_weight
        self.calibrate = calibrate
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
        y : array-like of shape (n_samples,), (n_samples, n_labels) or (n_samples, n_columns)
            Labels of any type, an indicator matrix for multilabel tasks, or several columns of
            labels.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts, in training and in all that is decided by rows held out.
        groups : array-like of shape (n_samples,), default=None
            Rows that belong together, and are held out together.

        Returns
        -------
        self : TabularMLPClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data is unusable; a column is named.
        """
        return self._fit(X, as_rows(y), sample_weight, groups)

    def predict(self, X: Any) -> Any:
        """Predict labels.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            As in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,), (n_samples, n_labels) or (n_samples, n_columns)
            The most probable labels.
        """
        outputs = self._outputs(X)
        return self._codec.decode(outputs)

    def predict_proba(self, X: Any) -> Any:
        """Predict probabilities.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            As in `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), or a list of them
            In the order of ``classes_``; in multilabel tasks each column is the probability of
            that label. A list for several columns of labels.
        """
        outputs = self._outputs(X)
        return self._codec.by_column(outputs)

    def predict_log_proba(self, X: Any) -> Any:
        """Predict the logarithms of probabilities.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            As in `fit`.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), or a list of them
            Those of `predict_proba`.
        """
        outputs = self._outputs(X)
        with np.errstate(divide="ignore"):
            return self._codec.by_column(np.log(outputs))

    def predict_members(self, X: Any) -> Any:
        """Predict the probabilities of each network by itself.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            As in `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_members, n_samples, n_classes), or a list of them
            Those of the first group of networks, then of the second, in the order of the folds.
        """
        outputs = np.concatenate(self._member_outputs(X))
        if isinstance(self._codec, ColumnsCodec):
            return np.split(outputs, np.cumsum(self._codec.sizes)[:-1], axis=2)
        return outputs

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            As in `fit`.
        y : array-like of shape (n_samples,), (n_samples, n_labels) or (n_samples, n_columns)
            The true labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            The share of rows whose labels are all right.
        """
        return self._accuracy(self.predict(X), as_rows(y), sample_weight)

    def _accuracy(self, predictions: Any, y: Any, weights: Any) -> float:
        if isinstance(self._codec, ColumnsCodec):
            is_right = (np.asarray(y, dtype=object) == predictions).all(axis=1)
            return float(np.average(is_right, weights=weights))
        return float(accuracy_score(y, predictions, sample_weight=weights))

    @property
    def _is_calibrated(self) -> bool:  # type: ignore[override]
        return self.calibrate

    def _check_targets(self, y: Any) -> np.ndarray:
        return as_column(y)

    def _read_codec(self, y: np.ndarray, weights: np.ndarray | None) -> LabelCodec:
        return read_labels(y, has_output_per_class=True)

    def _encode_targets(
        self, y: np.ndarray, weights: np.ndarray | None, codec: LabelCodec
    ) -> tuple[np.ndarray, np.ndarray | None]:
        targets = codec.encode(y)
        return targets, weigh_classes(self.class_weight, codec.columns(targets), weights)

    def _labels(self, targets: np.ndarray) -> np.ndarray:
        return targets

    def _choose_loss(self, codec: LabelCodec) -> tuple[Loss, int]:
        loss = choose_classifier_loss("log_loss", codec.kind, codec.sizes, "auto", 0, 0)
        return loss, codec.n_outputs

    def _stratify(self, targets: np.ndarray) -> np.ndarray | None:
        return targets[:, 0] if targets.shape[1] == 1 and targets.dtype.kind == "i" else None

    def _read_targets(
        self, codec: LabelCodec, y: np.ndarray, weights: np.ndarray | None
    ) -> dict[str, Any]:
        return {"classes_": codec.classes}

    def _judge_all(self, outputs: np.ndarray, prepared: PreparedTable, judged: np.ndarray) -> None:
        y, weights = prepared.given.y, prepared.weights
        self.oof_prediction_ = outputs
        counted = None if weights is None else weights[judged]
        self.oof_score_ = self._score_outputs(outputs[judged], y[judged], counted)

    def _score_outputs(self, outputs: np.ndarray, y: np.ndarray, weights: Any) -> float:
        return self._accuracy(self._codec.decode(outputs), y, weights)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
