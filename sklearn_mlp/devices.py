"""Which device and which floating-point type a fit runs on."""

from typing import Any

import torch

from sklearn_mlp.config import is_stochastic

# In the order in which device="auto" looks for them.
_ACCELERATORS = ("cuda", "mps", "xpu")

# Up to so many samples in a single batch, dtype="auto" takes float64.
_EXACT_SAMPLES = 200


def available_devices() -> list[str]:
    """Return the names of the devices on this machine, the preferred one first.

    Returns
    -------
    names : list of str
        One name per device, such as ``["cuda:0", "cuda:1", "cpu"]``.
    """
    names = []
    for kind in _ACCELERATORS:
        backend = getattr(torch, kind)
        if backend.is_available():
            names += [f"{kind}:{index}" for index in range(backend.device_count())]
    return [*names, "cpu"]


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn the parameter ``device`` into a device that is there.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"``, or what `torch.device` takes.

    Returns
    -------
    device : torch.device
        With its index, unless it is the CPU.

    Raises
    ------
    ValueError
        If there is no such device; the message names those that there are.
    """
    names = available_devices()
    is_auto = isinstance(device, str) and device == "auto"
    name = names[0] if is_auto else _full_name(device)
    if name not in names:
        raise ValueError(
            f"device={str(device)!r} is not available on this machine; "
            f"available devices: {', '.join(names)} (or 'auto')."
        )
    return torch.device(name)


def _full_name(device: str | torch.device) -> str:
    """Return the device's name with its index, or the name as given if torch knows no such."""
    try:
        resolved = torch.device(device)
    except RuntimeError:
        return str(device)
    if resolved.type == "cpu":
        return "cpu"
    if resolved.index is None and resolved.type in _ACCELERATORS:
        backend = getattr(torch, resolved.type)
        current = backend.current_device if hasattr(backend, "current_device") else None
        return f"{resolved.type}:{current() if current and backend.is_available() else 0}"
    return str(resolved)


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
        The device trained on; ``mps`` has no float64.
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
    has_float64 = device.type != "mps"
    if dtype == "float64" and not has_float64:
        raise ValueError(
            f"dtype='float64' is not available on device '{device}'; use dtype='float32', "
            "or device='cpu'."
        )
    if dtype != "auto":
        return torch.float64 if dtype == "float64" else torch.float32
    is_exact = not is_stochastic(solver) or n_samples <= min(batch_size, _EXACT_SAMPLES)
    return torch.float64 if is_exact and has_float64 else torch.float32


def home_of_samples(n_bytes: int, device: torch.device) -> torch.device:
    """Return where to keep samples of so many bytes: on the device, or on the CPU if too large.

    Half of the free memory may go to them; the rest is for what training adds.
    """
    free = _free_memory(device)
    return device if free is None or n_bytes <= free // 2 else torch.device("cpu")


def epoch_copy_bytes(device: torch.device) -> int:
    """Return up to how many bytes samples are put in order once per epoch, not per batch.

    On the CPU an epoch's copy of a large X runs at the speed of memory, a batch's at that of the
    cache. An accelerator gains from one large copy as long as it has the room.
    """
    if device.type == "cpu":
        return 1 << 24
    free = _free_memory(device)
    return 1 << 30 if free is None else free // 2


def _free_memory(device: torch.device) -> int | None:
    """Return the free bytes of a device, or None where torch cannot tell."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def free_memory(device: torch.device) -> int | None:
    """Return the free bytes of a device, or of this machine for the CPU; None if unknown."""
    if device.type != "cpu":
        return _free_memory(device)
    try:
        with open("/proc/meminfo") as lines:
            sizes = dict(line.split(":", 1) for line in lines)
        # In kilobytes. What the kernel's caches would give up counts as free.
        return int(sizes["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
