"""`save`: an estimator as a file of numbers and text, which `load` reads without running code."""

import os
from collections.abc import Collection
from functools import cache
from importlib.metadata import version

from sklearn_mlp.estimators.saved_state import present_version

# Goes up when a file that this package writes cannot be read by those before it.
FORMAT_VERSION = 1


class SavedInFiles:
    """An estimator that can be saved in a ``.safetensors`` file."""

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        solver_memory: bool = False,
        leave_out: Collection[str] = (),
    ) -> None:
        """Save the estimator in one file of numbers and text, without code.

        The weights are tensors of safetensors, which others read by their names; all else,
        parameters, classes, the targets' scale, the features' names and types, the records of
        the epochs and the versions of the libraries, is JSON in its metadata. `sklearn_mlp.load`
        reads it, needs nothing else, and runs no code of it.

        Parameters
        ----------
        path : str or path-like
            The file, whose name ends in ``.safetensors``. One that is there is replaced once the
            new one is whole.
        solver_memory : bool, default=False
            Whether to save what the solver remembers, such as Adam's moments, the averages of
            ``weight_averaging`` and the best weights between calls of `partial_fit`: two to four
            times the weights. Training that goes on then takes the very steps that it would have
            taken; without, `partial_fit` and warm starts go on from the weights with a solver
            that begins anew.
        leave_out : collection of str, default=()
            Parameters that are no numbers and no text, such as a ``loss`` or ``module`` of your
            own: `load` has to be given them again. ``"callbacks"`` stands for those of
            `set_callbacks`.

        Raises
        ------
        TypeError
            If a parameter can only be left out, and is not; or if the estimator is of a class
            of your own, or its network was changed by hand.
        ValueError
            If ``path`` does not end in ``.safetensors``, ``leave_out`` names what is not there,
            or there is an attribute that this package does not know.
        OSError
            If the file cannot be written.

        See Also
        --------
        sklearn_mlp.load : Read the file.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from sklearn.datasets import load_iris
        >>> import sklearn_mlp
        >>> from sklearn_mlp import TorchMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = TorchMLPClassifier((10,), tol=0.01, random_state=0).fit(X, y)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "iris.safetensors"
        ...     model.save(path)
        ...     loaded = sklearn_mlp.load(path)
        >>> bool((loaded.predict_proba(X) == model.predict_proba(X)).all())
        True
        """
        # Not every user saves: the package is imported without.
        from sklearn_mlp.estimators.file_format import CALLBACKS, EstimatorWriter
        from sklearn_mlp.export.container import checked_path, write_container

        checked = checked_path(path)
        if isinstance(leave_out, str) or not isinstance(leave_out, Collection):
            raise TypeError(
                f"leave_out must be a list of names, got the {type(leave_out).__name__} "
                f"{leave_out!r}."
            )
        writer = EstimatorWriter(frozenset(leave_out), solver_memory)
        try:
            coded = writer.code(self)
        except RecursionError as error:
            raise ValueError("a parameter is nested too deeply to be saved.") from error
        missing = sorted(set(leave_out) - writer.left_out)
        if missing:
            raise ValueError(
                f"leave_out names {', '.join(map(repr, missing))}, but there is no such parameter"
                f"{' and no callbacks are set' if CALLBACKS in missing else ''}."
            )
        document = {
            "format_version": FORMAT_VERSION,
            "versions": _versions(),
            "left_out": sorted(writer.left_out),
            "estimator": coded,
        }
        write_container(checked, document, writer.arrays)


@cache
def _versions() -> dict[str, str]:
    """Return the versions of what has made the numbers."""
    others = {name: version(name) for name in ("scikit-learn", "torch", "numpy", "safetensors")}
    return {"sklearn_mlp": present_version(), **others}
