"""A fit's records as curves in TensorBoard."""

import os
from collections.abc import Mapping
from typing import Any

from sklearn_mlp.callbacks.records import Records, RecordsCallback


class TensorBoardLogger(RecordsCallback):
    """Writes each epoch of a fit for TensorBoard while it runs.

    A callback of scikit-learn's: ``estimator.set_callbacks(TensorBoardLogger("runs/first"))``,
    looked at by ``tensorboard --logdir runs``. The curves are the columns of ``history_``,
    ``loss``, ``learning_rate`` and ``seconds``, and with a validation set ``validation_loss`` and
    ``validation_score``, over the epochs. It needs the package ``tensorboard``.

    Parameters
    ----------
    log_dir : str or path-like
        The folder to write into, made if it is not there. Under a search each fit writes into
        one within it. What is there stays: `partial_fit` goes on with the same curves, and
        another model gets another folder.

    Notes
    -----
    If the folder cannot be written to any more while a fit runs, the fit goes on, with a warning.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_mlp import TensorBoardLogger, TorchMLPRegressor
    >>> folder = tempfile.TemporaryDirectory()
    >>> model = TorchMLPRegressor(tol=1.0, random_state=0)
    >>> model = model.set_callbacks(TensorBoardLogger(folder.name))
    >>> model = model.fit([[0.0], [1.0]], [0.0, 1.0])  # doctest: +SKIP
    >>> folder.cleanup()
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        super().__init__()
        self.log_dir = log_dir

    def _check_installed(self) -> None:
        _summary_writer()

    def _begin(self, estimator: Any, name: str) -> Records:
        return _Curves(_summary_writer()(os.path.join(os.fspath(self.log_dir), name)))


class _Curves(Records):
    """Curves that a `torch.utils.tensorboard.SummaryWriter` writes."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self, *, is_finished: bool) -> None:
        """Write what is left, and close the file."""
        self._writer.close()


def _summary_writer() -> Any:
    """Return torch's class that writes for TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "TensorBoardLogger needs the package tensorboard, which is not installed: "
            "pip install tensorboard."
        ) from error
    return SummaryWriter
