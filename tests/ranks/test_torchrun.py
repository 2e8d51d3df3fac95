"""The example of several processes, as torchrun starts it."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "processes.py"


def test_an_example_says_the_same_of_two_processes_as_of_one(capsys):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, "--nproc-per-node", "2", str(EXAMPLE)]
    # The environment's path first: the folder of the tests' own module is not on it.
    environment = os.environ | {"PYTHONPATH": str(EXAMPLE.parents[1])}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert not done.returncode, done.stderr
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    alone = capsys.readouterr().out.splitlines()
    said = done.stdout.splitlines()
    assert said[0].startswith("2 processes, ")
    assert alone[0].startswith("1 processes, ")
    assert said[1:] == alone[1:]
