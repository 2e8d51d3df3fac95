"""Distance from the limit: a training step reduced to its matrix products.

A step of a network with P weights, P1 of them in the first layer, on a batch of n rows takes

    6 n P - 2 n P1

floating-point operations in its matrix products: 2 n P each for the forward pass, the weights'
gradient and the inputs' gradient, of which nobody needs the last for the first layer. The peer
`matrix-products` does exactly these products, in float32, each with the fastest kernel found on
this machine, and nothing else: no activation, no loss, no update, no data. It runs interleaved
with the rest, so that its time is a lower bound from the same minutes.
"""

import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.linalg.blas import sgemm

from benchmarks.machine import synchronize
from benchmarks.peers import Peer, Trained
from benchmarks.torch_peers import layer_sizes
from benchmarks.workloads import Problem, Workload

Shape = tuple[int, int, int]
"""(m, k, n) of a product (m, k) @ (k, n)."""

CALIBRATION_SECONDS = 0.05


def step_flops(sizes: list[int], batch_size: int) -> float:
    """Floating-point operations of one step's matrix products.

    Examples
    --------
    >>> step_flops([784, 256, 10], 256)
    209453056.0
    """
    weights = [in_features * out_features for in_features, out_features in pairwise(sizes)]
    return 6.0 * batch_size * sum(weights) - 2.0 * batch_size * weights[0]


def step_products(sizes: list[int], batch_size: int) -> list[Shape]:
    """The matrix products of one step, forward and backward.

    Examples
    --------
    >>> step_products([784, 256, 10], 64)
    [(64, 784, 256), (256, 64, 784), (64, 256, 10), (10, 64, 256), (64, 10, 256)]
    """
    products = []
    for layer, (in_features, out_features) in enumerate(pairwise(sizes)):
        products.append((batch_size, in_features, out_features))
        products.append((out_features, batch_size, in_features))
        if layer > 0:
            products.append((batch_size, out_features, in_features))
    return products


def product_flops(shape: Shape) -> float:
    """Floating-point operations of one product."""
    return 2.0 * shape[0] * shape[1] * shape[2]


def kernels(shape: Shape, device: str) -> dict[str, Callable[[], Any]]:
    """Every way we know to compute one product in float32, operands and buffers made already.

    torch's `mm` (MKL on most CPUs, cuBLAS on a GPU) with the second operand in either layout,
    oneDNN where this build of torch has it, and the BLAS of NumPy and of SciPy (mostly OpenBLAS);
    each of them also for the transposed product, since a narrow matrix can be much faster as the
    first operand than as the second.
    """
    calls: dict[str, Callable[[], Any]] = {}
    m, k, n = shape
    for label, rows, columns in (("", m, n), (", transposed", n, m)):
        a = torch.randn(rows, k, device=device)
        b = torch.randn(k, columns, device=device)
        b_rows = b.T.contiguous()
        out = torch.empty(rows, columns, device=device)
        calls["mm" + label] = partial(torch.mm, a, b, out=out)
        calls["mm, b.T" + label] = partial(torch.mm, a, b_rows.T, out=out)
        if device != "cpu":
            continue
        if has_onednn():
            product = torch.ops.mkldnn._linear_pointwise
            calls["oneDNN" + label] = partial(product, a, b_rows, None, "none", [], "")
        calls |= {name + label: call for name, call in _blas_kernels(a, b, b_rows, out).items()}
    return calls


def _blas_kernels(
    a: torch.Tensor, b: torch.Tensor, b_rows: torch.Tensor, out: torch.Tensor
) -> dict[str, Callable[[], Any]]:
    """The same by the libraries of NumPy and SciPy: nothing is copied."""
    left, right, rows, result = (tensor.numpy() for tensor in (a, b, b_rows, out))
    # Columns first, as Fortran has it, the product is the transposed one of transposed matrices.
    options = {"c": result.T, "overwrite_c": True}
    return {
        "NumPy": partial(np.matmul, left, right, out=result),
        "NumPy, b.T": partial(np.matmul, left, rows.T, out=result),
        "SciPy": partial(_sgemm, {"a": right.T, "b": left.T, **options}),
        "SciPy, b.T": partial(_sgemm, {"a": rows.T, "b": left.T, "trans_a": True, **options}),
    }


def _sgemm(arguments: dict[str, Any]) -> Any:
    """SciPy's product, as it lies in memory."""
    return sgemm(1.0, **arguments).T


def has_onednn() -> bool:
    """Whether this build of torch offers oneDNN's product; it is not public, so it may vanish."""
    try:
        product = torch.ops.mkldnn._linear_pointwise
        product(torch.ones(2, 2), torch.ones(2, 2), None, "none", [], "")
    except (AttributeError, RuntimeError):
        return False
    return True


def best_kernel(shape: Shape, device: str) -> tuple[str, Callable[[], Any], float]:
    """The fastest kernel for one product: its name, its call, and its best seconds per call."""
    best: tuple[str, Callable[[], Any], float] | None = None
    for name, call in kernels(shape, device).items():
        seconds = _best_seconds(call, device)
        if best is None or seconds < best[2]:
            best = name, call, seconds
    assert best is not None
    return best


def _best_seconds(call: Callable[[], Any], device: str) -> float:
    """The fastest of ten runs of five calls, or of as many as `CALIBRATION_SECONDS` holds."""
    best, runs, end = np.inf, 0, time.perf_counter() + CALIBRATION_SECONDS
    call()
    while time.perf_counter() < end or runs < 10:
        runs += 1
        synchronize(device)
        start = time.perf_counter()
        for _ in range(5):
            call()
        synchronize(device)
        best = min(best, (time.perf_counter() - start) / 5)
    return float(best)


class MatrixProducts(Peer):
    """The matrix products of a fit and nothing else: what no engine can undercut."""

    name = "matrix-products"
    title = "matrix products alone"

    def __init__(self) -> None:
        self.chosen: list[tuple[Shape, str, float]] = []
        """For every product of a step: shape, kernel, operations per second."""

    def fit_call(self, workload: Workload, problem: Problem, device: str) -> Callable[[], Trained]:
        sizes = layer_sizes(workload, problem)
        steps = workload.steps(problem.X_train.shape[0])
        calls: list[Callable[[], Any]] = []
        self.chosen = []
        with torch.inference_mode():
            for shape in step_products(sizes, workload.batch_size):
                name, call, seconds = best_kernel(shape, device)
                calls.append(call)
                self.chosen.append((shape, name, product_flops(shape) / seconds))

        def multiply() -> Trained:
            with torch.inference_mode():
                for _ in range(steps):
                    for call in calls:
                        call()
            synchronize(device)
            return Trained(lambda rows: np.zeros(0))

        return multiply

    def best_rate(self) -> float:
        """The highest rate of any of the products, in operations per second."""
        return max(rate for _, _, rate in self.chosen)

    def summary(self) -> str:
        """One line: each product with its kernel and rate."""
        return "; ".join(
            f"{m}x{k}x{n} {kernel} {rate / 1e9:.0f} GFLOP/s"
            for (m, k, n), kernel, rate in self.chosen
        )
