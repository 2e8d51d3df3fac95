"""Whatever a parameter or an argument is given: it works, or an error names it, and soon.

The lists are generated: from the tables of parameters, so that a new one is tried by itself, and
from the values of `bad_values`. Sparse matrices that could end the process are in
``test_readable.py``.
"""

import itertools
import time
import warnings
from functools import partial

import matplotlib as mpl
import numpy as np
import pytest
from bad_values import ARRAYS, VALUES

from sklearn_mlp import (
    BatchedGridSearchCV,
    HiddenFeatures,
    LearningRateDisplay,
    LossCurveDisplay,
    TorchMLPClassifier,
    TorchMLPRegressor,
    ValidationScoreDisplay,
    WeightsDisplay,
    cross_validate_batched,
    fit_many,
)
from sklearn_mlp.many.arguments import _CONSTRAINTS as FIT_MANY_CONSTRAINTS
from sklearn_mlp.solvers.choice import SOLVER_NAMES

mpl.use("Agg")

from matplotlib import pyplot as plt

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(1).normal(size=(12, 3))
TARGETS = {TorchMLPClassifier: np.arange(12) % 2, TorchMLPRegressor: X[:, 0]}

# Nothing takes longer than some epochs of three steps; a loss of any size ends it.
BASE = {"hidden_layer_sizes": (4,), "max_iter": 1, "batch_size": 4, "random_state": 0}
BASE |= {"tol": 1e9, "n_iter_no_change": 1, "max_time": 0.2}

# What a parameter needs to count.
WHERE = {
    "power_t": {"solver": "sgd", "learning_rate": "invscaling"},
    "momentum": {"solver": "sgd"},
    "nesterovs_momentum": {"solver": "sgd"},
    "early_stopping": {"validation_fraction": 0.3},
    "validation_fraction": {"early_stopping": True},
    "scoring": {"early_stopping": True, "validation_fraction": 0.3},
    "max_fun": {"solver": "lbfgs"},
    "focal_gamma": {"loss": "focal"},
    "quantile": {"loss": "quantile"},
    "huber_delta": {"loss": "huber"},
    "ema_decay": {"weight_averaging": "ema"},
    "swa_start": {"weight_averaging": "swa"},
    "lr_decay": {"learning_rate": "exponential"},
    "lr_step_size": {"learning_rate": "step"},
    "lr_patience": {"learning_rate": "plateau"},
    "lr_min": {"learning_rate": "cosine"},
    "warmup": {"learning_rate": "one_cycle"},
    "solver_params": {"solver": "adamw"},
    "backend_params": {"backend": "skorch"},
    # Compiled code is another test's.
    "compile": {"backend": "skorch", "solver": "no such solver, so that nothing is compiled"},
}
# What an error of a parameter may name instead.
ALSO = {"compile": "solver", "tol": "max_iter", "early_stopping": "validation_fraction"}
# More than this is no bounded work, on however slow a machine.
LONGEST = 10.0
# Warnings that say of a result that it is not finite: ours, and NumPy's in scikit-learn's metrics.
SAID = ("The training loss has ended as", "The weights have grown to", "overflow encountered")


def complaint(call, *names):
    """Return what is wrong with how a call has gone, if anything."""
    began = time.perf_counter()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = call()
    except (ValueError, TypeError, MemoryError, ZeroDivisionError) as error:
        # One of the user's own function may keep its kind, and its text beside a note.
        text = "\n".join([str(error), *getattr(error, "__notes__", [])])
        if not any(name in text for name in names):
            return f"{type(error).__name__} names nothing: {str(error)[:160]}"
    except Exception as error:
        return f"bare {type(error).__name__}: {str(error)[:160]}"
    else:
        is_said = any(str(one.message).startswith(SAID) for one in caught)
        if not is_said and not all(np.isfinite(part).all() for part in result):
            return "not finite, and nothing said so"
    taken = time.perf_counter() - began
    return f"took {taken:.0f} s" if taken > LONGEST else None


def listed(wrong):
    """Return what is wrong, a line for each."""
    return "\n".join(f"{label}: {said}" for label, said in wrong.items())


def outcome(estimator, y):
    """Fit, and return numbers that must be finite."""
    estimator.fit(X, y)
    weights = estimator.coefs_ if estimator.module is None else []
    return [np.array(estimator.loss_), np.asarray(estimator.predict(X)), *weights]


@pytest.mark.parametrize(
    ("Estimator", "name"),
    [(Estimator, name) for Estimator in TARGETS for name in Estimator._parameter_constraints],
)
def test_every_parameter(Estimator, name):
    wrong = {}
    for label, value in VALUES.items():
        estimator = Estimator(**BASE).set_params(**WHERE.get(name, {}), **{name: value})
        fit = partial(outcome, estimator, TARGETS[Estimator])
        said = complaint(fit, name, ALSO.get(name, name))
        if said:
            wrong[label] = said
    assert not wrong, listed(wrong)


@pytest.mark.parametrize("Estimator", TARGETS)
def test_numbers_on_the_other_backend(Estimator):
    numbers = [label for label in VALUES if isinstance(VALUES[label], int | float | np.generic)]
    names = [
        name
        for name, value in Estimator().get_params().items()
        if isinstance(value, float) or name in ("batch_size", "gradient_clip", "warmup")
    ]
    assert len(numbers) * len(names) > 400
    wrong = {}
    # Every other one: which of two backends it is hardly matters.
    for name, label in itertools.islice(itertools.product(names, numbers), None, None, 3):
        settings = BASE | WHERE.get(name, {}) | {name: VALUES[label]}
        if settings.get("solver") == "lbfgs":
            continue
        estimator = Estimator(backend="skorch", **settings)
        fit = partial(outcome, estimator, TARGETS[Estimator])
        said = complaint(fit, name, ALSO.get(name, name))
        if said:
            wrong[name, label] = said
    assert not wrong, listed(wrong)


# Extreme, but within the intervals: what a solver does with them.
EXTREMES = ["1e300", "1e39", "10**30", "2**63", "denormal", "0", "True", "float16"]


@pytest.mark.parametrize("solver", sorted(SOLVER_NAMES))
def test_extreme_numbers_of_every_solver(solver):
    wrong = {}
    names = ["alpha", "learning_rate_init", "beta_1", "beta_2", "epsilon", "momentum"]
    names += ["ema_decay"] + ["gradient_clip"] * (solver != "lbfgs")
    for name, label in itertools.product(names, EXTREMES):
        for dtype in ("float32", "float64"):
            settings = BASE | {"solver": solver, "dtype": dtype, name: VALUES[label]}
            if name == "ema_decay" and solver != "lbfgs":
                settings["weight_averaging"] = "ema"
            fit = partial(outcome, TorchMLPRegressor(**settings), X[:, 0])
            said = complaint(fit, name)
            if said:
                wrong[name, label, dtype] = said
    assert not wrong, listed(wrong)


def made(label):
    """Return an entry of the table of arrays."""
    value = ARRAYS[label]
    if value is len or not callable(value):
        return value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return value()


def calls_with(Estimator, backend):
    """Return functions of one argument, by the names that it has."""
    y = TARGETS[Estimator]
    fresh = Estimator(backend=backend, **BASE)
    fitted = Estimator(backend=backend, **BASE).fit(X, y)

    def numbers(one):
        """Return what a fit has come to."""
        return [np.array(one.loss_), np.asarray(one.predict(X[:2]))]

    calls = {
        "fit X": lambda value: numbers(fresh.fit(value, y)),
        "fit y": lambda value: [np.array(fresh.fit(X, value).loss_)],
        "fit sample_weight": lambda value: numbers(fresh.fit(X, y, sample_weight=value)),
        "fit X_val": lambda value: numbers(fresh.fit(X, y, X_val=value, y_val=y)),
        "fit y_val": lambda value: numbers(fresh.fit(X, y, X_val=X, y_val=value)),
        "fit sample_weight_val": lambda value: numbers(
            fresh.fit(X, y, X_val=X, y_val=y, sample_weight_val=value)
        ),
        "partial_fit X": lambda value: numbers(fitted.partial_fit(value, y)),
        "partial_fit y": lambda value: numbers(fitted.partial_fit(X, value)),
        "partial_fit sample_weight": lambda value: numbers(
            fitted.partial_fit(X, y, sample_weight=value)
        ),
        "predict X": lambda value: [np.asarray(fitted.predict(value))],
        "score X": lambda value: [np.array(fitted.score(value, y))],
        "score y": lambda value: [np.array(fitted.score(X, value))],
        "score sample_weight": lambda value: [np.array(fitted.score(X, y, value))],
        "hidden_activations X": lambda value: [fitted.hidden_activations(value)],
        "input_gradients X": lambda value: [fitted.input_gradients(value)],
        "fit_many X": lambda value: numbers(fit_many([fresh], value, y)[0]),
        "fit_many y": lambda value: [np.array(fit_many([fresh], X, value)[0].loss_)],
        "fit_many sample_weight": lambda value: numbers(
            fit_many([fresh], X, y, sample_weight=value)[0]
        ),
    }
    if Estimator is TorchMLPClassifier:
        calls |= {
            "predict_proba X": lambda value: [fitted.predict_proba(value)],
            "predict_log_proba X": lambda value: [fitted.predict_log_proba(value)],
            "partial_fit classes": lambda value: numbers(
                TorchMLPClassifier(backend=backend, **BASE).partial_fit(X, y, classes=value)
            ),
        }
    return calls


# Words of scikit-learn's sentences for an argument.
THEIRS = (
    "2D array",
    "with 0 sample",
    "with 0 feature",
    "parse data",
    "omplex data",
    "dtype",
    "dim 3",
)
SAYS = {
    "X": (
        "X",
        "inconsistent numbers of samples",
        "2D array",
        "0 sample",
        "sparse",
        "Sparse",
        "omplex",
        "array",
        "float",
        "dtype",
    ),
    "y": ("y", "inconsistent numbers of samples"),
    "sample_weight": ("ample weight", "ample_weight"),
    "classes": ("classes",),
}


@pytest.mark.parametrize("Estimator", TARGETS)
def test_every_argument(Estimator):
    wrong = {}
    for name, call in calls_with(Estimator, "torch").items():
        argument = name.split()[1]
        for label in ARRAYS:
            said = complaint(partial(call, made(label)), *SAYS[argument.removesuffix("_val")])
            if said:
                wrong[name, label] = said
    assert not wrong, listed(wrong)


def other_calls():
    """Return functions of one argument, by whose it is and its name."""
    y = TARGETS[TorchMLPClassifier]
    make = partial(TorchMLPClassifier, **BASE)
    watched = make().fit(X, y, X_val=X, y_val=y)
    reg = TorchMLPRegressor(**BASE).fit(X, X[:, 0])
    grid = {"alpha": [0.1, 0.2]}
    calls = {
        ("fit_many", name): lambda **given: fit_many([make()], X, y, **given)
        for name in FIT_MANY_CONSTRAINTS
        if name not in ("X", "y", "sample_weight")
    }
    calls |= {
        ("fit_many", "estimators"): lambda estimators: fit_many(estimators, X, y),
        ("cross_validate_batched", "max_memory"): lambda **given: cross_validate_batched(
            make(), X, y, cv=2, **given
        ),
        ("cross_validate_batched", "estimator"): lambda estimator: cross_validate_batched(
            estimator, X, y, cv=2
        ),
        ("search", "max_memory"): lambda **given: BatchedGridSearchCV(
            make(), grid, cv=2, **given
        ).fit(X, y),
        ("search", "estimator"): lambda estimator: BatchedGridSearchCV(estimator, grid, cv=2).fit(
            X, y
        ),
        ("HiddenFeatures", "layer"): lambda layer: HiddenFeatures(make(), layer=layer).fit(X, y),
        ("HiddenFeatures", "estimator"): lambda estimator: HiddenFeatures(estimator).fit(X, y),
        ("hidden_activations", "layer"): lambda layer: reg.hidden_activations(X, layer=layer),
        ("input_gradients", "output"): lambda output: reg.input_gradients(X, output),
        ("predict", "return_std"): lambda return_std: reg.predict(X, return_std),
    }
    for Display in (LossCurveDisplay, LearningRateDisplay, ValidationScoreDisplay):
        who, of_one = Display.__name__, Display.from_estimator
        calls |= {
            (who, "estimator"): of_one,
            (who, "estimators"): Display.from_estimators,
            (who, "name"): partial(of_one, watched),
            (who, "names"): partial(Display.from_estimators, [watched]),
            (who, "ax"): partial(of_one, watched),
            (who, "histories"): lambda histories, kind=Display: kind(histories=histories).plot(),
        }
    drawn = partial(WeightsDisplay.from_estimator, watched)
    return calls | {
        ("WeightsDisplay", "estimator"): WeightsDisplay.from_estimator,
        ("WeightsDisplay", "image_shape"): drawn,
        ("WeightsDisplay", "n_units"): partial(drawn, image_shape=(1, 3)),
        ("WeightsDisplay", "images"): lambda images: WeightsDisplay(images=images).plot(),
        ("WeightsDisplay", "axes"): drawn(image_shape=(1, 3)).plot,
    }


def test_every_other_argument():
    wrong = {}

    def done(call, **given):
        """Call for what it raises."""
        call(**given)
        plt.close("all")
        return []

    for (who, name), call in other_calls().items():
        for label, value in VALUES.items():
            # joblib's own, and as many processes.
            if name == "n_jobs" and label in ("2", "3.5", "uint8", "int8", "2**31", "-1"):
                continue
            said = complaint(partial(done, call, **{name: value}), name)
            if said:
                wrong[who, name, label] = said
    plt.close("all")
    assert not wrong, listed(wrong)


def test_how_many_are_tried():
    n_parameters = sum(len(Estimator._parameter_constraints) for Estimator in TARGETS)
    assert n_parameters * len(VALUES) > 5000
    assert len(ARRAYS) > 80
