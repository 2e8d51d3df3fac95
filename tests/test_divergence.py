"""What training has left, where it has diverged."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sklearn_mlp import TorchMLPClassifier

X = np.random.default_rng(1).normal(size=(12, 3))
Y = np.arange(12) % 2
SENTENCE = "Solver produced non-finite parameter weights. The input data may contain large values"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate_init": 1e300, "solver": "adam"},
        {"learning_rate_init": 1e300, "solver": "sgd", "dtype": "float64"},
        {"epsilon": 1e-320, "dtype": "float32"},
        {"loss": "focal", "focal_gamma": 1e300},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_the_parameters_that_may_be_why_are_named(settings, backend):
    clf = TorchMLPClassifier(4, backend=backend, batch_size=4, max_iter=3, **settings)
    clf.set_params(random_state=0)
    name = next(name for name in settings if name != "loss")
    with pytest.raises(ValueError, match=SENTENCE) as error:
        clf.fit(X, Y)
    assert str(error.value).endswith(f" Or it is the parameters: {name}={settings[name]!r}.")


@pytest.mark.filterwarnings("ignore:.*hasn't converged yet")
def test_a_loss_that_is_no_number_is_warned_of(backend):
    clf = TorchMLPClassifier(
        4, backend=backend, batch_size=4, learning_rate_init=1e19, max_iter=2, dtype="float32"
    )
    with pytest.warns(ConvergenceWarning, match="The training loss has ended as inf: "):
        clf.fit(X, Y)
    assert np.isfinite(clf.coefs_[0]).all()
    assert clf.loss_ == np.inf
