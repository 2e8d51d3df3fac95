"""What does a GPU give: the same numbers, how fast, and are the aims met?

    python -m benchmarks.gpu --wheels benchmarks/wheels

runs the tests marked ``gpu`` and takes times beside skorch, plain PyTorch loops and scikit-learn
on the same machine's cores, in under eight minutes. Each part is a process of its own that is
ended when its time is up, and writes down every measurement as it is made: what is cut short keeps
what it has. Nothing is installed: what the machine lacks is imported from wheels that
`benchmarks.gpu_wheels` has collected. Sample output, shortened:

    tests: 128 passed, 2 skipped
    small
      ours                 agrees: loss curve off by 3.1e-07 (margin 1e-03)
      round 1  ours                    0.2012 s
      ...
    | aim | measured | verdict |
    |---|---|---|
    | a small step takes at most 30 µs | ... | met |

``--device cpu --quick`` tries all of it on the CPU in seconds, as a test of the program.
"""

import argparse
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# What the machine may lack is imported when the wheels are on the path.
from benchmarks.gpu_tests import run_limited, run_tests
from benchmarks.gpu_wheels import WHEELS, wheels_on_path

if TYPE_CHECKING:
    from benchmarks.results import Measurement, Results

TOTAL_SECONDS = 460.0
TEST_SECONDS = 140.0
QUICK_TESTS = ("-k", "test_bfloat16 and torch")
PARTS = ("small", "grid", "mnist-128", "wide", "predict")
RESULTS = Path(__file__).parent / "results"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--device", default="cuda", help="default: cuda")
    parser.add_argument("--output", type=Path, help="default: a folder named after the GPU")
    parser.add_argument("--wheels", type=Path, default=WHEELS, help=f"default: {WHEELS}")
    parser.add_argument("--seconds", type=float, default=TOTAL_SECONDS, help="for all of it")
    parser.add_argument("--quick", action="store_true", help="cut sizes, in this process")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS, help="what to time")
    parser.add_argument("--no-tests", action="store_true", help="times only")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 1 if a test failed or ours got no time."""
    options = parse(arguments)
    ends = time.monotonic() + options.seconds
    if options.part:
        time_part(options.part, options.device, options.output, ends)
        return 0
    with wheels_on_path(options.wheels) as site:
        before = os.environ.get("PYTHONPATH")
        if site is not None:
            # For the processes of the parts.
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(site), before]))
        try:
            return run_all(options, ends)
        finally:
            if site is not None:
                del os.environ["PYTHONPATH"]
            if before is not None:
                os.environ["PYTHONPATH"] = before


def run_all(options: argparse.Namespace, ends: float) -> int:
    """Test, time part by part, report after each."""
    import torch

    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("there is no CUDA GPU; --device cpu --quick tries this program on the CPU")
        return 2
    from benchmarks.gpu_report import aims, write_gpu_report
    from benchmarks.machine import describe_machine
    from benchmarks.results import Results

    machine = describe_machine(options.device)
    folder = options.output or RESULTS / folder_name(machine["device_name"])
    folder.mkdir(parents=True, exist_ok=True)
    given = shlex.join(["python", "-m", "benchmarks.gpu", *_shown(options)])
    results = Results(machine, given, options.quick)
    results.save(folder)
    failed, path = 0, write_gpu_report(results, folder)
    if not options.no_tests:
        limit = min(TEST_SECONDS, ends - time.monotonic())
        outcomes = run_tests(folder, options.device, limit, QUICK_TESTS if options.quick else ())
        failed = sum(one["outcome"] == "failed" for one in outcomes)
        print(f"tests: {len(outcomes)} ran, {failed} failed; see {folder / 'tests.jsonl'}")
        write_gpu_report(results, folder)
    for name in options.parts:
        print(name, flush=True)
        run_apart(name, options, folder, ends)
        results = Results.load(folder / "results.json")
        path = write_gpu_report(results, folder)
    for aim in aims(results.table()):
        print(f"{aim.verdict:14s} {aim.shown:12s} {aim.text}")
    print(path)
    has_no_time = [row for row in results.measurements if row.is_ours and not row.agrees]
    return int(bool(failed or has_no_time))


def run_apart(name: str, options: argparse.Namespace, folder: Path, ends: float) -> None:
    """Time a part in a process of its own that is ended when its time is up."""
    from benchmarks.gpu_times import seconds_of

    left = ends - time.monotonic()
    if options.quick:
        time_part(name, options.device, folder, ends, quick=True)
        return
    seconds = min(seconds_of(name), left)
    if seconds < 5:
        print(f"  no time is left for {name}")
        return
    command = [sys.executable, "-m", "benchmarks.gpu", "--part", name, "--seconds", str(seconds)]
    command += ["--device", options.device, "--output", str(folder.resolve())]
    # It ends by itself before a last round that would not; the rest is for that one to be longer.
    status = run_limited(command, seconds + 10, dict(os.environ))
    if status:
        print(f"  {name} ended with status {status}")
    elif status is None:
        print(f"  {name} was stopped")


def time_part(name: str, device: str, folder: Path, ends: float, *, quick: bool = False) -> None:
    """Time a part and add to the results in a folder, measurement by measurement."""
    from benchmarks.gpu_times import run_part
    from benchmarks.results import Results

    results = Results.load(folder / "results.json")
    run_part(name, device, ends, recorder(results, folder), quick=quick)


def recorder(results: "Results", folder: Path) -> Callable[["Measurement"], None]:
    """What takes a measurement into results and saves them."""

    def record(row: "Measurement") -> None:
        results.measurements.append(row)
        results.save(folder)

    return record


def folder_name(gpu: str) -> str:
    """The name of a GPU as that of a folder.

    Examples
    --------
    >>> folder_name("NVIDIA H100 80GB HBM3")
    'nvidia-h100-80gb-hbm3'
    """
    return re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-")


def _shown(options: argparse.Namespace) -> list[str]:
    """The options that say what was run."""
    shown = ["--device", options.device]
    if tuple(options.parts) != PARTS:
        shown += ["--parts", *options.parts]
    return shown + (["--quick"] if options.quick else [])


if __name__ == "__main__":
    sys.exit(main())
