"""`TorchMLPRegressor`: its parameters, and what numbers add to `BaseTorchMLP`.

A fit goes through `BaseTorchMLP._fit` in `base`, which asks here for what targets are: how they
are checked and scaled, the loss, the score, the outputs. Predictions go through `fitted`.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
import torch
from sklearn import config_context
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.metaestimators import available_if
from torch import Tensor, nn

from sklearn_mlp.arrays.checks import validate_training_data
from sklearn_mlp.arrays.target_checks import as_column, as_numbers, naming
from sklearn_mlp.arrays.tensors import narrowed, on_host
from sklearn_mlp.estimators.array_api import follow_samples
from sklearn_mlp.estimators.base import BaseTorchMLP
from sklearn_mlp.estimators.parameters import REGRESSOR_PARAMETERS, constraints_of
from sklearn_mlp.estimators.sources import fits_sources, scores_sources
from sklearn_mlp.losses import GaussianNLL, Loss, Quantiles, choose_regressor_loss
from sklearn_mlp.losses.choice import check_targets
from sklearn_mlp.machine.shared_memory import tensor_to_read
from sklearn_mlp.machine.sklearn_internals import fit_context
from sklearn_mlp.ranks.group import Group
from sklearn_mlp.targets.codecs import Moments, NumberCodec


class TorchMLPRegressor(RegressorMixin, BaseTorchMLP):
    """Multilayer perceptron regressor, scikit-learn's `MLPRegressor` trained by PyTorch.

    Minimises the squared error, or another loss, plus an L2 penalty. Takes every
    parameter of `sklearn.neural_network.MLPRegressor` (1.9) with the same meaning and default
    and, with ``dtype="float64"`` on the CPU, follows its numbers from the same ``random_state``.

    Like scikit-learn's, it does not scale ``y`` by default: targets far from 0, or on a scale far
    from 1, train slowly or not at all. ``scale_target='standard'`` standardises them inside.

    Parameters
    ----------
    loss : {'squared_error', 'absolute_error', 'huber', 'quantile', 'poisson', 'gamma', \
            'gaussian_nll'} or callable, default='squared_error'
        ``'squared_error'``: half of it. ``'absolute_error'``: for the median. ``'huber'``: the
        squared error for small errors, the absolute one for large ones. ``'quantile'``: the
        pinball loss, at the level or levels of ``quantile``. ``'poisson'``: half the deviance of
        counts, ``y >= 0``, with an exponential output. ``'gamma'``: half the gamma deviance,
        ``y > 0``, with an exponential output. ``'gaussian_nll'``: the negative log-likelihood of
        a normal distribution whose mean and variance are both outputs (Nix and Weigend, 1994);
        ``predict(X, return_std=True)`` returns the deviation, too. A callable takes outputs and
        targets, tensors of shape (n_samples, n_outputs), and returns the loss of each sample,
        (n_samples,), which is then weighted; autograd finds its gradient.

        Over several columns of ``y`` losses are summed; ``'squared_error'`` follows scikit-learn:
        its value is averaged, its gradient is that of the sum.
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
    output_activation : {'auto', 'identity', 'logistic', 'softmax', 'tanh', 'exp'}, default='auto'
        Applied to the network's outputs; ``'auto'`` is ``'exp'`` for ``'poisson'`` and
        ``'gamma'``, which take no other, and ``'identity'`` for the rest. ``'gaussian_nll'`` takes
        no other, and ``'quantile'`` all but ``'softmax'``.
    huber_delta : float, default=1.35
        Where ``loss='huber'`` becomes linear, in units of ``y``, or with ``scale_target`` in
        standard deviations of ``y``: 1.35 of the noise's is as good as 95 % of the samples would
        be with the squared error if the noise is normal (`sklearn.linear_model.HuberRegressor`
        has the same).
    quantile : float or array-like of float, default=0.5
        Of ``loss='quantile'``: the level, between 0 and 1, or several in rising order. Several
        are predicted as columns that never cross.
    scale_target : {'standard'} or None, default=None
        Whether to train on ``(y - target_mean_) / target_scale_``, and undo that in `predict`.
        Not for losses and output activations that bound the outputs. Means and deviations
        are those of the first `fit` or `partial_fit`, sample weights included. ``loss_curve_``
        and ``coefs_`` are in the scaled units.
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
        changed. None is the R² score, as in scikit-learn. Not used where there is no validation
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
    coefs_ : list of ndarray of shape (n_in, n_out)
        The weights of each layer. Can be assigned, all or one (``coefs_[0] = ...``), and is then
        what predicts. An array can be changed in place where it is the network's own memory: on
        the CPU, trained in the array's type. Elsewhere it is a copy, and read-only. Not with
        ``module``; nor are ``intercepts_`` and ``n_layers_``.
    intercepts_ : list of ndarray of shape (n_out,)
        The biases of each layer, likewise.
    module_ : torch.nn.Module
        The network, in eval mode. It returns, for a tensor in ``dtype_`` of shape
        (n_samples, n_features), the predictions of shape (n_samples, n_outputs) before the output
        activation, in the scaled units if ``scale_target`` is set. For ``'poisson'`` and
        ``'gamma'`` these are logarithms; for ``'gaussian_nll'`` means, then logarithms of
        variances; for ``'quantile'`` each target's quantiles, next to each other, not sorted.
    engine_ : {'compiled', 'closed_form', 'autograd', 'skorch'}
        What computed the gradients: this package's own formulas, in compiled code where they are
        and else by torch, autograd where there are none for the network, or skorch.
    device_ : torch.device
        Where it is.
    dtype_ : torch.dtype
        The type it was trained in, which ``module_`` takes and returns: after a default fit
        float32, or float64 where one batch held all of at most 200 samples.
    net_ : skorch.NeuralNetRegressor
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
        The output activation: ``'identity'``, ``'exp'``, or what ``output_activation`` names.
    target_mean_, target_scale_ : ndarray of shape (n_targets,)
        With ``scale_target``, what is subtracted from ``y`` and what it is then divided by.
    n_features_in_ : int
        Features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if ``X`` had names that are all strings.

    See Also
    --------
    TorchMLPClassifier : The same for labels.
    sklearn.neural_network.MLPRegressor : scikit-learn's own.

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

    Nix and Weigend (1994), "Estimating the mean and variance of the target probability
    distribution", ICNN.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from sklearn_mlp import TorchMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X, y = scale(X), scale(y)
    >>> reg = TorchMLPRegressor(hidden_layer_sizes=20, tol=1e-2, random_state=0).fit(X, y)
    >>> reg.predict(X[:2]).shape
    (2,)
    >>> reg.score(X, y) > 0.4
    True
    """

    _table = REGRESSOR_PARAMETERS
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = constraints_of(REGRESSOR_PARAMETERS)
    _own_constraints = _parameter_constraints

    huber_delta: float
    quantile: Any
    scale_target: str | None
    _codec: NumberCodec
    _codec_type = NumberCodec
    _sklearn_name = "MLPRegressor"

    def __init__(
        self,
        loss: Any = "squared_error",
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
        output_activation: str = "auto",
        huber_delta: float = 1.35,
        quantile: Any = 0.5,
        scale_target: str | None = None,
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
        y : array-like, sparse matrix or Tensor of shape (n_samples,) or (n_samples, n_outputs)
            The numbers to predict; sparse ones are made dense.
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
        self : TorchMLPRegressor
            The fitted estimator.

        Raises
        ------
        TypeError
            If ``y`` is not of a numeric type.
        ValueError
            If a parameter or the data is unusable, training produces non-finite weights, or
            early stopping goes by a scorer whose score is not finite.
        """
        validation_set = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation_set, incremental=False)

    @available_if(lambda self: self._check_solver())
    @fit_context(prefer_skip_nested_validation=True)
    @fits_sources
    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
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
            As for `fit`.
        X_val, y_val, sample_weight_val
            As for `fit`.

        Returns
        -------
        self : TorchMLPRegressor
            The estimator.

        Raises
        ------
        ValueError
            As `fit`; and if what has been fitted cannot go on: another form of the network, other
            targets or features, or ``early_stopping`` without a validation set.
        """
        validation_set = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation_set, incremental=True)

    @follow_samples
    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict numbers.

        Parameters
        ----------
        X : array-like, CSR or CSC matrix, DataFrame or Tensor of shape (n_samples, n_features)
            The samples.
        return_std : bool, default=False
            With ``loss='gaussian_nll'``, whether to return standard deviations, too.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            The predictions. With ``loss='quantile'`` and several of them a column for each, rising
            from left to right: (n_samples, n_quantiles) or (n_samples, n_targets, n_quantiles).
        y_std : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Only with ``return_std=True``: the standard deviation of ``y`` given the sample.

        Raises
        ------
        ValueError
            If ``return_std`` is asked of another loss.
        """
        self._check_is_fitted()
        loss = self._loss
        if not isinstance(return_std, bool | np.bool_ | int | None):
            raise TypeError(f"return_std must be True or False, got {return_std!r}.")
        if return_std and not isinstance(loss, GaussianNLL):
            raise ValueError(
                f"return_std=True needs loss='gaussian_nll', but the network was fitted with "
                f"loss={self.loss!r}, which predicts no standard deviation."
            )
        outputs, dtype = self._predict(X, self._activate)
        predictions = narrowed(self._codec.decode(loss.predictions(outputs)), dtype)
        if not (return_std and isinstance(loss, GaussianNLL)):
            return predictions
        deviations = self._codec.decode_deviations(loss.deviations(outputs))
        return predictions, narrowed(deviations, dtype)

    @scores_sources
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return R², or with ``loss='quantile'`` its counterpart for quantiles.

        Parameters
        ----------
        X : array-like, CSR or CSC matrix, DataFrame or Tensor of shape (n_samples, n_features)
            The samples.
        y : array-like, sparse matrix or Tensor of shape (n_samples,) or (n_samples, n_targets)
            The true numbers.
        sample_weight : array-like or Tensor of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            `sklearn.metrics.r2_score`; of quantiles `sklearn.metrics.d2_pinball_score`, averaged
            over the levels. 1 is perfect, and 0 is no better than a constant.

        Raises
        ------
        ValueError
            If ``y`` is not a finite number for each prediction, or there is not a weight for each.
        """
        self._check_is_fitted()
        with config_context(array_api_dispatch=False):
            predictions = self.predict(X)
            weights, y = self._validate_weights(sample_weight, predictions), on_host(y)
            y = y.toarray(order="C") if scipy.sparse.issparse(y) else y
            with naming("y"):
                if not isinstance(self._loss, Quantiles):
                    return float(r2_score(y, predictions, sample_weight=weights))
                return self._score_quantiles(predictions, y, weights)

    def _score_quantiles(
        self, predictions: np.ndarray, y: Any, weights: np.ndarray | None
    ) -> float:
        """Return the score of predictions at each level."""
        assert isinstance(self._loss, Quantiles)
        # As `r2_score` checks them.
        values = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        check_consistent_length(values, predictions)
        values = values.reshape(len(values), -1)
        predictions = predictions.reshape(len(predictions), -1)
        n_targets = predictions.shape[1] // len(self._loss.levels)
        if values.shape[1] != n_targets:
            raise ValueError(
                f"y has {values.shape[1]} columns, but the network was fitted with {n_targets}."
            )
        (score,) = self._loss.metric(
            torch.from_numpy(predictions).unsqueeze(0),
            torch.tensor(values, device="cpu"),
            None if weights is None else tensor_to_read(weights),
        )
        return score

    def _predicted(self, logits: Tensor) -> Tensor:
        outputs = self._loss.predictions(self._loss.activate(logits, dim=1))
        if self._codec.scale is not None:
            axes = (...,) + (np.newaxis,) * (outputs.ndim - 2)
            scale = torch.from_numpy(self._codec.scale[axes])
            outputs = outputs * scale.to(outputs.device, outputs.dtype)
        return outputs.flatten(1)

    def _count_predicted(self) -> int:
        return self._loss.predictions(np.empty((1, self.n_outputs_))).size

    def _as_predictions(self, gradients: np.ndarray) -> np.ndarray:
        shape = self._loss.predictions(np.empty((1, self.n_outputs_))).shape[1:]
        shape = shape[1:] if shape[0] == 1 else shape
        return gradients.reshape(len(gradients), *shape, gradients.shape[-1])

    @property
    def target_mean_(self) -> np.ndarray:
        """The numbers that `scale_target` subtracts from the targets, (n_targets,)."""
        return self._scaling("target_mean_", "mean")

    @property
    def target_scale_(self) -> np.ndarray:
        """The numbers that `scale_target` divides the targets by, (n_targets,)."""
        return self._scaling("target_scale_", "scale")

    def _scaling(self, attribute: str, name: str) -> np.ndarray:
        """Return one of the two, or say that it is there only with `scale_target`."""
        self._fitted_network(attribute)
        values = getattr(self._codec, name)
        if values is None:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {attribute!r}: it was fitted "
                "with scale_target=None."
            )
        return values

    def _validate_data(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, np.ndarray]:
        X, y = validate_training_data(self, X, y, reset=reset)
        y = as_numbers(y)
        check_targets(y, self.loss)
        return X, as_column(y)

    def _codec_of_written(self, n_outputs: int) -> NumberCodec:
        if self.scale_target is not None:
            raise ValueError(
                f"coefs_ and intercepts_ make no network with scale_target={self.scale_target!r}, "
                "whose scale only a fit can find; set scale_target=None, or fit first."
            )
        return NumberCodec()

    def _codec_of_sklearn(self, fitted: Any) -> NumberCodec:
        return NumberCodec()

    def _read_codec(self, y: np.ndarray, weights: np.ndarray | None) -> NumberCodec:
        if self.scale_target is None:
            return NumberCodec()
        return NumberCodec.from_targets(y.reshape(len(y), -1), weights)

    def _read_codec_of_all(
        self, y: np.ndarray, weights: np.ndarray | None, own: Group
    ) -> NumberCodec:
        if self.scale_target is None:
            return NumberCodec()
        return Moments.joined(own.gather(Moments.of(y.reshape(len(y), -1), weights))).codec()

    def _check_known(self, y: np.ndarray, codec: NumberCodec, own: Group | None) -> None:
        if (self.scale_target is None) != (codec.mean is None):
            raise ValueError(
                f"scale_target={self.scale_target!r} is not what the network was fitted with; "
                "training goes on in the scale of the first call. Set warm_start=False and call "
                "fit to begin anew."
            )

    def _encode_targets(
        self,
        y: np.ndarray,
        weights: np.ndarray | None,
        codec: NumberCodec,
        own: Group | None = None,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        return codec.encode(y), weights

    def _check_validation_targets(self, y: np.ndarray, codec: NumberCodec) -> None:
        """Take any numbers."""

    def _choose_loss(self, codec: NumberCodec) -> Loss:
        loss = choose_regressor_loss(
            self.loss, self.output_activation, self.huber_delta, self.quantile
        )
        if self.scale_target is not None and loss.out_activation != "identity":
            raise ValueError(
                f"scale_target={self.scale_target!r} cannot be used with "
                f"{self._reason_for_activation(loss)}, whose outputs are bounded where "
                "standardised targets are not; use scale_target=None, or an identity output."
            )
        return loss

    def _reason_for_activation(self, loss: Loss) -> str:
        """Name the parameter that the output activation comes from."""
        if self.output_activation == "auto":
            return f"loss={self.loss!r}"
        return f"output_activation={loss.out_activation!r}"

    def _count_outputs(self, targets: np.ndarray, loss: Loss, codec: NumberCodec) -> int:
        return loss.count_logits(targets.shape[1])

    def _stratify(self, targets: np.ndarray, codec: NumberCodec) -> np.ndarray | None:
        return None
