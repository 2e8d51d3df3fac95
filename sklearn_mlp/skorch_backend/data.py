"""The samples as skorch takes them: data sets, and iterators over their batches."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import skorch.dataset
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from sklearn_mlp.contract.config import TrainingConfig
from sklearn_mlp.data.batches import Batch, Batches
from sklearn_mlp.data.dense import DenseRows
from sklearn_mlp.data.rows import Rows
from sklearn_mlp.data.samples import TrainingData
from sklearn_mlp.targets.codecs import TargetCodec


class LabelledSamples(skorch.dataset.Dataset):
    """Samples with targets, as skorch's callbacks read them: ``X``, ``y``, a length, an item.

    Parameters
    ----------
    data : TrainingData
        Samples and targets, and which rows of them count.
    config : TrainingConfig
        How they are cut into batches.
    """

    def __init__(self, data: TrainingData, config: TrainingConfig) -> None:
        self.data = data
        self.config = config

    def __len__(self) -> int:
        return self.data.n_train

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        """Return one sample and its label, or those of several."""
        places = np.arange(len(self))[np.asarray(index) if isinstance(index, Tensor) else index]
        rows = np.atleast_1d(places if self.data.rows is None else self.data.rows[places])
        X, y = UnlabelledSamples(self.data.inputs)[rows], self._labels(rows)
        return (X[0], y[0]) if places.ndim == 0 else (X, y)

    @property
    def X(self) -> Any:
        """The samples, a tensor or a sparse matrix."""
        return self.inputs.source

    @property
    def inputs(self) -> Rows:
        """The samples, as the net predicts them."""
        inputs, rows = self.data.inputs, self.data.rows
        return inputs if rows is None else inputs.take(rows)

    @property
    def y(self) -> np.ndarray:
        """The labels as the user has them, or the numbers."""
        return self._labels(self.data.rows)

    def of_all(self) -> tuple[Any, np.ndarray]:
        """Return samples and labels as the user has passed them, a part held out among them."""
        return self.data.inputs.source, self._labels(None)

    def _labels(self, rows: np.ndarray | None) -> np.ndarray:
        """Return the labels of some rows."""
        targets = self.data.targets
        return labels_of(targets if rows is None else targets[rows], self.data.codec)


def labels_of(targets: Tensor, codec: TargetCodec) -> np.ndarray:
    """Return the labels, or numbers, that targets of shape (n_samples, n_outputs) stand for."""
    return codec.restore(targets.cpu().numpy())


class Labels(np.ndarray):
    """A batch's labels as the user has them; they carry what the loss and the step need.

    Attributes
    ----------
    batch : Batch
        The batch.
    place : int
        Its number in the epoch.
    """

    batch: Batch
    place: int

    @classmethod
    def of(cls, values: np.ndarray, batch: Batch, place: int) -> "Labels":
        """Return the labels with their batch."""
        labels = values.view(cls)
        labels.batch, labels.place = batch, place
        return labels


class EpochBatches:
    """Samples with targets in our order: iterating gives the batches of one epoch.

    Parameters
    ----------
    dataset : LabelledSamples
        The samples.
    batch_size : int
        From skorch; the samples' own settings have it, too.
    **options
        Of `DataLoader`, such as ``num_workers``. Without any, no such loader is needed.
    """

    def __init__(self, dataset: LabelledSamples, batch_size: int, **options: Any) -> None:
        data, config = dataset.data, dataset.config
        self._codec = data.codec
        self._device = data.targets.device
        self._order: list[np.ndarray] = []
        self._loader = _load_rows(data.inputs, self._order, options) if options else None
        if options:
            # The batches consist of row numbers, which the loader's workers then read.
            numbers = torch.arange(len(data.inputs), dtype=torch.float64, device="cpu")
            numbers = numbers.unsqueeze(1)
            data = replace(data, inputs=DenseRows(numbers), targets=data.targets.cpu())
        self._batches = Batches(data, batch_size=config.batch_size, shuffle=config.shuffle)

    def __iter__(self) -> Iterator[tuple[Tensor, Labels]]:
        self._batches.begin_epoch()
        labels = labels_of(self._batches.epoch_targets(), self._codec)
        start = 0
        for place, (inputs, batch) in enumerate(self._inputs_and_batches()):
            stop = start + batch.size
            # A batch whose weights are all 0 is as if it were not there.
            if batch.weight_sum:
                yield inputs, Labels.of(labels[start:stop], batch, place)
            start = stop

    def _inputs_and_batches(self) -> Iterable[tuple[Tensor, Batch]]:
        """Pair each batch with its samples, from skorch's loader if there is one."""
        if self._loader is None:
            return ((_tensor(batch), batch) for batch in self._batches)
        batches = []
        self._order.clear()
        for batch in self._batches:
            self._order.append(_tensor(batch)[:, 0].numpy().astype(np.int64))
            shares = None if batch.shares is None else batch.shares.to(self._device)
            batches.append(replace(batch, targets=batch.targets.to(self._device), shares=shares))
        return zip(self._loader, batches, strict=True)


def _tensor(batch: Batch) -> Tensor:
    """Return a batch's samples as a tensor, which may be sparse."""
    inputs: Tensor = batch.inputs if isinstance(batch.inputs, Tensor) else batch.inputs.tensor()
    return inputs


class UnlabelledSamples(torch.utils.data.Dataset):
    """Samples without targets, read some rows at a time, which are dense."""

    def __init__(self, inputs: Rows) -> None:
        # So its chunks have as many rows as memory has place for.
        self.inputs = inputs.made_dense()

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, rows: Any) -> Tensor:
        batch: Tensor = self.inputs.batch(rows)
        return batch


class Chunks:
    """Samples without targets, a bounded number at a time, for predictions.

    Parameters
    ----------
    dataset : UnlabelledSamples
        The samples.
    batch_size : int
        How many at a time.
    **options
        As for `EpochBatches`.
    """

    def __init__(self, dataset: UnlabelledSamples, batch_size: int, **options: Any) -> None:
        starts = range(0, len(dataset), batch_size)
        chunks = [np.arange(start, min(start + batch_size, len(dataset))) for start in starts]
        self._dataset, self._chunks = dataset, chunks
        self._loader = _load_rows(dataset.inputs, chunks, options) if options else None

    def __iter__(self) -> Iterator[tuple[Tensor, None]]:
        if self._loader is not None:
            return ((inputs, None) for inputs in self._loader)
        slices = (slice(chunk[0], chunk[-1] + 1) for chunk in self._chunks)
        return ((self._dataset[rows], None) for rows in slices)


def _load_rows(
    inputs: Rows, row_sets: list[np.ndarray], options: dict[str, Any]
) -> Iterable[Tensor]:
    """Return a loader that reads one set of rows after the other; what it gives is on the CPU."""
    # The generator is its own: torch's global one must not be drawn from.
    return DataLoader(
        # Workers cannot read from an accelerator.
        UnlabelledSamples(inputs.to(torch.device("cpu"))),
        batch_size=None,
        sampler=row_sets,
        generator=torch.Generator("cpu"),
        **options,
    )
