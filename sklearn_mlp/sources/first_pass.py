"""The first pass through a source: how many rows, which targets, and whether all are numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd

from sklearn_mlp.arrays.stored import StoredArray
from sklearn_mlp.sources import blocks
from sklearn_mlp.sources.base import RowSource
from sklearn_mlp.sources.blocks import BlockArray
from sklearn_mlp.sources.parts import check_numbers, column_of, length_of, names_of, numbers_of

# How many of the first rows are kept.
_HEAD_ROWS = 8


@dataclass(frozen=True)
class ReadSource:
    """A source that was gone through once.

    Attributes
    ----------
    X : ndarray, DataFrame or StoredArray of shape (n_samples, n_features)
        The samples: in memory if they have at most `blocks.BUFFER_BYTES`, with the names of the
        features if there are any; else what reads them block by block.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs), or None
        The targets.
    sample_weight : ndarray of shape (n_samples,) or None
        The weights.
    source : RowSource
        What was read.
    bounds : ndarray of shape (n_blocks + 1,)
        Where the blocks begin among all rows, and where the last one ends.
    """

    X: Any
    y: np.ndarray | None
    sample_weight: np.ndarray | None
    source: RowSource
    bounds: np.ndarray

    def place_of(self, row: int) -> str:
        """Return what an error calls the place of a row."""
        block = int(np.searchsorted(self.bounds, row, side="right")) - 1
        return f"row {row - self.bounds[block]} of {self.source.describe(block)}"


def read_once(source: RowSource) -> ReadSource:
    """Go through a source once, and check it.

    Raises
    ------
    OSError, TypeError, ValueError
        If it cannot be read, or is not what can be trained on; the sentence names the block.
    """
    seen = _FirstPass(source)
    for block in range(source.n_blocks):
        seen.take_block(block)
    if not seen.bounds[-1]:
        raise ValueError("X must have a row at least, got a source without any.")
    columns = seen.targets.joined(), seen.weights.joined()
    return ReadSource(seen.samples(), *columns, source, seen.bounds)


def read_targets(source: RowSource) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Go through a source for targets and weights alone; return them, as far as there are any."""
    targets, weights = _Column("y"), _Column("sample_weight")
    for block in range(source.n_blocks):
        first = 0
        for part in source.read_targets(block):
            targets.take(part[1:2], source, block, first)
            weights.take(part[2:3], source, block, first)
            first = targets.n_rows_of_block(block)
    return targets.joined(), weights.joined()


@final
class _Column:
    """Targets or weights, part by part."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._arrays: list[np.ndarray] = []
        self._blocks: dict[int, int] = {}
        self._is_there: bool | None = None
        self._first_of = ""

    def take(self, given: tuple[Any, ...], source: RowSource, block: int, first: int) -> None:
        """Take those of a part, if there are any; all parts must agree."""
        where, is_there = source.describe(block), bool(given) and given[0] is not None
        if self._is_there is None:
            self._is_there, self._first_of = is_there, where
        if is_there != self._is_there:
            has, lacks = (where, self._first_of) if is_there else (self._first_of, where)
            raise ValueError(
                f"{self._name} must be in all parts of X or in none: it is in {has}, but not in "
                f"{lacks}."
            )
        if not is_there:
            return
        array = column_of(given[0], self._name, where, first)
        if self._arrays:
            self._check_like(array, where)
        self._arrays.append(array)
        self._blocks[block] = self._blocks.get(block, 0) + len(array)

    def _check_like(self, array: np.ndarray, where: str) -> None:
        """Check that a part's are of the kind and the form of the first ones."""
        like = self._arrays[0]
        kinds = ["text" if each.dtype.kind in "OUS" else "numbers" for each in (like, array)]
        if kinds[0] != kinds[1] or array.shape[1:] != like.shape[1:]:
            raise ValueError(
                f"{self._name} must be of one type and form in all blocks, got {kinds[1]} of the "
                f"type {array.dtype} and the shape {array.shape} in {where}, after {kinds[0]} of "
                f"the type {like.dtype} and the shape {like.shape} in {self._first_of}."
            )

    def n_rows_of_block(self, block: int) -> int:
        """Return how many have come of a block."""
        return self._blocks.get(block, 0)

    def joined(self) -> np.ndarray | None:
        """Return all of them, or None if there are none."""
        if len(self._arrays) > 1:
            self._arrays = [np.concatenate(self._arrays)]
        return self._arrays[0] if self._arrays else None


@final
class _FirstPass:
    """The knowledge of a source, up to a block."""

    def __init__(self, source: RowSource) -> None:
        self._source = source
        self._names = None if source.feature_names is None else list(source.feature_names)
        self._n_features: int | None = None if self._names is None else len(self._names)
        self._counts: list[int] = []
        self._is_single = True
        self._bounds = np.inf, -np.inf
        # None where they have become too many.
        self._kept: list[np.ndarray] | None = []
        self._n_bytes = 0
        self._head = np.empty((0, 0))
        self.targets = _Column("y")
        self.weights = _Column("sample_weight")

    def take_block(self, block: int) -> None:
        """Go through a block.

        Raises
        ------
        TypeError, ValueError
            If there is something wrong with it; or no row in it.
        """
        first, where = 0, self._source.describe(block)
        parts: Iterable[Any] = self._source.read(block)
        for part in parts:
            if not isinstance(part, tuple | list) or not 1 <= len(part) <= 3:
                raise TypeError(
                    f"{where} must yield (X, y) or (X, y, sample_weight) of some rows at a time, "
                    f"got a {type(part).__name__}."
                )
            part = tuple(part)
            numbers = numbers_of(part[0], where)
            self._take_samples(numbers, names_of(part[0]), where, first)
            for column, given in ((self.targets, part[1:2]), (self.weights, part[2:3])):
                column.take(given, self._source, block, first)
                if given and given[0] is not None and length_of(given[0]) != len(numbers):
                    raise ValueError(
                        f"X and y, and sample_weight, must have as many rows each, got "
                        f"{[length_of(each) for each in part if each is not None]} in {where}."
                    )
            first += len(numbers)
        if not first and not self._source.may_have_empty_blocks:
            raise ValueError(
                f"{where} is empty: each block must have a row at least. Leave out those that "
                "have none."
            )
        self._counts.append(first)

    def _take_samples(
        self, numbers: np.ndarray, names: list[str] | None, where: str, first: int
    ) -> None:
        """Check the samples of a part, and keep them if they are not too many."""
        if self._n_features is None:
            self._n_features, self._names = numbers.shape[1], names
        if not len(self._head):
            self._head = numbers[:_HEAD_ROWS].copy()
        if numbers.shape[1] != self._n_features or names not in (None, self._names):
            raise ValueError(
                f"all blocks must have the same features, {self._names or self._n_features}, got "
                f"{names or numbers.shape[1]} in {where}."
            )
        check_numbers(numbers, self._names, where, first)
        self._is_single &= numbers.dtype == np.float32
        if numbers.size:
            low, high = self._bounds
            self._bounds = min(low, float(numbers.min())), max(high, float(numbers.max()))
        self._n_bytes += numbers.size * (4 if self._is_single else 8)
        if self._n_bytes > blocks.BUFFER_BYTES:
            self._kept = None
        elif self._kept is not None:
            self._kept.append(numbers)

    @property
    def bounds(self) -> np.ndarray:
        """Where the blocks begin, and where the last one ends."""
        return np.cumsum([0, *self._counts])

    def samples(self) -> Any:
        """Return the samples, as a `ReadSource` has them; once."""
        dtype = np.dtype(np.float32 if self._is_single else np.float64)
        if self._kept is not None:
            kept, self._kept = self._kept, None
            X = np.concatenate(kept, dtype=dtype)
            return X if self._names is None else pd.DataFrame(X, columns=self._names, copy=False)
        assert self._n_features is not None
        bounds, targets = self.bounds, self.targets.joined()
        head = self._head.astype(dtype)
        array = BlockArray(
            self._source, bounds, self._n_features, dtype, targets, self._names, head
        )
        return StoredArray(array, bounds=self._bounds)
