"""What training has left, where it has diverged."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor

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
    clf.set_params(random_state=0)
    with pytest.warns(ConvergenceWarning, match="The training loss has ended as inf: "):
        clf.fit(X, Y)
    assert np.isfinite(clf.coefs_[0]).all()
    assert clf.loss_ == np.inf


@pytest.mark.parametrize("loss", ["squared_error", "gaussian_nll"])
def test_targets_whose_squares_the_type_cannot_hold(loss, backend):
    y = 1e25 * X[:, 0]
    reg = TorchMLPRegressor(loss, hidden_layer_sizes=4, max_iter=2, backend=backend)
    reg.set_params(dtype="float32")
    sentence = r"the squares of y, .* must fit into float32, .* but y has 2.*e\+25\. Scale y first"
    with pytest.raises(ValueError, match=sentence):
        reg.fit(X, y)
    with pytest.raises(ValueError, match="In the validation set, X_val and y_val: the squares of"):
        reg.fit(X, Y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match=r"must fit into float64, .* scale_target='standard'\.$"):
        reg.set_params(dtype="float64").fit(X, y * 1e200)


@pytest.mark.filterwarnings("ignore:.*hasn't converged yet")
@pytest.mark.parametrize(
    "settings", [{"dtype": "float64"}, {"loss": "absolute_error", "dtype": "float32"}], ids=str
)
def test_targets_that_are_large_but_can_be_squared_or_are_not(settings):
    reg = TorchMLPRegressor(hidden_layer_sizes=4, max_iter=2, **settings).fit(X, 1e25 * X[:, 0])
    assert np.isfinite(reg.loss_)
