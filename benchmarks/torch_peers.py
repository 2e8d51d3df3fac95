"""Plain PyTorch: the training loop of a tutorial, with and without a DataLoader.

Both get float32 data, the initial weights' distribution of scikit-learn (so that scores can be
compared after few epochs), Adam with its default settings, and no weight decay: a little less
work than scikit-learn's penalty.
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from benchmarks.machine import synchronize
from benchmarks.peers import REFERENCE, Peer, Result, Trained
from benchmarks.workloads import SEED, VALIDATION_FRACTION, Problem, Workload

PREDICT_ROWS = 10_000
"""Rows per forward pass in prediction; more fall out of the cache."""

Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]


class SparseLinear(nn.Module):
    """A linear layer for sparse inputs: (batch, in) CSR times (in, out)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_features, out_features))
        self.bias = nn.Parameter(torch.empty(out_features))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.sparse.mm(inputs, self.weight) + self.bias


class SparseRows(Dataset):
    """Rows of a CSR matrix with their targets; a batch comes as one sparse tensor.

    Densifying the batches instead takes six times as long at 50,000 features.
    """

    def __init__(self, X: Any, y: torch.Tensor) -> None:
        self.X, self.y = X, y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.__getitems__([row])

    def __getitems__(self, rows: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return sparse_tensor(self.X[rows]), self.y[torch.as_tensor(rows)]


def sparse_tensor(X: Any) -> torch.Tensor:
    """A CSR matrix as a tensor that shares its memory."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(X.indptr),
            torch.from_numpy(X.indices),
            torch.from_numpy(X.data),
            X.shape,
            check_invariants=False,
        )


def as_is(batch: Any) -> Any:
    """The collate function for data sets that make whole batches."""
    return batch


def layer_sizes(workload: Workload, problem: Problem) -> list[int]:
    """Units per layer, features and outputs included."""
    outputs = len(np.unique(problem.y_train)) if workload.task == "classification" else 1
    return [problem.X_train.shape[1], *workload.hidden_layer_sizes, outputs]


def build_network(sizes: list[int], is_sparse: bool = False) -> nn.Sequential:
    """Linear layers with ReLU between, initial weights as scikit-learn draws them."""
    layers: list[nn.Module] = []
    for number, (in_features, out_features) in enumerate(pairwise(sizes)):
        first = SparseLinear if is_sparse and number == 0 else nn.Linear
        linear = first(in_features, out_features)
        bound = (6.0 / (in_features + out_features)) ** 0.5
        for parameter in linear.parameters():
            nn.init.uniform_(parameter, -bound, bound)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def set_weights(network: nn.Module, coefs: list[Any], intercepts: list[Any]) -> None:
    """Copy scikit-learn's weights, (in, out) each, into a network's linear layers."""
    linears = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for linear, coef, intercept in zip(linears, coefs, intercepts, strict=True):
            # copy_ would broadcast the single output of a binary classifier over two units.
            assert coef.T.shape == linear.weight.shape
            linear.weight.copy_(torch.as_tensor(coef.T))
            linear.bias.copy_(torch.as_tensor(intercept))


def reference_weights(workload: Workload, problem: Problem) -> tuple[list[Any], list[Any]]:
    """Weights of scikit-learn's fit: every peer predicts with the same model."""
    trained = REFERENCE.fit_call(workload, problem.cast("float64"), "cpu")()
    estimator = trained.predict.__self__  # type: ignore[attr-defined]
    return estimator.coefs_, estimator.intercepts_


def targets(workload: Workload, y: npt.NDArray[Any]) -> torch.Tensor:
    """Class numbers (n,) for the cross entropy, values (n, 1) for the squared error."""
    tensor = torch.from_numpy(y)
    return tensor if workload.task == "classification" else tensor[:, None]


def outputs_to_predictions(outputs: torch.Tensor) -> torch.Tensor:
    """Class numbers, or values where there is one output."""
    return outputs.squeeze(1) if outputs.shape[1] == 1 else outputs.argmax(1)


class PlainLoop(Peer):
    """A hand-written loop: one permutation per epoch, batches by index, data on the device."""

    name = "torch-loop"
    title = "PyTorch loop, no DataLoader"
    predict_rows = PREDICT_ROWS

    def batches(self, workload: Workload, X: Any, y: torch.Tensor, device: str) -> Any:
        """Something that gives an epoch's batches each time it is iterated over."""
        return IndexedBatches(X, y, workload.batch_size, device)

    def network(self, workload: Workload, problem: Problem, device: str) -> nn.Module:
        """The network, with fresh weights, on the device."""
        return build_network(layer_sizes(workload, problem), problem.is_sparse).to(device)

    def fit_call(self, workload: Workload, problem: Problem, device: str) -> Callable[[], Trained]:
        def fit() -> Trained:
            torch.manual_seed(SEED)
            network = self.network(workload, problem, device)
            X, y = problem.X_train, problem.y_train
            if workload.solver == "lbfgs":
                fit_lbfgs(network, workload, X, y, device)
            elif workload.early_stopping:
                fit_with_validation(network, workload, X, y, device, self.batches)
            else:
                batches = self.batches(workload, X, targets(workload, y), device)
                optimizer, criterion = optimizer_and_loss(network, workload)
                for _ in range(workload.epochs):
                    train_epoch(network, optimizer, criterion, batches, device)
            synchronize(device)
            return Trained(lambda rows: self.predict(network, rows, device))

        return fit

    def predict_call(
        self, workload: Workload, problem: Problem, device: str
    ) -> Callable[[], npt.NDArray[Any]]:
        network = self.network(workload, problem, device).eval()
        set_weights(network, *reference_weights(workload, problem))
        rows, calls = problem.X_test, workload.calls

        def call() -> npt.NDArray[Any]:
            for _ in range(calls - 1):
                self.predict(network, rows, device)
            return self.predict(network, rows, device)

        return call

    def predict(self, network: nn.Module, rows: Any, device: str) -> npt.NDArray[Any]:
        """Labels or values (n,), computed in chunks."""
        X = sparse_tensor(rows) if hasattr(rows, "indptr") else torch.from_numpy(rows)
        chunks = X.split(self.predict_rows) if X.layout == torch.strided else (X,)
        with torch.inference_mode():
            pieces = [outputs_to_predictions(network(chunk.to(device))).cpu() for chunk in chunks]
        return torch.cat(pieces).numpy()


class SingleThreadLoop(PlainLoop):
    """The hand-written loop on one thread, which is where our own small networks train."""

    name = "torch-loop-1-thread"
    title = "PyTorch loop, no DataLoader, one thread"

    def prepare(self, workload: Workload, problem: Problem, device: str) -> Callable[[], Result]:
        """The loop's call, with torch's number of threads put back after it."""
        work = super().prepare(workload, problem, device)

        def call() -> Result:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                return work()
            finally:
                torch.set_num_threads(threads)

        return call


class PlainLoader(PlainLoop):
    """The loop of the PyTorch tutorials: TensorDataset, DataLoader(shuffle=True), Adam."""

    name = "torch-dataloader"
    title = "PyTorch loop, DataLoader"

    def refusal(self, workload: Workload) -> str | None:
        """With one batch per fit there is nothing to load."""
        return "lbfgs takes no mini-batches" if workload.solver == "lbfgs" else None

    def batches(self, workload: Workload, X: Any, y: torch.Tensor, device: str) -> Any:
        """A DataLoader in this process: workers cost more than they bring on data in memory."""
        options: dict[str, Any] = {"batch_size": workload.batch_size, "shuffle": True}
        if hasattr(X, "indptr"):
            return DataLoader(SparseRows(X, y), collate_fn=as_is, **options)
        if device.startswith("cuda"):
            options["pin_memory"] = True
        return DataLoader(TensorDataset(torch.from_numpy(X), y), **options)

    def predict(self, network: nn.Module, rows: Any, device: str) -> npt.NDArray[Any]:
        """The evaluation loop of the tutorials, over batches of 1,000."""
        if hasattr(rows, "indptr"):
            return super().predict(network, rows, device)
        loader = DataLoader(TensorDataset(torch.from_numpy(rows)), batch_size=1_000)
        with torch.no_grad():
            pieces = [outputs_to_predictions(network(X.to(device))).cpu() for (X,) in loader]
        return torch.cat(pieces).numpy()


class IndexedBatches:
    """Mini-batches by index from tensors on the device, in a new order at each iteration."""

    def __init__(self, X: Any, y: torch.Tensor, batch_size: int, device: str) -> None:
        self.rows: Any = X if hasattr(X, "indptr") else torch.from_numpy(X).to(device)
        self.y = y.to(device)
        self.batch_size = batch_size

    def __iter__(self) -> Batches:
        order = torch.randperm(len(self.y), device=self.y.device)
        for batch in order.split(self.batch_size):
            if isinstance(self.rows, torch.Tensor):
                yield self.rows[batch], self.y[batch]
            else:
                yield sparse_tensor(self.rows[batch.cpu().numpy()]), self.y[batch]


def optimizer_and_loss(
    network: nn.Module, workload: Workload
) -> tuple[torch.optim.Optimizer, nn.Module]:
    """Adam and the loss, with PyTorch's defaults, which are scikit-learn's as well."""
    is_classifier = workload.task == "classification"
    criterion = nn.CrossEntropyLoss() if is_classifier else nn.MSELoss()
    return torch.optim.Adam(network.parameters(), lr=1e-3), criterion


def train_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: nn.Module,
    batches: Any,
    device: str,
) -> float:
    """One epoch as every tutorial has it; the sum of the losses is read once, at its end."""
    network.train()
    total = torch.zeros((), device=device)
    for inputs, labels in batches:
        inputs, labels = inputs.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = criterion(network(inputs), labels)
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(labels)
    return total.item()


def fit_with_validation(
    network: nn.Module,
    workload: Workload,
    X: Any,
    y: npt.NDArray[Any],
    device: str,
    batches: Callable[..., Any],
) -> None:
    """Hold out a tenth, score it after every epoch, keep the best weights."""
    X, X_valid, y, y_valid = train_test_split(
        X, y, test_size=VALIDATION_FRACTION, random_state=SEED, stratify=y
    )
    inputs, labels = torch.from_numpy(X_valid).to(device), torch.from_numpy(y_valid).to(device)
    training = batches(workload, X, targets(workload, y), device)
    optimizer, criterion = optimizer_and_loss(network, workload)
    best_score, best_weights = -1.0, network.state_dict()
    for _ in range(workload.epochs):
        train_epoch(network, optimizer, criterion, training, device)
        network.eval()
        with torch.no_grad():
            score = (network(inputs).argmax(1) == labels).float().mean().item()
        if score > best_score:
            best_score, best_weights = score, copy.deepcopy(network.state_dict())
    network.load_state_dict(best_weights)


def fit_lbfgs(
    network: nn.Module, workload: Workload, X: Any, y: npt.NDArray[Any], device: str
) -> None:
    """torch's own L-BFGS with its line search, as many iterations as scikit-learn makes."""
    inputs, labels = torch.from_numpy(X).to(device), targets(workload, y).to(device)
    _, criterion = optimizer_and_loss(network, workload)
    optimizer = torch.optim.LBFGS(
        network.parameters(),
        max_iter=workload.epochs,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = criterion(network(inputs), labels)
        loss.backward()
        return loss

    optimizer.step(closure)
