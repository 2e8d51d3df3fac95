"""The private operations and their fallbacks give the same numbers."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits

from sklearn_mlp import TorchMLPClassifier
from sklearn_mlp.machine import kernels, products
from sklearn_mlp.network.activations import ACTIVATIONS


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activation_backwards_is_autograd(name):
    activation = ACTIVATIONS[name]
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(5, 7, dtype=torch.float64, generator=generator).requires_grad_()
    delta = torch.randn(5, 7, dtype=torch.float64, generator=generator)
    outputs = activation.function(inputs)
    (expected,) = torch.autograd.grad(outputs, inputs, delta)
    in_place = activation.apply_(inputs.detach().clone())
    assert_allclose(in_place, outputs.detach(), rtol=0)
    mine = delta.clone()
    activation.backward_(mine, inputs.detach() if activation.keeps_input else in_place)
    # The same formula from the outputs: the last digit may differ.
    assert_allclose(mine, expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "softplus"])
def test_activation_backwards_without_the_private_operation(monkeypatch, name):
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        inputs, delta = torch.randn(2, 50, dtype=torch.float64, generator=generator) * 5
        expected, mine = delta.clone(), delta.clone()
        ACTIVATIONS[name].backward_(expected, inputs)
        monkeypatch.setattr(kernels, f"_{name.upper()}_BACKWARD", None)
        ACTIVATIONS[name].backward_(mine, inputs)
    assert_allclose(mine, expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_adam_without_the_fused_operation(monkeypatch, dtype, penalty):
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(4, 50, dtype=dtype, generator=generator)
    start[3].abs_()
    results = []
    for is_fused in (True, False):
        monkeypatch.setattr(kernels, "HAS_FUSED_ADAM", is_fused)
        vectors = kernels.AdamVectors(*start.clone().unbind())
        for step in (1, 2, 3):
            vectors.gradient.copy_(start[1])  # an update may use it up
            holder = torch.tensor(float(step))
            kernels.adam_update_(vectors, step, holder, 0.01, 0.9, 0.99, 1e-3, penalty)
        results.append(torch.stack([vectors.values, vectors.first_moment, vectors.second_moment]))
    rtol = 1e-5 if dtype == torch.float32 else 1e-13
    assert_allclose(results[0], results[1], rtol=rtol, atol=rtol)


def test_adam_takes_the_first_step_worked_by_hand():
    one = torch.ones(1, dtype=torch.float64)
    vectors = kernels.AdamVectors(2 * one, 0.5 * one, 0 * one, 0 * one)
    kernels.adam_update_(vectors, 1, torch.tensor(1.0), 0.1, 0.9, 0.999, 0.01)
    # m = 0.05, v = 0.00025, step size = 0.1 * sqrt(0.001) / 0.1: scikit-learn adds epsilon to
    # the root of the uncorrected v.
    expected = 2 - np.sqrt(0.001) * 0.05 / (np.sqrt(0.00025) + 0.01)
    assert_allclose(vectors.values, expected, rtol=1e-14)


@pytest.mark.parametrize("is_transposed", [False, True])
def test_onednn_multiplies_like_the_default(is_transposed):
    generator = torch.Generator().manual_seed(2)
    left = torch.randn(30, 40, generator=generator)
    right = torch.randn(40, 20, generator=generator)
    if is_transposed:
        left, right = left.t().contiguous().t(), right.t().contiguous().t()
    bias = torch.randn(30, 1, generator=generator)
    out = [torch.empty(30, 20) for _ in range(4)]
    products.DEFAULT_PRODUCTS.multiply(left, right, out[0])
    products.ONEDNN_PRODUCTS.multiply(left, right, out[1])
    products.DEFAULT_PRODUCTS.affine(left, right, bias, out[2])
    products.ONEDNN_PRODUCTS.affine(left, right, bias, out[3])
    # float32 sums of 40 terms of size 1, in another order.
    assert_allclose(out[1], out[0], rtol=1e-5, atol=1e-5)
    assert_allclose(out[3], out[2], rtol=1e-5, atol=1e-5)


def test_what_multiplies_is_chosen_by_size_type_and_setting(monkeypatch):
    single = torch.empty(0)
    monkeypatch.setenv("SKLEARN_MLP_ONEDNN", "1")
    assert products.choose_products(10**8, single) is products.ONEDNN_PRODUCTS
    assert products.choose_products(10**5, single) is products.DEFAULT_PRODUCTS
    assert products.choose_products(10**8, single.double()) is products.DEFAULT_PRODUCTS
    monkeypatch.setenv("SKLEARN_MLP_ONEDNN", "0")
    assert products.choose_products(10**8, single) is products.DEFAULT_PRODUCTS
    monkeypatch.delenv("SKLEARN_MLP_ONEDNN")
    first = products.choose_products(10**8, single)
    assert first in (products.DEFAULT_PRODUCTS, products.ONEDNN_PRODUCTS)
    assert products.choose_products(10**8, single) is first
    monkeypatch.setattr(kernels, "HAS_ONEDNN_LINEAR", False)
    assert products.choose_products(10**8, single) is products.DEFAULT_PRODUCTS


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_whole_fit_with_and_without_private_operations(monkeypatch):
    X, y = load_digits(return_X_y=True)
    X = np.tile(X / 16, (1, 4))
    curves = []
    for is_private in (True, False):
        monkeypatch.setattr(kernels, "HAS_FUSED_ADAM", is_private)
        monkeypatch.setenv("SKLEARN_MLP_ONEDNN", str(int(is_private)))
        estimator = TorchMLPClassifier((100,), random_state=0, max_iter=5, device="cpu")
        curves.append(estimator.fit(X, y).loss_curve_)
    assert_allclose(curves[0], curves[1], rtol=1e-4)
