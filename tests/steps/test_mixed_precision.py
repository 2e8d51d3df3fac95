"""Products in bfloat16, parameters in float32; and networks that torch compiles."""

import copy

import numpy as np
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.estimator_checks import check_estimator

from sklearn_mlp import TorchMLPClassifier
from sklearn_mlp.data.batches import Batch
from sklearn_mlp.losses import MulticlassLogLoss
from sklearn_mlp.network.initial_weights import draw_initial_weights
from sklearn_mlp.network.mlp import MLP
from sklearn_mlp.network.parameter_vector import ParameterVector
from sklearn_mlp.steps import general as general_step
from sklearn_mlp.steps.autograd import AutogradStep
from sklearn_mlp.steps.layers import FlatLayers
from sklearn_mlp.steps.mixed_layers import MixedLayers

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# bfloat16 has 8 significant bits: a rounding is off by up to 2 ** -9.
ROUNDING = 2.0**-9


def gradients_of(network, batch, layers_type):
    """Return the gradient of a batch's loss in closed form, with its logits."""
    parameters = ParameterVector.of(network)
    gradient = parameters.empty_like()
    layers = layers_type(parameters, gradient, batch.size)
    step = general_step.make_step(layers, general_step.HiddenForm.of(network), MulticlassLogLoss())
    logits = torch.empty(4, batch.size)
    with step.quiet():
        step.gradient(batch, logits)
    return gradient, logits


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize(
    "form",
    [
        ((), {"activation": "relu"}),
        ((30,), {"activation": "relu"}),
        ((30, 30), {"activation": ["tanh", "gelu"], "residual": True}),
    ],
    ids=str,
)
def test_a_step_is_that_of_float32_but_for_rounding(form, is_weighted):
    units, settings = form
    network = MLP((20, *units, 4), dtype=torch.float32, **settings)
    draw_initial_weights(network, np.random.RandomState(0))
    random = np.random.RandomState(1)
    inputs = torch.from_numpy(random.standard_normal((50, 20))).float()
    targets = torch.from_numpy(random.randint(0, 4, (1, 50)))
    shares = torch.linspace(0.01, 0.03, 50) if is_weighted else None
    batch = Batch(inputs, inputs.t(), targets, 50, shares, 50.0)
    exact, exact_logits = gradients_of(copy.deepcopy(network), batch, FlatLayers)
    mixed, mixed_logits = gradients_of(copy.deepcopy(network), batch, MixedLayers)

    parameters = ParameterVector.of(network)
    autograd = parameters.empty_like()
    loss = MulticlassLogLoss()
    step = AutogradStep(network, parameters, autograd, loss, 4, is_mixed=True)
    logits = torch.empty(4, 50)
    with step, step.quiet():
        step.gradient(batch, logits)

    assert mixed.values.dtype == autograd.values.dtype == torch.float32
    # A few roundings one after the other, against the size of what is rounded.
    for found, found_logits in ((mixed, mixed_logits), (autograd, logits)):
        size = float(exact_logits.abs().max())
        assert_allclose(found_logits, exact_logits, rtol=0, atol=6 * ROUNDING * size)
        assert not torch.equal(found_logits, exact_logits)
        views = [*found.weights, *found.biases], [*exact.weights, *exact.biases]
        for mine, other in zip(*views, strict=True):
            assert_allclose(mine, other, rtol=0, atol=8 * ROUNDING * float(other.abs().max()))


@pytest.mark.parametrize("normalization", [None, "layer"])
def test_a_fit_follows_that_of_float32(make_classifier, digits, normalization):
    settings = {"hidden_layer_sizes": (30,), "max_iter": 15, "normalization": normalization}
    settings |= {"batch_size": 50, "learning_rate_init": 0.01}
    mixed = make_classifier(dtype="bfloat16", **settings).fit(*digits)
    exact = make_classifier(**settings).fit(*digits)
    # Roundings of 1/512 in each product, of a loss that begins at 2.3.
    assert_allclose(mixed.loss_curve_, exact.loss_curve_, rtol=0, atol=0.02)
    assert mixed.loss_curve_ != exact.loss_curve_
    assert mixed.score(*digits) > 0.95
    # Outside, nothing of it is seen.
    assert mixed.dtype_ == torch.float32
    assert all(coef.dtype == np.float64 for coef in mixed.coefs_)
    assert mixed.predict_proba(digits[0]).dtype == exact.predict_proba(digits[0]).dtype


def test_steps_smaller_than_bfloat16_can_tell_still_count(make_regressor, diabetes):
    # A weight of 0.1 and a step of 1e-5: in bfloat16 the sum would be the weight.
    estimator = make_regressor(dtype="bfloat16", learning_rate_init=1e-5).partial_fit(*diabetes)
    before = [coef.copy() for coef in estimator.coefs_]
    estimator.partial_fit(*diabetes)
    assert all((coef != old).all() for coef, old in zip(estimator.coefs_, before, strict=True))


def test_sparse_samples_are_as_good_as_dense_ones(make_classifier, digits):
    X, y = digits
    dense = make_classifier(dtype="bfloat16").fit(X, y)
    sparse = make_classifier(dtype="bfloat16").fit(scipy.sparse.csr_matrix(X), y)
    assert_array_equal(dense.coefs_[0], sparse.coefs_[0])


def test_partial_fit_may_change_the_precision(make_classifier, digits):
    estimator = make_classifier(dtype="bfloat16").partial_fit(*digits, classes=np.arange(10))
    for dtype in ("float64", "bfloat16", "float32"):
        estimator.set_params(dtype=dtype).partial_fit(*digits)
        assert estimator.dtype_ == (torch.float64 if dtype == "float64" else torch.float32)
    assert np.isfinite(estimator.loss_curve_).all()


def test_bfloat16_is_not_for_lbfgs(make_classifier, digits):
    with pytest.raises(ValueError, match="dtype='bfloat16' cannot be used with solver='lbfgs'"):
        make_classifier(solver="lbfgs", dtype="bfloat16", backend="torch").fit(*digits)


def test_the_contract_holds():
    estimator = TorchMLPClassifier(20, dtype="bfloat16", learning_rate_init=0.05, max_iter=20)
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    # To a rounding of 1/512 a row repeated is not a weight of 2. And predictions are float32's,
    # which depend on how many are made at once; the check asks for 1e-7.
    failed = {r["check_name"] for r in results if r["status"] == "failed"}
    assert failed <= {
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
        "check_methods_subset_invariance",
    }


def test_a_compiled_network_is_the_same(make_classifier, digits, monkeypatch):
    # torch's backend "eager" needs no compiler on the machine.
    compile_it = torch.compile
    calls = []

    def compile_eagerly(module, **settings):
        calls.append(module)
        return compile_it(module, **{**settings, "backend": "eager"})

    monkeypatch.setattr(torch, "compile", compile_eagerly)
    settings = {"normalization": "batch", "max_iter": 3, "batch_size": 100}
    compiled = make_classifier(compile=True, **settings).fit(*digits)
    assert len(calls) == 1
    plain = make_classifier(**settings).fit(*digits)
    assert len(calls) == 1
    assert_allclose(compiled.loss_curve_, plain.loss_curve_, rtol=1e-6)
    assert_allclose(compiled.predict_proba(digits[0]), plain.predict_proba(digits[0]), rtol=1e-5)


def test_the_closed_form_has_nothing_to_compile(digits, monkeypatch):
    monkeypatch.setattr(torch, "compile", None)
    settings = {"hidden_layer_sizes": 8, "max_iter": 2, "random_state": 0}
    compiled = TorchMLPClassifier(compile=True, **settings).fit(*digits)
    assert_array_equal(compiled.coefs_[0], TorchMLPClassifier(**settings).fit(*digits).coefs_[0])
