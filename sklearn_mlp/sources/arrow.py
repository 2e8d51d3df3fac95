"""`ArrowSource`: data sets and tables of Arrow's, and Parquet files, by row group."""

import os
from collections.abc import Iterator, Sequence
from typing import Any, final

from sklearn_mlp.machine.optional_packages import import_optional
from sklearn_mlp.sources.base import Part, RowSource, features_among

# How many numbers are read at a time, as far as the file allows.
_READ_NUMBERS = 1 << 20
_PURPOSE = "Reading Parquet files, or what is pyarrow's,"


@final
class ArrowSource(RowSource):
    """Columns of a pyarrow data set.

    A row group of a Parquet file is a block; of other files, and of tables, what pyarrow calls a
    fragment.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
        The rows.
    features, targets, weights : list of str
        The columns that are samples, targets and weights.
    """

    def __init__(
        self, dataset: Any, features: list[str], targets: list[str], weights: list[str]
    ) -> None:
        self._dataset = dataset
        self._features, self._targets, self._weights = features, targets, weights
        # Fragments, what they are called, and their schemas.
        self._blocks: list[tuple[Any, str, Any]] = []
        like: tuple[Any, str] | None = None
        for fragment in _fragments(dataset):
            path = getattr(fragment, "path", None) or "the table"
            schema = self._schema_of(fragment, path)
            like = like or (schema, path)
            self._check_schema(schema, path, like)
            self._blocks += [(*group, schema) for group in _row_groups(fragment, path)]

    @classmethod
    def of(cls, X: Any, y: Any, sample_weight: Any, names: Sequence[str] | None) -> "ArrowSource":
        """Take a data set, a table, or the path of a Parquet file or folder.

        Raises
        ------
        TypeError, ValueError
            If a column that is named is not there, or is none of numbers.
        """
        dataset = _dataset_of(X)
        targets = [] if y is None else [y] if isinstance(y, str) else list(y)
        if sample_weight is not None and not isinstance(sample_weight, str):
            raise TypeError(
                "sample_weight must be the name of a column where y is one, got a "
                f"{type(sample_weight).__name__}."
            )
        weights = [] if sample_weight is None else [sample_weight]
        there = dataset.schema.names
        for argument, columns in (("y", targets), ("sample_weight", weights)):
            for column in columns:
                if column not in there:
                    raise ValueError(
                        f"{argument} must be a column of X, which has {there}, got {column!r}."
                    )
        features = features_among(there, [*targets, *weights], names)
        return cls(dataset, features, targets, weights)

    @property
    def n_blocks(self) -> int:
        """How many row groups there are."""
        return len(self._blocks)

    @property
    def feature_names(self) -> list[str]:
        """The columns that are samples."""
        return self._features

    def describe(self, block: int) -> str:
        """Return file and row group."""
        return self._blocks[block][1]

    def read(self, block: int) -> Iterator[Part]:
        """Read samples, targets and weights."""
        for batch in self._batches(block, [*self._features, *self._targets, *self._weights]):
            yield (batch.select(self._features), *self._beside(batch))

    def read_samples(self, block: int) -> Iterator[Part]:
        """Read the columns of the samples alone."""
        return ((batch,) for batch in self._batches(block, self._features))

    def read_targets(self, block: int) -> Iterator[Part]:
        """Read targets and weights alone."""
        for batch in self._batches(block, [*self._targets, *self._weights]):
            yield (None, *self._beside(batch))

    def _beside(self, batch: Any) -> Part:
        """Return targets and weights of some rows."""
        targets = batch.select(self._targets) if self._targets else None
        return (targets, batch.select(self._weights)) if self._weights else (targets,)

    def _batches(self, block: int, columns: list[str]) -> Iterator[Any]:
        """Read some columns of a block, a table at a time."""
        pyarrow = import_optional("pyarrow", extra="streams", purpose=_PURPOSE)
        fragment, where, schema = self._blocks[block]
        columns = list(dict.fromkeys(columns))  # one may be target and weight
        size = max(1024, _READ_NUMBERS // max(1, len(columns)))
        try:
            batches = fragment.to_batches(schema=schema, columns=columns, batch_size=size)
            for batch in batches:
                if batch.num_rows:
                    yield pyarrow.Table.from_batches([batch])
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            raise _unreadable(where, error) from error

    def _schema_of(self, fragment: Any, path: str) -> Any:
        """Return a file's own schema, with the columns that its folder's name stands for."""
        module = import_optional("pyarrow.dataset", extra="streams", purpose=_PURPOSE)
        schema = _reading(path, lambda: fragment.physical_schema)
        for name in module.get_partition_keys(fragment.partition_expression):
            if name not in schema.names:
                schema = schema.append(self._dataset.schema.field(name))
        return schema

    def _check_schema(self, schema: Any, path: str, like: tuple[Any, str]) -> None:
        """Check that a file has the columns of the first, and numbers in them."""
        first, first_path = like
        for name in [*self._features, *self._targets, *self._weights]:
            if name not in schema.names:
                raise ValueError(
                    f"all files of X must have the same columns, {name!r} among them as in "
                    f"{first_path}, got {schema.names} in {path}."
                )
            kind = schema.field(name).type
            if name not in self._targets and not _is_number(kind):
                before = f", after {first.field(name).type} in {first_path}"
                raise ValueError(
                    f"column {name!r} must be numbers, got {kind} in {path}"
                    f"{before if path != first_path else ''}. Encode it first, or leave it out."
                )


def _is_number(kind: Any) -> bool:
    """Tell whether a type of Arrow's is one of real numbers."""
    types = import_optional("pyarrow.types", extra="streams", purpose=_PURPOSE)
    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    return any(test(kind) for test in tests)


def is_path(path: str | os.PathLike[str]) -> bool:
    """Tell whether there is such a file or folder, or it is an address elsewhere."""
    return "://" in os.fspath(path) or os.path.exists(path)


def _dataset_of(X: Any) -> Any:
    """Return a data set, a table or a path as a data set."""
    module = import_optional("pyarrow.dataset", extra="streams", purpose=_PURPOSE)
    if isinstance(X, module.Dataset):
        return X
    if not isinstance(X, str | os.PathLike | list):
        return _dataset_in_memory(X, module)
    paths = [os.fspath(path) for path in (X if isinstance(X, list) else [X])]
    for path in paths:
        if not is_path(path):
            raise FileNotFoundError(
                f"X must be the path of a Parquet file or folder, got {path!r}."
            )
    given = paths if isinstance(X, list) else paths[0]
    named = ", ".join(paths[:3])
    dataset = _reading(named, lambda: module.dataset(given, format="parquet", partitioning="hive"))
    if not dataset.files:
        raise ValueError(f"X must have a file at least, got the empty folder {named!r}.")
    return dataset


def _dataset_in_memory(X: Any, module: Any) -> Any:
    """Return a table as a data set.

    Raises
    ------
    TypeError
        If it is none, or can be read only once.
    """
    if not hasattr(X, "num_rows"):
        raise TypeError(
            "X must be a data set, a table or a record batch of pyarrow's, or a path, which can "
            f"be read anew in each epoch, got a {type(X).__name__}."
        )
    return module.dataset(X)


def _fragments(dataset: Any) -> Iterator[Any]:
    """Go through the files of a data set, in the order of their names."""
    try:
        fragments = list(dataset.get_fragments())
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"X must be a data set without a filter, whose files are read one by one: {error}"
        ) from error
    return iter(sorted(fragments, key=lambda fragment: getattr(fragment, "path", "")))


def _row_groups(fragment: Any, path: str) -> list[tuple[Any, str]]:
    """Return the row groups of a file, and what they are called."""
    if not hasattr(fragment, "split_by_row_group"):
        return [(fragment, path)]
    groups = _reading(path, fragment.split_by_row_group)
    return [(group, f"row group {group.row_groups[0].id} of {path}") for group in groups]


def _reading(path: str, read: Any) -> Any:
    """Return what a function has read of a file."""
    try:
        return read()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(where: str, error: Exception) -> OSError:
    """Return the error of what cannot be read."""
    return OSError(
        f"X could not be read: {where} must be a whole file that pyarrow can read, but it said: "
        f"{error}"
    )
