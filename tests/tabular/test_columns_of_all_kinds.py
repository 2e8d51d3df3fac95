"""Columns of whatever type users bring: read as what they are, or refused by name."""

import datetime
import uuid
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_mlp import TabularEncoder

DAYS = pd.Series(pd.to_datetime(["1960-02-01", "2024-03-01", "2024-01-01", "2031-07-01"]))
BERLIN = DAYS.dt.tz_localize("Europe/Berlin")


def encode(column, then=None):
    """Return the code of a column, or of another one by an encoder of this one."""
    encoder = TabularEncoder(n_bins=0, n_octaves=0).fit(_table(column))
    return encoder.transform(_table(column if then is None else then))


def _table(column):
    is_frame = isinstance(column, pl.DataFrame | pa.Table | pa.RecordBatch)
    return column if is_frame else pd.DataFrame({"x": column})


def arrow(values, kind=None):
    """Return a column of pandas that Arrow holds."""
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values, kind)))


# Each pair is two ways to say the same.
PAIRS = {
    "period": (pd.PeriodIndex(DAYS, freq="M"), DAYS),
    "periods as objects": (pd.Series(pd.PeriodIndex(DAYS, freq="M"), dtype=object), DAYS),
    "interval": (pd.arrays.IntervalArray.from_breaks([0, 2, 4, 8, 10]), [1.0, 3, 6, 9]),
    "intervals as objects": (
        np.array([pd.Interval(0, 2), None, pd.Interval(4, 8)], object),
        [1, None, 6],
    ),
    "interval of dates": (pd.arrays.IntervalArray.from_arrays(DAYS, DAYS), DAYS),
    "sparse words": (
        pd.arrays.SparseArray(["a", "b", "a"], dtype=pd.SparseDtype(object, "a")),
        ["a", "b", "a"],
    ),
    "dictionary": (
        pa.table({"x": pa.array(["a", "b", None, "c", "a"]).dictionary_encode()}),
        ["a", "b", None, "c", "a"],
    ),
    "dictionary of numbers": (
        pa.table({"x": pa.array([7, 5, None, 5]).dictionary_encode()}),
        pd.Categorical([7, 5, None, 5]),
    ),
    "chunks with dictionaries of their own": (
        pa.table(
            {
                "x": pa.chunked_array(
                    [pa.array(each).dictionary_encode() for each in (["a", "b"], ["b", None])]
                )
            }
        ),
        ["a", "b", "b", None],
    ),
    "record batch": (pa.record_batch({"x": ["a", "b", "a"]}), ["a", "b", "a"]),
    "date32": (arrow([*DAYS.dt.date, None], pa.date32()), [*DAYS, None]),
    "binary": (arrow([b"a", None, b"b"]), np.array([b"a", None, b"b"], object)),
    "numbers of many types": (
        np.array([Decimal("0.5"), np.True_, Fraction(7, 2), np.float32(2), None], object),
        [0.5, 1, 3.5, 2, None],
    ),
    "categories of dates in another unit": (
        pd.Categorical(DAYS.astype("datetime64[ns]")),
        pd.Categorical(DAYS.astype("datetime64[s]")),
    ),
    "keys": (
        np.array([uuid.UUID(int=i % 2) for i in range(3)], object),
        [str(uuid.UUID(int=i % 2)) for i in range(3)],
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_column_is_read_as_what_it_is(name):
    column, plain = PAIRS[name]
    assert_allclose(encode(column), encode(plain), rtol=1e-6)
    assert encode(column).shape[1] > 0


# The same values in another type, when it comes to predicting.
CHANGES = {
    "unit": (DAYS.astype("datetime64[ns]"), DAYS.astype("datetime64[s]")),
    "zone": (BERLIN, BERLIN.dt.tz_convert("Asia/Tokyo")),
    "clocks": (BERLIN, DAYS),
    "zone in Arrow": (BERLIN, arrow(list(BERLIN), pa.timestamp("ms", tz="Asia/Tokyo"))),
    "zone in polars": (
        BERLIN,
        pl.DataFrame({"x": BERLIN.dt.tz_convert("UTC").to_list()}),
    ),
    "order of categories": (
        pd.Categorical(["a", "b", "c"]),
        pd.Categorical(["a", "b", "c"], categories=["c", "a", "b", "d"]),
    ),
    "numbers as categories": ([1, 2, 4], pd.Categorical([1, 2, 4])),
    "categories as numbers": (pd.Categorical([1, 2, 4]), [1.0, 2.0, 4.0]),
    "durations": (
        pd.to_timedelta([1, 2, 4], "s").astype("timedelta64[s]"),
        np.array([datetime.timedelta(seconds=n) for n in (1, 2, 4)], object),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_the_same_in_another_type_is_coded_alike(name):
    column, then = CHANGES[name]
    assert_allclose(encode(column, then), encode(column), rtol=1e-6)


@pytest.mark.parametrize(
    ("column", "then", "message"),
    [
        ([[1], [2]], None, r"column 'x' must be numbers.*got list: \[1\]"),
        ([{"a": 1}, {"a": 2}], None, "column 'x' must be numbers.*got dict: {'a': 1}"),
        (np.array([1, 2j], object), None, "column 'x' must be numbers.*got complex: 2j"),
        (np.array([object(), 1], object), None, "column 'x' must be numbers.*got object: <obj"),
        (arrow([[1], [2]]), None, "column 'x' must be numbers.*list"),
        (["a", "b"], [1, 2], "column 'x' had strings as categories in fit, got numbers: 1"),
        (
            pd.Categorical([1, 2]),
            ["1", "2"],
            "column 'x' had numbers as categories in fit, got strings: '1'",
        ),
    ],
)
def test_a_column_that_would_say_nothing_is_refused(column, then, message):
    with pytest.raises(ValueError, match=message):
        encode(pd.Series(column), None if then is None else pd.Series(then))


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.array([(1, 2)], dtype=[("a", int), ("b", int)]), TypeError, "got a structured array"),
        ([{"a": 1}, {"a": 2}], TypeError, "a list of dictionaries; pass pandas.DataFrame"),
        (iter([[1]]), TypeError, "X must be an array.*got a list_iterator"),
        ("table.csv", TypeError, "X must be an array.*read the file"),
        (np.ma.masked_array([[1.0], [2.0]], [[True], [False]]), ValueError, "must not be masked"),
        (
            pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]),
            ValueError,
            r"different names, but \['a'\] come twice",
        ),
    ],
)
def test_what_is_no_table_is_refused_with_what_to_do(X, error, message):
    with pytest.raises(error, match=message):
        TabularEncoder().fit(X)


@pytest.mark.parametrize("names", [[0, 1], [("a", "b"), ("a", "c")]])
def test_columns_without_strings_as_names_keep_their_order(names):
    table = pd.DataFrame([[1, 20], [2, 10], [3, 40]], columns=pd.Index(names))
    encoder = TabularEncoder().fit(table)
    with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
        encoder.transform(table[names[::-1]])
    assert_array_equal(encoder.transform(table.set_axis([5, 6], axis=1)), encoder.transform(table))
    if isinstance(names[0], tuple):
        named = TabularEncoder([names[1]], n_bins=0, n_octaves=0).fit(table)
        assert named.get_feature_names_out().tolist() == ["x0", "x1_10", "x1_20", "x1_40"]


def test_no_two_columns_of_the_code_have_one_name():
    table = pd.DataFrame(
        {
            "a": [1, None, 3],
            "a_missing": [1, 2, 3],
            "b": pd.Series(["1", 1, None], dtype=object),
        }
    )
    encoder = TabularEncoder().set_output(transform="polars").fit(table)
    names = encoder.get_feature_names_out().tolist()
    assert {"a_missing", "a_missing_2", "b_1", "b_1_2"} <= set(names)
    assert encoder.transform(table).columns == names
