"""Which routine multiplies matrices: torch's default, or oneDNN's, whichever is faster here.

torch hands plain float32 products to its BLAS (MKL in the builds for x86). On some processors
that library leaves half of the machine's speed unused, and oneDNN, which torch brings along for
its compiler, does not; on others the two are equal. No name of a vendor or model tells, so the
two are timed, once per process and size of product. oneDNN takes some 15 us more per call,
returns a new tensor, and is not public API, so only large products are worth it.
"""

import os
import time
from functools import cache

import torch
from torch import Tensor

from sklearn_mlp.machine import kernels

# Multiply-adds of a product from which on oneDNN can pay; the representative size of each class.
_SMALLEST = 4_000_000
_CLASSES = (4_000_000, 30_000_000, 130_000_000)

# oneDNN has to be faster by this much: an even race should end the same way in every process.
_MARGIN = 1.15

_REPETITIONS = 5


class Products:
    """torch's own products."""

    def affine(self, weight: Tensor, inputs: Tensor, bias: Tensor, out: Tensor) -> Tensor:
        """Write ``weight @ inputs + bias`` to ``out``; (n_out, k), (k, n), (n_out, 1)."""
        return torch.addmm(bias, weight, inputs, out=out)

    def multiply(self, left: Tensor, right: Tensor, out: Tensor) -> Tensor:
        """Write ``left @ right`` to ``out``."""
        return torch.mm(left, right, out=out)


class OneDnnProducts(Products):
    """oneDNN's products; what they return is copied, together with the bias where there is one."""

    def affine(self, weight: Tensor, inputs: Tensor, bias: Tensor, out: Tensor) -> Tensor:
        """Write ``weight @ inputs + bias`` to ``out``; (n_out, k), (k, n), (n_out, 1)."""
        return torch.add(kernels.onednn_product(weight, inputs), bias, out=out)

    def multiply(self, left: Tensor, right: Tensor, out: Tensor) -> Tensor:
        """Write ``left @ right`` to ``out``."""
        return out.copy_(kernels.onednn_product(left, right))


DEFAULT_PRODUCTS = Products()
ONEDNN_PRODUCTS = OneDnnProducts()


def choose_products(work: int, like: Tensor) -> Products:
    """Return what to multiply with.

    Setting the environment variable ``SKLEARN_MLP_ONEDNN`` to 0 or 1 settles it, for products
    that oneDNN can do.

    Parameters
    ----------
    work : int
        Multiply-adds of one product.
    like : Tensor
        Has the type and device of the factors.
    """
    can_use = like.dtype == torch.float32 and like.device.type == "cpu"
    if not can_use or not kernels.HAS_ONEDNN_LINEAR or work < _SMALLEST:
        return DEFAULT_PRODUCTS
    setting = os.environ.get("SKLEARN_MLP_ONEDNN", "auto")
    if setting in ("0", "1"):
        return ONEDNN_PRODUCTS if setting == "1" else DEFAULT_PRODUCTS
    size_class = max(size for size in _CLASSES if size <= work)
    return (
        ONEDNN_PRODUCTS
        if _is_onednn_faster(size_class, torch.get_num_threads())
        else DEFAULT_PRODUCTS
    )


@cache
def _is_onednn_faster(work: int, n_threads: int) -> bool:
    """Time both on a product of three equal dimensions, in turn, with so many threads."""
    size = round(work ** (1 / 3))
    left, right, out = (
        torch.ones(size, size, dtype=torch.float32, device="cpu") for _ in range(3)
    )
    best: dict[Products, float] = {}
    for _ in range(_REPETITIONS):
        for products in (DEFAULT_PRODUCTS, ONEDNN_PRODUCTS):
            began = time.perf_counter()
            products.multiply(left, right, out)
            elapsed = time.perf_counter() - began
            best[products] = min(elapsed, best.get(products, elapsed))
    return best[DEFAULT_PRODUCTS] > _MARGIN * best[ONEDNN_PRODUCTS]
