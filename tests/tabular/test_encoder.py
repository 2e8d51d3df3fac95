"""`TabularEncoder`: tables of all kinds, and what their columns become."""

import datetime
import decimal
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

import sklearn_mlp.tabular.numbers
from sklearn_mlp import TabularEncoder


def plain(**parameters):
    """Return an encoder without bins, waves and components."""
    return TabularEncoder(n_bins=0, n_octaves=0, n_components=0, **parameters)


def coded(column, **parameters):
    """Return the code of one column."""
    return plain(**parameters).fit_transform(pd.DataFrame({"x": column}))


# What each column becomes.


def test_a_number_is_scaled_by_median_and_quartiles_and_clipped_smoothly():
    x = np.array([0.0, 1.0, 2.0, 3.0, 100.0])
    z = (x - 2) / 2
    np.testing.assert_allclose(coded(x)[:, 0], z / np.sqrt(1 + (z / 12) ** 2), rtol=1e-6)


def test_without_a_middle_half_the_span_is_the_scale():
    code = coded([0.0] * 9 + [5.0])
    np.testing.assert_allclose(code[[0, 9], 0], [0, 2 / np.sqrt(1 + 4 / 144)], rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300])
def test_missing_numbers_and_infinities(scale):
    code = coded(np.array([1, 2, np.nan, 3, np.inf, -np.inf]) * scale)
    np.testing.assert_allclose(code[[2, 4, 5], 0], [0, 12, -12])
    np.testing.assert_array_equal(code[:, 1], [0, 0, 1, 0, 0, 0])


def test_a_number_missing_only_later_is_the_median():
    encoder = plain().fit([[1.0], [2.0], [3.0]])
    np.testing.assert_array_equal(encoder.transform([[np.nan]]), [[0.0]])


def test_columns_that_say_nothing_are_left_out():
    table = pd.DataFrame(
        {
            "constant": [1.0, 1, 1],
            "missing": [np.nan] * 3,
            "none": [None] * 3,
            "one": ["a"] * 3,
            "infinite": [np.inf, -np.inf, np.inf],
            "number": [1, 2, 3],
        }
    )
    encoder = plain().fit(table)
    assert list(encoder.get_feature_names_out()) == ["number"]
    assert TabularEncoder().fit(table[["one"]]).transform(table[["one"]]).shape == (3, 0)


def test_bins_tell_how_far_a_number_has_come():
    encoder = TabularEncoder(n_bins=4, n_octaves=0).fit(np.arange(101.0)[:, None])
    code = encoder.transform([[0.0], [100.0], [50.0]])
    assert list(encoder.get_feature_names_out()[1:]) == [f"x0_bin{i}" for i in (1, 2, 3, 4)]
    np.testing.assert_allclose(code[:, 1:] * 2, [[-0.5] * 4, [0.5] * 4, [0.5, 0.5, -0.5, -0.5]])


def test_waves_are_sines_and_cosines_of_halved_lengths():
    x = np.linspace(-1, 1, 9)[:, None]
    code = TabularEncoder(n_bins=0, n_octaves=3).fit_transform(x)
    z = code[:, 6]
    for octave in range(3):
        angle = np.pi / 2 * 2**octave * z
        np.testing.assert_allclose(code[:, 2 * octave], np.sin(angle) / 2, atol=1e-6)
        np.testing.assert_allclose(code[:, 2 * octave + 1], np.cos(angle) / 2, atol=1e-6)


def test_numbers_of_two_values_stay_alone():
    table = pd.DataFrame({"two": [0, 1, 1, 0], "more": [1, 2, 3, 4], "yes": [True, False] * 2})
    names = TabularEncoder().fit(table).get_feature_names_out()
    assert {name.split("_")[0] for name in names if "_" in name} == {"more"}
    assert {"two", "yes"} <= set(names)


def test_levels_have_a_column_each_and_two_share_one():
    np.testing.assert_array_equal(coded(["a", "b", "a"]), [[1], [-1], [1]])
    encoder = plain().fit(pd.DataFrame({"x": ["a", "b", "c", "c", None]}))
    assert list(encoder.get_feature_names_out()) == ["x_c", "x_a", "x_b", "x_missing"]
    code = encoder.transform(pd.DataFrame({"x": ["b", "new", None]}))
    np.testing.assert_array_equal(code, [[0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]])


def test_of_two_levels_a_new_one_is_neither():
    encoder = plain().fit(pd.DataFrame({"x": ["a", "b"]}))
    code = encoder.transform(pd.DataFrame({"x": ["b", "c", None]}))
    np.testing.assert_array_equal(code, [[-1], [0], [0]])


def test_many_levels_keep_those_that_come_most_often():
    words = [f"w{i}" for i in range(10) for _ in range(i)]
    encoder = plain(max_levels=4).fit(pd.DataFrame({"x": words}))
    assert list(encoder.get_feature_names_out()) == ["x_w9", "x_w8", "x_w7", "x_w6"]


def test_of_many_levels_those_that_come_once_teach_nothing():
    keys = pd.DataFrame({"key": [f"id{i}" for i in range(100)], "x": range(100)})
    assert list(plain().fit(keys).get_feature_names_out()) == ["x"]


def test_dates_are_split_into_time_and_cycles():
    dates = pd.to_datetime(["2024-01-01 00:00", "2024-07-01 12:00", None, "2025-03-05 18:00"])
    encoder = plain().fit(pd.DataFrame({"at": dates}))
    names = list(encoder.get_feature_names_out())
    assert names[:3] == ["at_time", "at_year_sin", "at_year_cos"]
    assert {"at_week_sin", "at_day_cos", "at_time_missing"} <= set(names)
    code = encoder.transform(pd.DataFrame({"at": dates}))
    assert code[0, 0] < code[1, 0] < code[3, 0]


def test_days_have_no_hours():
    days = pd.date_range("2024-01-01", periods=50)
    names = plain().fit(pd.DataFrame({"at": days})).get_feature_names_out()
    assert not any("day" in name for name in names)


def test_clocks_of_a_time_zone_count():
    clocks = pd.date_range("2024-01-01", periods=50, freq="7h")
    here, there = (
        coded(zoned) for zoned in (clocks.tz_localize("UTC"), clocks.tz_localize("Asia/Tokyo"))
    )
    np.testing.assert_allclose(here, there)


# What tables may be.

VALUES = {
    "int": [3, 1, 2, 2, 1, 3],
    "float": [0.5, None, 2.5, 1.0, 1.5, 0.0],
    "bool": [True, False, None, True, False, True],
    "word": ["a", "b", None, "c", "a", "a"],
    "at": [datetime.datetime(2024, 1, day, day) for day in (1, 5, 9, 2, 3, 4)],
    "took": [datetime.timedelta(hours=hours) for hours in (1, 2, 9, 4, 5, 3)],
}


def frames():
    """Return ways to make the same table."""
    nullable = {"int": "Int64", "float": "Float64", "bool": "boolean", "word": "string"}

    def objects(values):
        return pd.DataFrame({name: pd.Series(each, dtype=object) for name, each in values.items()})

    return {
        "pandas": pd.DataFrame,
        "nullable": lambda values: pd.DataFrame(values).astype(nullable),
        "categorical": lambda values: pd.DataFrame(values).astype({"word": "category"}),
        "objects": objects,
        "array": lambda values: objects(values).to_numpy(),
        "polars": pl.DataFrame,
        "pyarrow": pa.table,
    }


@pytest.mark.parametrize("kind", frames())
def test_all_tables_are_read_alike(kind):
    expected = TabularEncoder().fit_transform(pd.DataFrame(VALUES))
    table = frames()[kind](VALUES)
    weights = [1, 1, 0, 1, 1, 1]
    np.testing.assert_allclose(TabularEncoder().fit_transform(table), expected, atol=1e-6)
    weighted = TabularEncoder().fit(table, sample_weight=weights).transform(table)
    assert weighted.shape[0] == 6


def test_a_list_of_rows_keeps_numbers_and_words():
    rows = [[1, "a"], [2, "b"], [4, "a"]]
    assert list(plain().fit(rows).get_feature_names_out()) == ["x0", "x1_a"]


def test_numbers_of_other_kinds():
    mixed = np.array([[decimal.Decimal("1.5"), True], [2, False], [None, True]], object)
    assert plain().fit_transform(mixed).shape == (3, 3)
    sparse = pd.DataFrame({"x": pd.arrays.SparseArray([0.0, 0, 1, 2])})
    assert plain().fit_transform(sparse).shape == (4, 1)


def test_categories_that_are_numbers_stay_the_same_in_other_types():
    encoder = plain(categorical_features=["x"]).fit(pd.DataFrame({"x": [1, 2, 3, 3]}))
    for values in ([3.0, 1.0, np.nan], pd.array([3, 1, None], dtype="Int64"), [3, 1, None]):
        code = encoder.transform(pd.DataFrame({"x": values}))
        np.testing.assert_array_equal(code, [[1, 0, 0], [0, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize("chosen", [["b"], [1], [-1], [False, True], np.array([False, True])])
def test_columns_are_named_in_several_ways(chosen):
    table = pd.DataFrame({"a": [1, 2, 3], "b": [1, 2, 3]})
    names = plain(categorical_features=chosen).fit(table).get_feature_names_out()
    assert list(names) == ["a", "b_1", "b_2", "b_3"]


def test_weights_are_rows_repeated():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=40), "w": rng.choice(list("abcde"), 40)})
    counts = rng.integers(0, 4, 40)
    weighted = TabularEncoder(max_levels=3).fit(table, sample_weight=counts)
    repeated = TabularEncoder(max_levels=3).fit(table.loc[table.index.repeat(counts)])
    np.testing.assert_array_equal(weighted.transform(table), repeated.transform(table))


def test_times_of_day_are_numbers():
    times = [datetime.time(hour, 30) for hour in (1, 9, 17)]
    for table in (pd.DataFrame({"x": times}), pl.DataFrame({"x": times}), pa.table({"x": times})):
        code = plain().fit_transform(table)
        np.testing.assert_allclose(code, coded([1.5, 9.5, 17.5]), rtol=1e-6)


# What is refused.


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"p": [1j, 2.0, 3.0]},
            "column 'p' must be numbers.*complex",
        ),
        (
            {"t": [f"word number {i} of this row" for i in range(60)]},
            "column 't' seems to hold te",
        ),
    ],
)
def test_a_column_that_is_nothing_of_this_is_named(table, message):
    with pytest.raises(ValueError, match=message):
        TabularEncoder().fit(pd.DataFrame(table))


def test_text_that_the_user_calls_categories_is_taken():
    text = pd.Series([f"word number {i} of this row" for i in range(60)], dtype="category")
    assert TabularEncoder().fit_transform(pd.DataFrame({"t": text})).shape == (60, 0)


@pytest.mark.parametrize(
    ("first", "then", "message"),
    [
        ([1.0, 2.0], ["a", "b"], "column 'x' was numbers in fit, got words: 'a'"),
        (pd.to_datetime(["2020", "2021"]), [1.0, 2.0], "column 'x' was dates in fit, got numbers"),
    ],
)
def test_a_column_that_has_become_another_kind_is_named(first, then, message):
    encoder = TabularEncoder().fit(pd.DataFrame({"x": first}))
    with pytest.raises(ValueError, match=message):
        encoder.transform(pd.DataFrame({"x": then}))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["c"], r"categorical_features has \['c'\], which are no columns of X"),
        ([2], "must be numbers of columns, of which there are 2, got"),
        ([True], "a mask, must have an entry for each of the 2 columns, got 1"),
        ([0.5], "must be 'from_dtype', None, or names"),
        (None, "column 'b' holds words, such as 'x', which are no numbers"),
    ],
)
def test_categories_that_are_none_are_told(chosen, message):
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    with pytest.raises(ValueError, match=message):
        TabularEncoder(chosen).fit(table)


def test_tables_that_are_none():
    with pytest.raises(ValueError, match=r"different names, but \['a'\] come twice"):
        TabularEncoder().fit(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(TypeError, match=r"in memory, got a LazyFrame; pass X.collect\(\)"):
        TabularEncoder().fit(pl.LazyFrame({"a": [1, 2]}))
    for value in ({"b": 1}, [1, 2]):
        with pytest.raises(ValueError, match="column 'a' must be numbers"):
            TabularEncoder().fit(pl.DataFrame({"a": [value, value]}))
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        TabularEncoder().fit(pd.DataFrame({"a": []}))
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        TabularEncoder().fit(scipy.sparse.eye_array(3).tocsr())
    with pytest.raises(ValueError, match="non-zero"):
        TabularEncoder().fit([[1.0], [2.0]], sample_weight=[0, 0])


# scikit-learn's contract.


def test_every_check_passes():
    results = check_estimator(TabularEncoder(), on_fail=None, on_skip=None)
    not_passed = {one["check_name"] for one in results if one["status"] != "passed"}
    assert not_passed == {"check_array_api_input"}


def test_frames_come_out_and_pickles_are_small():
    table = pd.DataFrame(VALUES)
    encoder = TabularEncoder().set_output(transform="pandas").fit(table)
    out = encoder.transform(table)
    assert list(out.columns) == list(encoder.get_feature_names_out())
    stored = pickle.dumps(encoder)
    assert len(stored) < 10_000
    pd.testing.assert_frame_equal(pickle.loads(stored).transform(table), out)
    assert vars(clone(encoder)).keys() >= {"n_bins"}


def test_integers_beyond_all_floats_are_infinities():
    code = coded(pd.Series([1, 2, 3, 10**400, -(10**400)], dtype=object))
    np.testing.assert_allclose(code[3:, 0], [12, -12])


def test_dates_of_several_zones_in_one_column_are_told():
    zones = ["UTC", "Europe/Berlin"]
    column = pd.Series([pd.Timestamp("2024-01-01", tz=zone) for zone in zones], dtype=object)
    with pytest.raises(
        ValueError, match="column 'x' must have dates of one time zone, or of none"
    ):
        coded(column)


@pytest.mark.parametrize("n_rows", [3, 7])
def test_numbers_scaled_in_pieces_are_the_same(n_rows, monkeypatch):
    numbers = np.random.default_rng(0).normal(size=(20, 3))
    expected = plain().fit_transform(numbers)
    monkeypatch.setattr(sklearn_mlp.tabular.numbers, "_ROWS", n_rows)
    np.testing.assert_array_equal(plain().fit_transform(numbers), expected)
