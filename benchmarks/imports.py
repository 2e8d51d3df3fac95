"""How long imports take, each in a fresh process, interleaved.

The package cannot take less than what it stands on, so it is held to torch with scikit-learn's
MLP; an empty interpreter is timed as well.
"""

import subprocess
import sys

from benchmarks.results import Measurement
from benchmarks.runner import Log
from benchmarks.timing import interleave

STATEMENTS = {
    "interpreter": "pass",
    "sklearn": "import sklearn.neural_network",
    "torch-and-sklearn": "import torch, sklearn.neural_network",
    "sklearn_mlp": "import sklearn_mlp",
}


def run_imports(repeats: int = 5, log: Log = print) -> list[Measurement]:
    """Time every import `repeats` times after one round that fills the system's file cache."""
    rows, calls = [], {}
    for name, statement in STATEMENTS.items():
        done = _run(statement)
        if done.returncode != 0:
            note = done.stderr.decode().strip().splitlines()[-1]
            rows.append(_row(name, note=note))
            log(f"  {name:20s} {note}")
            continue
        calls[name] = lambda statement=statement: _run(statement)
    for lap in interleave(calls, repeats):
        rows.append(_row(lap.name, round_=lap.round, seconds=lap.seconds))
        log(f"  round {lap.round + 1}/{repeats}  {lap.name:20s} {lap.seconds:9.4f} s")
    return rows


def _run(statement: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", statement], capture_output=True, check=False)


def _row(
    name: str, round_: int = -1, seconds: float = float("nan"), note: str = ""
) -> Measurement:
    title = STATEMENTS[name] if name != "interpreter" else "(nothing)"
    return Measurement(
        "imports",
        "imports",
        "import time",
        name,
        title,
        is_ours=name == "sklearn_mlp",
        kind="import",
        round=round_,
        seconds=seconds,
        steps=1,
        rule="none",
        agrees=not note,
        note=note,
    )
