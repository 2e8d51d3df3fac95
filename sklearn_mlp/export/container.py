"""One file of tensors and a document: written and read by safetensors, told whole by a digest."""

import hashlib
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_mlp.export.coded import read_json, write_json

SUFFIX = ".safetensors"

# The key of the document among the metadata of the file, and how the document begins.
_DOCUMENT = "sklearn_mlp"
_SEAL = '{{"sha256":"{digest}",'
_SEAL_LENGTH = len(_SEAL.format(digest=64 * "0"))


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file.

    Raises
    ------
    TypeError, ValueError
        If it is no path, or does not end in ``.safetensors``.
    """
    try:
        checked = Path(path)
    except TypeError:
        raise TypeError(
            f"path must be a str or an os.PathLike, got {type(path).__name__}."
        ) from None
    if checked.suffix != SUFFIX:
        raise ValueError(f"path must end in {SUFFIX!r}, got {os.fspath(path)!r}.")
    return checked


def write_container(
    path: Path, document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write a file, in one go: what was there stays until the new one is whole.

    Parameters
    ----------
    path : Path
        The file.
    document : mapping
        JSON's values.
    arrays : mapping of str to ndarray
        The tensors, C-contiguous.
    """
    from safetensors.numpy import save

    body = write_json(document)
    sealed = _SEAL.format(digest=_digest(body, arrays)) + body.removeprefix("{")
    data = save(dict(arrays), {_DOCUMENT: sealed})
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        # Not by safetensors, whose files are closed to all but their owner.
        beside.write_bytes(data)
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def read_container(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a file's document and tensors.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is none of this package's, or not what was written.
    """
    from safetensors import safe_open

    # safetensors tells less of a file that it cannot open.
    with path.open("rb"):
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            sealed = (file.metadata() or {}).get(_DOCUMENT)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise ValueError(f"{path} is not a whole {SUFFIX} file: {error}") from error
    if sealed is None:
        raise ValueError(
            f"{path} holds tensors, but no estimator of this package; load takes what its save "
            "has written."
        )
    body = "{" + sealed[_SEAL_LENGTH:]
    if sealed[:_SEAL_LENGTH] != _SEAL.format(digest=_digest(body, arrays)):
        raise ValueError(
            f"{path} is not what was saved: its digest differs, as it has been altered or damaged."
        )
    try:
        document = read_json(body)
    except ValueError as error:
        raise ValueError(f"{path} has no document that can be read: {error}") from error
    return document, arrays


def _digest(body: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the digest of a document and of the tensors' names, types, shapes and numbers."""
    digest = hashlib.sha256(body.encode("utf-8", "surrogatepass"))
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
