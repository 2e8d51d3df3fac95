"""The code of a table's rows: all at once if it fits, else for a few rows at a time."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sklearn_mlp.tabular.codes import TableCode, expand
from sklearn_mlp.tabular.columns import Table

# Numbers of the whole code that are kept, 1 GiB in float32; above, batches are coded one by one.
_MOST_KEPT = 1 << 28

# Rows that are coded at once.
CHUNK = 2048


@dataclass(frozen=True)
class Part:
    """Which part of the code a group of networks takes, besides numbers and categories."""

    has_waves: bool
    has_bins: bool


@dataclass(frozen=True)
class CodedRows:
    """The rows of a table in one type, coded as far as memory allows.

    Attributes
    ----------
    code : TableCode
        How they are coded.
    scaled, others : Tensor of shape (n_rows, ...)
        What `TableCode.base` returns.
    whole : Tensor of shape (n_rows, n_code) or None
        All of the code, if it is kept.
    """

    code: TableCode
    scaled: Tensor
    others: Tensor
    whole: Tensor | None = None

    @classmethod
    def of(cls, code: TableCode, table: Table, dtype: torch.dtype, *, keep: bool) -> "CodedRows":
        """Code a table, with all of the code at once if ``keep`` and it fits."""
        scaled, others = (torch.from_numpy(part).to(dtype) for part in code.base(table))
        rows = cls(code, scaled, others)
        n_columns = rows.n_columns(Part(True, True))
        if not keep or table.n_rows * n_columns > _MOST_KEPT:
            return rows
        whole = torch.empty(table.n_rows, n_columns, dtype=dtype)
        for start in range(0, table.n_rows, CHUNK):
            some = slice(start, start + CHUNK)
            whole[some] = rows.chunk(some, Part(True, True))
        return cls(code, scaled, others, whole)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.scaled)

    def n_columns(self, part: Part) -> int:
        """Return how many columns a part of the code has."""
        return self._columns(part).stop - self._columns(part).start

    def chunk(self, rows: slice, part: Part) -> Tensor:
        """Return the code of adjacent rows, (n_rows, n_columns)."""
        if self.whole is not None:
            return self.whole[rows, self._columns(part)]
        return self._expand(self.scaled[rows], self.others[rows], part)

    def pick(self, rows: Tensor, part: Part) -> Tensor:
        """Return the code of any rows, (n_rows, n_columns)."""
        if self.whole is not None:
            return self.whole[:, self._columns(part)].index_select(0, rows)
        return self._expand(self.scaled[rows], self.others[rows], part)

    def _expand(self, scaled: Tensor, others: Tensor, part: Part) -> Tensor:
        return expand(self.code, scaled, others, has_waves=part.has_waves, has_bins=part.has_bins)

    def _columns(self, part: Part) -> slice:
        """Return where a part is: waves come first, bins last."""
        n_base = self.scaled.shape[1] + self.others.shape[1]
        n_waves = self.code.waves.n_columns
        stop = n_waves + n_base + (len(self.code.bins.column) if part.has_bins else 0)
        return slice(0 if part.has_waves else n_waves, stop)
