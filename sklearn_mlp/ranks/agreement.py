"""That all processes of a group were given the same: told before any work is done."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from sklearn_mlp.ranks.group import Group


def agree(group: Group, facts: Mapping[str, str]) -> None:
    """Check that all processes say the same of everything.

    Parameters
    ----------
    group : Group
        The processes.
    facts : mapping
        By the name of what it is about, what this one says of it.

    Raises
    ------
    ValueError
        In each process, if one of them says something else; it names what, and who.
    """
    told = group.gather(dict(facts))
    for name in dict.fromkeys(name for one in told for name in one):
        said = [one.get(name, "nothing") for one in told]
        other = next((rank for rank, text in enumerate(said) if text != said[0]), None)
        if other is not None:
            raise ValueError(
                f"all processes that train together must be given the same {name}, but rank 0 has "
                f"{said[0]} and rank {other} has {said[other]}."
            )


def fingerprint(*arrays: Any) -> str:
    """Return a short text that differs for arrays of other numbers, shapes or types."""
    hashed = hashlib.sha256()
    for array in map(np.ascontiguousarray, arrays):
        hashed.update(f"{array.shape} {array.dtype}".encode())
        hashed.update(array.tobytes() if array.dtype == object else array.data.cast("B"))
    return hashed.hexdigest()[:12]
