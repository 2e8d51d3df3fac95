"""The code of a table's rows: all at once if it fits, else for a few rows at a time."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sklearn_mlp.machine.devices import home_of_samples
from sklearn_mlp.tabular.codes import TableCode, expand
from sklearn_mlp.tabular.tables import Table

# Numbers of the whole code that are kept, 1 GiB in float32; above, batches are coded one by one.
_MOST_KEPT = 1 << 28

# Rows that are coded at once: what the cache holds, and on an accelerator what keeps it busy.
CHUNK, _CHUNK_ELSEWHERE = 2048, 1 << 15


def chunk_size(device: torch.device) -> int:
    """Return how many rows are coded at once."""
    return CHUNK if device.type == "cpu" else _CHUNK_ELSEWHERE


@dataclass(frozen=True)
class Part:
    """Which part of the code a group of networks takes, besides numbers and categories.

    Thresholds and components come with bins.
    """

    has_waves: bool
    has_bins: bool


@dataclass(frozen=True)
class CodedRows:
    """The rows of a table in one type, coded as far as memory allows.

    Attributes
    ----------
    code : TableCode
        How they are coded.
    device : torch.device
        Where the networks are.
    scaled, others : Tensor of shape (n_rows, ...)
        What `TableCode.base` returns.
    whole : Tensor of shape (n_rows, n_code) or None
        All of the code, if it is kept.
    """

    code: TableCode
    device: torch.device
    scaled: Tensor
    others: Tensor
    whole: Tensor | None = None

    @classmethod
    def of(
        cls, code: TableCode, table: Table, dtype: torch.dtype, device: torch.device, *, keep: bool
    ) -> "CodedRows":
        """Code a table, with all of the code at once if ``keep`` and it fits.

        It is on the device, or on the CPU where that has not the memory.
        """
        # What is -1, 0 or 1 takes a byte until it is coded.
        base, others = map(torch.from_numpy, code.base(table))
        scaled = base.to(dtype)
        if device.type != "cpu":
            home = home_of_samples(scaled.nbytes + others.nbytes, device)
            scaled, others = scaled.to(home), others.to(home)
        rows = cls(code, device, scaled, others)
        if not keep:
            return rows
        n_columns = rows.n_columns(Part(True, True))
        n_numbers, home = table.n_rows * n_columns, scaled.device
        is_small = home_of_samples(n_numbers * dtype.itemsize, home) == home
        if n_numbers > _MOST_KEPT or not is_small:
            return rows
        whole = torch.empty(table.n_rows, n_columns, dtype=dtype, device=home)
        step = chunk_size(home)
        for start in range(0, table.n_rows, step):
            some = slice(start, start + step)
            whole[some] = rows.chunk(some, Part(True, True))
        return cls(code, device, scaled, others, whole)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.scaled)

    def n_columns(self, part: Part) -> int:
        """Return how many columns a part of the code has."""
        return self._columns(part).stop - self._columns(part).start

    def kept(self, part: Part) -> Tensor | None:
        """Return the code of all rows, (n_rows, n_columns), if it is kept."""
        return None if self.whole is None else self.whole[:, self._columns(part)]

    def chunk(self, rows: slice, part: Part) -> Tensor:
        """Return the code of adjacent rows, (n_rows, n_columns)."""
        if self.whole is not None:
            return self.whole[rows, self._columns(part)].to(self.device)
        return self._expand(self.scaled[rows], self.others[rows], part)

    def pick(self, rows: Tensor, part: Part) -> Tensor:
        """Return the code of any rows, (n_rows, n_columns)."""
        rows = rows.to(self.scaled.device)
        if self.whole is not None:
            return self.whole[:, self._columns(part)].index_select(0, rows).to(self.device)
        return self._expand(self.scaled[rows], self.others[rows], part)

    def _expand(self, scaled: Tensor, others: Tensor, part: Part) -> Tensor:
        scaled, others = scaled.to(self.device), others.to(self.device)
        return expand(self.code, scaled, others, has_waves=part.has_waves, has_bins=part.has_bins)

    def _columns(self, part: Part) -> slice:
        """Return where a part is: waves come first; bins, thresholds and components last."""
        n_base = self.scaled.shape[1] + self.others.shape[1]
        n_waves = self.code.waves.n_columns
        n_last = len(self.code.bins.column) + len(self.code.thresholds.column)
        n_last += self.code.components.n_columns
        stop = n_waves + n_base + (n_last if part.has_bins else 0)
        return slice(0 if part.has_waves else n_waves, stop)
