"""Peak memory of a peer at a workload, each in a process of its own.

The figure is the highest resident memory during the call less the resident memory just before it:
after importing everything, loading the data in the peer's dtype, and, for a prediction, fitting.
On Linux the kernel's high-water mark is reset before the call, so that loading does not hide it.
Elsewhere the mark of the whole process has to do, and the figure is an upper bound.

    python -m benchmarks.memory digits ours
    {"peak_bytes": 31457280, "input_bytes": 819200, "baseline_bytes": 412090368}
"""

import argparse
import contextlib
import ctypes
import gc
import json
import resource
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from benchmarks.data import DataSource
from benchmarks.peers import Peer, all_peers
from benchmarks.results import Measurement
from benchmarks.runner import Log
from benchmarks.workloads import WORKLOADS, Workload

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")


def run_memory(
    workload: Workload,
    source: DataSource,
    peers: Iterable[Peer],
    *,
    device: str = "cpu",
    quick: bool = False,
    log: Log = print,
) -> list[Measurement]:
    """One row per peer, section `memory`, with `peak_bytes` or the reason for none."""
    rows = []
    for peer in peers:
        row = Measurement(
            "memory", workload.name, workload.title, peer.name, peer.title, peer.is_ours, device
        )
        row.kind = workload.kind
        reason = peer.refusal(workload)
        if reason:
            rows.append(replace(row, note=reason))
            continue
        row = _measure_in_subprocess(row, source, quick)
        rows.append(row)
        log(f"  {peer.name:20s} {row.note or f'{row.peak_bytes / 1e6:9.1f} MB'}")
    return rows


def _measure_in_subprocess(row: Measurement, source: DataSource, quick: bool) -> Measurement:
    command = [sys.executable, "-m", "benchmarks.memory", row.workload, row.peer]
    command += ["--device", row.device]
    command += ["--data", str(source.folder)] if source.folder else []
    command += ["--quick"] if quick else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return replace(row, note=f"failed: {last}")
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    return replace(
        row,
        peak_bytes=float(figures["peak_bytes"]),
        input_bytes=float(figures["input_bytes"]),
        agrees=True,
    )


def measure_peak(
    workload: Workload, peer: Peer, source: DataSource, device: str
) -> dict[str, int]:
    """Do the work once in this process, and say how far memory went up."""
    problem = workload.problem(source).cast(peer.input_dtype)
    input_bytes = problem.X_test.nbytes if workload.kind == "predict" else problem.input_bytes
    call = peer.prepare(workload, problem, device)
    forget_loaded_copies()
    baseline = resident_bytes()
    reset_peak()
    call()
    return {
        "peak_bytes": max(0, peak_bytes() - baseline),
        "input_bytes": int(input_bytes),
        "baseline_bytes": baseline,
    }


def forget_loaded_copies() -> None:
    """Give memory that loading has freed back to the system, or the call would reuse it unseen."""
    from benchmarks import data

    for loader in (data._mnist, data._covertype, data._california_housing, data._diamonds):
        loader.cache_clear()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def resident_bytes() -> int:
    """Resident memory now; where the system does not say, the peak so far."""
    return status_bytes("VmRSS") or _peak_of_process()


def peak_bytes() -> int:
    """The highest resident memory since `reset_peak`."""
    return status_bytes("VmHWM") or _peak_of_process()


def reset_peak() -> None:
    """Set the high-water mark to the memory now, where the kernel lets us."""
    with contextlib.suppress(OSError):
        CLEAR_REFS.write_text("5")


def status_bytes(key: str) -> int:
    """A line of Linux's `/proc/self/status` in bytes, 0 where there is none."""
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    return 0


def _peak_of_process() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    """Measure one workload and one peer, print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("peer", choices=all_peers())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--data")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    workload = WORKLOADS[options.workload]
    figures = measure_peak(
        workload.quick() if options.quick else workload,
        all_peers()[options.peer],
        DataSource.from_option(options.data),
        options.device,
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
