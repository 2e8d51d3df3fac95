"""Which devices there are, what memory they have, and what one kind lacks that another has."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import torch

# In the order in which device="auto" looks for them.
_ACCELERATORS = ("cuda", "mps", "xpu")

# What `torch.device` calls those that this package knows.
KINDS = ("cpu", *_ACCELERATORS)


@dataclass(frozen=True)
class DeviceTraits:
    """The differences between kinds of devices; whatever depends on one asks here.

    Attributes
    ----------
    has_float64 : bool
        Whether it computes in float64.
    has_graphs : bool
        Whether what was launched on it can be captured and replayed, by `torch.cuda.CUDAGraph`.
    has_sparse_products : bool
        Whether torch multiplies sparse by dense there.
    has_events : bool
        Whether copies from pinned memory go on beside the host, and `torch.cuda.Event` tells when
        they are done.
    is_numbered : bool
        Whether there may be several, so that the functions of its module take a device.
    free_memory : callable
        Returns its free bytes, given the device; None where torch cannot tell.
    """

    has_float64: bool = True
    has_graphs: bool = False
    has_sparse_products: bool = False
    has_events: bool = False
    is_numbered: bool = True
    free_memory: Callable[[torch.device], int | None] = lambda device: None

    @property
    def exact_dtype(self) -> torch.dtype:
        """The type of sums and counts that float32 would round: float64 where it is there."""
        return torch.float64 if self.has_float64 else torch.float32


def traits_of(device: torch.device) -> DeviceTraits:
    """Return what a device has; of a kind that is not known, what all have."""
    return _xpu_traits(device) if device.type == "xpu" else _TRAITS.get(device.type, _UNKNOWN)


@cache
def _xpu_traits(device: torch.device) -> DeviceTraits:
    """Return what one of Intel's GPUs has: those for graphics compute in float32 only."""
    has_float64 = bool(getattr(torch.xpu.get_device_properties(device), "has_fp64", True))
    return replace(_TRAITS["xpu"], has_float64=has_float64)


def exact_dtype_of(like: torch.Tensor) -> torch.dtype:
    """Return the type of sums and counts beside a tensor that float32 would round."""
    return traits_of(like.device).exact_dtype


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


def home_of_samples(n_bytes: int, device: torch.device) -> torch.device:
    """Return where to keep samples of so many bytes: on the device, or on the CPU if too large.

    Half of the free memory may go to them; the rest is for what training adds.
    """
    if device.type == "cpu":
        return device
    free = free_memory(device)
    return device if free is None or n_bytes <= free // 2 else torch.device("cpu")


def epoch_copy_bytes(device: torch.device) -> int:
    """Return up to how many bytes samples are put in order once per epoch, not per batch.

    On the CPU an epoch's copy of a large X runs at the speed of memory, a batch's at that of the
    cache. An accelerator gains from one large copy as long as it has the room.
    """
    if device.type == "cpu":
        return 1 << 24
    free = free_memory(device)
    return 1 << 30 if free is None else free // 2


def free_memory(device: torch.device) -> int | None:
    """Return the free bytes of a device, or of this machine for the CPU; None if unknown."""
    return traits_of(device).free_memory(device)


def give_back_memory() -> None:
    """Let torch return what it keeps for its next tensors to the drivers of all devices."""
    for kind in _ACCELERATORS:
        backend = getattr(torch, kind)
        if backend.is_available():
            backend.empty_cache()


def _free_on_host(device: torch.device) -> int | None:
    """Return this machine's free bytes, with those that the kernel's caches would give up."""
    try:
        with open("/proc/meminfo") as lines:
            sizes = dict(line.split(":", 1) for line in lines)
        return int(sizes["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def _free_on_cuda(device: torch.device) -> int:
    """Return the driver's free bytes and those that torch keeps for its next tensors."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + kept


def _free_on_mps(device: torch.device) -> int:
    """Return what is left of what the system recommends to use."""
    return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()


def _free_on_xpu(device: torch.device) -> int | None:
    """Return the driver's free bytes; some drivers and older versions of torch do not say."""
    ask = getattr(torch.xpu, "mem_get_info", None)
    try:
        return None if ask is None else int(ask(device)[0])
    except RuntimeError:
        return None


_UNKNOWN = DeviceTraits()

_TRAITS = {
    "cpu": DeviceTraits(has_sparse_products=True, is_numbered=False, free_memory=_free_on_host),
    "cuda": DeviceTraits(
        has_graphs=True, has_sparse_products=True, has_events=True, free_memory=_free_on_cuda
    ),
    "mps": DeviceTraits(has_float64=False, is_numbered=False, free_memory=_free_on_mps),
    "xpu": DeviceTraits(free_memory=_free_on_xpu),
}
