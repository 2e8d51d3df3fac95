"""What a table becomes: numbers of one scale, indicators and categories; then waves, bins, more.

The first are computed by NumPy, column by column, and are small. The others make some twenty
columns of one, by torch and for a few rows at a time where all would not fit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sklearn_mlp.tabular.categories import Levels
from sklearn_mlp.tabular.columns import Column
from sklearn_mlp.tabular.components import Components
from sklearn_mlp.tabular.dates import DATE_PARTS, split_dates
from sklearn_mlp.tabular.numbers import Bins, Scale, Waves
from sklearn_mlp.tabular.tables import Table
from sklearn_mlp.tabular.thresholds import Thresholds


@dataclass(frozen=True)
class TableCode:
    """How the columns of a table are coded.

    Attributes
    ----------
    kinds : sequence of {'numbers', 'dates', 'categories'}
        What each column is taken as.
    scale : Scale
        That of all numbers, dates split into some among them.
    levels : dict of int to Levels
        Those of the categories, by the column's place.
    waves, bins, thresholds, components : Waves, Bins, Thresholds and Components
        What is made of scaled numbers.
    zones : dict of int to str
        The time zones of dates that have one, by the column's place.
    """

    kinds: Sequence[str]
    scale: Scale
    levels: dict[int, Levels]
    waves: Waves
    bins: Bins
    thresholds: Thresholds
    components: Components
    zones: dict[int, str]

    @classmethod
    def fit(
        cls,
        table: Table,
        kinds: Sequence[str],
        zones: dict[int, str],
        weights: np.ndarray | None,
        labels: np.ndarray | None,
        sizes: tuple[int, int, int, int],
    ) -> "TableCode":
        """Read the code off a table; ``sizes`` are those of `TabularEncoder`'s parameters.

        Without ``labels``, (n_rows, n_targets), there are no thresholds.
        """
        n_bins, n_octaves, n_components, max_levels = sizes
        if weights is not None:
            is_counted = weights > 0
            table, weights = table.rows(is_counted), weights[is_counted]
            labels = None if labels is None else labels[is_counted]
        levels = {
            place: Levels.fit(table.column(place), weights, max_levels)
            for place, kind in enumerate(kinds)
            if kind == "categories"
        }
        numbers = read_numbers(table, kinds, zones)
        scale = Scale.fit(numbers, weights)
        scaled = scale.apply(numbers)
        bins = Bins.fit(scaled, weights, n_bins)
        waves = Waves(n_octaves, np.flatnonzero(~scale.is_two_valued))
        thresholds = Thresholds.fit(scaled, weights, labels)
        components = Components.fit(scaled, weights, n_components)
        return cls(kinds, scale, levels, waves, bins, thresholds, components, zones)

    def base(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """Return scaled numbers, float32, indicators and categories, int8, each (n_rows, ...)."""
        numbers = read_numbers(table, self.kinds, self.zones)
        others = [np.isnan(numbers[:, self.scale.has_missing]).astype(np.int8)]
        others += [code.apply(table.column(place)) for place, code in self.levels.items()]
        return self.scale.apply(numbers), np.concatenate(others, axis=1)

    def names(self, columns: list[str]) -> dict[str, list[str]]:
        """Return the names of the code's columns, by part, for those of the table's columns."""
        of_numbers = list(_names_of_numbers(columns, self.kinds))
        kept = [name for name, is_kept in zip(of_numbers, self.scale.kept, strict=True) if is_kept]
        missing = zip(of_numbers, self.scale.has_missing, strict=True)
        others = [f"{name}_missing" for name, has_missing in missing if has_missing]
        for place, code in self.levels.items():
            others += [f"{columns[place]}_{level}" for level in code.names()]
        waves = [
            f"{name}_{wave}{octave + 1}"
            for octave in range(self.waves.n_octaves)
            for wave in ("sin", "cos")
            for name in (kept[place] for place in self.waves.columns)
        ]
        bins, thresholds = (
            [f"{kept[place]}_{name}{n}" for place, n in _numbered(column)]
            for name, column in (("bin", self.bins.column), ("above", self.thresholds.column))
        )
        return {
            "waves": waves,
            "numbers": kept,
            "others": others,
            "bins": bins,
            "thresholds": thresholds,
            "components": [f"component{n + 1}" for n in range(self.components.n_columns)],
        }


def read_numbers(table: Table, kinds: Sequence[str], zones: Mapping[int, str]) -> np.ndarray:
    """Return all numbers of a table, and those that dates are split into, as float64.

    Raises
    ------
    ValueError
        If a column holds something else, naming it.
    """
    if table.is_numeric and all(kind == "numbers" for kind in kinds):
        return table.source.astype(np.float64, copy=False)
    blocks: list[np.ndarray] = [np.empty((table.n_rows, 0))]
    for place, kind in enumerate(kinds):
        if kind != "categories":
            blocks.append(_numbers_of(table.column(place), kind, zones.get(place)))
    return np.concatenate(blocks, axis=1)


def _numbers_of(column: Column, kind: str, zone: str | None) -> np.ndarray:
    """Return a column's numbers, (n_rows, n_parts)."""
    if kind == "dates":
        return split_dates(column.as_dates(zone))
    return column.as_numbers()[:, None]


def _names_of_numbers(columns: list[str], kinds: Sequence[str]) -> Iterator[str]:
    for name, kind in zip(columns, kinds, strict=True):
        if kind == "numbers":
            yield name
        elif kind == "dates":
            yield from (f"{name}_{part}" for part in DATE_PARTS)


def _numbered(column: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield each of ``column``, which ascend, with its number among the same, from 1."""
    first = np.searchsorted(column, column)
    return zip(column, np.arange(len(column)) - first + 1, strict=True)


def expand(
    code: TableCode, scaled: Tensor, others: Tensor, *, has_waves: bool, has_bins: bool
) -> Tensor:
    """Return the whole code of some rows, side by side.

    It is waves, numbers, others, bins, thresholds, components.

    Parameters
    ----------
    code : TableCode
        How the table is coded.
    scaled, others : Tensor of shape (n_rows, ...)
        What `TableCode.base` returns.
    has_waves, has_bins : bool
        Whether these are asked for; thresholds and components come with bins.
    """
    parts = [scaled, others.to(scaled.dtype)]
    if has_waves:
        parts.insert(0, code.waves.apply(scaled))
    if has_bins:
        parts += [part.apply(scaled) for part in (code.bins, code.thresholds, code.components)]
    return torch.cat(parts, dim=1)
