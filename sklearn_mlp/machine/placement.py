"""Where a fit runs, and in what: device, floating-point type, samples of a batch."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch

from sklearn_mlp.machine.devices import traits_of

# Up to so many samples in a single batch, dtype="auto" takes float64.
_EXACT_SAMPLES = 200


@dataclass(frozen=True)
class Placement:
    """Device, type and batch size of a fit, resolved from the parameters once.

    Attributes
    ----------
    device : torch.device
        Where it trains.
    dtype : torch.dtype
        The type of the parameters, and of all numbers but bfloat16's products.
    batch_size : int
        The samples of a batch, at most all that are given; a part may be held out of them.
    """

    device: torch.device
    dtype: torch.dtype
    batch_size: int

    @classmethod
    def of(cls, parameters: Mapping[str, Any], device: torch.device, n_samples: int) -> Self:
        """Resolve an estimator's parameters for so many samples.

        ``device`` is what `resolve_device` has made of the parameter.

        Raises
        ------
        ValueError
            If the device, or the solver, cannot compute in the type asked for.
        """
        batch_size = _resolve_batch_size(parameters["batch_size"], n_samples)
        solver = parameters["solver"]
        dtype = resolve_dtype(parameters["dtype"], solver, device, n_samples, batch_size)
        return cls(device, dtype, batch_size)


def resolve_dtype(
    dtype: str, solver: Any, device: torch.device, n_samples: int, batch_size: int
) -> torch.dtype:
    """Turn the parameter ``dtype`` into the floating-point type that a fit trains in.

    ``"auto"`` is float32 for training in mini-batches, whose noise exceeds its rounding by far.
    It is float64 for ``lbfgs``, whose line search needs the precision, and where one batch holds
    all of at most 200 samples: there the gradient is exact, so that rounding is all that parts
    two equal fits (a weight of 2 from a row repeated), and the cost is small. ``"bfloat16"`` is
    the type of the products; the parameters are float32.

    Parameters
    ----------
    dtype : {'auto', 'float32', 'float64', 'bfloat16'}
        The parameter.
    solver : str
        The solver.
    device : torch.device
        The device trained on; not every one has float64.
    n_samples, batch_size : int
        Training samples, all and in a batch.

    Returns
    -------
    dtype : torch.dtype
        ``torch.float32`` or ``torch.float64``.

    Raises
    ------
    ValueError
        If the device, or the solver, cannot compute in the type asked for.
    """
    if dtype == "bfloat16" and not is_stochastic(solver):
        raise ValueError(
            "dtype='bfloat16' cannot be used with solver='lbfgs', whose line search needs the "
            "precision; use dtype='auto', or a first-order solver such as 'adam'."
        )
    has_float64 = traits_of(device).has_float64
    if dtype == "float64" and not has_float64:
        raise ValueError(
            f"dtype='float64' is not available on device '{device}'; use dtype='float32', "
            "or device='cpu'."
        )
    if dtype != "auto":
        return torch.float64 if dtype == "float64" else torch.float32
    is_exact = not is_stochastic(solver) or n_samples <= min(batch_size, _EXACT_SAMPLES)
    return torch.float64 if is_exact and has_float64 else torch.float32


def is_stochastic(solver: Any) -> bool:
    """Tell whether a solver trains in epochs of mini-batches: all do but one."""
    return not (isinstance(solver, str) and solver == "lbfgs")


def warn_if_clipped(batch_size: int | str, n_samples: int) -> None:
    """Warn, as scikit-learn does, of a parameter ``batch_size`` beyond the samples there are."""
    if not isinstance(batch_size, str) and batch_size > n_samples:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            stacklevel=2,
        )


def _resolve_batch_size(batch_size: int | str, n_samples: int) -> int:
    """Turn the parameter ``batch_size`` into a number of samples, at most all there are."""
    return min(200 if isinstance(batch_size, str) else int(batch_size), n_samples)
