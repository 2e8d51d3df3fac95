"""A fitted network as a model of ONNX: its layers, what is made of their outputs, and its file."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_mlp.export.onnx_graph import ACTIVATION_NODES, IR_VERSION, OPSET, Graph, import_onnx
from sklearn_mlp.export.onnx_outputs import classifier_outputs, regressor_outputs
from sklearn_mlp.losses import Loss
from sklearn_mlp.network.alterations import altered_call
from sklearn_mlp.network.mlp import MLP, place_of
from sklearn_mlp.targets.codecs import NumberCodec, TargetCodec
from sklearn_mlp.targets.label_codecs import LabelCodec

# The model's input.
INPUT = "X"


def network_dtype(network: nn.Module) -> np.dtype:
    """Return the type that a network computes in, if ONNX's operators are there for it.

    Raises
    ------
    ValueError
        If it is neither float32 nor float64.
    """
    dtype = place_of(network).dtype
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"module_ must compute in float32 or float64 to be written as ONNX, got {dtype}; call "
            "module_.float() before."
        )
    return np.dtype(np.float32 if dtype == torch.float32 else np.float64)


def why_by_torch(network: nn.Module) -> str | None:
    """Say why a network's operators are not known here; None if they are."""
    if type(network) is not MLP:
        return f"module_ is a network of the user's own, {type(network).__name__}"
    own = [entry for entry in network.activations if not isinstance(entry, str)]
    return f"activation has {own[0]!r}, the user's own" if own else altered_call(network)


def write_network(graph: Graph, network: MLP, inputs: str) -> str:
    """Write the layers of a network of ours, as it predicts; return the name of its outputs.

    Dropout drops nothing then, and a batch normalisation takes its running statistics.
    """
    *hidden, last = network.linear_layers
    for index, layer in enumerate(hidden):
        values = _write_linear(graph, layer, inputs, f"layers.{index}")
        if network.normalization is not None:
            part = network.normalizations[index]
            values = _write_normalization(graph, part, values, f"normalizations.{index}")
        activation = ACTIVATION_NODES[str(network.activations[index])]
        values = activation(graph, values, f"activations.{index}")
        if network.is_skipped[index]:
            values = graph.add("Add", [values, inputs], f"skipped.{index}")
        inputs = values
    return _write_linear(graph, last, inputs, f"layers.{len(hidden)}")


def _write_linear(graph: Graph, layer: nn.Linear, inputs: str, name: str) -> str:
    """Write a linear layer, whose weight stays (out_features, in_features) as torch has it."""
    weight = graph.numbers(f"{name}.weight", _array(layer.weight))
    bias = graph.numbers(f"{name}.bias", _array(layer.bias))
    return graph.add("Gemm", [inputs, weight, bias], name, transB=1)


def _write_normalization(graph: Graph, layer: Any, values: str, name: str) -> str:
    """Write a batch or a layer normalisation."""
    parts = ["weight", "bias"]
    is_of_batch = isinstance(layer, nn.BatchNorm1d)
    if is_of_batch:
        parts += ["running_mean", "running_var"]
    inputs = [graph.numbers(f"{name}.{part}", _array(getattr(layer, part))) for part in parts]
    if is_of_batch:
        return graph.add("BatchNormalization", [values, *inputs], name, epsilon=layer.eps)
    return graph.add("LayerNormalization", [values, *inputs], name, axis=-1, epsilon=layer.eps)


def _array(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array


def make_model(
    network: nn.Module,
    loss: Loss,
    codec: TargetCodec,
    n_features: int,
    n_outputs: int,
    properties: Mapping[str, Any],
) -> Any:
    """Return a fitted network as a model of ONNX.

    Parameters
    ----------
    network, loss, codec
        What the estimator holds.
    n_features, n_outputs : int
        Of the network.
    properties : mapping
        What the file says of itself, by name.

    Raises
    ------
    ImportError
        If a package is not installed that this needs.
    ValueError
        If the network has no form in ONNX.
    """
    onnx, dtype = import_onnx(), network_dtype(network)
    helper = onnx.helper
    number = helper.np_dtype_to_tensor_dtype(dtype)
    graph, base = Graph(dtype), None
    reason = why_by_torch(network)
    if reason is None:
        assert isinstance(network, MLP)
        logits = write_network(graph, network, INPUT)
    else:
        base, logits = _written_by_torch(network, n_features, reason), "logits"
    outputs = _write_outputs(graph, loss, codec, logits, n_outputs, dtype)
    given = INPUT if base is None else logits
    width = n_features if base is None else n_outputs
    made = helper.make_graph(
        graph.nodes,
        "sklearn_mlp",
        [helper.make_tensor_value_info(given, number, ["n_samples", width])],
        [helper.make_tensor_value_info(*output) for output in outputs],
        graph.constants,
    )
    opset = OPSET if base is None else base.opset_import[0].version
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=IR_VERSION if base is None else base.ir_version,
    )
    if base is not None:
        model = _put_behind(base, model, logits)
    model.producer_name = "sklearn_mlp"
    helper.set_model_props(model, {name: json.dumps(value) for name, value in properties.items()})
    return model


def _put_behind(base: Any, model: Any, logits: str) -> Any:
    """Return two models as one, the second of which takes what the first gives."""
    compose = import_onnx().compose
    base = compose.add_prefix(base, "module/", rename_inputs=False, rename_outputs=False)
    return compose.merge_models(base, model, [(logits, logits)])


def _write_outputs(
    graph: Graph,
    loss: Loss,
    codec: TargetCodec,
    logits: str,
    n_outputs: int,
    dtype: np.dtype,
) -> list[tuple[str, int, list[Any]]]:
    """Write what is predicted; return each output's name, type and shape."""
    to_type = import_onnx().helper.np_dtype_to_tensor_dtype
    number, rows = to_type(dtype), "n_samples"
    if isinstance(codec, LabelCodec):
        pairs = classifier_outputs(graph, loss, codec, logits, is_rounded=dtype == np.float32)
        columns = codec.classes if isinstance(codec.classes, list) else [codec.classes]
        outputs = []
        for index, ((label, probability), classes) in enumerate(zip(pairs, columns, strict=True)):
            end = f"_{index}" if len(pairs) > 1 else ""
            is_multilabel = codec.kind == "multilabel"
            kind = np.dtype(np.int64) if is_multilabel else classes.dtype
            kind = np.dtype(object) if kind.kind == "U" else kind
            width = 2 if codec.kind == "binary" else len(classes)
            shape = [rows, width] if is_multilabel else [rows]
            outputs.append((_named(graph, label, f"label{end}"), to_type(kind), shape))
            name = _named(graph, probability, f"probabilities{end}")
            outputs.append((name, number, [rows, width]))
        return outputs
    assert isinstance(codec, NumberCodec)
    parts = regressor_outputs(graph, loss, codec, logits, n_outputs)
    return [(name, number, shape) for name, shape in _as_predicted(graph, loss, parts, n_outputs)]


def _as_predicted(
    graph: Graph, loss: Loss, parts: list[str], n_outputs: int
) -> list[tuple[str, list[Any]]]:
    """Return names and shapes of a regressor's outputs, as `predict` has them."""
    n_targets = n_outputs // loss.count_logits(1)
    n_levels = len(getattr(loss, "levels", ())) if getattr(loss, "is_several", False) else 0
    shape = ["n_samples", *([n_targets] if n_targets > 1 else [])]
    named = []
    for part, name in zip(parts, ("value", "std"), strict=False):
        if n_targets == 1:
            axes = graph.constant("axes", np.array([1]))
            part = graph.add("Squeeze", [part, axes], "flat")
        named.append((_named(graph, part, name), [*shape, *([n_levels] if n_levels else [])]))
    return named


def _named(graph: Graph, value: str, name: str) -> str:
    """Return a value under a name that is not another's yet."""
    given = graph.add("Identity", [value], name)
    assert given == name
    return given


def _written_by_torch(network: nn.Module, n_features: int, reason: str) -> Any:
    """Return a network that is not known here as torch writes it, with the output ``logits``.

    Raises
    ------
    ValueError
        If torch cannot.
    """
    import_onnx("onnxscript")
    like = place_of(network)
    samples = torch.zeros(2, n_features, dtype=like.dtype, device=like.device)
    try:
        with warnings.catch_warnings():
            # Of what torch and onnxscript will have to change in their own code.
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            program = torch.onnx.export(
                network.eval(),
                (samples,),
                input_names=[INPUT],
                output_names=["logits"],
                dynamic_shapes=[{0: torch.export.Dim("n_samples")}],
                dynamo=True,
                verbose=False,
            )
        assert program is not None
        return program.model_proto
    except Exception as error:
        raise ValueError(
            f"{reason}, which is written as ONNX by torch.onnx.export, and that failed with "
            f"{type(error).__name__}: {error}"
        ) from error


def write_model(model: Any, path: Any) -> None:
    """Write a model to a file."""
    Path(path).write_bytes(model.SerializeToString(deterministic=True))
