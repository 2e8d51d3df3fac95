"""The settings of a fit, for the tests of what takes them."""

from sklearn_mlp import TorchMLPRegressor
from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.losses import SquaredError

CONFIG = TrainingConfig.of(
    TorchMLPRegressor(
        solver="sgd",
        alpha=0.0,
        learning_rate_init=0.1,
        max_iter=1,
        tol=0.0,
        momentum=0.0,
        nesterovs_momentum=False,
        max_fun=1,
    ).get_params(),
    batch_size=4,
    incremental=False,
    loss=SquaredError(),
    engine="closed_form",
    n_outputs=1,
)
