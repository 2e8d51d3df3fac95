"""The losses: their gradients, their values against torch's, and what they learn."""

import warnings

import numpy as np
import pytest
import torch
from engines import PLAIN
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_pinball_score, mean_gamma_deviance
from torch import nn
from torch.nn import functional

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.contract.state import TrainingState
from sklearn_mlp.losses import choose_classifier_loss, choose_regressor_loss
from sklearn_mlp.losses.choice import CLASSIFIER_LOSSES, REGRESSOR_LOSSES
from sklearn_mlp.losses.outputs import OUTPUT_ACTIVATIONS
from sklearn_mlp.targets.codecs import NumberCodec

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def smooth_l1(output, target):
    """A loss as a user writes it."""
    return functional.smooth_l1_loss(output, target, reduction="none").sum(1)


def classifier_losses():
    """Every pair of loss and output activation, for every kind of labels."""
    losses = {**CLASSIFIER_LOSSES, smooth_l1: tuple(OUTPUT_ACTIVATIONS)}
    for loss, activations in losses.items():
        for activation in activations:
            for kind in ("binary", "multiclass", "multilabel", "multioutput"):
                if activation == "softmax" and kind in ("binary", "multilabel"):
                    continue
                for smoothing in (0.0, 0.2):
                    yield loss, activation, kind, smoothing


def regressor_losses():
    """Every pair of loss and output activation."""
    losses = {**REGRESSOR_LOSSES, smooth_l1: tuple(OUTPUT_ACTIVATIONS)}
    for loss, activations in losses.items():
        for activation in activations:
            yield loss, activation


def numerical_gradient(loss, logits, targets):
    """Return central differences of the sum over the samples."""
    gradient, step = torch.empty_like(logits), 1e-6
    for place in range(logits.numel()):
        moved = [logits.clone(), logits.clone()]
        moved[0].view(-1)[place] -= step
        moved[1].view(-1)[place] += step
        low, high = (loss.per_sample(values, targets).sum() for values in moved)
        gradient.view(-1)[place] = (high - low) / (2 * step)
    return gradient


def assert_gradient(loss, logits, targets, factor=1.0):
    """Compare the gradient with differences, in the engine's mode, into memory of any strides."""
    expected = numerical_gradient(loss, logits, targets) * factor
    with torch.inference_mode():
        out = torch.empty(logits.shape[::-1], dtype=torch.float64).t()
        gradient = loss.gradient(logits.t().contiguous().t(), targets, out)
    # Differences of so small a step are right to about 1e-9.
    assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)
    assert_allclose(out, gradient, rtol=0)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize(("name", "activation", "kind", "smoothing"), list(classifier_losses()))
def test_gradients_of_a_classifiers_losses(name, activation, kind, smoothing, gamma):
    sizes = [1] if kind == "binary" else [2, 3] if kind == "multioutput" else [4]
    random = np.random.RandomState(0)
    logits = torch.from_numpy(random.standard_normal((sum(sizes), 6)))
    if kind in ("multiclass", "multioutput"):
        targets = torch.from_numpy(np.array([random.randint(0, size, 6) for size in sizes]))
    else:
        targets = torch.from_numpy(random.randint(0, 2, (sizes[0], 6))).double()
    loss = choose_classifier_loss(name, kind, sizes, activation, smoothing, gamma)
    assert loss.out_activation == activation
    assert_gradient(loss, logits, targets)
    probabilities = loss.activate_(logits.clone())
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert_allclose(loss.activate_(logits.t().clone(), dim=1), probabilities.t(), rtol=1e-12)
    if kind in ("multiclass", "multioutput"):
        for block in probabilities.split(sizes):
            assert_allclose(block.sum(0), 1, rtol=1e-12)


@pytest.mark.parametrize("quantile", [0.3, [0.1, 0.5, 0.9]])
@pytest.mark.parametrize(("name", "activation"), list(regressor_losses()))
def test_gradients_of_a_regressors_losses(name, activation, quantile):
    loss = choose_regressor_loss(name, activation, 0.7, quantile)
    random = np.random.RandomState(0)
    targets = torch.from_numpy(random.uniform(0.1, 2, (3, 5)))
    logits = torch.from_numpy(random.standard_normal((loss.count_logits(3), 5)))
    # scikit-learn's squared error: the value of the mean over the outputs, the gradient of the
    # sum.
    assert_gradient(loss, logits, targets, factor=3 if name == "squared_error" else 1)
    outputs = loss.activate_(logits.clone())
    assert_allclose(loss.activate_(logits.t().clone(), dim=1), outputs.t(), rtol=1e-12)


@pytest.mark.parametrize("kind", ["multiclass", "multioutput"])
def test_blocks_of_samples_are_as_many_calls(kind):
    sizes = [3] if kind == "multiclass" else [2, 3]
    logits = torch.randn(4, sum(sizes), 6, dtype=torch.float64, generator=torch.Generator())
    targets = torch.ones(4, len(sizes), 6, dtype=torch.int64)
    for name in ("squared_error", "focal", smooth_l1):
        loss = choose_classifier_loss(name, kind, sizes, "auto", 0.1, 2.0)
        expected = [loss.per_sample(*pair) for pair in zip(logits, targets, strict=True)]
        assert_allclose(loss.per_sample(logits, targets), torch.stack(expected), rtol=1e-12)
    for name in ("quantile", "gaussian_nll", "huber"):
        loss = choose_regressor_loss(name, "auto", 1.0, [0.2, 0.8])
        values = torch.randn(4, 2, 6, dtype=torch.float64, generator=torch.Generator())
        raw = torch.randn(
            4, loss.count_logits(2), 6, dtype=torch.float64, generator=torch.Generator()
        )
        expected = [loss.per_sample(*pair) for pair in zip(raw, values, strict=True)]
        assert_allclose(loss.per_sample(raw, values), torch.stack(expected), rtol=1e-12)


# Values, against torch's.


def test_label_smoothing_is_torchs():
    logits = torch.linspace(-3, 3, 20, dtype=torch.float64).view(5, 4)
    codes = torch.tensor([0, 3, 1, 1, 2])
    loss = choose_classifier_loss("log_loss", "multiclass", [4], "auto", 0.1, 2.0)
    expected = functional.cross_entropy(logits, codes, label_smoothing=0.1, reduction="none")
    assert_allclose(loss.per_sample(logits.t(), codes[None]), expected, rtol=1e-12)
    labels = torch.eye(4, dtype=torch.float64)[codes]
    binary = choose_classifier_loss("log_loss", "multilabel", [4], "auto", 0.1, 2.0)
    expected = functional.binary_cross_entropy_with_logits(
        logits, labels * 0.9 + 0.05, reduction="none"
    ).sum(1)
    assert_allclose(binary.per_sample(logits.t(), labels.t()), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_focal_without_gamma_is_the_log_loss(kind):
    size = 1 if kind == "binary" else 3
    logits = torch.linspace(-3, 3, 3 * size, dtype=torch.float64).view(size, 3)
    targets = (
        torch.tensor([[0, 2, 1]])
        if kind == "multiclass"
        else (torch.arange(3 * size).view(size, 3) % 2).double()
    )
    focal, log_loss = (
        choose_classifier_loss(name, kind, [size], "auto", 0.0, 0.0)
        for name in ("focal", "log_loss")
    )
    assert_allclose(
        focal.per_sample(logits, targets), log_loss.per_sample(logits, targets), rtol=1e-12
    )
    assert_allclose(
        focal.gradient(logits, targets, torch.empty_like(logits)),
        log_loss.gradient(logits, targets, torch.empty_like(logits)),
        rtol=1e-12,
        atol=1e-15,
    )


@pytest.mark.parametrize("name", ["focal", "squared_error", "log_loss"])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_certainty_gives_finite_gradients(name, gamma):
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]])
    for kind, targets in (
        ("multiclass", torch.tensor([[0, 0]])),
        ("multilabel", torch.tensor([[1.0, 1.0], [0.0, 0.0]])),
    ):
        loss = choose_classifier_loss(name, kind, [2], "auto", 0.0, gamma)
        assert loss.gradient(logits, targets, torch.empty_like(logits)).isfinite().all()
        assert loss.per_sample(logits, targets).isfinite().all()


def test_the_values_of_a_regressors_losses_are_torchs():
    random = np.random.RandomState(0)
    outputs, targets = (torch.from_numpy(random.uniform(0.1, 3, (2, 6))) for _ in range(2))
    huber = choose_regressor_loss("huber", "auto", 0.7, 0.5).per_sample(outputs, targets)
    expected = functional.huber_loss(outputs, targets, delta=0.7, reduction="none").sum(0)
    assert_allclose(huber, expected, rtol=1e-12)
    gaussian = choose_regressor_loss("gaussian_nll", "auto", 1.0, 0.5)
    mean, log_variance = outputs.split(1)
    expected = functional.gaussian_nll_loss(
        mean, targets[:1], log_variance.exp() + 1e-6, reduction="none"
    )
    assert_allclose(gaussian.per_sample(outputs, targets[:1]), expected[0], rtol=1e-12)
    absolute = choose_regressor_loss("absolute_error", "auto", 1.0, 0.5)
    assert_allclose(
        absolute.per_sample(outputs, targets), (outputs - targets).abs().sum(0), rtol=1e-12
    )
    gamma = choose_regressor_loss("gamma", "auto", 1.0, 0.5).per_sample(outputs.log(), targets)
    deviance = [
        mean_gamma_deviance(t, o) for t, o in zip(targets.numpy(), outputs.numpy(), strict=True)
    ]
    assert_allclose(gamma.mean(), np.sum(deviance) / 2, rtol=1e-12)


def test_a_classifiers_squared_error_is_torchs():
    outputs = torch.linspace(-2, 2, 12, dtype=torch.float64).view(3, 4)
    codes = torch.tensor([[0, 1, 2, 1]])
    loss = choose_classifier_loss("squared_error", "multiclass", [3], "logistic", 0.0, 2.0)
    one_hot = functional.one_hot(codes[0], 3).double()
    expected = functional.mse_loss(torch.sigmoid(outputs.t()), one_hot)
    assert_allclose(loss.per_sample(outputs, codes).mean(), expected, rtol=1e-12)


# A user's function.


def brier(output, target):
    return (output - target).square().mean(1)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_function_is_as_good_as_a_built_in_loss(make_classifier, iris, solver):
    X, y = iris
    weights = np.linspace(0.5, 2, len(y))
    settings = {"output_activation": "logistic", "dtype": "float64", "solver": solver}
    built_in = make_classifier(loss="squared_error", **settings).fit(X, y, sample_weight=weights)
    ours = make_classifier(loss=brier, **settings).fit(X, y, sample_weight=weights)
    # Two ways to the same derivative: rounding, over five epochs.
    assert_allclose(ours.predict_proba(X), built_in.predict_proba(X), rtol=1e-9)
    assert_allclose(ours.loss_, built_in.loss_, rtol=1e-9)


def squared(output, target):
    return 0.5 * (output - target).square()


def test_a_function_may_return_a_column(make_regressor, diabetes):
    X, y = diabetes
    # float64 on both: one value per sample in shape (n, 1) for one output.
    ours = make_regressor(loss=squared, dtype="float64", early_stopping=True).fit(X, y)
    built_in = make_regressor(dtype="float64", early_stopping=True).fit(X, y)
    assert_allclose(ours.predict(X), built_in.predict(X), rtol=1e-9)
    assert_allclose(ours.validation_scores_, built_in.validation_scores_, rtol=1e-9)


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda output, target: (output - target).square().mean(), r"got shape \(\)"),
        (lambda output, target: output - target, r"got shape \(200, 2\)"),
        (lambda output, target: 0.5, r"got float"),
        (
            lambda output, target: np.ones(len(output)),
            r"got numpy\.ndarray of shape \(200,\)\. Do not average",
        ),
        (lambda output, target: [output, target], r"got list\. Do"),
    ],
)
def test_a_function_that_returns_no_value_per_sample(make_regressor, function, sentence):
    X = np.linspace(0, 1, 400).reshape(200, 2)
    with pytest.raises(
        ValueError, match=r"a value per sample, of shape \(200,\) for .*" + sentence
    ):
        make_regressor(loss=function).fit(X, X)


def test_a_function_that_autograd_cannot_follow(make_regressor):
    X = np.linspace(0, 1, 10).reshape(5, 2)
    with pytest.raises(ValueError, match="so that autograd can follow them"):
        make_regressor(loss=lambda output, target: target[:, 0]).fit(X, X)


# Training.


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_both_backends_and_lbfgs_train_every_loss(backend, solver, diabetes, iris):
    settings = {"hidden_layer_sizes": 6, "max_iter": 2, "random_state": 0, "dtype": "float64"}
    settings["batch_size"] = 25
    for name in (*REGRESSOR_LOSSES, smooth_l1):
        X, y = diabetes[0][:75], diabetes[1][:75]
        y = y - y.min() + 0.5 if name in ("poisson", "gamma") else y
        reg = TorchMLPRegressor(name, **settings, solver=solver, backend=backend).fit(X, y)
        reference = TorchMLPRegressor(name, **settings, solver=solver).fit(X, y)
        assert_allclose(reg.predict(X), reference.predict(X), rtol=1e-9)
        assert reg.predict(X).shape == y.shape
        assert reg.history_.loss.iloc[-1] < reg.history_.loss.iloc[0]
    for name in (*CLASSIFIER_LOSSES, brier):
        X, y = iris
        clf = TorchMLPClassifier(
            **settings, loss=name, solver=solver, backend=backend, label_smoothing=0.05
        ).fit(X, y)
        reference = TorchMLPClassifier(
            **settings, loss=name, solver=solver, label_smoothing=0.05
        ).fit(X, y)
        assert_allclose(clf.predict_proba(X), reference.predict_proba(X), rtol=1e-9)
        assert clf.history_.loss.iloc[-1] < clf.history_.loss.iloc[0]


class TwoLayers(nn.Module):
    """The plain network, as a user's module: autograd trains it."""

    def __init__(self, n_features_in, n_outputs):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.layers = nn.ModuleList(
            [nn.Linear(n_features_in, 5), nn.Linear(5, n_outputs)]
        ).double()
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator)

    def forward(self, inputs):
        hidden, last = self.layers
        return last(torch.relu(hidden(inputs)))


@pytest.mark.parametrize("loss", [*REGRESSOR_LOSSES, smooth_l1])
def test_autograd_finds_what_the_closed_form_does(loss, diabetes, backend):
    X, y = diabetes[0][:60], np.exp(diabetes[1][:60])
    settings = {"quantile": [0.2, 0.7], "max_iter": 2, "batch_size": 20, "shuffle": False}
    settings |= {
        "dtype": "float64",
        "solver": "sgd",
        "learning_rate_init": 0.01,
        "random_state": 0,
    }
    module = TorchMLPRegressor(loss, module=TwoLayers, backend=backend, **settings).fit(X, y)
    plain = TorchMLPRegressor(loss, (5,), **settings, warm_start=True).fit(X, y)
    assert plain.engine_ in (PLAIN, "closed_form")
    assert plain.n_outputs_ == module.n_outputs_
    start = TwoLayers(10, plain.n_outputs_)
    plain.coefs_ = [layer.weight.detach().numpy().T for layer in start.layers]
    plain.intercepts_ = [layer.bias.detach().numpy() for layer in start.layers]
    # Begin anew, but from these weights: without the momentum of what came before.
    plain._state = TrainingState()
    plain.fit(X, y)
    assert_allclose(plain.predict(X), module.predict(X), rtol=1e-9)


def heteroscedastic(n_samples):
    """A line with noise that grows along it."""
    random = np.random.RandomState(0)
    x = random.uniform(0, 1, n_samples)
    return x[:, None], 2 * x + (0.1 + 0.5 * x) * random.standard_normal(n_samples)


def test_quantiles_cover_what_they_say_and_do_not_cross():
    X, y = heteroscedastic(4000)
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    reg = TorchMLPRegressor(
        "quantile", (16,), quantile=levels, max_iter=40, random_state=0, learning_rate_init=0.01
    ).fit(X[:2000], y[:2000])
    predictions = reg.predict(X[2000:])
    assert predictions.shape == (2000, 5)
    assert (np.diff(predictions, axis=1) >= 0).all()
    # Two standard deviations of a share of 2000 are 0.02, and the fit is not perfect.
    assert_allclose((y[2000:, None] <= predictions).mean(0), levels, atol=0.04)
    expected = np.mean(
        [
            d2_pinball_score(y[2000:], p, alpha=a)
            for p, a in zip(predictions.T, levels, strict=True)
        ]
    )
    # Between two samples theirs interpolates the quantile that it compares with.
    assert_allclose(reg.score(X[2000:], y[2000:]), expected, rtol=1e-3)
    assert reg.score(X[2000:], y[2000:]) > 0.2


def test_shapes_of_quantiles():
    X, y = heteroscedastic(50)
    both = np.column_stack([y, -y])
    for quantile, target, shape in (
        (0.5, y, (50,)),
        ([0.5], y, (50, 1)),
        ([0.2, 0.8], y, (50, 2)),
        (0.5, both, (50, 2)),
        (np.array([0.2, 0.5, 0.8]), both, (50, 2, 3)),
    ):
        reg = TorchMLPRegressor("quantile", 4, quantile=quantile, max_iter=2).fit(X, target)
        assert reg.predict(X).shape == shape
        assert np.isfinite(reg.score(X, target))


@pytest.mark.parametrize("quantile", [0.5, [0.2, 0.8]], ids=str)
def test_the_score_of_quantiles_refuses_what_r2_does(quantile):
    X, y = heteroscedastic(40)
    reg = TorchMLPRegressor("quantile", 4, quantile=quantile, max_iter=2).fit(X, y)
    by_r2 = TorchMLPRegressor(hidden_layer_sizes=4, max_iter=2).fit(X, y)
    wrong = [
        ((X, y[:20]), r"inconsistent numbers of samples: \[20, 40\]"),
        ((X[:20], y), r"inconsistent numbers of samples: \[40, 20\]"),
        ((X, y, np.ones(20)), r"sample_weight.shape == \(20,\), expected \(40,\)"),
        ((X, np.where(y > y[0], y, np.nan)), "Input (y )?contains NaN"),
        ((X, ["one"] * 40), "could not convert string to float: 'one'"),
    ]
    for arguments, message in wrong:
        for estimator in (reg, by_r2):
            with pytest.raises(ValueError, match=message):
                estimator.score(*arguments)
    with pytest.raises(ValueError, match="y has 2 columns, but the network was fitted with 1"):
        reg.score(X, np.column_stack([y, y]))
    both = reg.fit(X, np.column_stack([y, -y]))
    with pytest.raises(ValueError, match="y has 1 columns, but the network was fitted with 2"):
        both.score(X, y)
    # As many numbers as there are predictions, but not one for each.
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[20, 40\]"):
        both.score(X, np.zeros((20, 4)))


@pytest.mark.parametrize("quantile", [[0.5, 0.1], [], [0.5, 0.5], [0.0, 0.5], ["a"]])
def test_wrong_quantiles(make_regressor, quantile):
    X, y = heteroscedastic(20)
    with pytest.raises(ValueError, match="quantile must be a number between 0 and 1, or several"):
        make_regressor(loss="quantile", quantile=quantile).fit(X, y)


def test_the_median_is_what_the_absolute_error_finds(diabetes):
    X, y = diabetes
    settings = {"hidden_layer_sizes": 5, "max_iter": 20, "random_state": 0, "dtype": "float64"}
    median = TorchMLPRegressor("quantile", **settings, alpha=0, solver="sgd", momentum=0.5)
    absolute = TorchMLPRegressor("absolute_error", **settings, alpha=0, solver="sgd", momentum=0.5)
    # The pinball loss at 0.5 is half the absolute error: so is its gradient.
    median.set_params(learning_rate_init=0.02).fit(X, y)
    absolute.set_params(learning_rate_init=0.01).fit(X, y)
    assert_allclose(median.predict(X), absolute.predict(X), rtol=1e-7)


def test_gaussian_nll_finds_the_standard_deviation():
    X, y = heteroscedastic(3000)
    reg = TorchMLPRegressor(
        "gaussian_nll", (16,), solver="lbfgs", max_iter=60, random_state=0
    ).fit(X, y)
    mean, std = reg.predict(X, return_std=True)
    assert mean.shape == std.shape == (3000,)
    assert_allclose(mean, 2 * X[:, 0], atol=0.2)
    assert_allclose(std, 0.1 + 0.5 * X[:, 0], atol=0.1)
    assert_allclose(reg.predict(X), mean)
    # A multiple of y has a multiple of the deviation.
    two = reg.set_params(max_iter=2).fit(X, np.column_stack([y, 3 * y]))
    mean, std = two.predict(X, return_std=True)
    assert mean.shape == std.shape == (3000, 2)
    assert two.n_outputs_ == 4


def test_no_standard_deviation_without_the_loss_for_it(make_regressor, diabetes):
    X, y = diabetes
    with pytest.raises(ValueError, match="return_std=True needs loss='gaussian_nll'"):
        make_regressor().fit(X, y).predict(X, return_std=True)


@pytest.mark.parametrize(
    ("Estimator", "loss", "activation"),
    [
        (TorchMLPClassifier, "log_loss", "identity"),
        (TorchMLPClassifier, "focal", "tanh"),
        (TorchMLPClassifier, "squared_error", "exp"),
        (TorchMLPRegressor, "poisson", "identity"),
        (TorchMLPRegressor, "gamma", "logistic"),
        (TorchMLPRegressor, "gaussian_nll", "exp"),
        (TorchMLPRegressor, "quantile", "softmax"),
    ],
)
def test_pairs_that_do_not_go_together(Estimator, loss, activation, backend):
    estimator = Estimator(backend=backend, output_activation=activation).set_params(loss=loss)
    sentence = f"output_activation='{activation}' cannot be used with loss='{loss}'; use one of"
    with pytest.raises(ValueError, match=sentence):
        estimator.fit([[0.0], [1.0]], [1, 2])
    assert not hasattr(estimator, "module_")


@pytest.mark.parametrize("bad", [0, -1])
def test_targets_outside_the_range_of_gamma(make_regressor, bad):
    sentence = r"out of the valid range of the loss 'gamma': y must be > 0, got a minimum of "
    with pytest.raises(ValueError, match=sentence + str(bad)):
        make_regressor(loss="gamma").fit([[0.0], [1.0]], [1, bad])


def test_another_loss_counts_from_the_next_call(make_regressor, diabetes):
    X, y = diabetes
    first = make_regressor(dtype="float64").fit(X, y)
    second = make_regressor(dtype="float64", loss="huber", huber_delta=1e9).fit(X, y)
    first.set_params(loss="absolute_error").partial_fit(X, y)
    second.set_params(loss="absolute_error").partial_fit(X, y)
    # Huber's loss with a large delta is the squared error.
    assert_allclose(first.predict(X), second.predict(X), rtol=1e-9)
    with pytest.raises(ValueError, match="outputs, but the network was fitted with 1"):
        first.set_params(loss="gaussian_nll").partial_fit(X, y)


def test_numbers_that_are_not_scaled_are_taken_as_they_are():
    y = np.arange(4, dtype=np.float32)
    assert NumberCodec().encode(y).base is y or np.shares_memory(NumberCodec().encode(y), y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        assert NumberCodec().encode(np.arange(3)).dtype == np.float64
