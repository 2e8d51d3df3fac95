"""PyTorch multilayer perceptrons that drop into scikit-learn.

`TorchMLPClassifier` and `TorchMLPRegressor` replace scikit-learn's `MLPClassifier` and
`MLPRegressor` by changing one import: the same parameters, the same numbers from the same
``random_state``, trained by PyTorch on any of its devices.

The rooms, from the top downwards; each may import from those below it:

`search`          scikit-learn's searches, all candidates trained together
`many`            many fits as one: `fit_many`
`tabular`         tables as they come: an encoder, and networks on folds
`estimators`      scikit-learn's contract; `fit` from top to bottom
`skorch_backend`  training in skorch's loop; the only room that imports it
`training`        the native backend: epochs, stopping, records
`steps`           the gradient of one batch, in closed form or by autograd
`solvers`         how a gradient changes the weights
`compiled`        an epoch's steps as one compiled function
`inspection`      a fitted network looked at
`export`          a fitted network as plain values
`contract`        what a backend is given, and what it leaves
`network`         the module and its parameters
`data`            rows of samples, and batches of them
`targets`         what targets stand for
`sources`         rows read from elsewhere: Parquet, Dask, torch, one's own
`arrays`          X and y as the user has them: read and checked
`ranks`           processes that train one network together
`losses`          the losses, and the scores that early stopping watches
`callbacks`       a fit's records logged elsewhere: MLflow, TensorBoard
`machine`         devices, threads, random numbers, private kernels
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sklearn_mlp.estimators.classifier import TorchMLPClassifier
from sklearn_mlp.estimators.regressor import TorchMLPRegressor

if TYPE_CHECKING:
    from sklearn_mlp.callbacks import MLflowLogger, TensorBoardLogger
    from sklearn_mlp.estimators.hidden_features import HiddenFeatures
    from sklearn_mlp.estimators.loading import load
    from sklearn_mlp.estimators.on_dask import fit_on_dask
    from sklearn_mlp.export.onnx_converter import register_onnx
    from sklearn_mlp.inspection.displays import (
        LearningRateDisplay,
        LossCurveDisplay,
        ValidationScoreDisplay,
        WeightsDisplay,
    )
    from sklearn_mlp.many.fits import fit_many
    from sklearn_mlp.ranks.context import distributed
    from sklearn_mlp.search import (
        BatchedGridSearchCV,
        BatchedRandomizedSearchCV,
        cross_validate_batched,
    )
    from sklearn_mlp.sources.base import RowSource
    from sklearn_mlp.tabular.classifier import TabularMLPClassifier
    from sklearn_mlp.tabular.encoder import TabularEncoder
    from sklearn_mlp.tabular.regressor import TabularMLPRegressor

__version__ = "0.1.0"

__all__ = [
    "BatchedGridSearchCV",
    "BatchedRandomizedSearchCV",
    "HiddenFeatures",
    "LearningRateDisplay",
    "LossCurveDisplay",
    "MLflowLogger",
    "RowSource",
    "TabularEncoder",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
    "TensorBoardLogger",
    "TorchMLPClassifier",
    "TorchMLPRegressor",
    "ValidationScoreDisplay",
    "WeightsDisplay",
    "__version__",
    "cross_validate_batched",
    "distributed",
    "fit_many",
    "fit_on_dask",
    "load",
    "register_onnx",
]

# What not every user needs is imported when it is first asked for.
_HOMES = {
    "BatchedGridSearchCV": "search",
    "BatchedRandomizedSearchCV": "search",
    "HiddenFeatures": "estimators.hidden_features",
    "LearningRateDisplay": "inspection.displays",
    "LossCurveDisplay": "inspection.displays",
    "MLflowLogger": "callbacks",
    "RowSource": "sources.base",
    "TabularEncoder": "tabular.encoder",
    "TabularMLPClassifier": "tabular.classifier",
    "TabularMLPRegressor": "tabular.regressor",
    "TensorBoardLogger": "callbacks",
    "ValidationScoreDisplay": "inspection.displays",
    "WeightsDisplay": "inspection.displays",
    "cross_validate_batched": "search",
    "distributed": "ranks.context",
    "fit_many": "many.fits",
    "fit_on_dask": "estimators.on_dask",
    "load": "estimators.loading",
    "register_onnx": "export.onnx_converter",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name == "threads":
        # No public name: scripts that look after thread counts have it from here.
        return import_module("sklearn_mlp.machine.threads")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"sklearn_mlp.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Name what is there, imported or not."""
    return sorted({*globals(), *__all__})
