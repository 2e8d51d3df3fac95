"""Arrays as tensors without a copy, the read-only among them: of what nothing here writes to."""

import numpy as np
import torch
from torch import Tensor


def tensor_to_read(array: np.ndarray) -> Tensor:
    """Return a tensor in an array's memory, for reading alone.

    The array may be a user's, or lie in a file, or be read-only: torch has no such tensors, and a
    write to one would end the process.
    """
    if not array.flags.writeable:
        array = np.asarray(_ReadableMemory(array))
    return torch.from_numpy(array)


class _ReadableMemory:
    """The memory of a read-only array, declared writable, which torch insists on.

    joblib hands its workers read-only memory maps, which would otherwise be copied.
    """

    def __init__(self, array: np.ndarray) -> None:
        self._keep_alive = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface
