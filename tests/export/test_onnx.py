"""Models of ONNX, run by onnxruntime: what they return is what the estimator does.

Within 1e-6 in float32, whose rounding is 6e-8 and grows through the layers, and within 1e-12 in
float64, but for ``'gelu'``, whose error function onnxruntime has in float32 alone.
"""

import builtins
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import scipy.sparse
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import scale
from torch import nn

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.export.onnx_model import why_by_torch
from sklearn_mlp.network.activations import ACTIVATIONS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DTYPES = ("float32", "float64")
WORDS = np.array(["setosa", "versicolor", "virginica"])


def iris():
    X, y = load_iris(return_X_y=True)
    return scale(X), y


def fitted(cls, X, y, dtype="float32", **parameters):
    """Fit a small network for a few steps, on samples of the type that it computes in."""
    parameters = {
        **{"hidden_layer_sizes": (6, 6), "max_iter": 3, "batch_size": 50, "random_state": 1},
        **{"learning_rate_init": 0.05, "device": "cpu"},
        **parameters,
    }
    X = X.astype(dtype)
    return cls(**parameters, dtype=dtype).fit(X, y), X


def run_inputs(model, inputs):
    """Return what onnxruntime makes of inputs, by name, having checked the model."""
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    results = session.run(names, inputs)
    for output, result in zip(session.get_outputs(), results, strict=True):
        if isinstance(result, np.ndarray):
            # As declared: the number of samples, and nothing else, is open.
            assert len(output.shape) == result.ndim, output.name
            assert output.shape[1:] == list(result.shape[1:]), output.name
    return dict(zip(names, results, strict=True))


def run(model, X):
    """Return what onnxruntime makes of samples."""
    return run_inputs(model, {"X": X})


def tolerance(X, activation="relu"):
    return 1e-12 if X.dtype == np.float64 and activation != "gelu" else 1e-6


def assert_same(clf, X, atol=None, model=None):
    """Compare a classifier with its model, on all samples and on one."""
    model = model or clf.to_onnx()
    atol = atol or tolerance(X)
    for samples in (X, X[:1]):
        found = run(model, samples)
        assert found["probabilities"].dtype == X.dtype
        assert_allclose(found["probabilities"], clf.predict_proba(samples), atol=atol, rtol=0)
        expected = clf.predict(samples)
        if scipy.sparse.issparse(expected):
            expected = expected.toarray()
        assert_array_equal(found["label"], expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation, dtype):
    X, y = iris()
    clf, X = fitted(TorchMLPClassifier, X, y, dtype, activation=activation)
    # Far from 0 as well, where an exponential would overflow.
    X = np.vstack([X, 300 * X])
    assert_same(clf, X, tolerance(X, activation))


NETWORKS = {
    "one per layer": {"activation": ["tanh", "selu"]},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "batch": {"normalization": "batch"},
    "layer": {"normalization": "layer"},
    "residual": {"residual": True, "hidden_layer_sizes": (6, 6, 5, 5)},
    "dropout": {"dropout": 0.3, "input_dropout": 0.1},
    "all": {"normalization": "batch", "residual": True, "dropout": 0.2, "activation": "silu"},
    "average": {"weight_averaging": "ema", "normalization": "batch"},
    "lbfgs": {"solver": "lbfgs", "max_iter": 4},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("network", NETWORKS)
def test_networks(network, dtype):
    X, y = iris()
    assert_same(*fitted(TorchMLPClassifier, X, y, dtype, **NETWORKS[network]))


LABELS = {
    "binary": lambda y: y > 0,
    "words": lambda y: WORDS[y],
    "two words": lambda y: WORDS[np.minimum(y, 1)],
    "one class": lambda y: np.full(len(y), 7),
    "int32": lambda y: (10 * y).astype(np.int32),
    "uint8": lambda y: y.astype(np.uint8),
    "floats": lambda y: y.astype(np.float32),
    "objects": lambda y: WORDS[y].astype(object),
}


@pytest.mark.parametrize("labels", LABELS)
def test_types_of_labels(labels):
    X, y = iris()
    clf, X = fitted(TorchMLPClassifier, X, LABELS[labels](y))
    assert_same(clf, X)
    found = run(clf.to_onnx(), X)["label"]
    assert found.dtype == (object if clf.classes_.dtype.kind == "U" else clf.classes_.dtype)


OUTPUTS = [
    *({"output_activation": name, "loss": "squared_error"} for name in ("tanh", "identity")),
    *({"output_activation": name, "loss": "log_loss"} for name in ("softmax", "logistic")),
    {"loss": "focal", "output_activation": "logistic", "label_smoothing": 0.1},
    {"loss": lambda output, target: ((output - target) ** 2).mean(1), "output_activation": "exp"},
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("number", range(len(OUTPUTS)))
def test_outputs_of_classifiers(number, n_classes, dtype):
    X, y = iris()
    X, y = X[y < n_classes], y[y < n_classes]
    assert_same(*fitted(TorchMLPClassifier, X, y, dtype, **OUTPUTS[number]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("output_activation", ["logistic", "tanh", "identity"])
def test_multilabel(output_activation, is_sparse, dtype):
    X, y = make_multilabel_classification(60, 6, n_classes=3, random_state=3)
    y = scipy.sparse.csr_matrix(y) if is_sparse else y
    parameters = {"output_activation": output_activation, "loss": "squared_error"}
    assert_same(*fitted(TorchMLPClassifier, scale(X), y, dtype, **parameters))


@pytest.mark.parametrize("output_activation", ["softmax", "identity"])
def test_columns_of_labels_of_several_types(output_activation):
    X, y = iris()
    labels = np.column_stack([WORDS[y].astype(object), y > 0, y % 2 + 5])
    parameters = {"output_activation": output_activation, "loss": "squared_error"}
    clf, X = fitted(TorchMLPClassifier, X, labels, **parameters)
    found, probabilities, expected = run(clf.to_onnx(), X), clf.predict_proba(X), clf.predict(X)
    assert len(found) == 6
    for index in range(3):
        assert_allclose(found[f"probabilities_{index}"], probabilities[index], atol=1e-6, rtol=0)
        assert_array_equal(found[f"label_{index}"], expected[:, index])


LOSSES = {
    "squared_error": {},
    "bounded": {"output_activation": "tanh"},
    "absolute_error": {"loss": "absolute_error", "scale_target": "standard"},
    "huber": {"loss": "huber", "scale_target": "standard"},
    "poisson": {"loss": "poisson"},
    "gamma": {"loss": "gamma"},
    "median": {"loss": "quantile"},
    "quantiles": {"loss": "quantile", "quantile": [0.1, 0.5, 0.9], "scale_target": "standard"},
    "one of several": {"loss": "quantile", "quantile": [0.3], "output_activation": "exp"},
    "gaussian_nll": {"loss": "gaussian_nll", "scale_target": "standard"},
    "shares": {"output_activation": "softmax"},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_of_regressors(loss, n_targets, dtype):
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X)[:60], y[:60] / 50
    y = y if n_targets == 1 else np.column_stack([y, 3 + 10 * y])
    reg, X = fitted(TorchMLPRegressor, X, y, dtype, **LOSSES[loss], activation="elu")
    for samples in (X, X[:1]):
        found = run(reg.to_onnx(), samples)
        assert found["value"].dtype == X.dtype
        if loss == "gaussian_nll":
            value, std = reg.predict(samples, return_std=True)
            assert_allclose(found["std"], std, rtol=tolerance(X))
        else:
            value = reg.predict(samples)
            assert list(found) == ["value"]
        assert found["value"].shape == value.shape
        assert_allclose(found["value"], value, rtol=10 * tolerance(X), atol=10 * tolerance(X))


def test_written_weights():
    X, y = iris()
    clf, X = fitted(TorchMLPClassifier, X, y)
    other = TorchMLPClassifier((6, 6), dtype="float32", device="cpu")
    other.classes_, other.coefs_, other.intercepts_ = clf.classes_, clf.coefs_, clf.intercepts_
    assert_same(other, X)


# What a file is.


def test_a_file_is_small_equal_each_time_and_says_what_it_is(tmp_path):
    frame, y = load_iris(return_X_y=True, as_frame=True)
    clf = TorchMLPClassifier((200, 100), dtype="float32", max_iter=1, random_state=0)
    clf.fit(frame, y)
    model = clf.to_onnx(tmp_path / "model.onnx")
    clf.to_onnx(str(tmp_path / "again.onnx"))
    data = (tmp_path / "model.onnx").read_bytes()
    assert data == (tmp_path / "again.onnx").read_bytes()
    n_weights = sum(value.size for value in [*clf.coefs_, *clf.intercepts_])
    assert len(data) <= 1.05 * 4 * n_weights + 16 * 1024
    read = onnx.load_from_string(data)
    assert read == model
    told = {entry.key: json.loads(entry.value) for entry in read.metadata_props}
    assert told["estimator"] == "TorchMLPClassifier"
    assert told["feature_names_in"] == list(frame.columns)
    assert [opset.domain for opset in read.opset_import] == [""]
    names = {constant.name for constant in read.graph.initializer}
    assert {"layers.0.weight", "layers.2.bias"} <= names


def test_a_model_that_is_not_fitted_or_not_in_these_types_is_refused():
    with pytest.raises(NotFittedError):
        TorchMLPClassifier().to_onnx()
    clf, _ = fitted(TorchMLPClassifier, *iris())
    clf.module_.half()
    with pytest.raises(ValueError, match=r"module_ must compute in float32 or float64 .*float16"):
        clf.to_onnx()


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named(package, monkeypatch):
    import_module = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return import_module(name, *arguments, **options)

    module = nn.Linear if package == "onnxscript" else None
    clf, _ = fitted(TorchMLPClassifier, *iris(), **(own_module() if module else {}))
    monkeypatch.setattr("sklearn_mlp.machine.optional_packages.import_module", without)
    with pytest.raises(ImportError, match=rf"ONNX needs {package}.*sklearn-mlp\[onnx\]"):
        clf.to_onnx()


# Networks that torch writes.


class OwnModule(nn.Module):
    """A network with a batch normalisation, whose mode matters."""

    def __init__(self, n_features_in, n_outputs):
        super().__init__()
        self.first = nn.Linear(n_features_in, 6)
        self.norm = nn.BatchNorm1d(6)
        self.last = nn.Linear(6, n_outputs)

    def forward(self, inputs):
        hidden = self.norm(self.first(inputs))
        return self.last(torch.where(hidden > 0, hidden, hidden.sin()))


def own_module():
    return {"module": OwnModule, "hidden_layer_sizes": (100,)}


def bent(values):
    return values.clamp(-1, 1) + 0.1 * values


def test_a_module_of_the_users_is_written_by_torch():
    X, y = iris()
    clf, X = fitted(TorchMLPClassifier, X, WORDS[y], **own_module())
    assert_same(clf, X)
    assert not clf.module_.training


@pytest.mark.parametrize("activation", [bent, nn.PReLU(), "relu"], ids=["own", "module", "name"])
def test_what_torch_writes_is_what_is_not_known_here(activation):
    clf, _ = fitted(TorchMLPClassifier, *iris(), activation=[activation, "tanh"])
    assert (why_by_torch(clf.module_) is None) == (activation == "relu")
    clf.module_.layers[0].register_forward_hook(lambda layer, given, found: 2 * found)
    assert why_by_torch(clf.module_) is not None


def test_a_network_that_torch_cannot_write_is_refused(monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("there is a branch")

    monkeypatch.setattr(torch.onnx, "export", fail)
    clf, _ = fitted(TorchMLPClassifier, *iris(), **own_module())
    with pytest.raises(
        ValueError, match=r"user's own, OwnModule, which .* RuntimeError: there is"
    ):
        clf.to_onnx()


# torch.export, for which `module_` needs nothing of this package.


@pytest.mark.parametrize(
    "parameters", [{}, {"dropout": 0.2, "residual": True}, *list(NETWORKS.values())[2:4]], ids=str
)
def test_torch_export_takes_any_number_of_samples(parameters):
    X, y = iris()
    clf, X = fitted(TorchMLPClassifier, X, y, **parameters)
    samples = torch.from_numpy(X)
    rows = torch.export.Dim("n_samples")
    program = torch.export.export(clf.module_, (samples[:2],), dynamic_shapes=[{0: rows}])
    with torch.no_grad():
        for part in (samples, samples[:1], samples[:7]):
            assert_allclose(program.module()(part), clf.module_(part), rtol=1e-6, atol=1e-7)
