"""Data sets: from a folder of the original files, else from OpenML.

The folder is named by `--data` or the environment variable `SKLEARN_MLP_DATA`, and holds the files
as their authors publish them:

    mnist/train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-...  IDX, gzipped
    covertype/covtype.data.gz                    no header, 54 columns and the class
    california_housing/cal_housing.csv.gz        header, target median_house_value
    diamonds/diamonds.csv.gz                     header, target price

Whatever is not there is fetched with `sklearn.datasets.fetch_openml`, which keeps its own cache.
"""

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.datasets import fetch_openml

ENVIRONMENT_VARIABLE = "SKLEARN_MLP_DATA"

Table = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | npt.NDArray[np.int64]]


class DataUnavailable(RuntimeError):
    """A data set is neither in the folder nor to be had from OpenML."""


@dataclass(frozen=True)
class DataSource:
    """Where the real data sets come from.

    Parameters
    ----------
    folder : Path or None, default=None
        Folder of the original files; None takes everything from OpenML.
    """

    folder: Path | None = None

    @classmethod
    def from_option(cls, folder: str | None) -> "DataSource":
        """From the command line's `--data`, else the environment variable, else OpenML."""
        named = folder or os.environ.get(ENVIRONMENT_VARIABLE)
        if named is None:
            return cls()
        if not Path(named).is_dir():
            raise ValueError(f"the data folder {named!r} does not exist")
        return cls(Path(named).resolve())

    def mnist(self) -> Table:
        """70,000 images of 28 x 28 pixels in [0, 1], the 60,000 training ones first."""
        return _mnist(self.folder)

    def covertype(self) -> Table:
        """581,012 plots of forest, 54 features (10 numeric, 44 binary), 7 classes from 0."""
        return _covertype(self.folder)

    def california_housing(self) -> Table:
        """20,640 districts, 8 numeric features, median house value in US dollars."""
        return _california_housing(self.folder)

    def diamonds(self) -> Table:
        """53,940 diamonds, 6 numeric and 20 one-hot features, price in US dollars."""
        return _diamonds(self.folder)


def _local(folder: Path | None, *names: str) -> Path | None:
    """The file if it is there."""
    if folder is None:
        return None
    path = folder.joinpath(*names)
    return path if path.exists() else None


def _openml(fetch: Callable[[], pd.DataFrame], name: str, shape: tuple[int, int]) -> pd.DataFrame:
    """Fetch a frame that ends in the target; say what to do where that fails."""
    try:
        frame = fetch()
    except Exception as error:
        raise DataUnavailable(
            f"{name} is not in the data folder and OpenML cannot be reached "
            f"({type(error).__name__}); name a folder with --data or {ENVIRONMENT_VARIABLE}"
        ) from error
    if len(frame) != shape[0] or frame.shape[1] < shape[1]:
        raise DataUnavailable(f"OpenML gave {name} as {frame.shape}, expected {shape}")
    return frame


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read a gzipped IDX file of unsigned bytes, the format of MNIST.

    The format: two zero bytes, the type (8 for unsigned bytes), the number of dimensions, each
    dimension as a big-endian 32-bit integer, then the values.
    """
    with gzip.open(path) as file:
        content = file.read()
    if content[:3] != b"\x00\x00\x08":
        raise ValueError(
            f"{path} is no IDX file of unsigned bytes, it starts with {content[:3]!r}"
        )
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", count=dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(tuple(shape))


@cache
def _mnist(folder: Path | None) -> Table:
    if _local(folder, "mnist", "train-images-idx3-ubyte.gz"):
        assert folder is not None
        pieces = [
            (
                read_idx(folder / "mnist" / f"{part}-images-idx3-ubyte.gz"),
                read_idx(folder / "mnist" / f"{part}-labels-idx1-ubyte.gz"),
            )
            for part in ("train", "t10k")
        ]
        X = np.concatenate([images.reshape(len(images), -1) for images, _ in pieces])
        return X / 255.0, np.concatenate([labels for _, labels in pieces]).astype(np.int64)
    frame = _openml(
        lambda: fetch_openml(data_id=554, as_frame=True, parser="auto").frame,
        "mnist_784",
        (70_000, 785),
    )
    return frame.iloc[:, :784].to_numpy(np.float64) / 255.0, frame["class"].to_numpy(np.int64)


@cache
def _covertype(folder: Path | None) -> Table:
    path = _local(folder, "covertype", "covtype.data.gz")
    if path:
        frame = pd.read_csv(path, header=None)
    else:
        frame = _openml(
            lambda: fetch_openml(data_id=1596, as_frame=True, parser="auto").frame,
            "covertype",
            (581_012, 55),
        )
    X = frame.iloc[:, :54].astype(np.float64).to_numpy()
    return X, frame.iloc[:, 54].astype(np.int64).to_numpy() - 1


@cache
def _california_housing(folder: Path | None) -> Table:
    path = _local(folder, "california_housing", "cal_housing.csv.gz")
    if path:
        frame = pd.read_csv(path)
    else:
        frame = _openml(
            lambda: fetch_openml("california_housing", as_frame=True, parser="auto").frame,
            "california_housing",
            (20_640, 9),
        )
    # OpenML's copy has a categorical column and some missing values that the original has not.
    target = frame.pop("median_house_value").to_numpy(np.float64)
    numeric = frame.select_dtypes("number")
    return numeric.fillna(numeric.median()).to_numpy(np.float64), target


@cache
def _diamonds(folder: Path | None) -> Table:
    path = _local(folder, "diamonds", "diamonds.csv.gz")
    if path:
        frame = pd.read_csv(path)
    else:
        frame = _openml(
            lambda: fetch_openml(data_id=42225, as_frame=True, parser="auto").frame,
            "diamonds",
            (53_940, 10),
        )
    target = frame.pop("price").to_numpy(np.float64)
    one_hot = pd.get_dummies(frame, columns=["cut", "color", "clarity"])
    return one_hot.to_numpy(np.float64), target
