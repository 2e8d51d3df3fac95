"""The classes of labels that several hold parts of."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_mlp.targets.label_codecs import ColumnsCodec, LabelCodec, codec_of_classes
from sklearn_mlp.targets.labels import distinct, show


def join_codecs(codecs: Sequence[Any], *, has_output_per_class: bool = False) -> LabelCodec:
    """Return the codec of all labels, from those of their parts.

    Parameters
    ----------
    codecs : sequence of LabelCodec
        What `read_labels` has returned for each part.
    has_output_per_class : bool
        As for `read_labels`.

    Raises
    ------
    ValueError
        If the parts have labels of different forms or kinds.
    """
    first = codecs[0]
    is_indicator = first.kind == "multilabel"
    columns = [_columns_of_codec(codec) for codec in codecs]
    for number, (codec, own) in enumerate(zip(codecs, columns, strict=True)):
        is_other = (codec.kind == "multilabel") != is_indicator or len(own) != len(columns[0])
        if is_other or (is_indicator and len(own[0]) != len(columns[0][0])):
            raise ValueError(
                "y must have the same form in all parts, but part 0 has "
                f"{_form_of_codec(first)} and part {number} has {_form_of_codec(codec)}."
            )
    if is_indicator:
        return first
    joined = [_join_classes(of_parts) for of_parts in zip(*columns, strict=True)]
    if isinstance(first, ColumnsCodec):
        return ColumnsCodec(joined)
    return codec_of_classes(joined[0], has_output_per_class)


def _columns_of_codec(codec: LabelCodec) -> list[np.ndarray]:
    """Return the classes of each column of labels."""
    return codec.classes if isinstance(codec, ColumnsCodec) else [codec.classes]


def _form_of_codec(codec: LabelCodec) -> str:
    """Name the form of labels."""
    if codec.kind == "multilabel":
        return f"an indicator matrix of {len(codec.classes)} columns"
    n_columns = len(_columns_of_codec(codec))
    return "one column of labels" if n_columns == 1 else f"{n_columns} columns of labels"


def _join_classes(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return all classes of a column of labels."""
    labels = [label for part in parts for label in part.tolist()]
    if len({isinstance(label, str) for label in labels}) > 1:
        raise ValueError(
            f"y must have labels of one type in all parts, got both numbers and text: "
            f"{show(np.array(labels, dtype=object))}."
        )
    kinds = {part.dtype.kind for part in parts}
    whole = np.concatenate(parts) if "O" not in kinds else np.array(labels, dtype=object)
    return distinct(whole)
