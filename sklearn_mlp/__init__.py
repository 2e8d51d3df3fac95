"""PyTorch multilayer perceptrons that drop into scikit-learn.

`TorchMLPClassifier` and `TorchMLPRegressor` replace scikit-learn's `MLPClassifier` and
`MLPRegressor` by changing one import: the same parameters, the same numbers from the same
``random_state``, trained by PyTorch on any of its devices.
"""

from sklearn_mlp.classifier import TorchMLPClassifier
from sklearn_mlp.displays import (
    LearningRateDisplay,
    LossCurveDisplay,
    ValidationScoreDisplay,
    WeightsDisplay,
)
from sklearn_mlp.fit_many import fit_many
from sklearn_mlp.hidden_features import HiddenFeatures
from sklearn_mlp.regressor import TorchMLPRegressor
from sklearn_mlp.search import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    cross_validate_batched,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "BatchedGridSearchCV",
    "BatchedRandomizedSearchCV",
    "HiddenFeatures",
    "LearningRateDisplay",
    "LossCurveDisplay",
    "TorchMLPClassifier",
    "TorchMLPRegressor",
    "ValidationScoreDisplay",
    "WeightsDisplay",
    "__version__",
    "cross_validate_batched",
    "fit_many",
]
