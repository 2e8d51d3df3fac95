"""scikit-learn's own tests of its multilayer perceptrons, with our classes in place of theirs."""

import importlib.util

import pytest
import sklearn.neural_network

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor

# They expect warnings here and there, and check those that matter.
pytestmark = pytest.mark.filterwarnings("default")

# These read or set what is no part of the public interface. What they are after is tested in
# the files named, by what a user can see.
PRIVATE = {
    "test_fit": "sets coefs_, _no_improvement_count and _optimizer by hand and calls "
    "_fit_stochastic; see test_parity.py and test_step.py",
    "test_gradient": "calls _loss_grad_lbfgs; see test_step.py",
    "test_learning_rate_warmstart": "reads _optimizer.learning_rate; see test_parity.py",
    "test_adaptive_learning_rate": "reads _optimizer.learning_rate; see test_parity.py",
    "test_n_iter_no_change": "reads _no_improvement_count; see test_parity.py",
    "test_n_iter_no_change_inf": "reads _no_improvement_count; see test_parity.py",
}


def load_their_tests():
    """Return a copy of scikit-learn's test module that has imported our classes as theirs."""
    spec = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sklearn.neural_network, "MLPClassifier", TorchMLPClassifier)
        patch.setattr(sklearn.neural_network, "MLPRegressor", TorchMLPRegressor)
        spec.loader.exec_module(module)
    return {name: test for name, test in vars(module).items() if name.startswith("test_")}


THEIR_TESTS = load_their_tests()
globals().update({name: test for name, test in THEIR_TESTS.items() if name not in PRIVATE})


def test_their_tests_run_our_classes():
    for test in THEIR_TESTS.values():
        assert test.__globals__["MLPClassifier"] is TorchMLPClassifier
        assert test.__globals__["MLPRegressor"] is TorchMLPRegressor
    assert sklearn.neural_network.MLPClassifier is not TorchMLPClassifier


@pytest.mark.parametrize("name", PRIVATE)
def test_those_left_out_are_still_there(name):
    assert name in THEIR_TESTS
