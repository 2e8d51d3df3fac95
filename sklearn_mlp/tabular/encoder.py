"""`TabularEncoder`: a table as it comes, made the numbers that a network learns from."""

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sklearn_mlp.arrays.target_checks import naming
from sklearn_mlp.arrays.tensors import on_host
from sklearn_mlp.machine.sklearn_internals import (
    Interval,
    StrOptions,
    check_input_names,
    check_sample_weight,
    fit_context,
)
from sklearn_mlp.tabular.categorical_features import is_category, named_categories
from sklearn_mlp.tabular.codes import TableCode, expand
from sklearn_mlp.tabular.saved_state import SavedTable
from sklearn_mlp.tabular.tables import Table, read_table

# Rows that are expanded at once.
_ROWS = 4096


class TabularEncoder(SavedTable, TransformerMixin, BaseEstimator):
    """Make numbers for a neural network of a table of numbers, categories and dates.

    Takes the table as it comes, with missing values, and uses no targets:

    - A number is brought to one scale, ``z = (x - median) / IQR``, and clipped smoothly, to
      ``z / sqrt(1 + (z / 12)**2)``. Infinities become -12 and 12, a missing number 0; where there
      were missing ones in `fit`, a column of 0 and 1 tells them apart.
    - Beside it stand its piecewise linear code, ``n_bins`` numbers that tell how far it has come
      through each bin between its quantiles, and ``n_octaves`` sines and cosines; not for numbers
      of two values, which have nothing to gain.
    - A category has a column of 0 and 1 for each of its levels, or a single one of 1 and -1 if
      there are two. Missing is a level. Of more than ``max_levels`` the most frequent are kept,
      of those that come at least twice; the others, and those that are new, are all 0.
    - A date becomes the days since 1970, a number like others, and its place in the year, the
      week and the day, each as a sine and a cosine. Dates with a time zone count as what clocks
      show in the zone that they had in `fit`. A duration is its seconds, a period (pandas) the
      date when it begins, an interval the number, or the date, in its middle.
    - Last come the principal components of all scaled numbers, each brought to a variance of one,
      which tell columns apart that say nearly the same.

    Columns that are constant, or all missing, are left out.

    Parameters
    ----------
    categorical_features : 'from_dtype', array-like of str, int or bool, or None, \
default='from_dtype'
        Which columns hold categories: by their types (categorical, strings, and objects that are
        no numbers), by name, by number, or as a mask; None for no column.
    n_bins : int, default=16
        Bins of the piecewise linear codes; 0 for none of them. A fitted classifier's ``encoder_``
        has 24.
    n_octaves : int, default=3
        Wavelengths of the waves, of which each is half of the one before; 0 for no waves.
    n_components : int, default=256
        How many principal components there may be; 0 for none of them. Of more than 1,000 columns
        of numbers there are none. A fitted regressor's ``encoder_`` has none.
    max_levels : int, default=40
        How many levels of a category have a column.

    Attributes
    ----------
    n_features_in_ : int
        Columns of the table.
    feature_names_in_ : ndarray of shape (n_columns,)
        Their names, where all are strings.

    See Also
    --------
    TabularMLPClassifier, TabularMLPRegressor : Estimators that have this inside.
    sklearn.compose.ColumnTransformer : Puts together an encoding of one's own.

    Notes
    -----
    Strings of several words that hardly ever repeat are text, and refused: their column is named,
    and what to do. The code is float32, in the order waves, numbers, indicators of missing
    numbers and categories, bins, components.

    A component is multiplied by ``1 / sqrt(v + 0.01)``, v being its variance where all columns
    have one of 1, and clipped as numbers are; it is left out where v is at most 1e-6.

    A fitted classifier has found jumps as well, where its classes change with a number all at
    once: its ``encoder_`` has a column for each before the components, such as ``age_above1``,
    1 above the jump and -1 up to it. A column has 8 at most, and only such as chance would bring
    forth in one of a thousand tables.

    References
    ----------
    Gorishniy, Rubachev and Babenko (2022), "On embeddings for numerical features in tabular deep
    learning", :arxiv:`2203.05556`.

    Holzmüller, Grinsztajn and Steinwart (2024), "Better by default: Strong pre-tuned MLPs and
    boosted trees on tabular data", :arxiv:`2407.04491`.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_mlp import TabularEncoder
    >>> table = pd.DataFrame({"age": [20, 40, None], "pet": ["cat", "dog", "cat"]})
    >>> encoder = TabularEncoder(n_bins=0, n_octaves=0, n_components=0).fit(table)
    >>> encoder.get_feature_names_out()
    array(['age', 'age_missing', 'pet_cat'], dtype=object)
    >>> encoder.transform(table).round(2)
    array([[ 0.,  0.,  1.],
           [ 1.,  0., -1.],
           [ 0.,  1.,  1.]], dtype=float32)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "n_bins": [Interval(Integral, 0, None, closed="left")],
        "n_octaves": [Interval(Integral, 0, None, closed="left")],
        "n_components": [Interval(Integral, 0, None, closed="left")],
        "max_levels": [Interval(Integral, 1, None, closed="left")],
    }

    n_features_in_: int
    feature_names_in_: np.ndarray
    _code: TableCode
    _column_labels: list[str] | None

    def __init__(
        self,
        categorical_features: Any = "from_dtype",
        *,
        n_bins: int = 16,
        n_octaves: int = 3,
        n_components: int = 256,
        max_levels: int = 40,
    ) -> None:
        self.categorical_features = categorical_features
        self.n_bins = n_bins
        self.n_octaves = n_octaves
        self.n_components = n_components
        self.max_levels = max_levels

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Read scales, quantiles and levels off a table.

        Parameters
        ----------
        X : DataFrame of pandas or polars, Table of pyarrow, or array-like of shape \
                (n_samples, n_features)
            The table.
        y : None
            Not used.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts: a weight of 2 is the row twice.

        Returns
        -------
        self : TabularEncoder
            The fitted encoder.

        Raises
        ------
        ValueError
            If a column is nothing of what is taken, naming it.
        """
        table = read_table(self, X, reset=True)
        weights = check_weights(sample_weight, table.n_rows)
        self._fit_table(table, weights)
        return self

    def _fit_table(
        self, table: Table, weights: np.ndarray | None, labels: np.ndarray | None = None
    ) -> None:
        """Read the code off a table that has been checked."""
        self._code = self._read_code(table, weights, labels)

    def _read_code(
        self, table: Table, weights: np.ndarray | None, labels: np.ndarray | None
    ) -> TableCode:
        """Return the code of a table that has been checked, by the rows that count."""
        is_named = named_categories(self.categorical_features, table.n_columns, table.names())
        kinds, zones = [], {}
        for place, column in enumerate(table.columns()):
            takes_levels = is_category(column, is_named, place)
            kinds.append("categories" if takes_levels else column.kind)
            if column.zone is not None:
                zones[place] = column.zone
        sizes = self.n_bins, self.n_octaves, self.n_components, self.max_levels
        return TableCode.fit(table, kinds, zones, weights, labels, sizes)

    def transform(self, X: Any) -> np.ndarray:
        """Return the table's code.

        Parameters
        ----------
        X : DataFrame of pandas or polars, Table of pyarrow, or array-like of shape \
                (n_samples, n_features)
            The table.

        Returns
        -------
        code : ndarray of shape (n_samples, n_features_out), of float32
            In the order of `get_feature_names_out`.

        Raises
        ------
        ValueError
            If a column is of another kind than in `fit`, naming it.
        """
        check_is_fitted(self)
        scaled, others = self._code.base(read_table(self, X, reset=False))
        code = np.empty((len(scaled), len(self._names())), np.float32)
        for start in range(0, len(scaled), _ROWS):
            rows = slice(start, start + _ROWS)
            parts = (torch.from_numpy(part[rows]) for part in (scaled, others))
            code[rows] = expand(self._code, *parts, has_waves=True, has_bins=True).numpy()
        return code

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the code's columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            The names of the table's columns, if it had none in `fit`; else they have to agree.

        Returns
        -------
        names : ndarray of shape (n_features_out,)
            Such as ``age``, ``age_missing``, ``age_sin1``, ``age_bin3``, ``pet_cat``,
            ``component1``.
        """
        check_is_fitted(self)
        return np.array(self._names(input_features), dtype=object)

    def _names(self, input_features: Any = None) -> list[str]:
        columns = check_input_names(self, input_features)
        names = [name for part in self._code.names(list(columns)).values() for name in part]
        return _unlike_names(names)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def check_weights(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Return what each row counts, (n_rows,), or None where all count alike."""
    if sample_weight is None:
        return None
    with naming("sample_weight"):
        given, rows = on_host(sample_weight, "sample_weight"), np.empty((n_rows, 0))
        return check_sample_weight(given, rows, ensure_non_negative=True)


def _unlike_names(names: list[str]) -> list[str]:
    """Return names of which none comes twice: the later ones get a number."""
    taken = set(names)
    if len(taken) == len(names):
        return names
    unlike: dict[str, None] = {}
    for name in names:
        chosen, number = name, 2
        while chosen in unlike or (chosen != name and chosen in taken):
            chosen, number = f"{name}_{number}", number + 1
        unlike[chosen] = None
    return list(unlike)
