"""Samples in files, read some rows at a time: the numbers of a fit in memory."""

import os
import signal
import threading
import tracemalloc

import h5py
import numpy as np
import pytest
import torch
import zarr

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.arrays import stored
from sklearn_mlp.arrays.stored import StoredArray, is_read_by_block
from sklearn_mlp.compiled.library import why_not_here
from sklearn_mlp.data.dense import DenseRows
from sklearn_mlp.data.kinds import rows_to_train_on
from sklearn_mlp.data.streamed import StreamedRows

N_SAMPLES, N_FEATURES = 300, 5
FAST = {"hidden_layer_sizes": (6,), "max_iter": 3, "tol": 0, "batch_size": 32, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class RowsOnly:
    """Has a shape, a type and rows, and nothing else; counts what it is asked for."""

    def __init__(self, values):
        self._values = values
        self.shape, self.dtype = values.shape, values.dtype
        self.largest = 0

    def __getitem__(self, rows):
        part = self._values[rows]
        self.largest = max(self.largest, len(part))
        return part


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Read files of every size by block, and these in blocks of 70 rows."""
    monkeypatch.setattr(stored, "LARGEST_WHOLE", 0)
    monkeypatch.setattr(stored, "BLOCK_SIZE", 70 * N_FEATURES)
    monkeypatch.setattr(stored, "_LARGER_BLOCKS", 1)
    monkeypatch.setattr(stored, "_STRETCH_SIZE", 100 * N_FEATURES)


@pytest.fixture
def samples():
    """Return numbers, and labels and numbers that depend on them."""
    X = np.random.RandomState(0).normal(size=(N_SAMPLES, N_FEATURES))
    return X, (X[:, 0] > X[:, 1]).astype(int), X[:, 0] - X[:, 2]


def in_file(kind, X, folder):
    """Write numbers to a file; return what reads them from there."""
    if kind == "memmap":
        np.save(folder / "X.npy", X)
        return np.load(folder / "X.npy", mmap_mode="r")
    if kind == "h5py":
        file = h5py.File(folder / "X.h5", "w")
        return file.create_dataset("samples", data=X, chunks=(64, X.shape[1]))
    if kind == "zarr":
        array = zarr.create_array(folder / "X.zarr", shape=X.shape, chunks=(64, 5), dtype=X.dtype)
        array[:] = X
        return array
    return RowsOnly(X)


KINDS = ["memmap", "h5py", "zarr", "rows"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}], ids=["plain", "early"])
def test_numbers_in_memory(kind, settings, samples, tmp_path, backend):
    """A fit on a file gives the numbers of one in memory, and so do all predictions."""
    X, labels, _ = samples
    F = in_file(kind, X, tmp_path)
    weights = np.random.RandomState(1).uniform(size=N_SAMPLES)
    model = TorchMLPClassifier(**FAST, **settings, dtype="float64", backend=backend)
    expected = model.fit(X, labels, weights)
    probabilities = expected.predict_proba(X)
    loss, score = model.loss_curve_, model.score(X, labels)
    model.fit(F, labels, weights)
    np.testing.assert_allclose(model.loss_curve_, loss, rtol=1e-9)
    np.testing.assert_allclose(model.predict_proba(F), probabilities, rtol=1e-9)
    np.testing.assert_array_equal(model.predict(F), model.predict(X))
    np.testing.assert_allclose(model.hidden_activations(F), model.hidden_activations(X))
    np.testing.assert_allclose(model.input_gradients(F), model.input_gradients(X))
    assert model.score(F, labels) == pytest.approx(score)


@pytest.mark.parametrize("is_compiled", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"shuffle": False},
        {"dropout": 0.2, "weight_averaging": "ema"},
        {"batch_size": N_SAMPLES},
    ],
    ids=["plain", "in order", "dropout", "one batch"],
)
def test_steps(settings, is_compiled, samples, tmp_path, monkeypatch):
    """Compiled steps take whole blocks, torch's the batches of one; both have the numbers."""
    if is_compiled and why_not_here():
        pytest.skip(why_not_here())
    if not is_compiled:
        monkeypatch.setenv("SKLEARN_MLP_COMPILED", "0")
    X, labels, _ = samples
    X, weights = np.tile(X, 8), np.random.RandomState(1).uniform(size=N_SAMPLES)
    weights[64:96] = 0
    F = in_file("memmap", X, tmp_path)
    fits = [
        TorchMLPClassifier(**{**FAST, **settings}, dtype="float64").fit(A, labels, weights)
        for A in (X, F)
    ]
    assert fits[0].engine_ == fits[1].engine_ == ("compiled" if is_compiled else "closed_form")
    np.testing.assert_allclose(fits[1].loss_curve_, fits[0].loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(fits[1].predict_proba(X), fits[0].predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("kind", ["h5py", "zarr"])
def test_chunks_are_read_once(kind, samples, tmp_path):
    """A block reads each chunk that has a row of it once, neighbours together, and no other."""
    X, *_ = samples
    F = in_file(kind, X, tmp_path)
    read = []

    class Counted:
        shape, dtype, chunks = X.shape, X.dtype, F.chunks

        def __getitem__(self, rows):
            read.append((rows.start, rows.stop))
            return F[rows]

    S = StoredArray(Counted())
    for rows in (np.array([200, 3, 60, 199, 3]), np.arange(N_SAMPLES)[::-7], np.array([290, 299])):
        read.clear()
        np.testing.assert_array_equal(S[rows], X[rows])
        chunks = [start // 64 for start, stop in read for start in range(start, stop, 64)]
        assert chunks == sorted(set(rows // 64))


def test_kept(samples, tmp_path, monkeypatch):
    """What is in chunks, and no more than the blocks that would be in memory, is read once."""
    X, labels, _ = samples
    F = in_file("h5py", X, tmp_path)
    monkeypatch.setattr(stored, "_LARGER_BLOCKS", 3)

    kinds = [
        type(rows_to_train_on(StoredArray(each), torch.float32, torch.device("cpu")))
        for each in (F, in_file("memmap", X, tmp_path), RowsOnly(X))
    ]
    assert kinds == [DenseRows, StreamedRows, StreamedRows]
    model = TorchMLPClassifier(**FAST, dtype="float64")
    assert model.fit(F, labels).loss_curve_ == model.fit(X, labels).loss_curve_


def cut_otherwise(X, folder):
    """Go through mapped arrays that do not lie as NumPy has them by itself, by name."""
    np.save(folder / "F.npy", np.asfortranarray(X))
    yield "columns first", np.load(folder / "F.npy", mmap_mode="r")
    (folder / "odd.bin").write_bytes(b"odd" + X.tobytes())
    odd = np.memmap(folder / "odd.bin", X.dtype, "r", offset=3, shape=X.shape)
    yield "odd address", odd
    yield "some columns", odd[:, 1:4]
    yield "backwards", odd[::-1]
    yield "every third", in_file("memmap", X, folder)[::3]


def test_mapped_arrays_of_any_layout(samples, tmp_path):
    """Rows are read from them without all of it being brought into another layout."""
    rows = np.random.RandomState(0).permutation(100)[:50]
    for name, array in cut_otherwise(np.tile(samples[0], (100, 1)), tmp_path):
        for dtype in (np.float32, np.float64):
            tracemalloc.start()
            numbers = StoredArray(array).read(rows, dtype)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            np.testing.assert_array_equal(numbers, np.array(array[rows], dtype), err_msg=name)
            assert peak < array.nbytes / 2, name


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("dtype", ["float16", "float32", ">f8", "int16", "bool"])
def test_types(dtype, shuffle, samples, tmp_path):
    """Numbers of every type are converted by block, into what they are in memory."""
    X, _, y = samples
    X = (4 * X).astype(dtype)
    F = in_file("memmap", X, tmp_path)
    models = [TorchMLPRegressor(**FAST, shuffle=shuffle).fit(one, y) for one in (X, F)]
    expected, found = (model.predict(one) for model, one in zip(models, (X, F), strict=True))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_validation_set_and_lbfgs(samples, tmp_path):
    """A validation set may be a file, too; a solver that sees all samples goes through blocks."""
    X, _, y = samples
    F = in_file("h5py", X, tmp_path)
    for settings in ({}, {"solver": "lbfgs"}, {"batch_size": N_SAMPLES}):
        fits = [
            TorchMLPRegressor(**{**FAST, **settings}, dtype="float64").fit(A, y, X_val=A, y_val=y)
            for A in (X, F)
        ]
        np.testing.assert_allclose(fits[1].predict(X), fits[0].predict(X), rtol=1e-6)


def test_partial_fit_scoring_and_normalisation(samples, tmp_path):
    """A scorer of the user's gets the held-out rows, and other networks train, too."""
    X, labels, _ = samples
    F = in_file("zarr", X, tmp_path)

    def score(model, X_val, y_val):
        assert len(X_val) == len(y_val) == 30
        return model.score(X_val, y_val)

    settings = {**FAST, "early_stopping": True, "scoring": score, "normalization": "batch"}
    fits = [TorchMLPClassifier(**settings, dtype="float64").fit(A, labels) for A in (X, F)]
    np.testing.assert_allclose(fits[1].predict_proba(X), fits[0].predict_proba(X), rtol=1e-7)
    parts = [TorchMLPClassifier(**FAST).partial_fit(A, labels, classes=[0, 1]) for A in (X, F)]
    np.testing.assert_allclose(parts[1].predict_proba(X), parts[0].predict_proba(X), rtol=1e-3)


def test_is_never_read_whole(samples):
    """No call asks for more rows than a block has."""
    X, labels, _ = samples
    F = RowsOnly(X)
    model = TorchMLPClassifier(**FAST, early_stopping=True).fit(F, labels)
    model.predict(F)
    # Blocks of a prediction are chunks: more rows than there are here.
    F.largest = 0
    model.fit(F, labels)
    assert F.largest <= 70


def test_what_is_read_by_block(samples, tmp_path, monkeypatch):
    """Files above a size are; arrays in memory, whatever their size, are not."""
    X = samples[0]
    F = in_file("memmap", X, tmp_path)
    assert is_read_by_block(F)
    assert not is_read_by_block(X)
    monkeypatch.setattr(stored, "LARGEST_WHOLE", F.nbytes)
    assert not is_read_by_block(F)
    assert not is_read_by_block(in_file("h5py", X, tmp_path))
    own = RowsOnly(X)
    assert is_read_by_block(own)
    own.shape = tuple(map(np.int64, own.shape))
    assert is_read_by_block(own)


@pytest.mark.parametrize("kind", KINDS)
def test_rows(kind, samples, tmp_path):
    """Rows come in any order, several times, from a part of a part, and are not the file's."""
    X = samples[0]
    array = StoredArray(in_file(kind, X, tmp_path))
    rows = np.array([7, 3, 3, 299, 0, -1])
    np.testing.assert_array_equal(array[rows], X[rows])
    np.testing.assert_array_equal(array[3], X[3])
    np.testing.assert_array_equal(array[250:400], X[250:400])
    np.testing.assert_array_equal(array[2:9:3], X[2:9:3])
    np.testing.assert_array_equal(array[X[:, 0] > 0], X[X[:, 0] > 0])
    np.testing.assert_array_equal(array.take(rows[:5]).take(rows[1:3])[:], X[rows[:5]][[3, 3]])
    np.testing.assert_array_equal(np.asarray(array), X)
    assert array[5:5].shape == (0, N_FEATURES)
    assert array[2:9].flags.writeable


@pytest.mark.parametrize("kind", ["h5py", "zarr", "rows"])
@pytest.mark.parametrize("n_rows", [1, 20, 50, 290])
def test_few_and_many_rows(kind, n_rows, samples, tmp_path):
    """Rows that are far apart are read by number, others as stretches, which are not all."""
    X, source = samples[0], in_file(kind, samples[0], tmp_path)
    asked = []

    class Asked:
        """Keeps what is asked for."""

        shape, dtype = X.shape, X.dtype

        def __getitem__(self, rows):
            asked.append(rows)
            return source[rows]

    rows = np.random.RandomState(0).permutation(N_SAMPLES)[:n_rows]
    np.testing.assert_array_equal(StoredArray(Asked())[rows], X[rows])
    if n_rows > 40:
        assert [rows.stop - rows.start for rows in asked[:-1]] == [70] * 4
    elif n_rows > 1:
        assert [len(rows) for rows in asked] == [n_rows]
    np.testing.assert_array_equal(StoredArray(Asked())[[299, 0, 299]], X[[299, 0, 299]])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(value, samples, tmp_path):
    """The error says where it is."""
    X, labels, _ = samples
    X = X.copy()
    X[123, 2] = value
    F = in_file("h5py", X, tmp_path)
    with pytest.raises(ValueError, match=r"Input X contains .*row 123, column 2 of .*X\.h5, /sam"):
        TorchMLPClassifier(**FAST).fit(F, labels)


def test_unfit(samples, tmp_path):
    """What is no table of numbers in the range of the type is refused, by name."""
    X, labels, _ = samples
    model = TorchMLPClassifier(**FAST).fit(X, labels)
    with pytest.raises(
        ValueError, match="X has 4 features, but TorchMLPClassifier is expecting 5"
    ):
        model.predict(RowsOnly(X[:, :4]))
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead: RowsOnly"):
        model.fit(RowsOnly(X[:, 0]), labels)
    with pytest.raises(ValueError, match="must be an array of real numbers, got complex128"):
        model.fit(RowsOnly(X + 0j), labels)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(RowsOnly(X), labels[:-1])
    with pytest.raises(ValueError, match="X must fit into float32"):
        TorchMLPClassifier(**FAST, dtype="float32").fit(RowsOnly(X * 1e200), labels)


class Failing(RowsOnly):
    """Cannot be read in a thread: while it trains, that is."""

    def __getitem__(self, rows):
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the disk is gone")
        return super().__getitem__(rows)


def test_failing_reader(samples, backend):
    """An error of the reading thread is the fit's, and leaves the estimator as it was."""
    X, labels, _ = samples
    model = TorchMLPClassifier(**FAST, backend=backend).fit(X, labels)
    before = model.predict_proba(X)
    with pytest.raises(OSError, match=r"X could not be read: .* of Failing: the disk is gone"):
        model.fit(Failing(X), labels)
    np.testing.assert_array_equal(model.predict_proba(X), before)


class Interrupting(RowsOnly):
    """Sends an interrupt to the process while it trains."""

    def __init__(self, values):
        super().__init__(values)
        self.n_read = 0

    def __getitem__(self, rows):
        if threading.current_thread() is not threading.main_thread():
            self.n_read += 1
            if self.n_read == 8:
                os.kill(os.getpid(), signal.SIGINT)
        return super().__getitem__(rows)


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_interrupt(samples):
    """An interrupt while the thread reads leaves a model, and no thread."""
    X, labels, _ = samples
    model = TorchMLPClassifier(**{**FAST, "max_iter": 50, "n_iter_no_change": 50})
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(Interrupting(X), labels)
    assert model.n_iter_ < 50
    assert np.isfinite(model.predict_proba(X)).all()


def test_file_cut_short(samples, tmp_path):
    """A mapped file that has lost its end is an error, where reading on would end the process."""
    X, labels, _ = samples
    F = in_file("memmap", X, tmp_path)
    model = TorchMLPClassifier(**FAST).fit(F, labels)
    os.truncate(tmp_path / "X.npy", 4096)
    for call in (
        lambda: TorchMLPClassifier(**FAST).fit(F[10:], labels[10:]),
        lambda: model.predict(F),
    ):
        with pytest.raises(OSError, match=r"X\.npy has 4096 bytes, but X reaches to byte 12128"):
            call()
    model.predict(F[:50])


def test_file_replaced(samples, tmp_path):
    """What counts is the file that was opened, whatever has its name now."""
    X, labels, _ = samples
    F = in_file("memmap", X, tmp_path)
    os.remove(tmp_path / "X.npy")
    (tmp_path / "X.npy").write_bytes(b"another")
    assert TorchMLPClassifier(**FAST).fit(F, labels).score(F, labels) > 0


def test_file_cut_short_while_read(samples, tmp_path, backend):
    """So it is when the file is cut while the network trains."""
    X, labels, _ = samples
    F = in_file("memmap", X, tmp_path)
    model = TorchMLPClassifier(**FAST, backend=backend).fit(X, labels)
    before = model.predict_proba(X)

    def cut(estimator, X, y):
        if estimator.n_iter_ == 2:
            os.truncate(tmp_path / "X.npy", 4096)
        return 0.0

    model.set_params(early_stopping=True, scoring=cut)
    with pytest.raises(OSError, match="has been cut short since it was opened"):
        model.fit(F, labels)
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize("dtype", ["float32", ">f8", "bool", "int8"])
def test_dataset_in_one_piece(dtype, samples, tmp_path):
    """One of h5py's, in a file that is only read, is read as a mapped one is."""
    X, _, y = samples
    X = (4 * X).astype(dtype)
    with h5py.File(tmp_path / "X.h5", "w", userblock_size=512) as file:
        file["first"], file["X"] = np.arange(7), X
        assert StoredArray(file["X"])._mapped is None
    with h5py.File(tmp_path / "X.h5") as file:
        array = StoredArray(file["X"])
        assert array._mapped is not None
        rows = np.random.RandomState(0).permutation(N_SAMPLES)
        np.testing.assert_array_equal(array[rows], X[rows])
        models = [TorchMLPRegressor(**FAST).fit(A, y) for A in (X, file["X"])]
        np.testing.assert_allclose(*(model.predict(X) for model in models), rtol=1e-4)


def test_closed_file(samples, tmp_path, backend):
    """A file of h5py's that is closed is an error that says so, before and while it trains."""
    X, labels, _ = samples
    dataset = in_file("h5py", X, tmp_path)
    model = TorchMLPClassifier(**FAST, backend=backend, early_stopping=True)

    def close(estimator, X, y):
        dataset.file.close()
        return 0.0

    model.set_params(scoring=close)
    with pytest.raises(OSError, match=r"of .*X\.h5, /samples: the file has been closed"):
        model.fit(dataset, labels)
    with pytest.raises(OSError, match="lies in a file that has been closed"):
        model.fit(dataset, labels)
    with pytest.raises(OSError, match="lies in a file that has been closed"):
        model.fit(X, labels, X_val=dataset, y_val=labels)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_while_reading():
    """A process forked while a block is read reads it by itself."""
    from sklearn_mlp.data.reading import ReadingAhead

    gate = threading.Event()
    first = threading.current_thread()

    def read():
        if threading.current_thread() is not first:
            gate.wait()
        return np.arange(3)

    reading = ReadingAhead(read)
    child = os.fork()
    if child == 0:
        os._exit(0 if reading.result().sum() == 3 else 1)
    assert os.waitpid(child, 0)[1] == 0
    gate.set()
    assert reading.result().sum() == 3
