"""scikit-learn's callbacks that take the records of a fit elsewhere while it runs.

`records`      each epoch's row of ``history_`` to whoever keeps it
`mlflow_runs`  `MLflowLogger`: metrics of an MLflow run
`tensorboard`  `TensorBoardLogger`: curves in TensorBoard

May import no room of this package: they are given what they log, by scikit-learn's hooks.
"""

from sklearn_mlp.callbacks.mlflow_runs import MLflowLogger
from sklearn_mlp.callbacks.tensorboard import TensorBoardLogger

__all__ = ["MLflowLogger", "TensorBoardLogger"]
