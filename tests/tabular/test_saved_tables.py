"""What the estimators for tables are saved as: pickles, skops, and files without code."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from numpy.testing import assert_array_equal
from safetensors import safe_open
from sklearn.model_selection import KFold
from test_tabular_fits import SMALL, mixed_table

import sklearn_mlp
from sklearn_mlp import TabularEncoder, TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp.export.container import read_container, write_container

N_ROWS = 120
TABLE, NUMBER = mixed_table(N_ROWS)
TABLE = TABLE.assign(
    cut=pd.cut(TABLE["size"], 3), code=pd.Categorical(np.arange(N_ROWS) % 3), yes=NUMBER > 0
)
WORDS = np.where(NUMBER > 0.5, "large", "small")
CASES = {
    "numbers": (TabularMLPRegressor, {}, NUMBER),
    "several numbers": (TabularMLPRegressor, {"cv": 3}, np.column_stack([NUMBER, -NUMBER])),
    "counts": (TabularMLPRegressor, {"loss": "poisson"}, NUMBER.round().clip(0)),
    "words": (TabularMLPClassifier, {"class_weight": {"small": 2.0, "large": 1}}, WORDS),
    "labels": (TabularMLPClassifier, {}, np.column_stack([NUMBER > 0, NUMBER > 1]).astype(int)),
    "columns": (TabularMLPClassifier, {}, np.column_stack([WORDS, NUMBER > 0])),
}


@pytest.fixture(scope="module")
def model():
    """A fitted regressor."""
    return TabularMLPRegressor(**{**SMALL, "max_iter": 1}).fit(TABLE, NUMBER)


def assert_plain(value):
    """Check that there is nothing but arrays and plain values, and encoders, in a state."""
    if isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            assert_plain(item)
    elif not isinstance(value, TabularEncoder | np.ndarray | np.generic):
        assert value is None or isinstance(value, str | bool | int | float)


def assert_same(one, other, y):
    """Compare all that two estimators predict."""
    methods = ["predict", "predict_proba", "predict_interval", "predict_members"]
    for method in methods:
        if hasattr(one, method):
            mine, theirs = getattr(one, method)(TABLE), getattr(other, method)(TABLE)
            for part, their_part in zip(mine, theirs, strict=True):
                assert_array_equal(part, their_part)
    assert one.history_.equals(other.history_)
    assert_array_equal(one.oof_prediction_, other.oof_prediction_)
    assert joblib.hash(one.classes_ if hasattr(one, "classes_") else 0) == joblib.hash(
        other.classes_ if hasattr(one, "classes_") else 0
    )
    worth = [
        each.feature_importances(TABLE, y, n_repeats=1, random_state=0) for each in (one, other)
    ]
    assert_array_equal(worth[0].importances, worth[1].importances)


@pytest.mark.parametrize(("kind", "parameters", "y"), CASES.values(), ids=CASES.keys())
def test_what_is_saved_is_plain_and_comes_back(tmp_path, kind, parameters, y):
    model = kind(**{**SMALL, "max_iter": 2, **parameters}).fit(TABLE, y)
    assert_plain(model.__getstate__())
    assert_plain(model.encoder_.__getstate__())
    data, key = pickle.dumps(model), joblib.hash(model)
    model.predict(TABLE)
    assert pickle.dumps(model) == data
    stored = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=stored)
    assert {name.rpartition(".")[2] for name in types} == {kind.__name__, "TabularEncoder"}
    for loaded in (pickle.loads(data), copy.deepcopy(model), skops.io.loads(stored, types)):
        assert joblib.hash(loaded) == key
        assert_same(loaded, model, y)
    path = tmp_path / "model.safetensors"
    model.save(path)
    first, loaded = path.read_bytes(), sklearn_mlp.load(path)
    assert loaded.get_params() == model.get_params()
    assert_same(loaded, model, y)
    loaded.save(path)
    assert path.read_bytes() == first
    with safe_open(path, framework="numpy") as file:
        assert not any(code in file.metadata()["sklearn_mlp"] for code in ("pandas", "torch."))


def test_encoders_and_what_is_not_fitted_are_saved(tmp_path):
    path = tmp_path / "model.safetensors"
    encoder = TabularEncoder(n_bins=4).set_output(transform="pandas").fit(TABLE)
    for each in (encoder, TabularEncoder(["kind"]), TabularMLPRegressor(dropout=0.1)):
        each.save(path)
        loaded = sklearn_mlp.load(path)
        assert loaded.get_params() == each.get_params()
        assert vars(loaded).keys() == vars(each).keys()
    encoder.save(path)
    pd.testing.assert_frame_equal(
        sklearn_mlp.load(path).transform(TABLE), encoder.transform(TABLE)
    )


def test_what_is_code_is_left_out_and_given(tmp_path, model):
    path, cv = tmp_path / "model.safetensors", KFold(3)
    model = copy.deepcopy(model).set_params(cv=cv)
    with pytest.raises(TypeError, match=r"cv cannot be saved .* leave_out=\['cv'\]"):
        model.save(path)
    model.save(path, leave_out=["cv"])
    assert_array_equal(sklearn_mlp.load(path, cv=cv).predict(TABLE), model.predict(TABLE))


DAMAGES = {
    "less": lambda fitted: fitted["_ensemble"]["mixture"].pop("weights"),
    "another type": lambda fitted: fitted["_ensemble"].update(loss="squared_error"),
    "other features": lambda fitted: fitted.update(n_features_in_=3),
    "a group less": lambda fitted: fitted["_ensemble"]["groups"].pop(),
    "rows as text": lambda fitted: fitted.update(_held=[[["1"]]]),
    "no such network": lambda fitted: fitted["_residuals"]["members"]["$values"].__setitem__(
        0, 99
    ),
    "no code": lambda fitted: fitted["encoder_"]["$estimator"]["fitted"].pop("_code"),
    "more": lambda fitted: fitted.update(history=1),
}


@pytest.mark.parametrize("change", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_no_estimator_can_be_is_refused(tmp_path, model, change):
    path = tmp_path / "model.safetensors"
    model.save(path)
    document, arrays = read_container(path)
    change(document["estimator"]["fitted"])
    write_container(path, document, arrays)
    with pytest.raises(ValueError, match="cannot be read"):
        sklearn_mlp.load(path)


def test_states_of_other_versions_are_warned_of(model):
    state = model.__getstate__()
    del state["clip"]
    loaded = TabularMLPRegressor.__new__(TabularMLPRegressor)
    with pytest.warns(UserWarning, match="lacks clip, which get their defaults"):
        loaded.__setstate__(state)
    assert_array_equal(loaded.predict(TABLE), model.predict(TABLE))
    with warnings.catch_warnings(), pytest.raises(ValueError, match="is not that of a TabularMLP"):
        loaded.__setstate__({"something": 1})
