"""The batches: every way to gather samples gives the same ones in the same order."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
import torch

from sklearn_mlp.data import batches as batches_module
from sklearn_mlp.data import dense as dense_module
from sklearn_mlp.data.batches import Batches
from sklearn_mlp.data.converted import ConvertedRows
from sklearn_mlp.data.dense import DenseRows, StreamedGather
from sklearn_mlp.data.samples import TrainingData
from sklearn_mlp.data.sparse import SparseBatch, SparseRows
from sklearn_mlp.targets.codecs import NumberCodec


def make_data(**changes):
    inputs = torch.arange(22.0).view(11, 2)
    targets = inputs[:, :1] * 10
    data = TrainingData(DenseRows(inputs), targets, NumberCodec(), np.random.RandomState(3))
    return replace(data, **changes)


def epochs_of(data, n_epochs=2, batch_size=4, shuffle=True):
    """Return inputs, targets, sizes and shares of each batch, all epochs in a row, as lists."""
    batches = Batches(data, batch_size=batch_size, shuffle=shuffle)
    seen = []
    for _ in range(n_epochs):
        batches.begin_epoch()
        for batch in batches:
            inputs = batch.inputs
            if isinstance(inputs, SparseBatch):
                inputs = inputs.times(torch.eye(inputs.n_features, dtype=inputs.values.dtype))
            shares = None if batch.shares is None else batch.shares.tolist()
            seen.append((inputs.tolist(), batch.targets.t().tolist(), batch.size, shares))
    return seen


@pytest.fixture
def expected():
    return epochs_of(make_data())


def test_every_sample_comes_once_per_epoch_with_its_target(expected):
    for epoch in (expected[:3], expected[3:]):
        rows = [row for inputs, _, _, _ in epoch for row in inputs]
        assert sorted(rows) == make_data().inputs.source.tolist()
        assert [size for _, _, size, _ in epoch] == [4, 4, 3]
    for inputs, targets, _, _ in expected:
        assert [[10 * row[0]] for row in inputs] == targets
    assert expected[:3] != expected[3:]


def test_gathering_by_batch_is_gathering_by_epoch(expected, monkeypatch):
    monkeypatch.setattr(dense_module, "epoch_copy_bytes", lambda device: 0)
    assert epochs_of(make_data()) == expected


def test_streaming_is_gathering(expected, monkeypatch):
    # On the CPU the copies are not asynchronous; the order and the two buffers are the same.
    monkeypatch.setattr(DenseRows, "gather", lambda self, *_, is_moved: StreamedGather(self, 4))
    assert epochs_of(make_data()) == expected


@pytest.mark.parametrize("is_dense", [False, True])
def test_sparse_rows_are_the_dense_ones(expected, is_dense):
    matrix = scipy.sparse.csr_array(make_data().inputs.source.numpy())
    rows = SparseRows(matrix, torch.float32, torch.device("cpu"), is_dense)
    assert epochs_of(make_data(inputs=rows)) == expected


def test_converted_rows_are_the_dense_ones(expected):
    numbers = make_data().inputs.source.numpy().astype(np.int16)
    rows = ConvertedRows(numbers, torch.float32, torch.device("cpu"))
    assert epochs_of(make_data(inputs=rows)) == expected


def test_views_are_made_anew_where_there_are_too_many(expected, monkeypatch):
    monkeypatch.setattr(batches_module, "_KEPT_BATCHES", 2)
    assert epochs_of(make_data()) == expected


def test_only_the_rows_to_train_on_come():
    data = make_data(rows=np.array([8, 3, 5, 1, 10]))
    (first, _, _, _), (second, _, _, _) = epochs_of(data, 1, shuffle=False)
    assert [row[0] / 2 for row in first + second] == [8, 3, 5, 1, 10]


def test_shares_sum_to_one_in_each_batch_and_to_zero_without_weight():
    weights = np.array([0, 0, 0, 0, 1, 2, 3, 4, 0, 5, 5], dtype=float)
    batches = epochs_of(make_data(sample_weight=weights), 1, shuffle=False)
    np.testing.assert_allclose([sum(shares) for *_, shares in batches], [0, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(batches[1][3], [0.1, 0.2, 0.3, 0.4], rtol=1e-6)
