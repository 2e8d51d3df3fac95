"""Whether the compiled steps are here, for which processor, and what they multiply with.

Products that the steps do not compute themselves come from SciPy's BLAS, through the functions
that `scipy.linalg.cython_blas` offers to compiled code. The environment variable
``SKLEARN_MLP_COMPILED`` turns the steps off with 0, and chooses the instructions by the name of a
build, such as ``baseline``.
"""

import os
from functools import cache
from importlib import import_module
from typing import Any

import torch

_GEMM = {torch.float32: "sgemm", torch.float64: "dgemm"}

# What the functions must look like; SciPy says so in their capsules' names. Indices of another
# size, for instance, are of no use here.
_SIGNATURE = "void (char *, char *, int *, int *, int *, "


# What ``module.cpp`` says, if it was built from the sources that are here.
_BINDING = 3


@cache
def _steps() -> Any:
    """Return the extension module; None where it was not built."""
    try:
        return import_module("sklearn_mlp.compiled._steps")
    except ImportError:
        return None


def _is_outdated(steps: Any) -> bool:
    """Tell whether the module is of other sources, as after an update of a checkout."""
    return getattr(steps, "BINDING", 1) != _BINDING


@cache
def _instruction_sets() -> list[str]:
    names: list[str] = _steps().instruction_sets()
    return names


def instruction_set() -> str:
    """Return the name of the build to use: the fastest of this processor, or the one asked for."""
    asked = os.environ.get("SKLEARN_MLP_COMPILED", "")
    return asked if asked in _instruction_sets() else _instruction_sets()[0]


@cache
def gemm_of(dtype: torch.dtype) -> Any:
    """Return SciPy's product of matrices as a capsule; None where it has none that fits."""
    try:
        from scipy.linalg import cython_blas

        capsule = cython_blas.__pyx_capi__[_GEMM[dtype]]
    except (ImportError, AttributeError, KeyError):
        return None
    # The name is in its representation only, but for ctypes.
    return capsule if _SIGNATURE in repr(capsule) else None


def why_not_here() -> str | None:
    """Say why the compiled steps cannot be used in this process; None if they can."""
    if os.environ.get("SKLEARN_MLP_COMPILED") == "0":
        return "SKLEARN_MLP_COMPILED=0 turns the compiled steps off"
    if _steps() is None:
        return "this installation has no compiled steps: there was no C++ compiler"
    if _is_outdated(_steps()):
        return "the compiled steps are of other sources than the package: install it again"
    if gemm_of(torch.float64) is None:
        return "this SciPy does not offer its BLAS in the expected form"
    return None


def compiled_steps() -> Any:
    """Return the extension module, where there is one."""
    steps = _steps()
    assert steps is not None
    return steps
