"""Programs in processes of their own that need not wait for torch to be imported.

Each runs in a fork of one process that has imported torch, scikit-learn and the package. Not for
what a fresh interpreter is the point of: the package knows that it has been forked, and takes one
thread.
"""

import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from rank_processes import forking_context


@dataclass
class Ended:
    """What a program has come to; ``returncode`` is None if it took too long."""

    returncode: int | None
    stdout: str
    stderr: str


def run_forked(code, *arguments, timeout=120, **environment):
    """Run a program, with arguments as on a command line; end it, with all that it has started."""
    with TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("stdout", "stderr")]
        for path in files:
            path.touch()
        process = forking_context().Process(
            target=become, args=(code, [str(each) for each in arguments], environment, files)
        )
        process.start()
        process.join(timeout)
        status = process.exitcode
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
        process.close()
        return Ended(status, *(path.read_text() for path in files))


def become(code, arguments, environment, files):
    """Be the program, in the process that is for it."""
    os.setsid()
    for number, path in zip((1, 2), files, strict=True):
        os.dup2(os.open(path, os.O_WRONLY), number)
    os.environ.update(environment)
    sys.argv = ["program", *arguments]
    # Where pickle looks for the program's functions.
    sys.modules["__main__"] = main = ModuleType("__main__")
    exec(compile(code, "program", "exec"), vars(main))
