"""Numbers of any kind that the table of parameters takes train as Python's own do."""

from fractions import Fraction
from numbers import Integral

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklearn_mlp import TorchMLPClassifier
from sklearn_mlp.estimators.parameters import PARAMETERS, constraints_of
from sklearn_mlp.machine.plain_numbers import plain_number, plain_parameters
from sklearn_mlp.machine.sklearn_internals import Interval

X = np.random.default_rng(3).normal(size=(24, 3))
Y = np.arange(24) % 2

# What makes a parameter count.
_WHERE = {
    "momentum": {"solver": "sgd"},
    "power_t": {"solver": "sgd", "learning_rate": "invscaling"},
    "max_fun": {"solver": "lbfgs"},
    "ema_decay": {"weight_averaging": "ema"},
    "swa_start": {"weight_averaging": "swa"},
    "lr_decay": {"learning_rate": "exponential"},
    "lr_step_size": {"learning_rate": "step"},
    "lr_patience": {"learning_rate": "plateau", "n_iter_no_change": 5},
    "lr_min": {"learning_rate": "cosine", "learning_rate_init": 3.0},
    "warmup": {"learning_rate": "one_cycle"},
    "validation_fraction": {"early_stopping": True},
}
NUMBERS = [
    name
    for name, constraints in constraints_of(PARAMETERS).items()
    if any(isinstance(one, Interval) for one in constraints)
]


def fit(name, value, **settings):
    """Fit briefly with one parameter set, where it counts."""
    settings = {"learning_rate_init": 0.01, **_WHERE.get(name, {}), **settings, name: value}
    clf = TorchMLPClassifier(max_iter=3, tol=1, random_state=0, hidden_layer_sizes=4)
    return clf.set_params(**settings).fit(X, Y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_of_numpys_is_the_plain_number(name, backend):
    if name == "max_fun" and backend == "skorch":
        return
    # Without a rounding of its own in any type.
    value = 2 if any(c.type is Integral for c in intervals_of(name)) else 0.5
    kinds = [np.int8, np.uint64] if value == 2 else [np.float16, np.float32, np.longdouble]
    plain = fit(name, value, backend=backend)
    for kind in [*kinds, Fraction]:
        if kind is Fraction and value == 2:
            continue
        other = fit(name, kind(value), backend=backend)
        assert_array_equal(other.predict_proba(X), plain.predict_proba(X))
        assert other.loss_ == plain.loss_


def intervals_of(name):
    """Return the intervals that a parameter may be in."""
    return [one for one in PARAMETERS[name].constraint if isinstance(one, Interval)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["momentum", "alpha", "tol", "power_t", "max_iter", "warmup"])
@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_in_the_place_of_a_number_is_0_or_1(name, value, backend):
    if name == "max_iter" and not value:
        with pytest.raises(ValueError, match="The 'max_iter' parameter of"):
            fit(name, value, backend=backend)
        return
    plain, other = (fit(name, one, backend=backend) for one in (int(value), value))
    assert_array_equal(other.predict_proba(X), plain.predict_proba(X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "nadam", "radam", "muon"])
def test_a_whole_number_where_a_solver_wants_a_float(solver):
    settings = {"solver": solver, "beta_1": 0, "beta_2": 0, "momentum": 1, "alpha": 0}
    if solver in ("radam", "adamw"):
        # Without a memory of squares it divides by next to nothing.
        settings["learning_rate_init"] = 1e-6
    floats = {k: v if isinstance(v, str) else float(v) for k, v in settings.items()}
    plain, other = fit("epsilon", 1.0, **floats), fit("epsilon", 1, **settings)
    assert_array_equal(other.predict_proba(X), plain.predict_proba(X))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_narrow_numbers_overflow_nowhere(kind):
    long_ago = {"power_t": kind(0.3), "solver": "sgd", "learning_rate": "invscaling"}
    clf = TorchMLPClassifier(4, max_iter=200, tol=0.5, random_state=0, **long_ago)
    clf.set_params(learning_rate_init=kind(0.01), alpha=kind(0.001), epsilon=kind(1e-3))
    assert clf.fit(X, Y).converged_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("power_t", [2**31, 1e300, 1e5])
def test_a_huge_power_is_a_rate_of_0(power_t):
    assert fit("power_t", power_t).history_["learning_rate"].tolist() == [0.01, 0, 0]


@pytest.mark.parametrize("name", ["alpha", "learning_rate_init", "epsilon", "tol", "power_t"])
def test_a_number_that_is_infinite_as_a_float_is_refused(name):
    for value in (10**400, float("inf")):
        with pytest.raises(ValueError, match=f"The '{name}' parameter of .* must be a float in"):
            fit(name, value)


def test_plain_numbers_by_their_constraints():
    given = {"alpha": 1, "max_iter": np.int8(3), "shuffle": np.True_, "warmup": np.uint8(2)}
    given |= {"n_iter_no_change": np.float32("inf"), "lr_decay": None, "verbose": True}
    plain = plain_parameters(given, constraints_of(PARAMETERS))
    expected = {"alpha": 1.0, "max_iter": 3, "shuffle": True, "warmup": 2}
    expected |= {"n_iter_no_change": float("inf"), "lr_decay": None, "verbose": True}
    assert plain == expected
    assert [type(value) for value in plain.values()] == [type(v) for v in expected.values()]
    text = "auto"
    assert plain_number(text) is text
