"""`ReadingAhead`: what a thread reads while the caller computes."""

import os
import threading
from collections.abc import Callable
from typing import final

import numpy as np


@final
class ReadingAhead:
    """A block that a thread of its own reads.

    In a process that is forked meanwhile there is no such thread, and nothing waits for it.
    """

    def __init__(self, read: Callable[[], np.ndarray]) -> None:
        self._read = read
        self._process = os.getpid()
        self._numbers: np.ndarray | None = None
        self._error: BaseException | None = None
        # A daemon: the end of the process does not wait for a disk.
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        """Read; what goes wrong is told to who asks for the block."""
        try:
            self._numbers = self._read()
        except BaseException as error:
            self._error = error

    def wait(self) -> None:
        """Wait until the thread has ended."""
        if os.getpid() == self._process:
            self._thread.join()

    def result(self) -> np.ndarray:
        """Return the block.

        Raises
        ------
        OSError
            If it could not be read.
        """
        self.wait()
        if self._error is not None:
            raise self._error
        numbers, self._numbers = self._numbers, None
        # None in a process forked before the thread had ended.
        return self._read() if numbers is None else numbers
