"""Columns of categories: which levels there are, and a column for each."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sklearn_mlp.tabular.columns import Column, show

# From so many words on, in the mean, strings that hardly ever repeat are no categories.
_WORDS_OF_TEXT = 4


@dataclass(frozen=True)
class Levels:
    """The levels of one column that get a code, the most frequent ones first.

    Attributes
    ----------
    levels : ndarray of shape (n_levels,), of objects
        The levels; None stands for what is missing.
    """

    levels: np.ndarray

    @classmethod
    def fit(cls, column: Column, weights: np.ndarray | None, max_levels: int) -> "Levels":
        """Read the levels off a column.

        Where there are more than ``max_levels``, the most frequent of those that come twice or
        more are kept: what comes once teaches nothing.

        Raises
        ------
        ValueError
            If the column holds text, as long as its type does not say that it has categories.
        """
        values = column.as_levels()
        # Missing is a level as any other.
        codes, found = pd.factorize(values, use_na_sentinel=False)
        found = np.array([None if pd.isna(each) else each for each in found], dtype=object)
        counts = np.bincount(codes, weights=weights, minlength=len(found))
        if len(found) > max_levels:
            if not column.is_category:
                _check_no_text(column, values, found)
            found, counts = found[counts > 1], counts[counts > 1]
        # Ties by what they are, so that the order of the rows is of no consequence.
        ranks = [
            (-count, level is None, str(level), place)
            for place, (level, count) in enumerate(zip(found, counts, strict=True))
        ]
        return cls(found[[rank[-1] for rank in sorted(ranks)[:max_levels]]])

    @property
    def n_columns(self) -> int:
        """How many columns the code has: two levels make one, a single level none."""
        return len(self.levels) if len(self.levels) > 2 else max(0, len(self.levels) - 1)

    def names(self) -> list[str]:
        """Return what each column of the code is about."""
        return [_name_of(level) for level in self.levels[: self.n_columns]]

    def codes(self, column: Column) -> np.ndarray:
        """Return each row's place among the levels, -1 for others, (n_rows,)."""
        values = column.as_levels()
        is_missing = np.asarray(pd.isna(values), dtype=bool)
        is_known = np.array([level is not None for level in self.levels], dtype=bool)
        places = np.append(np.flatnonzero(is_known), -1)
        known = pd.Index(self.levels[is_known], dtype=object)
        codes = places[known.get_indexer(pd.Index(values, dtype=object))]
        if not is_missing.all() and (codes < 0).all():
            _check_same_type(column, values[~is_missing], self.levels[is_known])
        codes[is_missing] = -1 if is_known.all() else int(np.flatnonzero(~is_known)[0])
        return codes

    def apply(self, column: Column) -> np.ndarray:
        """Return the code as int8, (n_rows, n_columns): 1 for the row's level, else 0.

        Of two levels the first is 1, the second -1, and any other 0.
        """
        codes = self.codes(column)
        if self.n_columns == 1:
            return np.select([codes == 0, codes == 1], [1, -1], 0).astype(np.int8)[:, None]
        return (codes[:, None] == np.arange(self.n_columns)).view(np.int8)


def _check_same_type(column: Column, values: np.ndarray, known: np.ndarray) -> None:
    """Refuse numbers where all levels are strings, and the other way round.

    Raises
    ------
    ValueError
        Naming the column: all its rows would be unknown.
    """
    were, are = ({isinstance(each, str) for each in each_of} for each_of in (known, values))
    if len(were) == len(are) == 1 and were != are:
        kinds = ("strings", "numbers") if were == {True} else ("numbers", "strings")
        raise ValueError(
            f"column {column.name} had {kinds[0]} as categories in fit, got {kinds[1]}: "
            f"{show(values[0])}."
        )


def _name_of(level: Any) -> str:
    """Return a level as the user would write it; numbers are all floats here."""
    if level is None:
        return "missing"
    is_whole = isinstance(level, float) and level.is_integer()
    return str(int(level)) if is_whole else str(level)


def _check_no_text(column: Column, values: np.ndarray, found: np.ndarray) -> None:
    """Refuse strings of several words of which most come once."""
    if 2 * len(found) <= len(values):
        return
    texts = [each for each in found[:1000] if isinstance(each, str)]
    if not texts or sum(len(text.split()) for text in texts) < _WORDS_OF_TEXT * len(texts):
        return
    raise ValueError(
        f"column {column.name} seems to hold text: {len(found)} different strings in "
        f"{len(values)} rows, such as {texts[0][:40]!r}. Make numbers of it first, by "
        "sklearn.feature_extraction.text or skrub.TextEncoder, leave it out, or name it in "
        "categorical_features if its values are categories."
    )
