"""`RowSource`: rows that cannot be had in any order, but in blocks that can be read again.

The protocol for samples that are neither an array nor like one: files of one's own, a database, a
stream that can be begun anew. What others have (Parquet, torch, Dask) is put into the same form by
a class in a file of its own; `choice` tells them apart.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, final

# What a source may give of a stretch of rows: samples, and mostly targets and weights.
Part = tuple[Any, ...]


class RowSource(ABC):
    """Samples with their targets, read in blocks, as often as they are asked for.

    A subclass says how many blocks there are and reads one; an instance is passed to ``fit`` in
    the place of ``X``, without ``y``. The blocks are gone through once before training, for the
    classes, the scale of the targets and the number of rows, and then once an epoch, in an order
    that ``random_state`` decides. Each time a block must give the same rows in the same order.

    Targets and sample weights are kept in memory; of the samples so many as `fit` shuffles at a
    time, and as many again, which a thread reads meanwhile. So ``read`` runs in a thread, though
    never in two at once.

    See Also
    --------
    TorchMLPClassifier.fit : Takes a source, and lists what else is taken as one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mlp import RowSource, TorchMLPRegressor
    >>> class Waves(RowSource):
    ...     n_blocks = 3
    ...
    ...     def read(self, block):
    ...         X = np.random.default_rng(block).normal(size=(100, 2))
    ...         yield X, np.sin(X[:, 0])
    >>> model = TorchMLPRegressor(random_state=0).fit(Waves())
    >>> model.score(Waves()) > 0.8
    True
    >>> model.predict(Waves()).shape
    (300,)
    """

    # Whether `read_rows` reads rows in any order, whether a block may be without rows, and whether
    # predictions are asked for `lazily`.
    has_random_access = False
    may_have_empty_blocks = False
    is_lazy = False

    @property
    @abstractmethod
    def n_blocks(self) -> int:
        """How many blocks there are; a single one is always read from its beginning to its end."""

    @abstractmethod
    def read(self, block: int) -> Iterable[Part]:
        """Read a block, whose parts are in memory one at a time.

        Parameters
        ----------
        block : int
            Which, from 0 to ``n_blocks - 1``.

        Yields
        ------
        part : tuple
            ``(X, y)`` or ``(X, y, sample_weight)`` of some rows: arrays, tensors, DataFrames,
            Arrow tables. For predictions, ``(X,)`` is enough.
        """

    def describe(self, block: int) -> str:
        """Return what an error calls a block: a file's name, for example.

        Parameters
        ----------
        block : int
            Which.

        Returns
        -------
        name : str
            Such as "block 3 of Waves".
        """
        return f"block {block} of {type(self).__name__}"

    def read_samples(self, block: int) -> Iterable[Part]:
        """Read a block again, for its samples; what `read` does, if that costs no more.

        Parameters
        ----------
        block : int
            Which.

        Yields
        ------
        part : tuple
            As `read`; targets that come are compared with those of the first time.
        """
        return self.read(block)

    def read_targets(self, block: int) -> Iterable[Part]:
        """Read a block for its targets and weights; what `read` does, if that costs no more.

        Parameters
        ----------
        block : int
            Which.

        Yields
        ------
        part : tuple
            As `read`; samples that come are left alone.
        """
        return self.read(block)

    def read_rows(self, rows: Any) -> Iterable[Part]:
        """Read some rows in any order; only where there is random access.

        Parameters
        ----------
        rows : ndarray of int
            Which, of all.

        Yields
        ------
        part : tuple
            As `read`, of some of them at a time.
        """
        raise NotImplementedError(f"{type(self).__name__} reads blocks from beginning to end")

    def lazily(self, predict: Callable[[Any], Any]) -> Any:
        """Return predictions that are computed later on; only where that is done.

        Parameters
        ----------
        predict : callable
            Takes the samples of some rows; returns an array, or a list or tuple of them.

        Returns
        -------
        predictions : object
            A collection of the kind of the samples.
        """
        raise NotImplementedError(f"{type(self).__name__} is predicted at once")

    @property
    def feature_names(self) -> Sequence[str] | None:
        """Names of the features; None if it is for the parts to say."""
        return None


@final
class IteratedSource(RowSource):
    """What yields parts anew whenever it is iterated over: one block.

    Parameters
    ----------
    parts : iterable of tuple
        As the user has it.
    """

    n_blocks = 1

    def __init__(self, parts: Iterable[Any]) -> None:
        self._parts = parts

    def read(self, block: int) -> Iterator[Part]:
        """Go through the parts.

        Raises
        ------
        TypeError
            If one is no tuple.
        """
        for place, part in enumerate(self._parts):
            if not isinstance(part, tuple | list) or not 1 <= len(part) <= 3:
                raise TypeError(
                    f"X, a {type(self._parts).__name__}, must yield (X, y) or "
                    f"(X, y, sample_weight) of some rows at a time, got a {type(part).__name__} "
                    f"as item {place}."
                )
            yield tuple(part)

    def describe(self, block: int) -> str:
        """Return what an error calls it."""
        return type(self._parts).__name__


def features_among(
    columns: Sequence[str], used: Sequence[str], names: Sequence[str] | None
) -> list[str]:
    """Return which columns are features: those that are known, else all that are not used.

    Where some that are known are not there, the estimator says which.

    Raises
    ------
    ValueError
        If there are none.
    """
    known = [] if names is None else list(names)
    features = [name for name in known if name in columns]
    features = features or [name for name in columns if name not in used]
    if not features:
        raise ValueError(
            f"X must have a column that is neither y nor sample_weight, got {list(columns)}."
        )
    return features
