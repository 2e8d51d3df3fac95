"""Rows that are read anew in each epoch: order, numbers, and what is asked of a source."""

import os
import pickle
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_mlp import (
    BatchedGridSearchCV,
    RowSource,
    TabularMLPClassifier,
    TorchMLPClassifier,
    TorchMLPRegressor,
    cross_validate_batched,
)
from sklearn_mlp.data.rows import Rows
from sklearn_mlp.data.sourced import SourceRows
from sklearn_mlp.sources import blocks
from sklearn_mlp.sources.first_pass import read_once

N_SAMPLES, N_FEATURES = 300, 5
FAST = {"hidden_layer_sizes": (6,), "max_iter": 3, "tol": 0, "batch_size": 32, "random_state": 0}
CPU = torch.device("cpu")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.RandomState(0)
X = RNG.normal(size=(N_SAMPLES, N_FEATURES))
LABELS = np.array(["no", "yes"])[(X[:, 0] > X[:, 1]).astype(int)]
NUMBERS = X[:, 0] - X[:, 2]
WEIGHTS = RNG.uniform(size=N_SAMPLES)


class Blocks(RowSource):
    """Arrays in blocks of unequal size, each in parts of at most 20 rows; counts what is read."""

    def __init__(self, *arrays, bounds=(0, 50, 130, 131, 260, 300)):
        self.arrays, self.bounds = arrays, bounds
        self.n_read = 0

    @property
    def n_blocks(self):
        return len(self.bounds) - 1

    def read(self, block):
        for start in range(self.bounds[block], self.bounds[block + 1], 20):
            rows = slice(start, min(start + 20, self.bounds[block + 1]))
            self.n_read += rows.stop - rows.start
            yield tuple(array[rows] for array in self.arrays)


class Anew:
    """Can be iterated over as often as one likes, and nothing else."""

    def __init__(self, *arrays):
        self.arrays = arrays

    def __iter__(self):
        return Blocks(*self.arrays, bounds=(0, N_SAMPLES)).read(0)


def row_bytes(n_rows):
    """Return the size of so many rows."""
    return n_rows * N_FEATURES * 8


@pytest.fixture
def small_buffer(monkeypatch):
    """Shuffle 70 rows at a time."""
    monkeypatch.setattr(blocks, "BUFFER_BYTES", row_bytes(70))


@pytest.mark.parametrize("kind", [Blocks, Anew])
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}], ids=["plain", "early"])
def test_numbers_in_memory(kind, settings, backend):
    """What fits into the buffer is fitted as if it were in memory."""
    model = TorchMLPClassifier(**FAST, **settings, class_weight="balanced", backend=backend)
    model.fit(X, LABELS, WEIGHTS)
    loss, probabilities = model.loss_curve_, model.predict_proba(X)
    source = kind(X, LABELS, WEIGHTS)
    model.fit(source)
    assert model.loss_curve_ == loss
    np.testing.assert_allclose(model.predict_proba(source), probabilities, rtol=1e-6)
    np.testing.assert_array_equal(model.predict(source), model.predict(X))
    activations = model.hidden_activations(X)
    np.testing.assert_allclose(model.hidden_activations(source), activations, rtol=1e-4)
    assert model.score(source) == pytest.approx(model.score(X, LABELS, WEIGHTS))


def replay(monkeypatch, source):
    """Let samples in memory come in the order of a source's."""
    array = read_once(source).X
    streamed = SourceRows(array, torch.float64, CPU)
    monkeypatch.setattr(
        Rows, "shuffle", lambda self, rows, random: SourceRows.shuffle(streamed, rows, random)
    )


@pytest.mark.usefixtures("small_buffer")
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"early_stopping": True},
        {"shuffle": False},
        {"solver": "lbfgs"},
        {"normalization": "batch", "dropout": 0.2},
        {"batch_size": N_SAMPLES},
    ],
    ids=["plain", "early", "unshuffled", "lbfgs", "autograd", "single"],
)
def test_numbers_in_the_same_order(settings, backend, monkeypatch):
    """The same rows in the same order of batches give the same numbers."""
    model = TorchMLPRegressor(**{**FAST, **settings, "dtype": "float64", "backend": backend})
    source = Blocks(X, NUMBERS, WEIGHTS)
    model.fit(source)
    loss, predictions = model.loss_, model.predict(source)
    np.testing.assert_allclose(model.predict(X), predictions, rtol=1e-9)
    replay(monkeypatch, source)
    model.fit(X, NUMBERS, WEIGHTS)
    np.testing.assert_allclose(model.loss_, loss, rtol=1e-9)
    np.testing.assert_allclose(model.predict(X), predictions, rtol=1e-7, atol=1e-9)


@pytest.mark.usefixtures("small_buffer")
def test_order():
    """Blocks come in an order of their own, rows shuffled within the buffer; each comes once."""
    array = read_once(Blocks(X, NUMBERS)).X
    rows = SourceRows(array, torch.float64, CPU)
    some = np.flatnonzero(np.arange(N_SAMPLES) % 3)
    orders = [rows.shuffle(some, np.random.RandomState(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()
    np.testing.assert_array_equal(np.sort(orders[0]), some)
    # 200 rows in buffers of 70: what comes at a time is of few blocks.
    bounds = Blocks().bounds
    of_blocks = [np.unique(np.digitize(orders[0][n : n + 70], bounds)) for n in (0, 70, 140)]
    assert max(map(len, of_blocks)) < 5
    assert (np.diff(orders[0]) != 1).any()


@pytest.mark.usefixtures("small_buffer")
def test_each_block_is_read_once_an_epoch():
    """A block that two buffers share is gone on with."""
    source = Blocks(X, NUMBERS)
    TorchMLPRegressor(**FAST).fit(source)
    # Once before training, and three epochs.
    assert source.n_read == 4 * N_SAMPLES
    source = Anew(X, NUMBERS)
    model = TorchMLPRegressor(**FAST).fit(source)
    assert model.predict(source).shape == (N_SAMPLES,)


@pytest.mark.usefixtures("small_buffer")
def test_reads_one_buffer_ahead():
    """No more is read than the buffer that is computed with and the next one."""
    source = Blocks(X, NUMBERS)
    rows = SourceRows(read_once(source).X, torch.float64, CPU)
    gather = rows.gather(N_SAMPLES, 10, is_moved=True)
    order = rows.shuffle(np.arange(N_SAMPLES), RNG)
    gather.begin_epoch(order, torch.from_numpy(order))
    source.n_read = 0
    for place, _ in enumerate(gather.batches([10] * 30)):
        # A part has at most 20 rows, and a block may begin before the rows that are wanted.
        assert source.n_read <= 70 * (place // 7 + 2) + 20
    assert source.n_read == N_SAMPLES


@pytest.mark.usefixtures("small_buffer")
def test_buffers_of_any_size(monkeypatch):
    """Rows come in the order that was drawn, whatever the buffer and the batches."""
    for n_rows in (1, 7, 70, 299):
        monkeypatch.setattr(blocks, "BUFFER_BYTES", row_bytes(n_rows))
        read = read_once(Blocks(X, NUMBERS))
        array, targets = read.X, read.y
        rows = SourceRows(array, torch.float64, CPU)
        np.testing.assert_array_equal(targets, NUMBERS)
        taken = rows.take(np.arange(N_SAMPLES)[::-2])
        for one, all_rows in ((rows, X), (taken, X[::-2])):
            gather = one.gather(len(one), 32, is_moved=True)
            for _ in range(2):
                order = one.shuffle(np.arange(len(one)), RNG)
                gather.begin_epoch(order, torch.from_numpy(order))
                sizes = [32] * (len(one) // 32) + [len(one) % 32]
                batches = [batch.clone() for batch in gather.batches(sizes)]
                assert [len(batch) for batch in batches] == sizes
                np.testing.assert_array_equal(torch.cat(batches), all_rows[order])
            np.testing.assert_array_equal(one.batch(slice(10, 20)), all_rows[10:20])
            np.testing.assert_array_equal(one.batch(slice(20, 30)), all_rows[20:30])
            np.testing.assert_array_equal(one.batch(slice(0, 5)), all_rows[:5])
            np.testing.assert_array_equal(one.batch(np.array([7, 3, 140])), all_rows[[7, 3, 140]])
            again = pickle.loads(pickle.dumps(one))
            np.testing.assert_array_equal(again.batch(slice(3, 9)), all_rows[3:9])


@pytest.mark.usefixtures("small_buffer")
def test_held_out_rows(monkeypatch):
    """Those held out are the same in memory, and stay where they are if they are too many."""
    model = TorchMLPClassifier(**FAST, early_stopping=True, dtype="float64")
    source = Blocks(X, LABELS)
    held = model.fit(source).validation_scores_
    monkeypatch.setattr(blocks, "BUFFER_BYTES", row_bytes(20))
    replay_free = model.fit(source, X_val=X[:9], y_val=LABELS[:9]).validation_scores_
    assert len(replay_free) == 3
    seen = []

    def score(model, X_val, y_val):
        seen.append((np.asarray(X_val), y_val))
        return model.score(X_val, y_val)

    model.set_params(scoring=score, max_iter=2).fit(source)
    assert len(seen[0][0]) == len(seen[0][1]) == 30
    for one in seen:
        np.testing.assert_array_equal(one[0], seen[0][0])
    assert len(held) == 3


@pytest.mark.usefixtures("small_buffer")
def test_what_blocks_may_be():
    """Tables, tensors, several targets, other types; a validation set is a source, too."""
    frame = pd.DataFrame(X, columns=list("abcde")).astype("float32")
    model = TorchMLPRegressor(**FAST, early_stopping=True)
    model.fit(Blocks(frame, NUMBERS), X_val=Blocks(frame, NUMBERS, WEIGHTS))
    assert list(model.feature_names_in_) == list("abcde")
    assert model.predict(Blocks(frame)).dtype == np.float32
    assert model.score(Blocks(frame, NUMBERS)) == pytest.approx(model.score(frame, NUMBERS))
    targets = torch.tensor(np.column_stack([NUMBERS, X[:, 1]]))
    model.set_params(early_stopping=False).fit(Blocks(torch.tensor(X), targets))
    assert model.predict(Blocks(torch.tensor(X))).shape == (N_SAMPLES, 2)
    whole = (4 * X).astype(np.int16)
    model.partial_fit(Blocks(whole, targets))
    model.set_params(loss="gaussian_nll", solver="adam").fit(Blocks(whole, NUMBERS))
    means, deviations = model.predict(Blocks(whole), return_std=True)
    assert means.shape == deviations.shape == (N_SAMPLES,)


class Changing(Blocks):
    """Is another one when it is read again."""

    def __init__(self, later, *arrays):
        super().__init__(*arrays)
        self.later, self.n_begun = later, 0

    def read(self, block):
        self.n_begun += 1
        arrays = self.later if self.n_begun > self.n_blocks else self.arrays
        return Blocks(*arrays, bounds=self.bounds).read(block)


def spoilt(row, column, value):
    """Return the samples with another value in one place."""
    changed = X.copy()
    changed[row, column] = value
    return changed


@pytest.mark.usefixtures("small_buffer")
@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            Blocks(spoilt(140, 3, np.nan), LABELS),
            "X contains NaN: in row 9, column 3 of block 3 of Blocks",
        ),
        (Blocks(spoilt(1, 0, np.inf), LABELS), "X contains infinity: in row 1, column 0 of block"),
        (
            Blocks(X, np.where(np.arange(N_SAMPLES) == 60, None, LABELS)),
            "y must not be missing, and finite, got None in row 10 of block 1 of Blocks",
        ),
        (Blocks(X, LABELS, bounds=(0, 9, 9, 300)), "block 1 of Blocks is empty: each block must"),
        (Blocks(X.astype(str), LABELS), "X must be real numbers in block 0 of Blocks, got <U"),
        (Blocks(X[:, 0], LABELS), r"X must have two axes, .* in block 0 .* the shape \(20,\)"),
        (Blocks(X, LABELS[:250]), r"must have as many rows each, got \[20, 19\] in block 3"),
        (Blocks(X), "requires y to be passed"),
        (
            Changing([X, LABELS[::-1]], X, LABELS),
            "block . of Changing must have the targets that it had",
        ),
        (Changing([X[:, 1:], LABELS], X, LABELS), "must have the 5 features that it had .* got 4"),
    ],
)
def test_errors(source, message):
    """An error says in which block something is wrong, what must hold, and what came."""
    with pytest.raises(ValueError, match=message):
        TorchMLPClassifier(**FAST).fit(source)


def test_new_labels(small_buffer):
    """A class that was not there before is said to be where it is."""
    labels = LABELS.astype(object)
    labels[140] = "maybe"
    place = r"The first such label is 'maybe', in row 9 of block 3 of Blocks\.$"
    model = TorchMLPClassifier(**FAST).fit(Blocks(X, LABELS))
    with pytest.raises(ValueError, match=r"classes not in `self.classes_`.*" + place):
        model.partial_fit(Blocks(X, labels))
    with pytest.raises(ValueError, match=r"that are not in the training set's y.*" + place):
        model.fit(Blocks(X, LABELS), X_val=Blocks(X, labels))
    with pytest.raises(ValueError, match=r"classes not in.*" + place):
        TorchMLPClassifier(**FAST).partial_fit(Blocks(X, labels), classes=["no", "yes"])


def test_errors_of_form():
    """What is no source, or not as it should be, is told before anything is read."""
    model = TorchMLPClassifier(**FAST)
    with pytest.raises(TypeError, match=r"read only once: pass what begins anew .*RowSource"):
        model.fit(Anew(X, LABELS).__iter__())
    with pytest.raises(TypeError, match=r"OfRows, must yield .* got a ndarray as item 0"):
        model.fit(OfRows())
    with pytest.raises(ValueError, match="y must not be passed beside X where X is a Blocks"):
        model.fit(Blocks(X, LABELS), LABELS)
    with pytest.raises(ValueError, match="y must be of one type and form in all blocks"):
        model.fit(Mixed())
    model.fit(Blocks(X, LABELS))
    with pytest.raises(ValueError, match="X has 4 features, but TorchMLPClassifier is expecting"):
        model.predict(Blocks(X[:, 1:]))


@pytest.mark.parametrize("source", [Blocks(X, LABELS), Anew(X, LABELS)], ids=["blocks", "anew"])
def test_what_takes_no_sources(source):
    """Searches and estimators for tables have their rows in memory, and say so."""
    model = TorchMLPClassifier(**FAST)
    for call in (
        lambda: BatchedGridSearchCV(model, {"alpha": [1, 2]}).fit(source),
        lambda: cross_validate_batched(model, source),
        lambda: TabularMLPClassifier().fit(source, None),
    ):
        with pytest.raises(TypeError, match=r"takes rows that are in memory, got a .* as X"):
            call()


def test_scores_need_targets():
    """A score without targets says where they may come from."""
    model = TorchMLPClassifier(**FAST).fit(X, LABELS)
    with pytest.raises(ValueError, match="y must be passed, or be in X, for a score"):
        model.score(Blocks(X))


class OfRows:
    """Gives rows instead of tuples of arrays."""

    def __iter__(self):
        return iter(X)


class Mixed(RowSource):
    """Has labels of two types."""

    n_blocks = 2

    def read(self, block):
        yield X, [LABELS, NUMBERS][block]


@pytest.mark.usefixtures("small_buffer")
def test_one_shot_within():
    """What says that it begins anew, but does not, is found out."""

    class OneShot:
        def __init__(self):
            self.parts = iter(Anew(X, LABELS))

        def __iter__(self):
            return self.parts

    with pytest.raises(ValueError, match=r"OneShot must have the 300 rows that it had .* got 0"):
        TorchMLPClassifier(**FAST).fit(OneShot())


class Interrupting(Blocks):
    """Sends an interrupt to the process while it trains."""

    n_begun = 0

    def read(self, block):
        if threading.current_thread() is not threading.main_thread():
            self.n_begun += 1
            if self.n_begun == 12:
                os.kill(os.getpid(), signal.SIGINT)
        return super().read(block)


@pytest.mark.usefixtures("small_buffer", "ctrl_c_interrupts")
def test_interrupt():
    """An interrupt while the thread reads leaves a model, and no thread."""
    model = TorchMLPClassifier(**{**FAST, "max_iter": 50, "n_iter_no_change": 50})
    n_threads = threading.active_count()
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(Interrupting(X, LABELS))
    assert model.n_iter_ < 50
    assert np.isfinite(model.predict_proba(X)).all()
    # One that was about to end, of whomever's, may.
    ends = time.monotonic() + 30
    while threading.active_count() > n_threads and time.monotonic() < ends:
        time.sleep(0.01)
    assert threading.active_count() <= n_threads


class Failing(Blocks):
    """Cannot be read in a thread: while it trains, that is."""

    def read(self, block):
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the disk is gone")
        return super().read(block)


@pytest.mark.usefixtures("small_buffer")
def test_failing_reader(backend):
    """An error of the reading thread is the fit's, and leaves the estimator as it was."""
    model = TorchMLPClassifier(**FAST, backend=backend).fit(X, LABELS)
    before = model.predict_proba(X)
    with pytest.raises(RuntimeError, match="the disk is gone"):
        model.fit(Failing(X, LABELS))
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize("part", [np.zeros((4, 2)), {"X": np.zeros((4, 2))}, ()])
def test_parts_that_are_no_tuples(part):
    class Single(RowSource):
        n_blocks = 1

        def read(self, block):
            yield part

    with pytest.raises(TypeError, match=r"^block 0 of Single must yield \(X, y\) or .*, got a "):
        TorchMLPRegressor().fit(Single())
