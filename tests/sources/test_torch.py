"""Data sets and loaders of torch's in the place of X."""

import numpy as np
import pytest
import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)

from sklearn_mlp import TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.sources import blocks

N_SAMPLES = 300
FAST = {"hidden_layer_sizes": (6,), "max_iter": 3, "tol": 0, "batch_size": 32, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.RandomState(0)
X = RNG.normal(size=(N_SAMPLES, 5))
LABELS = np.array(["no", "yes"])[(X[:, 0] > X[:, 1]).astype(int)]
NUMBERS = X[:, 0] - X[:, 2]
WEIGHTS = RNG.uniform(size=N_SAMPLES)
TENSORS = TensorDataset(*map(torch.tensor, (X, NUMBERS, WEIGHTS)))


class Items(Dataset):
    """Has an item per row, as users write it."""

    def __len__(self):
        return N_SAMPLES

    def __getitem__(self, index):
        return torch.tensor(X[index]), NUMBERS[index], WEIGHTS[index]


class Labelled(Items):
    """Has labels that are text."""

    def __getitem__(self, index):
        return X[index], str(LABELS[index])


class Chunks(Dataset):
    """Has an item per 50 rows."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        rows = slice(50 * index, 50 * index + 50)
        return X[rows], NUMBERS[rows], WEIGHTS[rows]


class Stream(IterableDataset):
    """Gives one row after the other."""

    def __iter__(self):
        return iter(TENSORS)


@pytest.fixture(params=["kept", "read again"])
def where(request, monkeypatch):
    """Keep samples in memory, or read them anew in each epoch."""
    if request.param == "read again":
        monkeypatch.setattr(blocks, "BUFFER_BYTES", 70 * 5 * 8)
    return request.param


ALL = [
    TENSORS,
    Items(),
    Subset(Items(), range(N_SAMPLES)),
    DataLoader(Items(), batch_size=7, shuffle=True, drop_last=True),
    DataLoader(TENSORS, batch_size=64),
    DataLoader(Chunks(), batch_size=None),
    Stream(),
    DataLoader(Stream(), batch_size=50),
]


@pytest.mark.parametrize("dataset", ALL, ids=lambda each: type(each).__name__)
def test_numbers_in_memory(dataset, where, backend):
    """Rows that can be read in any order come in that of memory; others if there are few."""
    model = TorchMLPRegressor(**FAST, early_stopping=True, dtype="float64", backend=backend)
    model.fit(X, NUMBERS, WEIGHTS)
    loss, predictions = model.loss_curve_, model.predict(X)
    state = torch.get_rng_state()
    model.fit(dataset)
    assert (torch.get_rng_state() == state).all()
    is_random = isinstance(getattr(dataset, "dataset", dataset), Items | TensorDataset)
    if is_random or where == "kept":
        np.testing.assert_allclose(model.loss_curve_, loss, rtol=1e-9)
        np.testing.assert_allclose(model.predict(X), predictions, rtol=1e-9)
    np.testing.assert_allclose(model.predict(dataset), model.predict(X), rtol=1e-9)
    expected = model.score(X, NUMBERS, WEIGHTS)
    assert model.score(dataset) == pytest.approx(expected)


def test_workers_and_labels(where):
    """A loader's workers read; labels may be text; a validation set is a data set, too."""
    loader = DataLoader(Labelled(), batch_size=64, num_workers=1)
    model = TorchMLPClassifier(**{**FAST, "max_iter": 1}, dtype="float64")
    expected = model.fit(X, LABELS, X_val=X, y_val=LABELS).predict_proba(X)
    model.fit(loader, X_val=Labelled())
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-9)
    model.partial_fit(Labelled())


class Bad(Items):
    """Gives what is no row."""

    def __init__(self, item):
        self.item = item

    def __getitem__(self, index):
        return self.item


@pytest.mark.parametrize(
    ("dataset", "error", "message"),
    [
        (
            DataLoader(TENSORS, sampler=WeightedRandomSampler(WEIGHTS, 10)),
            ValueError,
            "X must be a DataLoader that goes through all rows once.* WeightedRandomSampler",
        ),
        (
            DataLoader(TENSORS, sampler=RandomSampler(TENSORS, num_samples=20)),
            ValueError,
            "got one with a RandomSampler",
        ),
        (Bad({"x": 1.0}), TypeError, r"X must give \(X, y\) .* but Bad gave a dict"),
        (
            Bad((np.array([1.0, np.nan]), 1)),
            ValueError,
            "X contains NaN: in row 0, column 1 of Bad",
        ),
        (Bad((np.ones((2, 2)), 1)), ValueError, r"must have two axes.* Bad, .*\(300, 2, 2\)"),
        (TensorDataset(torch.tensor(X)), ValueError, "requires y to be passed"),
    ],
    ids=["sampler", "some rows", "dict", "NaN", "images", "no targets"],
)
def test_errors(dataset, error, message):
    """What cannot be trained on is said before anything is."""
    with pytest.raises(error, match=message):
        TorchMLPRegressor(**FAST).fit(dataset)
