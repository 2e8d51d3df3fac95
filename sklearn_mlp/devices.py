"""Which devices there are, and what memory they have."""

import torch

# In the order in which device="auto" looks for them.
_ACCELERATORS = ("cuda", "mps", "xpu")


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
