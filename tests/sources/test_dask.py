"""Collections of Dask's in the place of X, y and sample_weight."""

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

from sklearn_mlp import HiddenFeatures, TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.sources import blocks

N_SAMPLES = 300
FAST = {"hidden_layer_sizes": (6,), "max_iter": 2, "tol": 0, "batch_size": 32, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.RandomState(0)
FRAME = pd.DataFrame(RNG.normal(size=(N_SAMPLES, 4)), columns=["a", "b", "c", "d"])
X = FRAME.to_numpy()
LABELS = np.where(FRAME["a"] > FRAME["b"], "yes", "no").astype(object)
NUMBERS = (FRAME["a"] - FRAME["c"]).to_numpy()
WEIGHTS = RNG.uniform(size=N_SAMPLES)
TABLE = FRAME.assign(label=LABELS, number=NUMBERS, weight=WEIGHTS)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Compute where Dask is asked, without threads of its own."""
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def lazy():
    """Return a DataFrame of three partitions, one of them empty."""
    bounds = [0, 150, 150, N_SAMPLES]
    return dd.from_map(lambda n: TABLE.iloc[bounds[n] : bounds[n + 1]], range(3), meta=TABLE[:0])


@pytest.fixture(params=["kept", "read again"])
def where(request, monkeypatch):
    """Keep samples in memory, or compute them anew in each epoch."""
    if request.param == "read again":
        monkeypatch.setattr(blocks, "BUFFER_BYTES", 70 * 4 * 8)
    return request.param


def test_frame(lazy, where):
    """Columns are named, as of a Parquet file; predictions are lazy, and those in memory."""
    model = TorchMLPClassifier(**FAST, early_stopping=True, dtype="float64")
    data = lazy.drop(columns=["number"])
    model.fit(data, y="label", sample_weight="weight", X_val=data, y_val="label")
    if where == "kept":
        loss = model.loss_curve_
        model.fit(
            FRAME,
            LABELS,
            WEIGHTS,
            X_val=FRAME,
            y_val=LABELS,
        )
        np.testing.assert_allclose(model.loss_curve_, loss)
    assert list(model.feature_names_in_) == list("abcd")
    for method in ("predict", "predict_proba", "hidden_activations"):
        result = getattr(model, method)(data)
        assert isinstance(result, da.Array)
        expected = getattr(model, method)(FRAME)
        assert result.dtype == expected.dtype
        assert result.ndim == expected.ndim
        if method == "predict":
            np.testing.assert_array_equal(result, expected)
        else:
            np.testing.assert_allclose(result, expected, rtol=1e-9)
    expected = model.score(FRAME, LABELS, WEIGHTS)
    assert model.score(data, y="label", sample_weight="weight") == pytest.approx(expected)


def test_array(where):
    """Arrays, in chunks of several columns, and targets in others of their own."""
    samples = da.from_array(X, chunks=(70, 3))
    targets = da.from_array(np.column_stack([NUMBERS, NUMBERS]), chunks=(100, 1))
    model = TorchMLPRegressor(**FAST, dtype="float64").fit(samples, targets)
    predictions = model.predict(samples)
    assert isinstance(predictions, da.Array)
    assert predictions.shape == (N_SAMPLES, 2)
    np.testing.assert_allclose(predictions.compute(), model.predict(X), rtol=1e-9)
    weights = da.from_array(WEIGHTS, chunks=100)
    model.set_params(loss="gaussian_nll").fit(samples, da.from_array(NUMBERS), weights)
    means, deviations = model.predict(samples, return_std=True)
    assert means.shape == deviations.shape == (N_SAMPLES,)
    assert (deviations.compute() > 0).all()
    features = HiddenFeatures(TorchMLPRegressor(**FAST)).fit(samples, targets)
    assert features.transform(samples).compute().shape == (N_SAMPLES, 6)
    model.partial_fit(samples, da.from_array(NUMBERS, chunks=50))


def test_later_fits_do_not_change_predictions(lazy):
    """What is lazy is of the network as it was."""
    frame = lazy[["a", "b", "c", "d", "label"]]
    model = TorchMLPClassifier(**FAST).fit(frame, y="label")
    expected, later = model.predict_proba(FRAME), model.predict_proba(frame)
    model.fit(frame[list("abcd")], y=frame["label"] == "yes")  # of the classes False and True
    np.testing.assert_allclose(later.compute(), expected, rtol=1e-5)


def test_unknown_chunks(lazy):
    """Partitions whose rows are not counted are counted by the fit."""
    samples, targets = lazy[list("abcd")].to_dask_array(), lazy["number"].to_dask_array()
    model = TorchMLPRegressor(**FAST).fit(samples, targets)
    assert len(model.predict(samples).compute()) == N_SAMPLES
    np.testing.assert_allclose(
        model.predict(lazy[list("abcd")].to_dask_array(lengths=True)), model.predict(X), rtol=1e-4
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model, lazy: model.fit(lazy, y="lable"), "y must be a column of X, which has"),
        (
            lambda model, lazy: model.fit(lazy, y="label"),
            "could not convert string to float: 'yes'",
        ),
        (
            lambda model, lazy: model.fit(lazy[["a", "b"]], lazy["a"].repartition(npartitions=2)),
            "y must have the partitions of X, 3, got 2",
        ),
        (
            lambda model, lazy: model.fit(
                lazy[["b", "number"]].assign(a=lazy["a"].mask(lazy["a"] == X[180, 0])), y="number"
            ),
            "X contains NaN: in row 30, column 'a' of partition 2 of X",
        ),
        (lambda model, lazy: model.fit(lazy[["a"]]), "requires y to be passed"),
        (lambda model, lazy: model.fit(da.ones(10), da.ones(10)), "X must have two axes"),
    ],
)
def test_errors(call, message, lazy):
    """An error names the partition, and the row in it."""
    with pytest.raises(ValueError, match=message):
        call(TorchMLPRegressor(**FAST), lazy)


def test_columns():
    """A column of text is named; so are weights that are no collection, and a forgotten y."""
    frame = dd.from_pandas(FRAME.assign(label=LABELS), npartitions=3)
    model = TorchMLPClassifier(**FAST)
    with pytest.raises(ValueError, match=r"numbers in partition 0 of X, column 'label': could"):
        model.fit(frame, y="a")
    with pytest.raises(TypeError, match=r"sample_weight must be a collection .* got a ndarray"):
        model.fit(frame, y="label", sample_weight=np.ones(len(FRAME)))
    with pytest.raises(ValueError, match=r"requires y .* where X is a DataFrame"):
        model.fit(frame)
