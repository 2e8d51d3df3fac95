"""scikit-learn's checks of an estimator: all of them, without an expected failure."""

from functools import cache

import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

from sklearn_mlp import BatchedGridSearchCV, TorchMLPClassifier, TorchMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class PlainClassifier(MLPClassifier):
    """scikit-learn's, as anyone's class: the checks change the parameters of its own classes."""


class PlainRegressor(MLPRegressor):
    """scikit-learn's, as anyone's class."""


PAIRS = [(TorchMLPClassifier, PlainClassifier), (TorchMLPRegressor, PlainRegressor)]
OURS = [ours for ours, _ in PAIRS]


def results_of(estimator, *statuses):
    """Run all checks; return the names of those that end in a status, with what was raised."""
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    return {
        result["check_name"]: str(result["exception"])
        for result in results
        if result["status"] in statuses
    }


# Some checks ask for a score: these epochs are enough for it at this rate.
SOON = {"max_iter": 10, "learning_rate_init": 0.1}
SOON_SGD = {"max_iter": 20, "learning_rate_init": 0.05, "solver": "sgd"}
SOON_FLOAT64 = {**SOON, "dtype": "float64"}


@pytest.mark.parametrize("parameters", [SOON, SOON_SGD, SOON_FLOAT64], ids=str)
@pytest.mark.parametrize("Estimator", OURS)
def test_every_check_passes(Estimator, parameters):
    assert_every_check_passes(Estimator(**parameters))


# A fit by skorch takes several times as long: one setting per estimator. adam in float32 goes
# through all checks with skorch, and with more options, in losses/test_outputs.py.
@pytest.mark.parametrize(
    ("Estimator", "parameters"),
    [
        (TorchMLPRegressor, SOON_SGD),
        (TorchMLPClassifier, SOON_FLOAT64),
    ],
    ids=str,
)
def test_every_check_passes_with_skorch(Estimator, parameters):
    assert_every_check_passes(Estimator(backend="skorch", **parameters))


@pytest.mark.parametrize("Estimator", OURS)
def test_every_check_passes_at_the_default_rate(Estimator):
    # 100 is what scikit-learn checks its own classes with.
    assert_every_check_passes(Estimator(max_iter=100))


def assert_every_check_passes(estimator):
    """Run all checks; each must run, and pass."""
    not_passed = results_of(estimator, "failed", "skipped", "xfail")
    # What the checks themselves leave out: there is no decision_function, and arrays of other
    # libraries than NumPy are an option that has to be installed.
    not_passed.pop("check_array_api_input")
    not_passed.pop("check_classifiers_multilabel_output_format_decision_function", None)
    assert not_passed == {}


@pytest.mark.parametrize(
    "parameters", [{"early_stopping": True}, {"solver": "lbfgs", "max_iter": 20}], ids=str
)
@pytest.mark.parametrize(("Estimator", "Plain"), PAIRS)
def test_no_check_fails_that_scikit_learn_passes(Estimator, Plain, backend, parameters):
    # Holding samples out parts a weight of 2 from a row repeated, is refused by partial_fit, and
    # needs more samples than some checks have.
    watched = {"scoring": "loss", "max_time": 1000.0} if "early_stopping" in parameters else {}
    parameters = {**SOON, **parameters}
    estimator = Estimator(backend=backend, **parameters, **watched)
    ours = results_of(estimator, "failed")
    if "early_stopping" in parameters:
        # Theirs has no class_weight. This check wants nearly all of noise in one class: the best
        # score on its five held-out samples comes long before that.
        ours.pop("check_class_weight_classifiers", None)
    theirs = failures_of_scikit_learn(Plain, **parameters) if ours else {}
    assert {name: message for name, message in ours.items() if name not in theirs} == {}


@cache
def failures_of_scikit_learn(Plain, **parameters):
    """Run all checks of scikit-learn's estimator, once for both backends."""
    return results_of(Plain(**parameters), "failed")


# The checks have fits fail, of which a search warns.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("Estimator", OURS)
def test_every_check_of_a_search_passes(Estimator):
    estimator = Estimator(
        hidden_layer_sizes=(10,), max_iter=10, learning_rate_init=0.1, random_state=0
    )
    for search in (GridSearchCV, BatchedGridSearchCV):
        # The two have the same tags, and with them the same checks.
        grid = search(estimator, {"alpha": [1e-4, 1e-2]}, cv=2)
        assert len(list(estimator_checks_generator(grid))) > 40
    assert_every_check_passes(grid)


class WithDepth(TorchMLPRegressor):
    """Somebody's estimator with a parameter of its own and a few of ours."""

    def __init__(self, depth=2, *, alpha=1e-4, **others):
        super().__init__(hidden_layer_sizes=(5,) * depth, alpha=alpha, **others)
        self.depth = depth


def test_a_subclass_may_have_a_constructor_of_its_own():
    estimator = clone(WithDepth(3, alpha=0.5))
    assert estimator.get_params() == {"alpha": 0.5, "depth": 3}
    assert (estimator.hidden_layer_sizes, estimator.solver) == ((5, 5, 5), "adam")
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'class_weight'"):
        WithDepth(class_weight="balanced")
