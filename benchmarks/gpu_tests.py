"""Runs the tests of a GPU within some seconds, and keeps the outcome of each as it ends.

The module is pytest's plugin as well, which writes a line per test: a run that is cut short keeps
what it has.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parent.parent
OUTCOMES = "SKLEARN_MLP_GPU_OUTCOMES"
FILES = (
    "tests/test_gpu.py",
    "tests/test_gpu_use.py",
    "tests/tabular/test_tables_on_devices.py",
)


def pytest_runtest_logreport(report: Any) -> None:
    """Write down how a test has ended; what its fixtures do counts where it fails or skips."""
    path = os.environ.get(OUTCOMES)
    if path is None or (report.when != "call" and report.outcome == "passed"):
        return
    message = ""
    if report.outcome == "failed":
        crash = getattr(report.longrepr, "reprcrash", None)
        message = crash.message if crash else str(report.longrepr)
    elif report.outcome == "skipped":
        message = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    outcome = {"test": report.nodeid, "outcome": report.outcome, "when": report.when}
    outcome |= {"seconds": round(report.duration, 3), "message": message[:2000]}
    with open(path, "a") as file:
        file.write(json.dumps(outcome) + "\n")


def run_tests(
    folder: Path, device: str, seconds: float, options: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Run the tests marked ``gpu`` on a device; return what they came to.

    Parameters
    ----------
    folder : Path
        Gets ``tests.jsonl``, a line per test, and ``tests.log``, all that pytest prints.
    device : str
        The device.
    seconds : float
        When to end the run.
    options : sequence of str
        More of pytest's options.
    """
    path = folder / "tests.jsonl"
    path.unlink(missing_ok=True)
    # Other versions than those of constraints.txt warn of other things.
    command = [sys.executable, "-m", "pytest", *FILES, "-m", "gpu", f"--gpu-device={device}"]
    command += ["-p", "benchmarks.gpu_tests", "-p", "no:cacheprovider", "-W", "default", *options]
    environment = {**os.environ, OUTCOMES: str(path.resolve())}
    with open(folder / "tests.log", "w") as log:
        status = run_limited(command, seconds, environment, log)
    outcomes = read_outcomes(path)
    if status not in (0, 1):
        why = f"not all tests ran: exit status {status}, see tests.log"
        message = f"stopped after {seconds:.0f} s" if status is None else why
        run = {"test": "the run", "outcome": "failed", "when": "run", "seconds": 0.0}
        outcomes.append({**run, "message": message})
    return outcomes


def read_outcomes(path: Path) -> list[dict[str, Any]]:
    """Read what the plugin has written; the last line may be half a one."""
    outcomes = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            outcomes.append(json.loads(line))
        except ValueError:
            break
    return outcomes


def run_limited(
    command: Sequence[str], seconds: float, environment: dict[str, str], output: Any = None
) -> int | None:
    """Run a program from the checkout, with all that it starts; None if it took too long."""
    paths = [str(CHECKOUT), *filter(None, [environment.get("PYTHONPATH")])]
    environment = {**environment, "PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=environment,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end_session(process)


def _end_session(process: "subprocess.Popen[bytes]") -> None:
    """End a process, if it still runs, and those that it has left behind."""
    if os.name == "posix":
        import signal
        from contextlib import suppress

        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()
