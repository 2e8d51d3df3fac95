"""The example of several processes, as torchrun starts it."""

import runpy
from pathlib import Path

from forked_programs import run_forked

EXAMPLE = Path(__file__).parents[2] / "examples" / "processes.py"

# What the command torchrun calls. The processes that it starts import everything anew.
TORCHRUN = "from torch.distributed.run import main; main()"


def test_an_example_says_the_same_of_two_processes_as_of_one(capsys):
    arguments = ["--standalone", "--nproc-per-node", "2", EXAMPLE]
    # The environment's path first: the folder of the tests' own module is not on it.
    done = run_forked(TORCHRUN, *arguments, timeout=300, PYTHONPATH=str(EXAMPLE.parents[1]))
    assert not done.returncode, done.stderr
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    alone = capsys.readouterr().out.splitlines()
    said = done.stdout.splitlines()
    assert said[0].startswith("2 processes, ")
    assert alone[0].startswith("1 processes, ")
    assert said[1:] == alone[1:]
