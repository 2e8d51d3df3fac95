"""The machine and the library versions that a result was measured with."""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "skorch", "pandas", "sklearn-mlp")


def describe_machine(device: str = "cpu") -> dict[str, Any]:
    """What a reader needs to judge a result: processor, threads, memory, versions.

    Parameters
    ----------
    device : str, default="cpu"
        The device that the torch peers ran on; its name is added when it is a GPU.

    Returns
    -------
    dict
        Flat: strings and numbers only, so that it fits into JSON and into table columns.
    """
    # scikit-learn is imported for its OpenMP runtime to show up among the thread pools.
    import sklearn.neural_network  # noqa: F401

    machine: dict[str, Any] = {
        "date": date_now(),
        "cpu": cpu_name(),
        "cores": available_cores(),
        "load": load_before(),
        "memory_gb": round(total_memory() / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "torch_threads": torch.get_num_threads(),
        "blas": ", ".join(
            f"{pool['internal_api']} {pool.get('version') or ''} x{pool['num_threads']}".replace(
                "  ", " "
            )
            for pool in threadpool_info()
        ),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device": device,
        "device_name": device_name(device),
        "python": sys.version.split()[0],
    }
    for package in PACKAGES:
        machine[package] = installed_version(package)
    return machine


def date_now() -> str:
    """The date, to the minute."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def available_cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_before() -> float:
    """Processes that ran on average over the last minute; nan where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else float("nan")


def total_memory() -> int:
    """Bytes of main memory, 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def device_name(device: str) -> str:
    """The name of the GPU, or of the processor for anything else."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return cpu_name()


def installed_version(package: str) -> str:
    """The installed version of a distribution, "not installed" where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def synchronize(device: str) -> None:
    """Wait until the device has done what it was given; the CPU always has."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()
    elif device.startswith("xpu"):
        torch.xpu.synchronize(device)
