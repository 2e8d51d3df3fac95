"""Tensors within dictionaries, lists and tuples: mapped, and as they are saved."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class SavedTensor:
    """A tensor as it is saved, and as it stays until training goes on after it was loaded.

    Attributes
    ----------
    values : ndarray
        The numbers. Once loaded, they may lie in a file, or in memory that others have, too, and
        are never written to.
    dtype : str
        The type in torch; of one that NumPy lacks, ``values`` are its bits, as integers.
    """

    values: np.ndarray
    dtype: str

    @classmethod
    def of(cls, tensor: Tensor) -> "SavedTensor":
        """Copy a tensor, from whichever device it is on."""
        dtype = str(tensor.dtype).removeprefix("torch.")
        on_host = tensor.detach().resolve_conj().resolve_neg().cpu()
        if tensor.dtype in _BITS:
            on_host = on_host.view(_BITS[tensor.dtype])
        return cls(on_host.numpy().copy(order="K"), dtype)

    def tensor(self) -> Tensor:
        """Return a tensor on the CPU, in memory of its own."""
        # In the order that it has: sparse samples want the first weight transposed.
        values = self.values.astype(self.values.dtype.newbyteorder("="), order="K", subok=False)
        dtype = getattr(torch, self.dtype)
        return torch.from_numpy(values).view(dtype) if dtype in _BITS else torch.from_numpy(values)


# Types that NumPy lacks, and those that their bits are kept in.
_BITS = {
    torch.bfloat16: torch.int16,
    torch.float8_e4m3fn: torch.uint8,
    torch.float8_e5m2: torch.uint8,
}


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """Apply a function to all that dictionaries within dictionaries, lists or tuples hold."""
    if isinstance(tree, dict):
        return {key: map_leaves(function, value) for key, value in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(map_leaves(function, value) for value in tree)
    return function(tree)


def map_tensors(function: Callable[[Tensor], Any], tree: Any) -> Any:
    """Apply a function to all tensors of such a tree."""
    return map_leaves(lambda leaf: function(leaf) if isinstance(leaf, Tensor) else leaf, tree)


def owned(tree: Any) -> Any:
    """Make tensors of what was saved, each in memory of its own."""
    return map_leaves(lambda leaf: leaf.tensor() if isinstance(leaf, SavedTensor) else leaf, tree)
