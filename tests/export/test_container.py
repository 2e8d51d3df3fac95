"""Files that are not as they were written: an error each, or the model that was saved."""

import copy
import itertools
import json
import math
import struct

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from safetensors.numpy import save, save_file

import sklearn_mlp
from sklearn_mlp import HiddenFeatures, TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.export.coded import Decoder, Encoder, NotPlainError, read_json, write_json
from sklearn_mlp.export.container import read_container, write_container

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(2).normal(size=(30, 3))
CODES = np.digitize(X[:, 0], [-0.5, 0.5])
WORDS = np.array(["low", "mid", "high"])[CODES]


@pytest.fixture(scope="module")
def estimators():
    """A classifier, and a regressor with other parts."""
    settings = {"hidden_layer_sizes": (3,), "max_iter": 9, "tol": 0, "random_state": 0}
    classifier = TorchMLPClassifier(**settings, label_smoothing=0.1).fit(X, WORDS)
    regressor = TorchMLPRegressor(
        **settings, normalization="batch", scale_target="standard", backend="skorch"
    )
    return {"classifier": classifier, "regressor": regressor.fit(X, X[:, 1])}


@pytest.fixture
def path(tmp_path):
    """Where to save."""
    return tmp_path / "model.safetensors"


@pytest.fixture
def saved(estimators, path):
    """The document and the tensors of the classifier, to be altered and sealed again."""
    estimators["classifier"].save(path, solver_memory=True)
    return read_container(path)


# Damage.


def damaged(data, rng):
    """Return bytes that were altered in one of the ways of disks, networks and editors."""
    data = bytearray(data)
    place, length = int(rng.integers(len(data))), int(rng.integers(1, 40))
    way = rng.integers(8)
    if way == 0:
        data[place] ^= 1 << int(rng.integers(8))
    elif way == 1:
        data[place : place + length] = rng.bytes(length)
    elif way == 2:
        del data[place : place + length]
    elif way == 3:
        data[place:place] = rng.bytes(length)
    elif way == 4:
        del data[place:]
    elif way == 5:
        data += data[place : place + length]
    elif way == 6:
        # A digit of the header for another: the file stays one of safetensors.
        digits = [i for i in range(8, len(data)) if data[i] in b"0123456789"]
        where = int(rng.choice(digits))
        data[where] = ord(str((int(chr(data[where])) + 1) % 10))
    else:
        data[place : place + length] = b" " * len(data[place : place + length])
    return bytes(data)


@pytest.mark.parametrize("name", ["classifier", "regressor"])
def test_a_thousand_damaged_files(estimators, path, name):
    estimator = estimators[name]
    estimator.save(path)
    whole, expected = path.read_bytes(), estimator.predict(X)
    rng, n_whole, messages = np.random.default_rng(0), 0, []
    for _ in range(500):
        path.write_bytes(damaged(whole, rng))
        try:
            loaded = sklearn_mlp.load(path)
        except ValueError as error:
            messages.append(str(error))
            continue
        n_whole += 1
        assert_array_equal(loaded.predict(X), expected)
        # All else is the same, too.
        loaded.save(path)
        assert path.read_bytes() == whole
    assert n_whole < 20
    assert all(str(path) in message for message in messages)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100])
def test_truncated_files(estimators, path, length):
    estimators["classifier"].save(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"is not a whole .safetensors file"):
        sklearn_mlp.load(path)


def test_files_of_others(path):
    save_file({"weight": np.ones(3)}, path)
    with pytest.raises(ValueError, match="holds tensors, but no estimator of this package"):
        sklearn_mlp.load(path)
    path.write_bytes(save({"weight": np.ones(3)}, {"sklearn_mlp": "{}"}))
    with pytest.raises(ValueError, match="is not what was saved: its digest differs"):
        sklearn_mlp.load(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        sklearn_mlp.load(path)
    path.mkdir()
    with pytest.raises(OSError, match=r"model.safetensors"):
        sklearn_mlp.load(path)


BOMBS = {
    "deep header": b'{"a":' * 100_000,
    "deep metadata": json.dumps({"__metadata__": {"sklearn_mlp": "[" * 10**6}}).encode(),
    "huge shape": b'{"a":{"dtype":"F64","shape":[9999999999,99999999],"data_offsets":[0,8]}}',
    "overlap": b'{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},'
    b'"b":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}',
    "repeated metadata": b'{"__metadata__":{"a":"1"},"__metadata__":{"a":"2"}}',
}


@pytest.mark.parametrize("header", BOMBS.values(), ids=BOMBS.keys())
def test_headers_that_are_bombs(path, header):
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(ValueError, match=r"not a whole .safetensors file|digest differs"):
        sklearn_mlp.load(path)


def test_a_header_longer_than_the_file(path):
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(ValueError, match=r"not a whole .safetensors file"):
        sklearn_mlp.load(path)


# Whole files that say what no estimator is: whoever can write them can seal them, too.


def at(document, *keys):
    """Return a part of a document."""
    for key in keys:
        document = document[key]
    return document


FITTED = ("estimator", "fitted")
TREE_DAMAGE = {
    "a later format": (lambda d: d.update(format_version=2), "version 2 of the format"),
    "no format": (lambda d: d.pop("format_version"), "version None of the format"),
    "true as a format": (lambda d: d.update(format_version=True), "version True of the format"),
    "an unknown key": (lambda d: d.update(note=1), "it says .*'note'"),
    "no versions": (lambda d: d.update(versions=[]), "cannot be read"),
    "a list": (lambda d: d.update(estimator=[]), "a list is not what it should say"),
    "another class": (lambda d: d["estimator"].update({"class": "os.system"}), "no estimator"),
    "no parameters": (lambda d: d["estimator"].pop("parameters"), "lacks 'parameters'"),
    "an unknown part": (lambda d: d["estimator"].update(code="print"), "'code' is not known"),
    "an unknown parameter": (
        lambda d: d["estimator"]["parameters"].update(alfa=1),
        "'alfa' is not known",
    ),
    "an unknown attribute": (lambda d: at(d, *FITTED).update(fit=1), "'fit' is not known"),
    "an unknown kind": (
        lambda d: d["estimator"]["parameters"].update(loss={"$import": "os"}),
        r"'\$import' stands for nothing",
    ),
    "more details": (
        lambda d: d["estimator"]["parameters"].update(loss={"$tuple": [], "x": 1}),
        "stands for nothing",
    ),
    "what was not given": (
        lambda d: d["estimator"]["parameters"].update(loss={"$given": "loss"}),
        "cannot be read",
    ),
    "an unknown loss": (
        lambda d: at(d, *FITTED)["_loss"].update(sklearn_mlp="Evil"),
        "there is no 'Evil'",
    ),
    "a loss that lacks something": (
        lambda d: at(d, *FITTED)["_loss"].pop("inner"),
        "LabelLoss lacks 'inner'",
    ),
    "a loss with a method": (
        lambda d: at(d, *FITTED)["_loss"].update(gradient=1),
        "LabelLoss has no 'gradient'",
    ),
    "a loss of another type": (
        lambda d: at(d, *FITTED)["_loss"].update(off="low"),
        "LabelLoss.off must not be of type str",
    ),
    "an unknown activation": (
        lambda d: at(d, *FITTED, "_loss").update(out_activation="exec"),
        "no output activation 'exec'",
    ),
    "a layer as large as no memory": (
        lambda d: at(d, *FITTED, "module_", "mlp").update(
            units={"$tuple": [3, 10**12, 10**12, 3]}
        ),
        "are not those of 3 layers",
    ),
    "a wide layer": (
        lambda d: at(d, *FITTED, "module_", "mlp").update(units={"$tuple": [3, 10**12, 3]}),
        "layer 0 has the shapes",
    ),
    "no layers": (
        lambda d: at(d, *FITTED, "module_", "mlp").update(units={"$tuple": [3, 0, 3]}),
        "are no layers",
    ),
    "more outputs than classes": (
        lambda d: at(d, *FITTED, "_codec", "classes").update(
            {"$values": ["a", "b"], "shape": [2], "dtype": "<U1"}
        ),
        "cannot be read",
    ),
    "a wide string": (
        lambda d: at(d, *FITTED, "_codec", "classes").update(dtype=f"<U{10**8}"),
        "too many to be in the JSON",
    ),
    "objects": (
        lambda d: at(d, *FITTED, "module_", "tensors", "layers.0.weight", "values").update(
            dtype="|O"
        ),
        r"there are no arrays of '\|O'",
    ),
    "a shape of its own": (
        lambda d: at(d, *FITTED, "module_", "tensors", "layers.0.weight", "values").update(
            shape=[9]
        ),
        "'module_.layers.0.weight' is of float64 and the shape",
    ),
    "rows without end": (
        lambda d: at(d, *FITTED, "_state", "history", "rows").update(length=10**12),
        "there are not 1000000000000 rows",
    ),
    "rows of nothing": (
        lambda d: at(d, *FITTED, "_state", "history").update(
            rows={"$table": [{"all": 0.0}], "keys": 1, "length": 10**12}
        ),
        "no column says how many rows",
    ),
    "another count of rows": (
        lambda d: at(d, *FITTED, "_state", "history").update(length=3),
        "the records are not 3 rows",
    ),
    "features without names": (
        lambda d: at(d, *FITTED).update(
            feature_names_in_={"$values": ["a"], "dtype": "|O", "shape": [1]}
        ),
        "feature_names_in_ are not the names",
    ),
    "another number of features": (
        lambda d: at(d, *FITTED).update(n_features_in_=4),
        "the network has the layers",
    ),
    "text as a number": (
        lambda d: at(d, *FITTED).update(n_iter_="3"),
        "n_iter_ must not be of type str",
    ),
    "an array that is nowhere": (
        lambda d: at(d, *FITTED).update(loss_={"$array": "x", "dtype": "<f8", "shape": []}),
        "cannot be read: KeyError",
    ),
}


@pytest.mark.parametrize(("damage", "match"), TREE_DAMAGE.values(), ids=TREE_DAMAGE.keys())
def test_documents_that_say_what_is_not(saved, path, damage, match):
    document, arrays = saved
    damage(document)
    write_container(path, document, arrays)
    with pytest.raises(ValueError, match=match) as caught:
        sklearn_mlp.load(path)
    assert str(path) in str(caught.value)


def test_what_was_fitted_on_a_gpu_is_loaded_where_there_is_none(saved, path, estimators):
    document, arrays = saved
    at(document, *FITTED)["device_"] = "cuda:7"
    write_container(path, document, arrays)
    loaded = sklearn_mlp.load(path)
    assert str(loaded.device_) == "cpu"
    assert_array_equal(loaded.predict(X), estimators["classifier"].predict(X))


ARRAY_DAMAGE = {
    "another shape": (lambda values: values.ravel(), "and not of float64"),
    "another type": (lambda values: values.astype(np.float32), "is of float32"),
    "whole numbers": (lambda values: values.astype(np.int64), "is of int64"),
    "none": (None, "cannot be read: KeyError"),
}


@pytest.mark.parametrize(("damage", "match"), ARRAY_DAMAGE.values(), ids=ARRAY_DAMAGE.keys())
def test_tensors_that_are_others(saved, path, damage, match):
    document, arrays = saved
    values = arrays.pop("module_.layers.0.weight")
    if damage is not None:
        arrays["module_.layers.0.weight"] = np.ascontiguousarray(damage(values))
    write_container(path, document, arrays)
    with pytest.raises(ValueError, match=match):
        sklearn_mlp.load(path)


def test_a_tensor_too_many(saved, path):
    document, arrays = saved
    write_container(path, document, {**arrays, "code": np.zeros(3)})
    with pytest.raises(ValueError, match="nothing says what 'code' is"):
        sklearn_mlp.load(path)


def test_a_network_of_whole_numbers(saved, path):
    document, arrays = saved
    tensors = at(document, *FITTED, "module_", "tensors")
    for name, tensor in tensors.items():
        key = f"module_.{name}"
        arrays[key] = arrays[key].astype(np.int64)
        tensor["dtype"], tensor["values"]["dtype"] = "int64", "<i8"
    write_container(path, document, arrays)
    with pytest.raises(ValueError, match=r"numbers are of the types \['int64'\]"):
        sklearn_mlp.load(path)


def test_an_estimator_that_lacks_a_parameter(path):
    HiddenFeatures(TorchMLPClassifier()).save(path)
    document, arrays = read_container(path)
    del document["estimator"]["parameters"]["layer"]
    write_container(path, document, arrays)
    with pytest.raises(ValueError, match="HiddenFeatures lacks 'layer'"):
        sklearn_mlp.load(path)


def nodes(tree):
    """Go through all places of a document: (container, key) pairs."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield tree, key
        if isinstance(value, dict | list):
            yield from nodes(value)


STRANGE = (None, True, -1, 0, 2**70, 1e300, "x", "", [], {}, [[1]], {"$float": "nan"}, "|O")


def test_documents_with_anything_anywhere(estimators, path):
    # What comes of it may be another estimator; it must not be another error.
    rng, messages = np.random.default_rng(1), []
    for name in ("classifier", "regressor"):
        estimators[name].save(path)
        document, arrays = read_container(path)
        for _ in range(100):
            altered = copy.deepcopy(document)
            places = list(nodes(altered["estimator"]))
            tree, key = places[int(rng.integers(len(places)))]
            if rng.random() < 0.2:
                del tree[key]
            else:
                tree[key] = copy.deepcopy(STRANGE[int(rng.integers(len(STRANGE)))])
            write_container(path, altered, arrays)
            try:
                sklearn_mlp.load(path)
            except ValueError as error:
                messages.append(str(error))
    assert all("cannot be read" in message for message in messages)


# JSON, and plain values.


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"a": 1, "a": 2}', "it has a key twice"),
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("[1e999]", "1e999 is beyond all numbers"),
        ("[" * 10**6, "nested too deeply"),
        ('{"a":' * 10**6, "nested too deeply"),
        ("[" + "9" * 10**5 + "]", "limit"),
        ("[1,]", "Expecting value|Illegal trailing comma"),
    ],
    ids=range(8),
)
def test_json_that_is_refused(text, match):
    with pytest.raises(ValueError, match=match):
        read_json(text)


def coded_and_back(value):
    """Return what comes back of a value."""
    encoder = Encoder({}, lambda *_: None)
    document = read_json(write_json(encoder.code(value, "value")))
    decoder = Decoder(encoder.arrays, {}, lambda _: None)
    decoded = decoder.value(document)
    assert not decoder.unused
    return decoded


VALUES = [
    *(None, True, 0, -(2**80), 0.1, -0.0, math.inf, "\ud800\0☃", "", (), [], {}),
    *((1, [2, (3.0,)]), {"a": {"$b": 1}}, {1: "a", "1": "b", (2, 3): None, None: 0, 0.5: True}),
    *(np.float32(0.1), np.int8(-3), np.bool_(True), np.str_("a"), np.datetime64("2020-01-01")),
    *(np.longdouble(1) / 3, np.float64("nan"), np.complex64(1 + 2j)),
    *(np.array(["a", "bcd"]), np.array("a"), np.zeros((0, 3)), np.array([[1, 2.5]])),
    *(np.arange(500, dtype=">i2"), np.full((2, 2), None), np.array([b"x", b"yz"])),
    *(np.asfortranarray(np.arange(600.0).reshape(20, 30)), np.array(["ab"] * 10**6)),
    np.arange(900).reshape(9, 10, 10).transpose(2, 0, 1),
    [(i, i / 3, True, "x", [], None) for i in range(20)],
    [{"a": np.float64(i), "b": i * 2**40, "c": -0.0, "d": {}} for i in range(9)],
    [{"a": 1}, {"b": 2}, *({"a": 1} for _ in range(9))],
    [(1, 2.0, math.nan)] * 9,
    [(0.0, -0.0)] * 4 + [(-0.0, 0.0)] * 5,
]


@pytest.mark.parametrize("value", VALUES, ids=itertools.count())
def test_plain_values_come_back_as_they_were(value):
    decoded = coded_and_back(value)
    assert type(decoded) is type(value)
    if isinstance(value, np.ndarray):
        assert decoded.dtype == value.dtype
        assert decoded.shape == value.shape
        if value.size > 256 and value.dtype.kind != "U":
            assert np.argsort(decoded.strides).tolist() == np.argsort(value.strides).tolist()
        assert_array_equal(decoded, value)
    else:
        assert repr(decoded) == repr(value)
        if isinstance(value, np.generic):
            assert decoded.dtype == value.dtype


def test_rows_share_nothing():
    rows = coded_and_back([{"batches": [], "epoch": i} for i in range(10)])
    rows[0]["batches"].append(1)
    assert rows[1]["batches"] == []


@pytest.mark.parametrize(
    "value",
    [
        *(print, object(), int, b"bytes", {1, 2}, 2 + 3j, range(3), np.ma.array([1])),
        np.zeros(2, dtype=[("a", int)]),
        [{"a": [len]}],
    ],
    ids=itertools.count(),
)
def test_what_is_not_plain(value):
    with pytest.raises(NotPlainError, match="value"):
        coded_and_back(value)
