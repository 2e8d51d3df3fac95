"""skorch, written as its documentation would have it, without what a timing does not need.

No validation split and no printing; where the workload stops early, both the split and the
accuracy on it come back, with skorch's own `EarlyStopping`.
"""

from collections.abc import Callable
from typing import Any

import numpy.typing as npt
import torch
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit
from torch import nn

from benchmarks.machine import synchronize
from benchmarks.peers import Peer, Trained
from benchmarks.torch_peers import (
    PREDICT_ROWS,
    SparseRows,
    as_is,
    build_network,
    layer_sizes,
    reference_weights,
    set_weights,
    targets,
)
from benchmarks.workloads import SEED, VALIDATION_FRACTION, Problem, Workload


class Skorch(Peer):
    """NeuralNetClassifier or NeuralNetRegressor around the same network as the plain loop's."""

    name = "skorch"
    title = "skorch"

    def net(self, workload: Workload, problem: Problem, device: str) -> Any:
        """An unfitted net."""
        is_classifier = workload.task == "classification"
        net_class = NeuralNetClassifier if is_classifier else NeuralNetRegressor
        settings: dict[str, Any] = {
            "criterion": nn.CrossEntropyLoss if is_classifier else nn.MSELoss,
            "optimizer": torch.optim.Adam,
            "lr": 1e-3,
            "max_epochs": workload.epochs,
            "batch_size": workload.batch_size,
            "iterator_train__shuffle": True,
            "iterator_valid__batch_size": PREDICT_ROWS,
            "train_split": None,
            "callbacks__print_log": None,
            "verbose": 0,
            "device": device,
        }
        if is_classifier and not workload.early_stopping:
            settings["callbacks__valid_acc"] = None
        if device.startswith("cuda") and not problem.is_sparse:
            settings |= {"iterator_train__pin_memory": True, "iterator_valid__pin_memory": True}
        settings |= self.special_settings(workload, problem)
        network = build_network(layer_sizes(workload, problem), problem.is_sparse)
        return net_class(network, **settings)

    def special_settings(self, workload: Workload, problem: Problem) -> dict[str, Any]:
        """What the workloads out of the ordinary need."""
        if workload.solver == "lbfgs":
            return {
                "optimizer": torch.optim.LBFGS,
                "optimizer__max_iter": workload.epochs,
                "optimizer__history_size": 10,
                "optimizer__line_search_fn": "strong_wolfe",
                "lr": 1.0,
                "max_epochs": 1,
                "batch_size": -1,
            }
        if workload.early_stopping:
            stopping = EarlyStopping(
                "valid_acc",
                patience=workload.epochs + 1,
                lower_is_better=False,
                load_best=True,
                sink=lambda message: None,
            )
            return {
                "train_split": ValidSplit(VALIDATION_FRACTION, stratified=True, random_state=SEED),
                "callbacks": [stopping],
            }
        if problem.is_sparse:
            return {"iterator_train__collate_fn": as_is, "iterator_valid__collate_fn": as_is}
        return {}

    def fit_call(self, workload: Workload, problem: Problem, device: str) -> Callable[[], Trained]:
        def fit() -> Trained:
            torch.manual_seed(SEED)
            net = self.net(workload, problem, device)
            y = targets(workload, problem.y_train)
            if problem.is_sparse:
                net.fit(SparseRows(problem.X_train, y), y=problem.y_train)
            else:
                net.fit(problem.X_train, y.numpy())
            synchronize(device)
            return Trained(lambda rows: self.predict(net, rows))

        return fit

    def predict_call(
        self, workload: Workload, problem: Problem, device: str
    ) -> Callable[[], npt.NDArray[Any]]:
        net = self.net(workload, problem, device)
        net.initialize()
        if workload.task == "classification":
            net.classes_inferred_ = sorted(set(problem.y_train.tolist()))
        set_weights(net.module_, *reference_weights(workload, problem))
        rows, calls = problem.X_test, workload.calls

        def call() -> npt.NDArray[Any]:
            for _ in range(calls - 1):
                self.predict(net, rows)
            return self.predict(net, rows)

        return call

    def predict(self, net: Any, rows: Any) -> npt.NDArray[Any]:
        """Labels or values (n,)."""
        if hasattr(rows, "indptr"):
            rows = SparseRows(rows, torch.zeros(rows.shape[0], dtype=torch.int64))
        predictions: npt.NDArray[Any] = net.predict(rows)
        return predictions.reshape(-1)
