"""`load`: what `save` has written, read again."""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from sklearn_mlp.estimators.file_format import EstimatorReader
from sklearn_mlp.estimators.saving import FORMAT_VERSION
from sklearn_mlp.export.container import checked_path, read_container
from sklearn_mlp.machine.isolation import isolated

# No file can name another class.
_KINDS = (
    *("TorchMLPClassifier", "TorchMLPRegressor", "HiddenFeatures"),
    *("TabularMLPClassifier", "TabularMLPRegressor", "TabularEncoder"),
)

_KEYS = {"format_version", "versions", "left_out", "estimator"}


@isolated
def load(path: str | os.PathLike[str], **given: Any) -> Any:
    """Load an estimator that its ``save`` has written.

    The file holds numbers and text. Nothing of it is run or imported, and only this package's
    own estimators come out of it; whatever is not as it was saved is an error.

    Parameters
    ----------
    path : str or path-like
        The file, whose name ends in ``.safetensors``.
    **given : object
        What was left out of the file, by the names that ``save`` was told in ``leave_out``, such
        as ``loss=my_loss``. ``callbacks`` are a list. This is code of yours, and is run.

    Returns
    -------
    estimator : TorchMLPClassifier, TorchMLPRegressor, HiddenFeatures, TabularMLPClassifier, \
TabularMLPRegressor or TabularEncoder
        As it was saved: the same parameters, and if it was fitted the same predictions to the
        last bit, on its device if there is one here, else on the CPU.

    Raises
    ------
    TypeError, ValueError
        If the file is none of this package's, is damaged or altered, or is of a later version;
        or if what is given is not what was left out.
    OSError
        If the file cannot be read.

    Warns
    -----
    InconsistentVersionWarning
        If another version of this package has saved it; parameters that it does not name get
        their defaults.

    Notes
    -----
    A digest in the file tells of damage, and not of who wrote it: whoever can write the file can
    write another that is whole. What such a one can bring about is another model, and no more.

    See Also
    --------
    TorchMLPClassifier.save : Write the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import sklearn_mlp
    >>> from sklearn_mlp import TorchMLPRegressor
    >>> def absolute_error(output, target):
    ...     return (output - target).abs().sum(1)
    >>> X, y = [[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0]
    >>> model = TorchMLPRegressor(loss=absolute_error, tol=0.1, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.safetensors"
    ...     model.save(path, leave_out=["loss"])
    ...     loaded = sklearn_mlp.load(path, loss=absolute_error)
    >>> bool((loaded.predict(X) == model.predict(X)).all())
    True
    """
    checked = checked_path(path)
    document, arrays = read_container(checked)
    _check_document(checked, document)
    _check_given(checked, document["left_out"], given)
    reader = EstimatorReader(arrays, given, _kinds(), document["versions"]["sklearn_mlp"])
    try:
        return reader.read(document["estimator"])
    except RecursionError as error:
        raise ValueError(f"{checked} cannot be read: it is nested too deeply.") from error
    except Exception as error:
        reason = f"{type(error).__name__}: " if not isinstance(error, ValueError) else ""
        raise ValueError(f"{checked} cannot be read: {reason}{error}.") from error


def _kinds() -> dict[str, type]:
    """Return the classes that there are, by the package's own names for them."""
    package = import_module("sklearn_mlp")
    return {name: getattr(package, name) for name in _KINDS}


def _check_document(path: Path, document: Mapping[str, Any]) -> None:
    """Check what is around the estimator.

    Raises
    ------
    ValueError
        If it is of another version of the format, or not whole.
    """
    format_version = document.get("format_version")
    if type(format_version) is not int or format_version != FORMAT_VERSION:
        raise ValueError(
            f"{path} is of version {format_version!r} of the format, and this version of "
            f"sklearn_mlp reads version {FORMAT_VERSION}; load it with the version of "
            f"sklearn_mlp that has saved it, which is told in {document.get('versions')}."
        )
    versions, left_out = document.get("versions"), document.get("left_out")
    is_whole = (
        document.keys() == _KEYS
        and type(versions) is dict
        and all(type(version) is str for version in versions.values())
        and "sklearn_mlp" in versions
        and type(left_out) is list
        and all(type(name) is str for name in left_out)
    )
    if not is_whole:
        raise ValueError(
            f"{path} cannot be read: it says {sorted(document)} of itself, and has to say "
            f"{sorted(_KEYS)}."
        )


def _check_given(path: Path, left_out: list[str], given: Mapping[str, Any]) -> None:
    """Check that the loader is given what the file lacks, and nothing else."""
    missing = [name for name in left_out if name not in given]
    if missing:
        raise ValueError(
            f"{path} was saved without {', '.join(missing)}, which cannot be in a file without "
            f"code; pass load(path, {', '.join(f'{name}=...' for name in missing)})."
        )
    unknown = [name for name in given if name not in left_out]
    if unknown:
        raise ValueError(
            f"{', '.join(unknown)} cannot be given to load: {path} was saved "
            f"{'without ' + ', '.join(left_out) if left_out else 'with all there is'}. Set it "
            "afterwards, by set_params."
        )
