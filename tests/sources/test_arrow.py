"""Parquet files and folders, data sets and tables of Arrow's, in the place of X."""

import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from sklearn_mlp import HiddenFeatures, TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.sources import blocks

N_SAMPLES = 300
FAST = {"hidden_layer_sizes": (6,), "max_iter": 3, "tol": 0, "batch_size": 32, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.RandomState(0)
FRAME = pd.DataFrame(RNG.normal(size=(N_SAMPLES, 4)), columns=["a", "b", "c", "d"])
LABELS = np.where(FRAME["a"] > FRAME["b"], "yes", "no")
NUMBERS = (FRAME["a"] - FRAME["c"]).to_numpy()
WEIGHTS = RNG.uniform(size=N_SAMPLES)
TABLE = pa.Table.from_pandas(
    FRAME.assign(label=LABELS, number=NUMBERS, weight=WEIGHTS), preserve_index=False
)
LABELLED = TABLE.drop_columns(["number"])


@pytest.fixture
def folder(tmp_path):
    """Write three files, with row groups of 40 rows."""
    return write(tmp_path, LABELLED)


def write(path, table):
    """Write a table to three files of a folder."""
    for number in range(3):
        part = table.slice(100 * number, 100)
        pq.write_table(part, path / f"{number}.parquet", row_group_size=40)
    return path


@pytest.fixture
def small_buffer(monkeypatch):
    """Shuffle 70 rows at a time."""
    monkeypatch.setattr(blocks, "BUFFER_BYTES", 70 * 4 * 8)


def test_numbers_in_memory(folder, backend):
    """A folder, its data set, one file and a table are fitted as the same rows in memory."""
    model = TorchMLPClassifier(**FAST, early_stopping=True, backend=backend)
    model.fit(FRAME, LABELS, WEIGHTS)
    loss, probabilities = model.loss_curve_, model.predict_proba(FRAME)
    pq.write_table(LABELLED, folder.parent / "whole.parquet")
    dataset = pa.dataset.dataset(folder)
    files = sorted(folder.iterdir())
    whole = folder.parent / "whole.parquet"
    for X in (folder, str(folder), files, whole.as_uri(), dataset, LABELLED, str(whole)):
        model.fit(X, y="label", sample_weight="weight")
        assert model.loss_curve_ == loss
        assert list(model.feature_names_in_) == list(FRAME.columns)
    np.testing.assert_allclose(model.predict_proba(dataset), probabilities, rtol=1e-6)
    for X in (folder, files):
        np.testing.assert_array_equal(model.predict(X), model.predict(FRAME))
    expected = model.score(FRAME, LABELS, WEIGHTS)
    assert model.score(folder, y="label", sample_weight="weight") == pytest.approx(expected)


@pytest.mark.usefixtures("small_buffer")
def test_streamed(folder, backend):
    """Where there are more rows than the buffer holds, all is read by row group."""
    settings = {"early_stopping": True, "class_weight": "balanced", "backend": backend}
    model = TorchMLPClassifier(**FAST, **settings)
    model.fit(folder, y="label", sample_weight="weight", X_val=folder, y_val="label")
    score = model.score(FRAME, LABELS)
    assert model.score(folder, y="label") == score
    again = TorchMLPClassifier(**FAST, **settings)
    again.fit(folder, y="label", sample_weight="weight", X_val=folder, y_val="label")
    assert again.loss_curve_ == model.loss_curve_
    features = HiddenFeatures(TorchMLPClassifier(**FAST)).fit(
        folder, "label", sample_weight="weight"
    )
    np.testing.assert_allclose(features.transform(folder)[:5], features.transform(FRAME)[:5])


def test_several_targets_and_types(tmp_path):
    """Targets may be several columns, and columns any numbers; folders' names are columns."""
    frame = FRAME.assign(e=np.arange(N_SAMPLES), f=(FRAME["a"] > 0).astype(int), number=NUMBERS)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.set_column(0, "a", table["a"].cast(pa.decimal128(20, 10), safe=False))
    pa.dataset.write_dataset(
        table, tmp_path, format="parquet", partitioning=["f"], partitioning_flavor="hive"
    )
    model = TorchMLPRegressor(**FAST).fit(tmp_path, y=["number", "b"])
    assert set(model.feature_names_in_) == {"a", "c", "d", "e", "f"}
    assert model.predict(tmp_path).shape == (N_SAMPLES, 2)


def test_labels_beside_a_table():
    """A table in memory is an array where a list of labels comes beside it, which may be text."""
    model = TorchMLPClassifier(**FAST).fit(TABLE.select(list("abcd")), LABELS.tolist())
    assert model.loss_curve_ == TorchMLPClassifier(**FAST).fit(FRAME, LABELS).loss_curve_


def test_type_of_numbers(tmp_path):
    """Numbers that are all float32 stay so."""
    table = pa.Table.from_pandas(FRAME.astype("float32").assign(number=NUMBERS))
    model = TorchMLPRegressor(**FAST).fit(write(tmp_path, table), y="number")
    assert model.predict(tmp_path).dtype == np.float32


def test_truncated_file(folder):
    """A file that has lost its end is named."""
    path = folder / "1.parquet"
    os.truncate(path, path.stat().st_size - 30)
    with pytest.raises(OSError, match=r"X could not be read: .*1\.parquet must be a whole file"):
        TorchMLPClassifier(**FAST).fit(folder, y="label")


def test_damaged_row_group(folder):
    """What is wrong within a file is named by row group."""
    path = folder / "2.parquet"
    content = bytearray(path.read_bytes())
    place = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    content[place : place + 40] = b"\xff" * 40
    path.write_bytes(bytes(content))
    with pytest.raises(OSError, match=r"read: row group 1 of .*2\.parquet must be"):
        TorchMLPClassifier(**FAST).fit(folder, y="label")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda table: table.drop_columns(["b"]),
            r"the same columns, 'b' among them as in .*0\.parquet, got .* in .*1\.parquet",
        ),
        (
            lambda table: table.set_column(1, "b", pa.array(["x"] * 100)),
            r"column 'b' must be numbers, got string in .*1\.parquet, after double in .*0\.par",
        ),
        (
            lambda table: table.set_column(1, "b", pa.array([1.0] * 50 + [None] * 50)),
            r"X contains NaN: in row 10, column 'b' of row group 1 of .*1\.parquet",
        ),
        (
            lambda table: table.set_column(4, "label", pa.array(["no"] * 50 + [None] * 50)),
            r"y must not be missing, .* got None in row 10 of row group 1 of .*1\.parquet",
        ),
        (
            lambda table: table.set_column(4, "label", pa.array([1] * 100)),
            r"y must be of one type .* got numbers .* in row group 0 of .*1\.parquet, after text",
        ),
        (lambda table: table.slice(0, 0), r"row group 0 of .*1\.parquet is empty"),
    ],
    ids=["lacking", "text", "missing", "no label", "other labels", "empty"],
)
def test_bad_files(change, message, folder):
    """The error names the file, and the row group if it is known."""
    path = folder / "1.parquet"
    pq.write_table(change(pq.read_table(path)), path, row_group_size=40)
    with pytest.raises(ValueError, match=message):
        TorchMLPClassifier(**FAST).fit(folder, y="label", sample_weight="weight")


def test_file_changed_after_the_first_pass(folder, small_buffer):
    """A file that is cut while the network trains is named, and ends the fit."""

    def cut(*_):
        for path in folder.iterdir():
            os.truncate(path, 100)

    class Cutting(TorchMLPClassifier):
        def _prepare(self, *args, **more):
            cut()
            return super()._prepare(*args, **more)

    with pytest.raises(OSError, match=r"X could not be read: .*row group \d of .*\.parquet"):
        Cutting(**FAST).fit(folder, y="label")


def test_arguments(folder, tmp_path):
    """Columns that are not there, and what cannot be read anew, are told at once."""
    model = TorchMLPClassifier(**FAST)
    with pytest.raises(ValueError, match=r"y must be a column of X, which has \['a', .* 'lable'"):
        model.fit(folder, y="lable")
    with pytest.raises(ValueError, match="sample_weight must be a column of X"):
        model.fit(folder, y="label", sample_weight="w")
    with pytest.raises(TypeError, match="sample_weight must be the name of a column where y is"):
        model.fit(folder, y="label", sample_weight=WEIGHTS)
    with pytest.raises(FileNotFoundError, match="X must be the path of a Parquet file or folder"):
        model.fit("nowhere", y="label")
    with pytest.raises(TypeError, match="read anew in each epoch, got a RecordBatchReader"):
        model.fit(LABELLED.to_reader(), y="label")
    with pytest.raises(ValueError, match=r"must be numbers, got .*string in the table"):
        model.fit(TABLE, y="number")
    with pytest.raises(ValueError, match="without a filter"):
        model.fit(pa.dataset.dataset(folder).filter(pa.dataset.field("a") > 0), y="label")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="must have a file at least"):
        model.fit(empty, y="label")
    model.fit(folder, y="label")
    with pytest.raises(ValueError, match="feature names"):
        model.predict(LABELLED.drop_columns(["b"]))


def test_columns_of_targets(folder):
    """What is no feature is told before anything is read; a target may be a weight, too."""
    model = TorchMLPClassifier(**FAST)
    for X in (folder, pa.dataset.dataset(folder), str(folder)):
        with pytest.raises(ValueError, match=r"requires y to be passed where X is a .*, got none"):
            model.fit(X)
    with pytest.raises(ValueError, match=r"must have a column that is neither y nor sample_wei"):
        model.fit(folder, y=["a", "b", "c", "d", "label"], sample_weight="weight")
    regressor = TorchMLPRegressor(**FAST)
    expected = regressor.fit(TABLE.select(["a", "b", "weight"]), "weight").loss_
    table = TABLE.select(["a", "b", "weight"])
    twice = regressor.fit(table, ["weight", "weight"], sample_weight="weight")
    assert twice.predict(table.select(["a", "b"])).shape == (N_SAMPLES, 2)
    assert twice.loss_ != expected


def test_missing_columns_of_predictions(folder):
    """A prediction picks the columns that are known, and names those that are not there."""
    model = TorchMLPClassifier(**FAST).fit(folder, y="label", sample_weight="weight")
    for path in folder.iterdir():
        pq.write_table(pq.read_table(path).drop_columns(["b"]), path)
    with pytest.raises(ValueError, match=r"seen at fit time, yet now missing:\n- b"):
        model.predict(folder)


def test_no_row(tmp_path):
    """A file without row groups is nothing to train on."""
    with pq.ParquetWriter(tmp_path / "none.parquet", LABELLED.schema):
        pass
    with pytest.raises(ValueError, match="X must have a row at least"):
        TorchMLPClassifier(**FAST).fit(tmp_path, y="label", sample_weight="weight")
