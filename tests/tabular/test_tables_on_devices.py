"""The parameter ``device`` of the estimators for tables.

``--gpu-device cpu`` runs on the CPU what is marked ``gpu``.
"""

import pickle

import numpy as np
import pytest
import torch
from forked_programs import run_forked
from numpy.testing import assert_allclose, assert_array_equal
from test_tabular_fits import OURS, SMALL, mixed_table, targets_of

import sklearn_mlp
from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp.machine.devices import available_devices, traits_of
from sklearn_mlp.tabular import coded_rows

TABLE, NUMBER = mixed_table(260)


def dtype_on(device):
    """Return the exactest type that a device has, and how near its numbers are the CPU's."""
    if traits_of(device).has_float64:
        return "float64", {"rtol": 1e-6, "atol": 1e-8}
    return "float32", {"rtol": 0.05, "atol": 0.05}


def predicted(model, table=TABLE):
    """Return what a model predicts."""
    return model.predict_proba(table) if hasattr(model, "classes_") else model.predict(table)


@pytest.mark.gpu
@pytest.mark.parametrize("n_rows", [150, 260])
@pytest.mark.parametrize("Estimator", OURS)
def test_numbers_are_those_of_the_cpu(Estimator, n_rows, gpu_device):
    # Of 150 rows a batch holds all; masks of dropout are drawn where the networks are.
    dtype, tolerance = dtype_on(gpu_device)
    table, y = TABLE[:n_rows], targets_of(Estimator, NUMBER)[:n_rows]
    weights = np.linspace(0, 2, n_rows)
    settings = {**SMALL, "max_iter": 4, "dropout": 0, "dtype": dtype}
    there, here = (
        Estimator(**settings, device=device).fit(table, y, sample_weight=weights)
        for device in (gpu_device, "cpu")
    )
    assert there.device_ == gpu_device
    assert_allclose(there.history_["loss"], here.history_["loss"], **tolerance)
    assert_allclose(there.oof_prediction_, here.oof_prediction_, **tolerance)
    assert_allclose(predicted(there), predicted(here), **tolerance)
    assert_allclose(there.predict_members(TABLE), here.predict_members(TABLE), **tolerance)
    one, other = (
        model.feature_importances(table, y, n_repeats=1, random_state=0).importances
        for model in (there, here)
    )
    assert_allclose(one, other, atol=0.02)


@pytest.mark.gpu
@pytest.mark.parametrize("Estimator", OURS)
def test_a_default_fit_learns_as_well_there(Estimator, gpu_device):
    y = targets_of(Estimator, NUMBER)
    there, here = (
        Estimator(random_state=0, max_iter=15, device=device).fit(TABLE, y)
        for device in (gpu_device, "cpu")
    )
    assert there.oof_score_ == pytest.approx(here.oof_score_, abs=0.05)
    again = Estimator(random_state=0, max_iter=15, device=gpu_device, n_jobs=2).fit(TABLE, y)
    assert_allclose(predicted(again), predicted(there), rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("kept", [True, False])
def test_codes_that_a_device_has_no_room_for_come_in_batches(kept, gpu_device, monkeypatch):
    settings = {**SMALL, "max_iter": 2, "device": gpu_device}
    expected = TabularMLPRegressor(**settings).fit(TABLE, NUMBER)
    if not kept:
        monkeypatch.setattr(coded_rows, "_MOST_KEPT", 0)
    home = torch.device("cpu")
    monkeypatch.setattr(coded_rows, "home_of_samples", lambda n_bytes, device: home)
    model = TabularMLPRegressor(**settings).fit(TABLE, NUMBER)
    assert_allclose(model.predict(TABLE), expected.predict(TABLE), rtol=1e-3, atol=1e-3)


ELSEWHERE = """
import pickle, sys
import numpy as np
import sklearn_mlp
with open(sys.argv[1], "rb") as file:
    model, table, expected = pickle.load(file)
for each in (model, sklearn_mlp.load(sys.argv[2])):
    assert each.device_.type == "cpu", each.device_
    np.testing.assert_allclose(each.predict(table), expected, rtol=1e-3, atol=1e-3)
"""


@pytest.mark.gpu
def test_pickles_and_files_open_on_a_cpu(gpu_device, tmp_path):
    model = TabularMLPRegressor(**SMALL, device=str(gpu_device)).fit(TABLE, NUMBER)
    pickled, saved = tmp_path / "model.pickle", tmp_path / "model.safetensors"
    pickled.write_bytes(pickle.dumps((model, TABLE, model.predict(TABLE))))
    model.save(saved)
    assert sklearn_mlp.load(saved).device_ == pickle.loads(pickled.read_bytes())[0].device_
    done = run_forked(ELSEWHERE, pickled, saved, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("device", ["meta", "cuda:99", "toaster", torch.device("xpu", 99)])
def test_what_is_not_there_is_told_before_anything_is_read(device):
    with pytest.raises(ValueError, match="is not available on this machine") as caught:
        TabularMLPClassifier(device=device).fit("no table", None)
    assert f"device={str(device)!r}" in str(caught.value)
    assert ", ".join(available_devices()) in str(caught.value)


def test_a_device_has_to_be_one():
    with pytest.raises(ValueError, match="'device' parameter of TabularMLPRegressor must be"):
        TabularMLPRegressor(device=0).fit(TABLE, NUMBER)


def test_a_model_of_a_device_that_is_elsewhere_predicts_here():
    settings = {**SMALL, "max_iter": 1}
    model = TabularMLPRegressor(**settings, device="cpu").fit(TABLE, NUMBER)
    assert model.device_ == torch.device("cpu")
    state = model.__getstate__()
    assert state["device_"] == "cpu"
    there = TabularMLPRegressor.__new__(TabularMLPRegressor)
    there.__setstate__({**state, "device_": "cuda:99"})
    assert there.device_ == torch.device("cpu")
    assert_array_equal(there.predict(TABLE), model.predict(TABLE))
