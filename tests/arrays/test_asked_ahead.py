"""Rows of a mapped file that is not in the system's cache are asked for before they are copied."""

import os

import numpy as np
import pytest

from sklearn_mlp.arrays import asked_ahead
from sklearn_mlp.arrays.mapped import MappedArray

pytestmark = pytest.mark.skipif(
    not hasattr(os, "RWF_NOWAIT") or not hasattr(os, "posix_fadvise"),
    reason="the system cannot be asked",
)
N_ROWS, N_FEATURES = 5000, 20


@pytest.fixture
def mapped(tmp_path):
    X = np.random.default_rng(0).normal(size=(N_ROWS + 3, N_FEATURES))
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")[3:]


@pytest.fixture
def asked(monkeypatch):
    """Return what is asked for: where, and how much."""
    parts = []

    def ask(file, start, n_bytes, advice):
        assert advice == os.POSIX_FADV_WILLNEED
        parts.append((start, n_bytes))

    monkeypatch.setattr(os, "posix_fadvise", ask)
    return parts


def say(monkeypatch, error):
    """Have the system say that a part cannot be read at once."""

    def preadv(*arguments):
        raise error

    monkeypatch.setattr(os, "preadv", preadv)


def copied(X, rows):
    numbers = np.empty((len(rows), X.shape[1]), np.float32)
    MappedArray(X, "X").copy_rows(rows, numbers)
    return numbers


def test_not_in_the_cache(mapped, asked, monkeypatch):
    say(monkeypatch, BlockingIOError())
    rows = np.random.default_rng(1).permutation(N_ROWS)
    np.testing.assert_array_equal(copied(mapped, rows), np.array(mapped, np.float32)[rows])
    n_bytes = 8 * N_FEATURES
    first = mapped.offset + 3 * n_bytes
    assert asked == [(first + row * n_bytes, n_bytes) for row in rows.tolist()]


def test_ahead_and_no_further(mapped, asked, monkeypatch):
    say(monkeypatch, BlockingIOError())
    with asked_ahead.asking_ahead(mapped.filename, np.arange(N_ROWS), 1) as ask:
        ask(100)
        assert len(asked) == 100 + asked_ahead._N_AHEAD
        ask(N_ROWS)
    assert len(asked) == N_ROWS


@pytest.mark.parametrize("error", [None, OSError("not known")])
def test_in_the_cache_or_not_known(error, mapped, asked, monkeypatch):
    if error is not None:
        say(monkeypatch, error)
    rows = np.arange(N_ROWS)[::-1]
    np.testing.assert_array_equal(copied(mapped, rows), np.array(mapped, np.float32)[rows])
    assert not asked


@pytest.mark.parametrize("cut", [lambda X: X[:, 1:], lambda X: X[::2], lambda X: X[:, ::-1]])
def test_rows_in_pieces(cut, mapped, asked, monkeypatch):
    say(monkeypatch, BlockingIOError())
    X = cut(mapped)
    rows = np.arange(len(X))[::-1]
    np.testing.assert_array_equal(copied(X, rows), np.array(X, np.float32)[rows])
    assert not asked


def test_file_without_a_name_any_more(mapped, asked, monkeypatch):
    say(monkeypatch, BlockingIOError())
    os.remove(mapped.filename)
    rows = np.arange(N_ROWS)[::-1]
    np.testing.assert_array_equal(copied(mapped, rows), np.array(mapped, np.float32)[rows])
    assert not asked


def test_nothing_stays_open(mapped, monkeypatch):
    say(monkeypatch, BlockingIOError())
    before = len(os.listdir("/dev/fd"))
    copied(mapped, np.arange(N_ROWS))
    assert len(os.listdir("/dev/fd")) == before
