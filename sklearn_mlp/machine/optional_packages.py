"""Packages that only some users need, imported when they are asked for."""

from importlib import import_module
from types import ModuleType


def import_optional(name: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a package that may not be installed.

    Parameters
    ----------
    name : str
        The module, such as ``'onnx.helper'``.
    extra : str
        The extra of this package that installs it.
    purpose : str
        What it is needed for, as the beginning of the error's sentence.

    Raises
    ------
    ImportError
        If it is not installed; the sentence names what to install.
    """
    package = name.partition(".")[0]
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        # What the package itself lacks is told by its own error.
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(
            f"{purpose} needs {package}, which is not installed; run: pip install {package}, or "
            f"pip install 'sklearn-mlp[{extra}]'.",
            name=package,
        ) from error
