"""What a user does wrong is said clearly, in scikit-learn's words where it has some."""

import re
import signal
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from conftest import native_only
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.machine.devices import available_devices

THEIRS = {TorchMLPClassifier: MLPClassifier, TorchMLPRegressor: MLPRegressor}

X, Y = np.arange(60.0).reshape(20, 3) / 60, np.arange(20) % 2

# Values that scikit-learn refuses, for each of its parameters.
WRONG = [
    ("hidden_layer_sizes", 0),
    ("hidden_layer_sizes", 2.5),
    ("hidden_layer_sizes", "10"),
    ("hidden_layer_sizes", None),
    ("alpha", -1),
    ("alpha", "small"),
    ("batch_size", 0),
    ("batch_size", 2.0),
    ("batch_size", "all"),
    ("learning_rate", "cosine!"),
    ("learning_rate_init", 0),
    ("power_t", -0.5),
    ("max_iter", 0),
    ("max_iter", 10.0),
    ("shuffle", "yes"),
    ("random_state", "seed"),
    ("random_state", -1),
    ("tol", -1e-9),
    ("warm_start", "no"),
    ("momentum", 1.5),
    ("nesterovs_momentum", None),
    ("early_stopping", "auto"),
    ("validation_fraction", 1),
    ("validation_fraction", -0.1),
    ("beta_1", 1),
    ("beta_2", -0.5),
    ("epsilon", 0),
    ("n_iter_no_change", 0),
    ("n_iter_no_change", 1.5),
    ("max_fun", 0),
]

# Of the parameters that scikit-learn does not have: what the message must hold.
WRONG_OURS = [
    ("activation", "gelu!", "a str among {}, a callable, an instance of 'list' or an instance of"),
    ("activation", None, "Got None instead."),
    ("dropout", 1.0, "a float in the range [0.0, 1.0), an instance of 'list' or an instance of"),
    ("dropout", "half", "Got 'half' instead."),
    ("input_dropout", -0.5, "a float in the range [0.0, 1.0). Got -0.5 instead."),
    ("input_dropout", [0.5], "Got [0.5] instead."),
    ("normalization", "group", "a str among {} or None. Got 'group' instead."),
    ("residual", "yes", "an instance of 'bool'"),
    ("weight_init", "zeros", "a str among {} or a callable. Got 'zeros' instead."),
    ("module", "net", "a callable or None. Got 'net' instead."),
    ("solver", "newton", "a str among {} or an instance of 'type'. Got 'newton' instead."),
    ("solver_params", [], "an instance of 'dict' or None. Got [] instead."),
    ("gradient_clip", 0, "a float in the range (0.0, inf) or None. Got 0 instead."),
    ("weight_averaging", "mean", "a str among {} or None. Got 'mean' instead."),
    ("ema_decay", 1.0, "a float in the range [0.0, 1.0). Got 1.0 instead."),
    ("swa_start", 1, "a float in the range [0.0, 1.0). Got 1 instead."),
    ("warmup", -1, "an int in the range [0, inf) or a float in the range [0.0, 1.0]"),
    ("warmup", 1.5, "Got 1.5 instead."),
    ("lr_decay", 0, "a float in the range (0.0, 1.0] or None. Got 0 instead."),
    ("lr_step_size", 0, "an int in the range [1, inf). Got 0 instead."),
    ("lr_patience", -1, "an int in the range [0, inf). Got -1 instead."),
    ("lr_min", -0.1, "a float in the range [0.0, inf). Got -0.1 instead."),
    ("device", 0, "an instance of 'str' or an instance of 'torch.device'. Got 0 instead."),
    ("dtype", "float16", "a str among {}"),
    ("dtype", torch.float32, "Got torch.float32 instead."),
    ("verbose", -1, "or a str among {'progress'}. Got -1 instead."),
    ("verbose", "bar", "or a str among {'progress'}. Got 'bar' instead."),
    ("scoring", "exactness", "a str among {}"),
    ("scoring", ["accuracy"], "a callable or None. Got ['accuracy'] instead."),
    ("max_time", 0, "a float in the range (0.0, inf) or None. Got 0 instead."),
    ("compile", "yes", "an instance of 'bool' or an instance of 'numpy.bool'. Got 'yes' instead."),
    ("backend", "tensorflow", "a str among {}"),
    ("backend", None, "Got None instead."),
    ("backend_params", [], "an instance of 'dict' or None. Got [] instead."),
    ("loss", "absolute_error", "a str among {} or a callable."),
    ("output_activation", "relu", "a str among {}"),
    ("focal_gamma", -1, "a float in the range [0.0, inf)."),
    ("label_smoothing", 1, "a float in the range [0.0, 1.0)."),
    ("class_weight", "equal", "an instance of 'list', a str among {'balanced'} or None."),
]

# The same of the regressor's.
WRONG_OF_REGRESSOR = [
    ("loss", "log_loss", "a str among {} or a callable."),
    ("huber_delta", 0, "a float in the range (0.0, inf)."),
    ("quantile", 1.0, "a float in the range (0.0, 1.0) or an array-like."),
    ("scale_target", True, "a str among {} or None."),
]


def message_of(function, *args, **kwargs):
    """Return what a call raises: the kind and the text, under scikit-learn's names."""
    with pytest.raises((ValueError, TypeError)) as error:
        function(*args, **kwargs)
    message = str(error.value).replace("TorchMLP", "MLP")
    # A set of options is printed in any order, and ours may have more of them.
    return error.type, re.sub(r"must be a str among \{.*?\}", "must be a str among {}", message)


@pytest.mark.parametrize("Estimator", THEIRS)
@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_parameter_is_refused_in_scikit_learns_words(Estimator, name, value, backend):
    ours = Estimator(backend=backend).set_params(**{name: value})
    theirs = THEIRS[Estimator](**{name: value})
    assert getattr(ours, name) is value
    assert message_of(ours.fit, X, Y) == message_of(theirs.fit, X, Y)
    assert not hasattr(ours, "module_")


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG_OURS)
def test_a_wrong_parameter_of_our_own(make_classifier, name, value, sentence):
    estimator = make_classifier().set_params(**{name: value})
    assert getattr(estimator, name) is value
    kind, message = message_of(estimator.fit, X, Y)
    assert issubclass(kind, ValueError)
    assert message.startswith(f"The '{name}' parameter of MLPClassifier must be ")
    assert sentence in message


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG_OF_REGRESSOR)
def test_a_wrong_parameter_of_the_regressors_own(make_regressor, name, value, sentence):
    estimator = make_regressor().set_params(**{name: value})
    kind, message = message_of(estimator.fit, X, Y)
    assert issubclass(kind, ValueError)
    assert message.startswith(f"The '{name}' parameter of MLPRegressor must be ")
    assert sentence in message


def test_a_wrong_loss():
    ours, theirs = TorchMLPRegressor("absolute"), MLPRegressor("absolute")
    kind, message = message_of(ours.fit, X, Y)
    assert issubclass(kind, ValueError)
    beginning = "The 'loss' parameter of MLPRegressor must be a str among {}"
    assert message.startswith(beginning)
    assert message_of(theirs.fit, X, Y)[1].startswith(beginning)


def test_every_parameter_is_tried():
    tried = {name for name, *_ in WRONG + WRONG_OURS}
    assert tried == set(TorchMLPClassifier().get_params())
    of_classifier = {"focal_gamma", "label_smoothing", "class_weight"}
    of_regressor = {name for name, *_ in WRONG_OF_REGRESSOR}
    assert (tried - of_classifier) | of_regressor == set(TorchMLPRegressor().get_params())


@pytest.mark.parametrize("Estimator", THEIRS)
def test_a_name_that_is_no_parameter(Estimator):
    others = {*TorchMLPClassifier().get_params(), *TorchMLPRegressor().get_params()}
    foreign = others - set(Estimator().get_params())
    assert len(foreign) == 3
    for name in {*foreign, "hiden_layer_sizes"}:
        sentence = (
            rf"{Estimator.__name__}.__init__\(\) got an unexpected keyword argument '{name}'"
        )
        with pytest.raises(TypeError, match=sentence):
            Estimator(**{name: 0.5})
        with pytest.raises(ValueError, match=f"Invalid parameter '{name}' for estimator"):
            Estimator().set_params(**{name: 0.5})
        assert not hasattr(Estimator(), name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("hiden_layer_sizes", "; did you mean 'hidden_layer_sizes'?"),
        ("lr", "; did you mean 'learning_rate_init'?"),
        ("epochs", "; did you mean 'max_iter'?"),
        ("zzz", ""),
    ],
)
def test_a_name_from_elsewhere_is_answered_with_that_of_here(make_classifier, name, meant):
    with pytest.raises(TypeError, match=re.escape(f"keyword argument '{name}'{meant}") + "$"):
        make_classifier(**{name: 1})


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_columns_that_are_not_numeric_are_named(make_classifier):
    numbers = pd.DataFrame({"a": np.arange(40.0), "b": np.arange(40)})
    others = {
        "text": ["x", "y"] * 20,
        "kind": pd.Categorical(["x", "y"] * 20),
        "day": pd.date_range("2026-01-01", periods=40),
    }
    fitted = make_classifier().fit(numbers.assign(c=1), [0, 1] * 20)
    for name, values in others.items():
        message = rf"(?s).+X has columns that are not numeric \(1 in all, the first \['{name}'\]\)"
        with pytest.raises((ValueError, TypeError), match=message):
            make_classifier().fit(numbers.assign(**{name: values}), [0, 1] * 20)
        with pytest.raises(ValueError, match="feature names should match"):
            fitted.predict(numbers.assign(**{name: values}))
    with pytest.raises(
        ValueError, match="could not convert string to float: 'x'\nX has columns that"
    ):
        fitted.predict(numbers.assign(c=others["text"]))
    with pytest.raises(ValueError, match=r"^Input X contains NaN"):
        make_classifier().fit(numbers.assign(a=np.nan), [0, 1] * 20)


def test_parameters_are_checked_by_partial_fit_too(make_classifier):
    with pytest.raises(ValueError, match="The 'alpha' parameter of TorchMLPClassifier must be"):
        make_classifier(alpha=-1).partial_fit(X, Y, classes=[0, 1])


@pytest.mark.parametrize("sizes", [(4, 0), [-3], np.array([2, -1])], ids=str)
def test_layers_without_units(make_classifier, sizes):
    theirs = MLPClassifier(hidden_layer_sizes=sizes)
    ours = make_classifier(hidden_layer_sizes=sizes)
    assert message_of(theirs.fit, X, Y)[1].startswith("hidden_layer_sizes must be > 0, got [")
    kind, message = message_of(ours.fit, X, Y)
    assert issubclass(kind, ValueError)
    assert message == f"hidden_layer_sizes must be > 0, got {[int(size) for size in sizes]}."


@pytest.mark.parametrize("sizes", [(4.0,), ["ten"], [(3, 3)], [None]], ids=str)
def test_layers_of_no_whole_number_of_units(make_classifier, sizes):
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must be integers, got \["):
        make_classifier(hidden_layer_sizes=sizes).fit(X, Y)


@pytest.mark.parametrize(
    "device", ["cuda:99", "banana", "meta", torch.device("cuda", 99)], ids=str
)
def test_a_device_that_is_not_there(make_classifier, device):
    with pytest.raises(ValueError, match="not available on this machine") as error:
        make_classifier(device=device).fit(X, Y)
    assert repr(str(device)) in str(error.value)
    assert f"available devices: {', '.join(available_devices())}" in str(error.value)


# Bad data.


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make_X", [np.asarray, scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_not_finite_X(make_classifier, bad, dtype, make_X):
    spoiled = X.astype(dtype)
    spoiled[3, 1] = bad
    spoiled = make_X(spoiled)
    assert_as_theirs(make_classifier(), "fit", spoiled, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = make_classifier().fit(X, Y)
        theirs = MLPClassifier(max_iter=1).fit(X, Y)
    for method in ("predict", "predict_proba"):
        assert message_of(getattr(fitted, method), spoiled) == message_of(
            getattr(theirs, method), spoiled
        )


def assert_as_theirs(ours, method, *args, **kwargs):
    """Compare what a call raises with what it raises on scikit-learn's estimator."""
    parameters = ours.get_params()
    Theirs = THEIRS[type(ours)]
    theirs = Theirs(**{name: parameters[name] for name in Theirs().get_params()})
    assert message_of(getattr(ours, method), *args, **kwargs) == message_of(
        getattr(theirs, method), *args, **kwargs
    )


@pytest.mark.parametrize(
    ("bad", "sentence"), [(np.nan, "Input X contains NaN."), (np.inf, "Input X contains infinity")]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_not_finite_tensor(make_classifier, bad, sentence, dtype):
    spoiled = torch.tensor(X, dtype=dtype)
    spoiled[3, 1] = bad
    with pytest.raises(ValueError, match=sentence):
        make_classifier().fit(spoiled, torch.tensor(Y))
    fitted = make_classifier().fit(X, Y)
    with pytest.raises(ValueError, match=sentence):
        fitted.predict(spoiled)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_y(make_classifier, make_regressor, bad):
    for estimator in (make_classifier(), make_regressor()):
        spoiled = Y.astype(float)
        spoiled[5] = bad
        assert_as_theirs(estimator, "fit", X, spoiled)
        kind, message = message_of(estimator.fit, torch.tensor(X), torch.tensor(spoiled))
        assert issubclass(kind, ValueError)
        assert "Input y contains " in message


def test_tensors_that_are_no_table(make_classifier):
    y = torch.tensor(Y)
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        make_classifier().fit(torch.tensor(X[:, 0]), y)
    with pytest.raises(ValueError, match="Complex data not supported"):
        make_classifier().fit(torch.tensor(X + 1j), y)
    with pytest.raises(TypeError, match="pass sparse samples as a scipy CSR or CSC matrix"):
        make_classifier().fit(torch.tensor(X).to_sparse(), y)
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        make_classifier().fit(torch.zeros(0, 3), y[:0])
    with pytest.raises(ValueError, match=r"Found array with 0 feature\(s\)"):
        make_classifier().fit(torch.zeros(20, 0), y)


@pytest.mark.parametrize("make_X", [np.asarray, scipy.sparse.csr_array, torch.tensor])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_wrong_number_of_features(make_classifier, make_X):
    estimator = make_classifier().fit(make_X(X), Y)
    sentence = "X has 2 features, but TorchMLPClassifier is expecting 3 features as input"
    for call in (estimator.predict, estimator.predict_proba, estimator.predict_log_proba):
        with pytest.raises(ValueError, match=sentence):
            call(make_X(X[:, :2]))
    with pytest.raises(ValueError, match=sentence):
        estimator.partial_fit(make_X(X[:, :2]), Y)
    with pytest.raises(ValueError, match=sentence):
        estimator.score(make_X(X[:, :2]), Y)


def test_mismatched_lengths(make_classifier, make_regressor):
    for estimator in (make_classifier(), make_regressor()):
        assert_as_theirs(estimator, "fit", X, Y[:-1])
        assert_as_theirs(estimator, "fit", X, Y, sample_weight=np.ones(3))
        sentence = r"Found input variables with inconsistent numbers of samples: \[20, 19\]"
        with pytest.raises(ValueError, match=sentence):
            estimator.fit(torch.tensor(X), torch.tensor(Y[:-1]))


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_not_finite_sample_weight(make_classifier, weight):
    weights = np.ones(20)
    weights[3] = weight
    assert_as_theirs(make_classifier(), "fit", X, Y, sample_weight=weights)
    with pytest.raises(ValueError, match="Input sample_weight contains"):
        make_classifier().fit(X, Y, sample_weight=torch.tensor(weights))


def test_continuous_labels(make_classifier):
    assert message_of(MLPClassifier().fit, X, X[:, 0])[1].startswith("Unknown label type: ")
    with pytest.raises(ValueError, match=r"Unknown label type: continuous\. Maybe you are trying"):
        make_classifier().fit(X, X[:, 0])


@pytest.mark.parametrize("kind", ["U", "S", "M8[D]", "m8[D]"])
def test_targets_that_are_no_numbers(make_regressor, kind):
    y = Y.astype("U1" if kind == "U" else kind)
    for call in ("fit", "partial_fit"):
        # scikit-learn's is of NumPy's making, once training has begun.
        error, _ = message_of(getattr(MLPRegressor(), call), X, y)
        assert issubclass(error, TypeError)
        sentence = f"y must be numbers, got {y.dtype}"
        with pytest.raises(TypeError, match=re.escape(sentence)):
            getattr(make_regressor(), call)(X, y)
        with pytest.raises(TypeError, match=re.escape(sentence)):
            getattr(make_regressor(), call)(torch.tensor(X), y)
        estimator = make_regressor(loss="poisson")
        with pytest.raises(TypeError, match=re.escape(sentence)):
            getattr(estimator, call)(X, y)
        assert not hasattr(estimator, "module_")
    with pytest.raises(TypeError, match=f"In the validation set, .*{re.escape(sentence)}"):
        make_regressor().fit(X, Y, X_val=X, y_val=y)
    if kind == "U":
        with pytest.raises(TypeError, match="y must be numbers, got <U1"):
            make_regressor().fit(X, y.tolist())


@pytest.mark.parametrize("y", [Y - 1, torch.tensor(Y - 1), np.column_stack([Y, -Y])], ids=type)
def test_negative_counts(make_regressor, y):
    sentence = r"out of the valid range of the loss 'poisson': y must be >= 0, got a minimum of -1"
    with pytest.raises(ValueError, match=sentence):
        make_regressor(loss="poisson").fit(X, y)


# Early stopping.


def test_too_few_samples_for_validation(make_regressor):
    estimator = make_regressor(early_stopping=True, validation_fraction=0.01)
    theirs = MLPRegressor(early_stopping=True, validation_fraction=0.01)
    sentence = message_of(theirs.fit, X, Y)[1].removesuffix(".")
    kind, message = message_of(estimator.fit, X, Y)
    assert issubclass(kind, ValueError)
    assert message.startswith(sentence)
    assert "validation_fraction=0.01 leaves 1 of 20 samples for validation" in message


@pytest.mark.parametrize("fraction", [0.0, 0.05])
def test_too_few_samples_for_every_class_to_be_validated(make_classifier, fraction):
    settings = {"early_stopping": True, "validation_fraction": fraction}
    kind, message = message_of(make_classifier(**settings).fit, X, Y)
    their_kind, theirs = message_of(MLPClassifier(**settings).fit, X, Y)
    assert issubclass(kind, their_kind)
    # scikit-learn's sentence speaks of an argument that is not the user's.
    assert message == f"{theirs}; it is validation_fraction={fraction}."


def test_a_class_with_one_member(make_classifier):
    y = np.zeros(20, int)
    y[0] = 1
    kind, message = message_of(make_classifier(early_stopping=True).fit, X, y)
    assert issubclass(kind, ValueError)
    assert message.startswith("The least populated class")
    assert_as_theirs(make_classifier(early_stopping=True), "fit", X, y)


def test_partial_fit_with_early_stopping(make_classifier):
    # scikit-learn's sentence, and what ours takes besides.
    estimator, theirs = make_classifier(early_stopping=True), MLPClassifier(early_stopping=True)
    _, message = message_of(estimator.partial_fit, X, Y, classes=[0, 1])
    assert message.startswith(message_of(theirs.partial_fit, X, Y, classes=[0, 1])[1])
    assert message.endswith("without a validation set; pass X_val and y_val")


# partial_fit and warm_start.


def test_unseen_labels(make_classifier):
    ours = make_classifier(early_stopping=False)
    theirs = MLPClassifier(hidden_layer_sizes=(8,), random_state=0)
    for estimator in (ours, theirs):
        estimator.partial_fit(X, Y, classes=[0, 1, 2])
    message = message_of(ours.partial_fit, X, Y + 2)
    assert message == message_of(theirs.partial_fit, X, Y + 2)
    assert message[1].startswith("`y` has classes not in `self.classes_`. `self.classes_` has [0")
    # The estimator is none the worse for it.
    ours.partial_fit(X, Y).predict(X)


def test_partial_fit_without_classes(make_classifier):
    assert_as_theirs(make_classifier(), "partial_fit", X, Y)


def test_partial_fit_with_other_classes_later(make_classifier):
    ours, theirs = make_classifier(), MLPClassifier()
    for estimator in (ours, theirs):
        estimator.partial_fit(X, Y, classes=[0, 1])
    message = message_of(ours.partial_fit, X, Y, classes=[0, 1, 2])
    assert message == message_of(theirs.partial_fit, X, Y, classes=[0, 1, 2])
    assert "is not the same as on last call to partial_fit" in message[1]


def test_partial_fit_with_lbfgs(make_classifier):
    estimator = make_classifier(solver="lbfgs")
    assert not hasattr(estimator, "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as error:
        _ = estimator.partial_fit
    assert "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic." in (
        str(error.value.__cause__)
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_start_with_other_classes(make_classifier):
    ours = make_classifier(warm_start=True).fit(X, Y)
    theirs = MLPClassifier(max_iter=1, warm_start=True).fit(X, Y)
    message = message_of(ours.fit, X, Y + 1)
    assert message == message_of(theirs.fit, X, Y + 1)
    assert message[1].startswith("warm_start can only be used where `y` has the same classes")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_start_with_another_network(make_classifier, make_regressor):
    estimator = make_classifier(warm_start=True).fit(X, Y)
    estimator.set_params(hidden_layer_sizes=(4, 4))
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(4, 4\) differs from \(8,\)"):
        estimator.fit(X, Y)
    regressor = make_regressor(warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match="y has 3 outputs, but the network was fitted with 1"):
        regressor.fit(X, X)


# Before and after training.


def test_not_fitted(make_classifier, make_regressor):
    for estimator in (make_classifier(), make_regressor()):
        sentence = f"This {type(estimator).__name__} instance is not fitted yet"
        with pytest.raises(NotFittedError, match=sentence):
            estimator.predict(X)
        for attribute in ("coefs_", "intercepts_", "history_", "module_", "n_iter_"):
            assert not hasattr(estimator, attribute)
            with pytest.raises(AttributeError, match=f"has no attribute '{attribute}'"):
                getattr(estimator, attribute)
        # Weights alone, which can be written, are no network yet.
        estimator.coefs_ = [X]
        with pytest.raises(AttributeError, match="has no attribute 'intercepts_' before fit"):
            _ = estimator.intercepts_
        with pytest.raises(NotFittedError):
            estimator.predict(X)
    with pytest.raises(NotFittedError, match="This TorchMLPClassifier instance is not fitted yet"):
        make_classifier().predict_proba(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_weights_that_do_not_fit(make_classifier):
    estimator = make_classifier().fit(X, Y)
    before = estimator.predict_proba(X)
    with pytest.raises(ValueError, match=r"coefs_\[0\] must have the shape \(3, 8\)"):
        estimator.coefs_[0] = np.zeros((8, 3))
    with pytest.raises(ValueError, match=r"intercepts_\[1\] must have the shape \(1,\)"):
        estimator.intercepts_[1] = [1.0, 2.0]
    with pytest.raises(ValueError, match="coefs_ must have 2 items, got 1"):
        estimator.coefs_ = [np.zeros((3, 8))]
    with pytest.raises(TypeError, match="assign coefs_ as a whole or one layer at a time"):
        estimator.coefs_[:] = estimator.coefs_
    with pytest.raises(ValueError, match="could not convert string to float"):
        estimator.intercepts_[1] = ["high"]
    assert_allclose(estimator.predict_proba(X), before, rtol=0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_bad_item_leaves_all_weights_as_they_were(make_classifier):
    estimator = make_classifier().fit(X, Y)
    before = estimator.predict_proba(X)
    with pytest.raises(ValueError, match=r"coefs_\[1\] must have the shape \(8, 1\)"):
        estimator.coefs_ = [np.zeros((3, 8)), np.zeros((8, 2))]
    assert_allclose(estimator.predict_proba(X), before, rtol=0)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_max_iter_reached(make_classifier, solver):
    sentence = r"Stochastic Optimizer: Maximum iterations \(2\) reached and the optimization"
    if solver == "lbfgs":
        sentence = r"lbfgs failed to converge after 2 iteration\(s\)"
    with pytest.warns(ConvergenceWarning, match=sentence):
        estimator = make_classifier(solver=solver, max_iter=2).fit(X, Y)
    assert estimator.n_iter_ == 2


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("limit", [{"max_iter": 2}, {"max_time": 1e-9}], ids=str)
def test_a_filter_for_scikit_learns_warnings_takes_ours(make_classifier, solver, limit):
    # scikit-learn's own examples have this filter; it goes by the module that warns.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ConvergenceWarning, module="sklearn")
        make_classifier(solver=solver, **limit).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="reached|failed to converge"):
        make_classifier(solver=solver, **limit).fit(X, Y)


def test_a_batch_larger_than_the_data(make_classifier):
    sentence = "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
    with pytest.warns(UserWarning, match=sentence):
        make_classifier(batch_size=21, tol=1.0, n_iter_no_change=1, max_iter=9).fit(X, Y)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_weights_that_are_not_finite(make_regressor, solver):
    sentence = (
        "Solver produced non-finite parameter weights. The input data may contain large values "
        "and need to be preprocessed."
    )
    large = X * 1e308
    estimator = make_regressor(solver=solver, learning_rate_init=1e10, max_iter=20)
    with pytest.raises(ValueError, match=sentence):
        estimator.fit(large, Y)


# Ctrl-C.


def press_ctrl_c(monkeypatch, after):
    """Send the interrupt signal when the clock is read for the n-th time, once per epoch."""
    clock, readings = time.perf_counter, iter(range(after))

    def reading():
        if next(readings, None) == after - 1:
            # A process in the background may have been told to ignore the signal.
            handler = signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                signal.signal(signal.SIGINT, handler)
        return clock()

    monkeypatch.setattr(time, "perf_counter", reading)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_interrupted_training_leaves_a_usable_model(make_classifier, digits, monkeypatch, solver):
    X, y = digits
    estimator = make_classifier(solver=solver, max_iter=500, tol=0.0)
    press_ctrl_c(monkeypatch, after=6)
    with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
        estimator.fit(X, y)
    assert 3 <= estimator.n_iter_ <= 6
    assert np.isfinite(estimator.loss_)
    assert np.isfinite(estimator.predict_proba(X)).all()
    assert len(estimator.history_) in (estimator.n_iter_, estimator.n_iter_ - 1)
    assert estimator.history_.notna()["loss"].all()
    if solver != "lbfgs":
        before = estimator.coefs_[0].copy()
        estimator.partial_fit(X, y)
        assert (estimator.coefs_[0] != before).any()


@native_only
def test_interrupted_lbfgs_has_the_weights_of_its_last_iteration(
    make_classifier, digits, monkeypatch
):
    X, y = digits
    estimator = make_classifier(solver="lbfgs", max_iter=500, tol=0.0)
    with monkeypatch.context() as patch:
        press_ctrl_c(patch, after=6)
        with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
            estimator.fit(X, y)
    stopped = make_classifier(solver="lbfgs", max_iter=estimator.n_iter_, tol=0.0)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        stopped.fit(X, y)
    # The same program as far as it went, to the rounding of L-BFGS's own divisions.
    assert_allclose(estimator.predict_proba(X), stopped.predict_proba(X), rtol=1e-9)


def test_interrupted_early_stopping_has_the_best_weights(make_classifier, digits, monkeypatch):
    X, y = digits
    estimator = make_classifier(
        early_stopping=True, max_iter=500, n_iter_no_change=500, learning_rate_init=0.1
    )
    with monkeypatch.context() as patch:
        press_ctrl_c(patch, after=30)
        with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
            estimator.fit(X, y)
    best = int(np.argmax(estimator.validation_scores_)) + 1
    assert best < estimator.n_iter_
    stopped = make_classifier(early_stopping=True, max_iter=best, learning_rate_init=0.1)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        stopped.fit(X, y)
    assert_allclose(estimator.predict_proba(X), stopped.predict_proba(X), rtol=0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_with_another_kind_of_output():
    X, y = [[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0]
    estimator = TorchMLPRegressor(max_iter=1, warm_start=True).fit(X, y)
    message = "the loss asks for the output activation 'exp', but the network was fitted with"
    with pytest.raises(ValueError, match=message):
        estimator.set_params(loss="poisson").fit(X, y)
