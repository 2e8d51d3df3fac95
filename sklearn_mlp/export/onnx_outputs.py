"""From a network's outputs to predictions, as operators of ONNX."""

from functools import singledispatch

import numpy as np

from sklearn_mlp.export.onnx_graph import Graph
from sklearn_mlp.losses import Loss
from sklearn_mlp.losses.labels import ColumnsLoss, LabelLoss
from sklearn_mlp.losses.outputs import OUTPUT_ACTIVATIONS
from sklearn_mlp.losses.regression import LEAST_VARIANCE, GaussianNLL, Quantiles
from sklearn_mlp.targets.codecs import NumberCodec
from sklearn_mlp.targets.label_codecs import ClassCodec, ColumnsCodec, LabelCodec

# The operators of the output activations; the identity has none.
_OPERATORS = {"logistic": "Sigmoid", "softmax": "Softmax", "tanh": "Tanh", "exp": "Exp"}


def _apply(graph: Graph, activation: str, logits: str, name: str) -> str:
    """Apply an output activation, over (n_samples, n_outputs)."""
    if activation == "identity":
        return logits
    attributes = {"axis": 1} if activation == "softmax" else {}
    return graph.add(_OPERATORS[activation], [logits], name, **attributes)


# As `Loss.activate_`, which these are tested against.


@singledispatch
def activated(loss: Loss, graph: Graph, logits: str, n_outputs: int) -> str:
    """Write what a loss makes of logits, (n_samples, n_outputs); return its name."""
    return _apply(graph, loss.out_activation, logits, "outputs")


@activated.register
def _(loss: LabelLoss, graph: Graph, logits: str, n_outputs: int) -> str:
    activation, is_exclusive = loss.out_activation, loss.is_exclusive
    if activation == "tanh":
        # (1 + tanh(x)) / 2 is the logistic function of 2 x.
        logits = graph.add("Mul", [logits, graph.numbers("two", 2)], "doubled")
        activation = "logistic"
    if activation == "softmax" or (activation == "exp" and is_exclusive):
        return _apply(graph, "softmax", logits, "outputs")
    if activation == "logistic":
        return (
            _apply(graph, "softmax", _log_sigmoid(graph, logits), "outputs")
            if is_exclusive
            else _apply(graph, "logistic", logits, "outputs")
        )
    outputs = _apply(graph, activation, logits, "unbounded")
    if is_exclusive:
        return _nearest_on_simplex(graph, outputs, n_outputs)
    bounds = [graph.numbers("least", 0), graph.numbers("most", 1)]
    return graph.add("Clip", [outputs, *bounds], "outputs")


@activated.register
def _(loss: ColumnsLoss, graph: Graph, logits: str, n_outputs: int) -> str:
    blocks = split_columns(graph, logits, loss.sizes, "logits")
    parts = [
        activated(one, graph, block, size)
        for one, block, size in zip(loss.losses, blocks, loss.sizes, strict=True)
    ]
    return graph.add("Concat", parts, "outputs", axis=1)


@activated.register
def _(loss: Quantiles, graph: Graph, logits: str, n_outputs: int) -> str:
    n_levels = len(loss.levels)
    shape = graph.constant("by_target", np.array([-1, n_outputs // n_levels, n_levels]))
    by_target = graph.add("Reshape", [logits, shape], "quantiles")
    count = graph.constant("n_levels", np.array([n_levels]))
    rising, _ = graph.add_several(
        "TopK", [by_target, count], ["rising", "order"], axis=2, largest=0, sorted=1
    )
    flat = graph.add("Reshape", [rising, graph.constant("flat", np.array([-1, n_outputs]))], "all")
    return _apply(graph, loss.out_activation, flat, "outputs")


@activated.register
def _(loss: GaussianNLL, graph: Graph, logits: str, n_outputs: int) -> str:
    half = n_outputs // 2
    mean, log_variance = split_columns(graph, logits, [half, half], "logits")
    variance = graph.add("Exp", [log_variance], "variance")
    least = graph.numbers("least", LEAST_VARIANCE)
    deviation = graph.add(
        "Sqrt", [graph.add("Add", [variance, least], "variance_plus")], "deviation"
    )
    return graph.add("Concat", [mean, deviation], "outputs", axis=1)


def _log_sigmoid(graph: Graph, value: str) -> str:
    """Return ``min(x, 0) - log(1 + exp(-abs(x)))``."""
    size = graph.add("Abs", [value], "abs")
    power = graph.add("Exp", [graph.add("Neg", [size], "neg")], "exp")
    more = graph.add("Add", [power, graph.numbers("one", 1)], "exp_plus_1")
    low = graph.add("Min", [value, graph.numbers("zero", 0)], "negative")
    return graph.add("Sub", [low, graph.add("Log", [more], "log")], "log_sigmoid")


def _nearest_on_simplex(graph: Graph, values: str, n_outputs: int) -> str:
    """Return the nearest points whose coordinates are not negative and sum to 1.

    As `sklearn_mlp.losses.labels` has it: subtract what makes the positive parts sum to 1, which
    is the largest of the shifts ``(sum of the first m, falling, - 1) / m``.
    """
    count = graph.constant("n_classes", np.array([n_outputs]))
    falling, _ = graph.add_several(
        "TopK", [values, count], ["falling", "order"], axis=1, largest=1, sorted=1
    )
    sums = graph.add("CumSum", [falling, graph.constant("axis", np.array(1))], "sums")
    excess = graph.add("Sub", [sums, graph.numbers("one", 1)], "excess")
    counts = graph.numbers("counts", np.arange(1, n_outputs + 1))
    shifts = graph.add("Div", [excess, counts], "shifts")
    one = graph.constant("n_shifts", np.array([1]))
    shift, _ = graph.add_several(
        "TopK", [shifts, one], ["shift", "of"], axis=1, largest=1, sorted=1
    )
    return graph.add("Relu", [graph.add("Sub", [values, shift], "shifted")], "outputs")


def split_columns(graph: Graph, value: str, sizes: list[int], name: str) -> list[str]:
    """Return blocks of columns."""
    if len(sizes) == 1:
        return [value]
    names = [f"{name}_{index}" for index in range(len(sizes))]
    return graph.add_several(
        "Split", [value, graph.constant("sizes", np.array(sizes))], names, axis=1
    )


# From outputs to predictions.


def classifier_outputs(
    graph: Graph, loss: Loss, codec: LabelCodec, logits: str, *, is_rounded: bool
) -> list[tuple[str, str]]:
    """Write labels and probabilities of each column of labels; return pairs of names.

    ``is_rounded`` says that the network computes in float32.
    """
    if isinstance(codec, ColumnsCodec):
        outputs = activated(loss, graph, logits, codec.n_outputs)
        blocks = split_columns(graph, outputs, codec.sizes, "outputs")
        return [
            (_most_probable(graph, block, classes), block)
            for block, classes in zip(blocks, codec.classes, strict=True)
        ]
    assert isinstance(codec, ClassCodec)
    if codec.kind == "binary":
        return [_of_two(graph, loss, codec.classes, logits, is_rounded)]
    outputs = activated(loss, graph, logits, codec.n_outputs)
    if codec.kind == "multiclass":
        # The largest logit is the largest probability.
        by = logits if loss.out_activation == "softmax" else outputs
        return [(_most_probable(graph, by, codec.classes), outputs)]
    return [(graph.as_type(_is_likely(graph, outputs), np.int64, "labels"), outputs)]


def _of_two(
    graph: Graph, loss: Loss, classes: np.ndarray, logits: str, is_rounded: bool
) -> tuple[str, str]:
    """Return the label and both probabilities of two classes that one output tells apart."""
    second = activated(loss, graph, logits, 1)
    if is_rounded and OUTPUT_ACTIVATIONS[loss.out_activation].is_symmetric:
        # Where the second is within rounding of 1, the logit knows what is left.
        first = activated(loss, graph, graph.add("Neg", [logits], "opposite"), 1)
    else:
        first = graph.add("Sub", [graph.numbers("one", 1), second], "rest")
    codes = graph.as_type(_is_likely(graph, second), np.int64, "codes")
    flat = graph.add("Squeeze", [codes, graph.constant("axes", np.array([1]))], "code")
    # One class alone is that of either answer.
    known = graph.constant("classes", classes if len(classes) == 2 else np.repeat(classes, 2))
    probabilities = graph.add("Concat", [first, second], "both", axis=1)
    return graph.add("Gather", [known, flat], "labels"), probabilities


def _is_likely(graph: Graph, outputs: str) -> str:
    """Return where a probability is above a half."""
    return graph.add("Greater", [outputs, graph.numbers("half", 0.5)], "is_likely")


def _most_probable(graph: Graph, outputs: str, classes: np.ndarray) -> str:
    """Return the class of the largest output."""
    codes = graph.add("ArgMax", [outputs], "codes", axis=1, keepdims=0)
    return graph.add("Gather", [graph.constant("classes", classes), codes], "labels")


def regressor_outputs(
    graph: Graph, loss: Loss, codec: NumberCodec, logits: str, n_outputs: int
) -> list[str]:
    """Write predictions, (n_samples, n_targets) or with an axis for several quantiles.

    After them, the standard deviations, (n_samples, n_targets), if the loss has any.
    """
    outputs = activated(loss, graph, logits, n_outputs)
    parts = [outputs]
    if isinstance(loss, GaussianNLL):
        parts = split_columns(graph, outputs, [n_outputs // 2] * 2, "moments")
    if isinstance(loss, Quantiles) and loss.is_several:
        n_levels = len(loss.levels)
        shape = graph.constant("by_level", np.array([-1, n_outputs // n_levels, n_levels]))
        parts = [graph.add("Reshape", [outputs, shape], "by_level")]
    if codec.mean is None or codec.scale is None:
        return parts
    axes = (slice(None), np.newaxis) if isinstance(loss, Quantiles) and loss.is_several else ...
    scale = graph.numbers("target_scale", codec.scale[axes])
    scaled = [graph.add("Mul", [part, scale], "scaled") for part in parts]
    mean = graph.numbers("target_mean", codec.mean[axes])
    return [graph.add("Add", [scaled[0], mean], "values"), *scaled[1:]]
