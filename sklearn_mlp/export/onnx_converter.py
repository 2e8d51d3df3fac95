"""Converters of our estimators for skl2onnx, as steps of a Pipeline."""

from typing import Any

import numpy as np

from sklearn_mlp.export.onnx_graph import OPSET, Graph, import_onnx
from sklearn_mlp.export.onnx_model import network_dtype, why_by_torch, write_network
from sklearn_mlp.export.onnx_outputs import classifier_outputs, regressor_outputs
from sklearn_mlp.targets.label_codecs import ClassCodec, ColumnsCodec


def register_onnx() -> None:
    """Let skl2onnx convert `TorchMLPClassifier` and `TorchMLPRegressor`, in Pipelines above all.

    Call it once, before ``skl2onnx.to_onnx``. The classifier takes skl2onnx's options ``zipmap``,
    ``nocl`` and ``output_class_labels``. Samples of any numeric type are brought into the
    network's, and predictions are of the type of the samples, float32 for integers.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Notes
    -----
    In a Pipeline a regressor returns its predictions, (n_samples, n_targets), and no standard
    deviations. Columns of labels, networks of the user's own and those that have been changed are
    an error; ``to_onnx`` of the estimator itself writes them. Of a batched search convert its
    ``best_estimator_``.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> import skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_mlp import TorchMLPClassifier, register_onnx
    >>> register_onnx()
    >>> X, y = load_iris(return_X_y=True)
    >>> X = X.astype(np.float32)
    >>> clf = TorchMLPClassifier(max_iter=20, tol=1, random_state=0)
    >>> pipe = make_pipeline(StandardScaler(), clf).fit(X, y)
    >>> model = skl2onnx.to_onnx(pipe, X[:1], options={"zipmap": False})
    >>> session = onnxruntime.InferenceSession(model.SerializeToString())
    >>> label, probabilities = session.run(None, {"X": X})
    >>> bool(abs(probabilities - pipe.predict_proba(X)).max() < 1e-6)
    True
    """
    skl2onnx = import_onnx("skl2onnx")
    # What is public of the package: this room knows no estimators.
    from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor

    skl2onnx.update_registered_converter(
        TorchMLPClassifier,
        "TorchMLPClassifier",
        _classifier_shapes,
        _convert,
        options={
            "zipmap": [True, False, "columns"],
            "nocl": [True, False],
            "output_class_labels": [False, True],
        },
    )
    skl2onnx.update_registered_converter(
        TorchMLPRegressor, "TorchMLPRegressor", _regressor_shapes, _convert
    )


def _classifier_shapes(operator: Any) -> None:
    """Say of which types and shapes labels and probabilities are."""
    types = import_onnx("skl2onnx.common.data_types")
    estimator, rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    codec = estimator._codec
    if isinstance(codec, ColumnsCodec):
        raise ValueError(
            "y had several columns of labels, for which skl2onnx has no outputs; to_onnx of the "
            f"{type(estimator).__name__} itself writes them."
        )
    width = max(2, len(codec.classes)) if codec.kind == "binary" else len(codec.classes)
    is_multilabel = codec.kind == "multilabel"
    classes = _labels_of(codec, operator)
    kind = types.StringTensorType if classes.dtype.kind == "U" else types.Int64TensorType
    label, probabilities = operator.outputs
    label.set_type(kind([rows, width] if is_multilabel else [rows]))
    probabilities.set_type(_number_type(operator)([rows, width]))


def _regressor_shapes(operator: Any) -> None:
    """Say of which type and shape predictions are."""
    estimator, rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    loss = estimator._loss
    shape = [rows, estimator.n_outputs_ // loss.count_logits(1)]
    if getattr(loss, "is_several", False):
        shape.append(len(loss.levels))
    operator.outputs[0].set_type(_number_type(operator)(shape))


def _number_type(operator: Any) -> Any:
    """Return skl2onnx's type of numbers: that of the samples, or float32."""
    types = import_onnx("skl2onnx.common.data_types")
    is_double = isinstance(operator.inputs[0].type, types.DoubleTensorType)
    return types.DoubleTensorType if is_double else types.FloatTensorType


def _labels_of(codec: ClassCodec, operator: Any) -> np.ndarray:
    """Return the classes as skl2onnx has labels: strings or int64.

    Raises
    ------
    ValueError
        If they are numbers that are not whole.
    """
    options = operator.scope_inst.get_options(operator.raw_operator, {"nocl": False})
    classes = codec.classes
    if options["nocl"]:
        return np.arange(len(classes))
    if classes.dtype.kind == "U":
        return classes
    whole = classes.astype(np.int64)
    if (whole != classes).any():
        raise ValueError(f"classes_ must be strings or whole numbers for skl2onnx, got {classes}.")
    return whole


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Write an estimator as a part of skl2onnx's model."""
    estimator, network = operator.raw_operator, operator.raw_operator.module_
    reason = why_by_torch(network)
    if reason is not None:
        raise ValueError(
            f"{reason}, which skl2onnx cannot be given; to_onnx of the {type(estimator).__name__} "
            "itself writes it."
        )
    if container.target_opset < OPSET:
        raise ValueError(f"target_opset must be at least {OPSET}, got {container.target_opset}.")
    dtype = network_dtype(network)
    types = import_onnx("skl2onnx.common.data_types")
    result = np.dtype(
        np.float64 if _number_type(operator) is types.DoubleTensorType else np.float32
    )
    graph = Graph(dtype)
    logits = write_network(graph, network, graph.as_type("X", dtype, "samples"))
    if result != dtype:
        logits = graph.cast(logits, result)
    loss, codec = estimator._loss, estimator._codec
    outputs: list[str]
    if isinstance(codec, ClassCodec):
        known = ClassCodec(_labels_of(codec, operator), codec.kind)
        is_rounded = dtype == np.float32
        (pair,) = classifier_outputs(graph, loss, known, logits, is_rounded=is_rounded)
        outputs = list(pair)
    else:
        outputs = regressor_outputs(graph, loss, codec, logits, estimator.n_outputs_)[:1]
    _hand_over(graph, outputs, scope, operator, container)


def _hand_over(
    graph: Graph, outputs: list[str], scope: Any, operator: Any, container: Any
) -> None:
    """Give nodes and constants to skl2onnx, under names that are free in its model."""
    helper = import_onnx().helper
    names = {"X": operator.inputs[0].full_name}
    results = [name for node in graph.nodes for name in node.output]
    for name in [*(constant.name for constant in graph.constants), *results]:
        names[name] = scope.get_unique_variable_name(name)
    for constant in graph.constants:
        constant.name = names[constant.name]
        container.initializers.append(constant)
    for node in graph.nodes:
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        container.add_node(
            node.op_type,
            [names[name] for name in node.input],
            [names[name] for name in node.output],
            name=scope.get_unique_operator_name(node.op_type),
            **attributes,
        )
    for name, variable in zip(outputs, operator.outputs, strict=True):
        unique = scope.get_unique_operator_name("Identity")
        container.add_node("Identity", [names[name]], [variable.full_name], name=unique)
