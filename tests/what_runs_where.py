"""The table of `docs/what-runs-where.md`; `tests/steps/test_engines.py` holds it against fits.

``python tests/what_runs_where.py`` prints it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Row:
    """What an option runs on.

    Attributes
    ----------
    option : str
        As the docs name it.
    parameters : mapping
        An estimator with the option switched on, and two hidden layers.
    engine : {'closed_form', 'autograd'}
        With ``backend="torch"``, where the epochs are not compiled.
    is_compiled : bool
        Whether they are on a CPU, of dense samples, by ``sgd``, ``adam`` or ``adamw``.
    has_skorch : bool
        Whether ``backend="skorch"`` has it.
    has_lbfgs : bool
        Whether ``solver="lbfgs"`` does.
    keeps_sparse : bool
        Whether sparse samples of few values are multiplied as they are.
    has_graph : bool
        Whether CUDA graphs capture its epochs.
    is_stacked : bool
        Whether a batched search trains it in stacks.
    """

    option: str
    parameters: Mapping[str, Any]
    engine: str = "closed_form"
    is_compiled: bool = True
    has_skorch: bool = True
    has_lbfgs: bool = True
    keeps_sparse: bool = True
    has_graph: bool = True
    is_stacked: bool = False

    @classmethod
    def by_autograd(cls, option: str, parameters: Mapping[str, Any], **others: bool) -> "Row":
        """Return the row of an option that autograd carries."""
        return cls(
            option,
            parameters,
            "autograd",
            is_compiled=False,
            keeps_sparse=False,
            has_graph=False,
            **others,
        )


def _linear(n_features_in: int, n_outputs: int) -> nn.Module:
    """Make a module for the table's own test."""
    return nn.Linear(n_features_in, n_outputs)


ROWS: list[Row] = [
    Row("everything at its default", {}, is_stacked=True),
    Row("`activation`: identity, logistic, tanh", {"activation": "tanh"}, is_stacked=True),
    Row("`activation`: leaky_relu, elu, selu", {"activation": "elu"}, is_stacked=True),
    Row("`activation`: gelu, silu, mish, softplus", {"activation": "gelu"}, is_stacked=True),
    Row("`activation`: a list of names", {"activation": ["relu", "gelu"]}, is_stacked=True),
    Row.by_autograd("`activation`: a callable", {"activation": torch.sin}),
    Row("`dropout`", {"dropout": 0.1}, has_lbfgs=False, has_graph=False, is_stacked=True),
    Row(
        "`input_dropout`",
        {"input_dropout": 0.1},
        has_lbfgs=False,
        keeps_sparse=False,
        has_graph=False,
        is_stacked=True,
    ),
    Row.by_autograd("`normalization`: batch", {"normalization": "batch"}),
    Row.by_autograd("`normalization`: layer", {"normalization": "layer"}),
    Row("`residual`", {"residual": True}, is_compiled=False, is_stacked=True),
    Row("`weight_init`, a name or a callable", {"weight_init": "kaiming"}, is_stacked=True),
    Row.by_autograd("`module`", {"module": _linear}),
]

_COLUMNS: dict[str, Callable[[Row], bool]] = {
    "compiled": lambda row: row.is_compiled,
    '`backend="skorch"`': lambda row: row.has_skorch,
    '`solver="lbfgs"`': lambda row: row.has_lbfgs,
    "sparse as it is": lambda row: row.keeps_sparse,
    "CUDA graph": lambda row: row.has_graph,
    "in stacks": lambda row: row.is_stacked,
}


def table(rows: list[Row] = ROWS) -> str:
    """Return the rows as a table in Markdown."""
    lines = [["option", "`engine_`", *_COLUMNS]]
    lines += [
        [
            row.option,
            f"`{row.engine}`",
            *("yes" if has(row) else "no" for has in _COLUMNS.values()),
        ]
        for row in rows
    ]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    print(table())
