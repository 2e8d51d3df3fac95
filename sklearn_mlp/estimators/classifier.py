"""`TorchMLPClassifier`: its parameters, and what classes add to `BaseTorchMLP`.

A fit goes through `BaseTorchMLP._fit` in `base`, which asks here for what labels are: how they
are checked and encoded, the loss, the score, the outputs. Predictions go through `fitted`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn import config_context
from sklearn.base import ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from torch import Tensor, nn

from sklearn_mlp.arrays.checks import validate_training_data
from sklearn_mlp.arrays.target_checks import as_column, naming, validate_targets
from sklearn_mlp.arrays.tensors import on_host
from sklearn_mlp.estimators.array_api import follow_samples, follow_targets
from sklearn_mlp.estimators.base import BaseTorchMLP
from sklearn_mlp.estimators.parameters import CLASSIFIER_PARAMETERS, constraints_of
from sklearn_mlp.estimators.sources import fits_sources, scores_sources
from sklearn_mlp.losses import Loss, choose_classifier_loss
from sklearn_mlp.losses.labels import both_classes
from sklearn_mlp.machine.sklearn_internals import (
    fit_context,
    training_of,
)
from sklearn_mlp.ranks.group import Group
from sklearn_mlp.steps.prediction import widened
from sklearn_mlp.targets.class_weights import asks_for_balance, weigh_classes
from sklearn_mlp.targets.joined_codecs import join_codecs
from sklearn_mlp.targets.label_codecs import (
    ClassCodec,
    ColumnsCodec,
    LabelCodec,
    check_same_classes,
    codec_of_classes,
    read_classes,
    read_labels,
)
from sklearn_mlp.targets.labels import as_rows, read_column, show, split_classes


class TorchMLPClassifier(ClassifierMixin, BaseTorchMLP):
    """Multilayer perceptron classifier, scikit-learn's `MLPClassifier` trained by PyTorch.

    Minimises the log loss, or another, plus an L2 penalty. Takes every parameter of
    `sklearn.neural_network.MLPClassifier` (1.9) with the same meaning and default and, with
    ``dtype="float64"`` on the CPU, follows its numbers from the same ``random_state``.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Units of each hidden layer; ``()`` for none, which is a linear model.
    activation : str, callable, or list of these, default='relu'
        Activation of the hidden layers, or a list with one for each: ``'identity'``,
        ``'logistic'``, ``'tanh'``, ``'relu'``, ``'leaky_relu'``, ``'elu'``, ``'selu'``,
        ``'gelu'``, ``'silu'``, ``'mish'``, ``'softplus'``; or a function of a tensor, or a
        `torch.nn.Module`, of which each layer gets a copy with parameters of its own to train.
    solver : {'lbfgs', 'sgd', 'adam', 'adamw', 'nadam', 'radam', 'rmsprop', 'adagrad', 'muon'} \
or a subclass of torch.optim.Optimizer, default='adam'
        ``'lbfgs'`` is SciPy's quasi-Newton method over all samples at once, good for small data;
        the others train in epochs of mini-batches. ``'sgd'`` and ``'adam'`` (Kingma and Ba, 2014)
        take scikit-learn's steps, the rest those of the class of that name in `torch.optim`.
        ``'muon'`` is for the weights; its biases go to ``'adamw'``.
    alpha : float, default=0.0001
        Strength of the L2 penalty ``alpha / 2 * sum(coefs_ ** 2)``, divided by the number of
        samples of a batch (or their sum of weights). Intercepts are not penalised. For
        ``'adamw'`` and ``'muon'`` it is their weight decay instead: each step shrinks the weights
        by ``alpha`` times the learning rate, whatever the batch, and the loss has no penalty.
    batch_size : int or 'auto', default='auto'
        Samples of a mini-batch; ``'auto'`` is ``min(200, n_samples)``. Not used by ``'lbfgs'``.
    learning_rate : {'constant', 'invscaling', 'adaptive', 'plateau', 'step', 'exponential', \
'cosine', 'one_cycle'}, default='constant'
        Schedule of the learning rate, for every solver but ``'lbfgs'``.

        - ``'constant'``: ``learning_rate_init``.
        - ``'invscaling'``: ``learning_rate_init / (t_ + 1) ** power_t`` after each epoch. As in
          scikit-learn, without effect for ``'adam'``.
        - ``'adaptive'``: divided by 5 whenever progress stalls. Likewise.
        - ``'plateau'``: multiplied by ``lr_decay`` after more than ``lr_patience`` epochs without
          improvement, down to ``lr_min``.
        - ``'step'``: multiplied by ``lr_decay`` every ``lr_step_size`` epochs.
        - ``'exponential'``: multiplied by ``lr_decay`` every epoch.
        - ``'cosine'``: from ``learning_rate_init`` to ``lr_min`` on half a cosine, changing with
          each step and planned over ``max_iter`` epochs.
        - ``'one_cycle'``: up to ``learning_rate_init`` and down to nearly 0, changing with each
          step and planned over ``max_iter`` epochs; 3/10 of them, or ``warmup``, for the rise.

        A plan counts epochs from the beginning of `fit`, and each `partial_fit` as one.
        ``n_iter_no_change`` may stop training before a plan is through.
    learning_rate_init : float, default=0.001
        Learning rate of all solvers but ``'lbfgs'``; the highest one of a schedule.
    power_t : float, default=0.5
        Exponent of ``'invscaling'``.
    max_iter : int, default=200
        Most epochs (for ``'lbfgs'``, iterations) to train.
    shuffle : bool, default=True
        Whether to put the samples in a new order for each epoch.
    random_state : int, RandomState instance or None, default=None
        Settles everything random: initial weights, validation split, order of the samples. The
        same integer gives what scikit-learn's estimator makes of it. With None every fit differs;
        NumPy's global generator is not touched.
    tol : float, default=1e-4
        What counts as an improvement of the loss, or of the validation score with
        ``early_stopping``; for ``'lbfgs'`` the largest gradient component to stop at.
    verbose : bool, int or 'progress', default=False
        Whether to print the loss of each epoch; ``'progress'`` shows a progress bar instead, with
        the loss and the time left, in a terminal or a notebook.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the previous call instead of new ones.
    momentum : float, default=0.9
        Momentum of ``'sgd'``, in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to hold out part of the samples, to stop when the score on them no longer
        improves, and to end with the weights that scored best. With ``X_val`` and ``y_val``,
        arguments of `fit`, nothing is held out: the score is that on them.
    validation_fraction : float, default=0.1
        The part held out, in [0, 1).
    beta_1, beta_2 : float, default=0.9 and 0.999
        Decay of the first and second moment of ``'adam'``, ``'adamw'``, ``'nadam'`` and
        ``'radam'``, in [0, 1).
    epsilon : float, default=1e-8
        Added to the root of the second moment of these four.
    n_iter_no_change : int or inf, default=10
        Epochs without improvement before training stops.
    max_fun : int, default=15000
        Most evaluations of the loss by ``'lbfgs'``.
    dropout : float or list of float, default=0.0
        The share, in [0, 1), of a hidden layer's values that each training step sets to 0, the
        others being scaled up (Srivastava et al., 2014); a list has one per hidden layer.
        ``random_state`` settles the masks. Not for ``'lbfgs'``.
    input_dropout : float, default=0.0
        The same for the features.
    normalization : {'batch', 'layer'} or None, default=None
        What is done to a hidden layer's values before their activation: normalised over the
        batch (Ioffe and Szegedy, 2015), or over the layer (Ba et al., 2016). A batch of a single
        sample, such as a last one, is normalised by the running statistics.
    residual : bool, default=False
        Whether a hidden layer adds its inputs to its values, wherever it and the hidden layer
        before it have equally many units.
    weight_init : {'auto', 'kaiming', 'xavier_normal', 'orthogonal'} or callable, default='auto'
        How the initial weights are drawn. ``'auto'`` is scikit-learn's way, Glorot's uniform
        one, for the intercepts, too, which otherwise begin at 0. A callable is given each
        `torch.nn.Linear` to change in place, such as `torch.nn.init.trunc_normal_` of its weight.
    module : callable or None, default=None
        A class or function that makes the whole network, a `torch.nn.Module`, in the place of
        ``hidden_layer_sizes`` and ``activation``. It is called with ``n_features_in`` and
        ``n_outputs``, and with every parameter ``module__<name>`` as ``<name>``; these can be
        given to the constructor and to ``set_params``, and so be searched by a grid. The network
        takes (n_samples, n_features) and returns (n_samples, n_outputs), before the output
        activation. Its parameters of two dimensions or more are penalised.
    loss : {'log_loss', 'squared_error', 'focal'} or callable, default='log_loss'
        What is minimised. ``'squared_error'`` is the Brier score: the squared difference between
        each output and its target, averaged over outputs and samples as `torch.nn.MSELoss` does.
        ``'focal'`` is the log loss with each class's term times ``(1 - p) ** focal_gamma`` (Lin
        et al., 2017). A callable takes outputs and targets, tensors of shape
        (n_samples, n_outputs), and returns the loss of each sample, (n_samples,), which is then
        weighted; autograd finds its gradient. With several columns of labels it is called once
        for each, and the losses are summed.
    output_activation : {'auto', 'identity', 'logistic', 'softmax', 'tanh', 'exp'}, default='auto'
        Applied to the network's outputs before the loss. ``'auto'`` is ``'logistic'`` with one
        output for two classes, ``'logistic'`` for multilabel tasks and ``'softmax'`` otherwise.
        The log loss and the focal loss take ``'logistic'`` or ``'softmax'``, ``'squared_error'``
        also ``'tanh'`` and ``'identity'``, a callable all of them. The targets are 1 for the
        sample's class and 0 for the others, with ``'tanh'`` 1 and -1; with ``'softmax'`` two
        classes get two outputs. See `predict_proba` for what becomes of the outputs.
    focal_gamma : float, default=2.0
        How much ``loss='focal'`` weights down what is easy; 0 makes it the log loss.
    label_smoothing : float, default=0.0
        The share of each target that is spread over all classes, in [0, 1), as in
        `torch.nn.CrossEntropyLoss`; an output that stands for yes or no has two classes.
    class_weight : dict, 'balanced', None, or a list of these, default=None
        Weights of the classes, ``{label: weight}``, which multiply the sample weights;
        ``'balanced'`` is ``n_samples / (n_classes * np.bincount(y))``, counted with the sample
        weights. For several columns of labels, and multilabel tasks, a list with an entry for
        each column. They count in the validation score, too. `partial_fit` takes no
        ``'balanced'``.
    solver_params : dict, default=None
        What the optimizer of torch's is made with besides, such as ``{'momentum': 0.9}`` for
        ``'rmsprop'``. What has a parameter here already, such as torch's ``lr``, is an error.
        Those named `torch.optim` classes that know such decays take ``beta_1``, ``beta_2`` and
        ``epsilon``; everything else is torch's default.
    gradient_clip : float, default=None
        The length, over all parameters, that a longer gradient of a batch's loss is scaled to;
        that of the penalty is added after. Not for ``'lbfgs'``.
    weight_averaging : {'ema', 'swa'}, default=None
        What the fitted network's weights are an average of, instead of the last ones: ``'ema'``
        of those after each step, each counting ``ema_decay`` times the next one (corrected for
        where it began, so that the initial weights do not count); ``'swa'`` of those at the end
        of each epoch after ``swa_start``, all alike. A validation set is scored with the
        average, `partial_fit` goes on from the weights. The running statistics of a batch
        normalisation are averaged likewise. Not for ``'lbfgs'``.
    ema_decay : float, default=0.99
        The decay of ``'ema'``, in [0, 1).
    swa_start : float, default=0.75
        The part of ``max_iter`` after which ``'swa'`` begins, in [0, 1). Where training stops
        before, there is no average.
    warmup : int or float, default=0
        Epochs over which the learning rate rises, step by step, to what it would be; a float is
        their share of ``max_iter``.
    lr_decay : float, default=None
        Factor of ``learning_rate='exponential'`` (None is 0.95), ``'step'`` and ``'plateau'``
        (None is 0.1), in (0, 1].
    lr_step_size : int, default=30
        Epochs between the steps of ``learning_rate='step'``.
    lr_patience : int, default=5
        Epochs without improvement that ``learning_rate='plateau'`` puts up with.
    lr_min : float, default=0.0
        The rate that a schedule other than scikit-learn's three does not go below.
    scoring : str or callable, default=None
        What scores the network on the validation set, and so decides on early stopping and the
        best weights: a name of `sklearn.metrics.get_scorer_names`, a callable
        ``scorer(estimator, X, y)`` that returns a finite number, larger being better, or
        ``'loss'`` for the loss on the validation set, without the penalty and with its sign
        changed. None is the accuracy, as in scikit-learn. Not used where there is no validation
        set.
    max_time : float, default=None
        Seconds after which training stops, at the end of the epoch; with ``early_stopping`` the
        best weights so far are put back in place.
    device : str or torch.device, default='auto'
        Where to train and predict: ``'auto'`` is cuda, then mps, then xpu, then cpu, whichever is
        there first; else any device that torch has on this machine.
    dtype : {'auto', 'float32', 'float64', 'bfloat16'}, default='auto'
        The floating-point type of training. ``'auto'`` is float32, and float64 for ``'lbfgs'``,
        whose line search needs it, and where one batch holds all of at most 200 samples.
        ``'bfloat16'``, not for ``'lbfgs'``, is mixed precision: training takes its products in
        bfloat16, which large networks gain from where the device has it, and the parameters stay
        float32. What comes out has the type that scikit-learn's would have.
    compile : bool, default=False
        Whether to compile the network with `torch.compile` where autograd trains it: where
        ``engine_`` is ``'autograd'``, or with ``backend='skorch'``. It takes seconds, which large
        networks may repay. The closed form has nothing to compile.
    backend : {'torch', 'skorch'}, default='torch'
        What trains the network: this package's own engine, which is the faster one by far, or
        skorch, for its callbacks and its ecosystem. Both follow the same numbers, in float64 up
        to rounding. skorch has no ``'lbfgs'``.
    backend_params : dict, default=None
        With ``backend='skorch'``, what goes to the constructor of skorch's net as it is, such as
        ``{'callbacks': [...]}``, ``{'compile': True}`` or ``{'iterator_train__num_workers': 2}``.
        What has a parameter here already, such as skorch's ``lr``, is an error.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), or a list of them
        The labels; of several columns of labels, those of each.
    coefs_ : list of ndarray of shape (n_in, n_out)
        The weights of each layer. Can be assigned, all or one (``coefs_[0] = ...``), and is then
        what predicts. An array can be changed in place where it is the network's own memory: on
        the CPU, trained in the array's type. Elsewhere it is a copy, and read-only. Not with
        ``module``; nor are ``intercepts_`` and ``n_layers_``.
    intercepts_ : list of ndarray of shape (n_out,)
        The biases of each layer, likewise.
    module_ : torch.nn.Module
        The network, in eval mode. It returns, for a tensor in ``dtype_`` of shape
        (n_samples, n_features), the values before the output activation: their softmax (three
        classes or more) or logistic function (two classes, multilabel) are the probabilities.
    engine_ : {'compiled', 'closed_form', 'autograd', 'skorch'}
        What computed the gradients: this package's own formulas, in compiled code where they are
        and else by torch, autograd where there are none for the network, or skorch.
    device_ : torch.device
        Where it is.
    dtype_ : torch.dtype
        The type it was trained in, which ``module_`` takes and returns: after a default fit
        float32, or float64 where one batch held all of at most 200 samples.
    net_ : skorch.NeuralNetClassifier
        With ``backend='skorch'``, the fitted net, with its ``history``, ``callbacks_`` and
        ``module_``. It predicts what the estimator predicts. The estimator trains it, by `fit`
        and `partial_fit`; a pickle of the estimator keeps the net's records of epochs, not those
        of batches.
    history_ : pandas.DataFrame
        A row per epoch: ``loss``, the training loss with the penalty; ``validation_loss``, without
        it, and ``validation_score`` (both NaN without a validation set); ``learning_rate``, of
        the epoch's last step; ``seconds``.
    loss_ : float
        The last training loss, penalty included.
    loss_curve_ : list of float
        The training loss of each epoch. Not for ``'lbfgs'``; see ``history_``.
    best_loss_ : float or None
        The lowest training loss; None with ``early_stopping``. Not for ``'lbfgs'``.
    validation_scores_ : list of float or None
        The score on the validation set after each epoch, by ``scoring``; None without
        ``early_stopping`` and ``X_val``.
    best_validation_score_ : float or None
        The highest of them.
    n_iter_ : int
        Epochs (for ``'lbfgs'``, iterations) of the last call.
    converged_ : bool
        Whether the last call ended because nothing improved any more, and not because a limit
        was reached.
    t_ : int
        Training samples used, over all epochs.
    n_layers_ : int
        Layers, input and output among them.
    n_outputs_ : int
        Outputs of the network.
    out_activation_ : str
        The output activation: ``'softmax'``, ``'logistic'``, or what ``output_activation`` names.
    n_features_in_ : int
        Features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if ``X`` had names that are all strings.

    See Also
    --------
    TorchMLPRegressor : The same for numbers.
    sklearn.neural_network.MLPClassifier : scikit-learn's own.

    References
    ----------
    Ba, Kiros and Hinton (2016), "Layer normalization", :arxiv:`1607.06450`.

    Ioffe and Szegedy (2015), "Batch normalization: Accelerating deep network training by reducing
    internal covariate shift", :arxiv:`1502.03167`.

    Srivastava et al. (2014), "Dropout: A simple way to prevent neural networks from overfitting",
    JMLR 15.

    Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS.

    Kingma and Ba (2014), "Adam: A method for stochastic optimization", :arxiv:`1412.6980`.

    Lin, Goyal, Girshick, He and Dollár (2017), "Focal loss for dense object detection",
    :arxiv:`1708.02002`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_mlp import TorchMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> clf = TorchMLPClassifier(max_iter=50, tol=1e-2, random_state=0)
    >>> clf.fit(X_train, y_train).score(X_test, y_test) > 0.9
    True
    >>> clf.predict_proba(X_test[:1]).shape
    (1, 10)
    """

    _table = CLASSIFIER_PARAMETERS
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = constraints_of(CLASSIFIER_PARAMETERS)
    _own_constraints = _parameter_constraints

    focal_gamma: float
    label_smoothing: float
    class_weight: Any
    classes_: Any
    _codec: LabelCodec
    _codec_type = LabelCodec
    _sklearn_name = "MLPClassifier"

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int | str = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        # Network.
        dropout: float | Sequence[float] = 0.0,
        input_dropout: float = 0.0,
        normalization: str | None = None,
        residual: bool = False,
        weight_init: Any = "auto",
        module: Callable[..., nn.Module] | None = None,
        # Loss and output.
        loss: Any = "log_loss",
        output_activation: str = "auto",
        focal_gamma: float = 2.0,
        label_smoothing: float = 0.0,
        class_weight: Any = None,
        # Solvers, schedules, averaging.
        solver_params: dict[str, Any] | None = None,
        gradient_clip: float | None = None,
        weight_averaging: str | None = None,
        ema_decay: float = 0.99,
        swa_start: float = 0.75,
        warmup: float = 0,
        lr_decay: float | None = None,
        lr_step_size: int = 30,
        lr_patience: int = 5,
        lr_min: float = 0.0,
        # Watching and stopping.
        scoring: str | Callable[..., float] | None = None,
        max_time: float | None = None,
        # Where it runs.
        device: str | torch.device = "auto",
        dtype: str = "auto",
        compile: bool = False,
        backend: str = "torch",
        backend_params: dict[str, Any] | None = None,
        **module__: Any,
    ) -> None:
        self._set_parameters(locals())

    @fit_context(prefer_skip_nested_validation=True)
    @fits_sources
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the network.

        Parameters
        ----------
        X : array-like, CSR or CSC matrix, DataFrame or Tensor of shape (n_samples, n_features)
            The samples; or what is read some rows at a time: an array in a file, or, without
            ``y`` or with names of columns for ``y`` and ``sample_weight``, a `RowSource`, a
            Parquet file or folder, a data set of pyarrow's or torch's, a loader, or a collection
            of Dask's (see the guide, "Data larger than memory").
        y : array-like or Tensor of shape (n_samples,), (n_samples, n_labels) or \
                (n_samples, n_columns)
            Labels of any type, an indicator matrix of 0 and 1 for multilabel tasks, which may be
            sparse, or several columns of labels, which are predicted by one network, each column
            with a block of outputs of its own.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights. As in scikit-learn each batch is averaged by its own: a weight of 2 counts as
            the sample twice where one batch holds all samples, nearly so in large batches, and
            for nothing with ``batch_size=1``.
        X_val, y_val, sample_weight_val
            A validation set, in the same forms: the network is watched on it (`history_`), and
            with ``early_stopping`` it takes the place of the part held out. In a
            `~sklearn.pipeline.Pipeline`, ``transform_input=["X_val"]`` transforms it as ``X``.

        Returns
        -------
        self : TorchMLPClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data is unusable, training produces non-finite weights, or
            early stopping goes by a scorer whose score is not finite.
        """
        if self.warm_start and self._written and not self.__sklearn_is_fitted__():
            self._begin_from_written(self._read_codec(self._validate_labels(y), None))
        validation_set = (X_val, y_val, sample_weight_val)
        self._fit(X, y, sample_weight, validation_set, incremental=False)
        self.classes_ = follow_targets(self.classes_, y)
        return self

    @available_if(lambda self: self._check_solver())
    @fit_context(prefer_skip_nested_validation=True)
    @fits_sources
    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        classes: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train for one epoch, going on from where the last call ended.

        For all solvers but ``'lbfgs'``. With ``early_stopping`` it needs a
        validation set, the same in every call; when the score on it has not improved for more
        than ``n_iter_no_change`` calls, ``converged_`` is True and the best weights are back in
        place.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`; ``y`` need not have all the classes.
        classes : array-like of shape (n_classes,), or a list of them, default=None
            All classes that may come, of several columns of labels those of each; required in
            the first call.
        X_val, y_val, sample_weight_val
            As for `fit`.

        Returns
        -------
        self : TorchMLPClassifier
            The estimator.

        Raises
        ------
        ValueError
            As `fit`; and if what has been fitted cannot go on: another form of the network, other
            classes or features, or ``early_stopping`` without a validation set.
        """
        if asks_for_balance(self.class_weight):
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit. In order to use "
                "'balanced' weights, use compute_class_weight('balanced', classes=classes, y=y). "
                "In place of y you can use a large enough sample of the full training set target "
                "to properly estimate the class frequency distributions. Pass the resulting "
                "weights as the class_weight parameter."
            )
        codec = self._take_classes(y, classes)
        if codec is not None:
            self._begin_from_written(codec)
        validation_set = (X_val, y_val, sample_weight_val)
        self._fit(X, y, sample_weight, validation_set, incremental=True, codec=codec)
        self.classes_ = follow_targets(self.classes_, y)
        return self

    @follow_samples
    def predict(self, X: Any) -> Any:
        """Predict labels.

        Parameters
        ----------
        X : array-like, CSR or CSC matrix, DataFrame or Tensor of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        y : ndarray of shape (n_samples,), (n_samples, n_labels) or (n_samples, n_columns)
            The most probable labels; a CSR matrix if those of training were a sparse one.
        """
        self._check_is_fitted()
        if isinstance(self._codec, ClassCodec) and self.out_activation_ == "softmax":
            # The largest logit is the largest probability; only codes leave the device.
            codes, _ = self._predict(X, lambda logits, dtype: logits.argmax(1))
            return self._codec.classes[codes]
        probabilities, _ = self._predict(X, self._activate)
        return self._codec.decode(probabilities)

    @follow_samples
    def predict_proba(self, X: Any) -> Any:
        """Predict probabilities.

        Parameters
        ----------
        X : array-like, CSR or CSC matrix, DataFrame or Tensor of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), or a list of them
            In the order of ``classes_``; rows sum to 1, except in multilabel tasks, where each
            column is the probability of that label. A list, one per column, for several columns
            of labels.

        Notes
        -----
        What outputs that are no probabilities by themselves stand for:

        ============  ==================================  =======================================
        activation    an output is a yes or no            an output is a class
        ============  ==================================  =======================================
        ``logistic``  the output                          the outputs over their sum
        ``tanh``      ``(1 + output) / 2``                the same over its sum
        ``identity``  the output, clipped to [0, 1]       the nearest point of the probability
                                                          simplex, which keeps their order
        ``exp``       the output, clipped to [0, 1]       the outputs over their sum
        ============  ==================================  =======================================
        """
        probabilities, dtype = self._predict(X, self._probabilities)
        return self._codec.by_column(probabilities.astype(dtype, copy=False))

    @follow_samples
    def predict_log_proba(self, X: Any) -> Any:
        """Predict the logarithms of probabilities.

        Parameters
        ----------
        X : array-like, CSR or CSC matrix, DataFrame or Tensor of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), or a list of them
            ``log(predict_proba(X))``, computed in float64.
        """

        def finish(logits: Tensor, dtype: torch.dtype) -> Tensor:
            """Return logarithms of what is in float64, which has far smaller numbers."""
            probabilities = self._probabilities(logits, torch.float64).cpu().numpy()
            return torch.from_numpy(np.log(probabilities, out=probabilities)).to(dtype)

        logarithms, dtype = self._predict(X, finish)
        return self._codec.by_column(logarithms.astype(dtype, copy=False))

    @scores_sources
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy.

        Parameters
        ----------
        X : array-like, CSR or CSC matrix, DataFrame or Tensor of shape (n_samples, n_features)
            The samples.
        y : array-like or Tensor of shape (n_samples,), (n_samples, n_labels) or \
                (n_samples, n_columns)
            The true labels.
        sample_weight : array-like or Tensor of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            The share of samples whose labels are all right.
        """
        self._check_is_fitted()
        with config_context(array_api_dispatch=False):
            predictions = self.predict(X)
            weights, y = self._validate_weights(sample_weight, predictions), on_host(y)
            if not isinstance(self._codec, ColumnsCodec):
                with naming("y"):
                    return float(accuracy_score(y, predictions, sample_weight=weights))
            labels = np.asarray(as_rows(y), dtype=object)
            if labels.shape != predictions.shape:
                raise ValueError(f"y must have the shape {predictions.shape}, got {labels.shape}.")
            is_right = (predictions == labels).all(axis=1)
            return float(np.average(is_right, weights=weights))

    def _probabilities(self, logits: Tensor, dtype: torch.dtype) -> Tensor:
        """Return a column per class; in multilabel tasks a column per label."""
        if self._codec.kind != "binary":
            return self._activate(logits, dtype)
        is_rounded = logits.dtype != torch.float64
        return both_classes(self._loss, widened(logits, dtype), is_rounded=is_rounded)

    def _predicted(self, logits: Tensor) -> Tensor:
        outputs = self._loss.activate(logits, dim=1)
        return torch.cat([1 - outputs, outputs], 1) if self._codec.kind == "binary" else outputs

    def _count_predicted(self) -> int:
        return 2 if self._codec.kind == "binary" else self._codec.n_outputs

    def _as_predictions(self, gradients: np.ndarray) -> Any:
        return self._codec.by_column(gradients)

    def _validate_data(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, np.ndarray]:
        X, y = validate_training_data(self, X, as_rows(y), reset=reset)
        return X, as_column(y)

    def _take_classes(self, y: Any, classes: Any) -> LabelCodec | None:
        """Return what the classes say if this is the first call of `partial_fit`, or check them.

        They become the estimator's when it has been fitted.
        """
        if self.__sklearn_is_fitted__():
            if classes is not None:
                check_same_classes(classes, self._codec)
            return None
        if classes is None:
            # The user may have set them.
            classes = getattr(self, "classes_", None)
        if classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return read_classes(
            classes,
            self._validate_labels(y),
            has_output_per_class=self.output_activation == "softmax",
        )

    def _validate_labels(self, y: Any) -> Any:
        """Return labels, checked, before the samples are."""
        return validate_targets(self, on_host(as_rows(y)))

    def _codec_of_written(self, n_outputs: int) -> LabelCodec | None:
        classes = vars(self).get("classes_")
        if classes is None:
            return None
        of_columns = split_classes(classes)
        if of_columns is not None:
            return ColumnsCodec(of_columns)
        known = read_column(classes, "classes_")
        if vars(self).get("out_activation_") == "logistic" and n_outputs > 1:
            return ClassCodec(known, "multilabel")
        return codec_of_classes(known, self.output_activation == "softmax")

    def _codec_of_sklearn(self, fitted: Any) -> LabelCodec:
        n_outputs = fitted.n_outputs_
        if fitted.out_activation_ == "logistic" and n_outputs > 1:
            is_sparse = training_of(fitted).is_sparse
            return ClassCodec(np.arange(n_outputs), "multilabel", is_sparse)
        return codec_of_classes(read_column(fitted.classes_, "classes_"), False)

    def _check_is_fitted(self) -> None:
        if not self.__sklearn_is_fitted__() and "coefs_" in self._written:
            raise NotFittedError(
                f"coefs_ of this {type(self).__name__} was set; set intercepts_ and classes_, "
                "too, before it can predict."
            )
        super()._check_is_fitted()

    def _read_codec(self, y: np.ndarray, weights: np.ndarray | None) -> LabelCodec:
        return read_labels(y, has_output_per_class=self.output_activation == "softmax")

    def _read_codec_of_all(
        self, y: np.ndarray, weights: np.ndarray | None, own: Group
    ) -> LabelCodec:
        with own.errors_told("take its y"):
            codec = self._read_codec(y, weights)
        is_softmax = self.output_activation == "softmax"
        return join_codecs(own.gather(codec), has_output_per_class=is_softmax)

    def _check_known(self, y: np.ndarray, codec: LabelCodec, own: Group | None) -> None:
        # Of several processes each may have rows of some classes only.
        codec.check_known(y, is_warm_start=self.warm_start and own is None)

    def _encode_targets(
        self,
        y: np.ndarray,
        weights: np.ndarray | None,
        codec: LabelCodec,
        own: Group | None = None,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        targets, add_up = codec.encode(y), None if own is None else own.sum_of
        return targets, weigh_classes(self.class_weight, codec.columns(targets), weights, add_up)

    def _check_validation_targets(self, y: np.ndarray, codec: LabelCodec) -> None:
        unknown = codec.unknown_labels(y)
        if len(unknown):
            raise ValueError(
                f"y has classes that are not in the training set's y: {show(unknown)}."
            )

    def _learned(self, codec: LabelCodec, features: Mapping[str, Any]) -> dict[str, Any]:
        return {**super()._learned(codec, features), "classes_": codec.classes}

    def _choose_loss(self, codec: LabelCodec) -> Loss:
        return choose_classifier_loss(
            self.loss,
            codec.kind,
            codec.sizes,
            self.output_activation,
            self.label_smoothing,
            self.focal_gamma,
        )

    def _count_outputs(self, targets: np.ndarray, loss: Loss, codec: LabelCodec) -> int:
        return codec.n_outputs

    def _stratify(self, targets: np.ndarray, codec: LabelCodec) -> np.ndarray | None:
        # scikit-learn stratifies two classes only, and so must the same split.
        return targets if codec.kind == "binary" else None

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags
