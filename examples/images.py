"""Load MNIST and Fashion-MNIST, and report how a model does on them.

The two sets have one format and one shape: 60,000 images to train and 10,000 to test, of 28 x 28
grey pixels, in 10 classes.
"""

import argparse
import gzip
import math
import os
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.datasets import fetch_openml
from sklearn.exceptions import ConvergenceWarning

N_TRAIN = 60_000
FILES = {
    "X_train": "train-images-idx3-ubyte.gz",
    "X_test": "t10k-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}
FOLDERS = {"mnist_784": "mnist", "Fashion-MNIST": "fashion_mnist"}
DATA = os.environ.get("SKLEARN_MLP_DATA")


class Images(NamedTuple):
    """Pixels divided by 255 as float32, (n, 784), and the class of each image, (n,)."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file of unsigned bytes into an array of the shape that it states.

    The format: two zero bytes, the type (8: unsigned byte), the number of dimensions, each
    dimension as a big-endian 32-bit integer, then the values.
    """
    content = gzip.decompress(path.read_bytes())
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise ValueError(f"an IDX file of unsigned bytes begins with 00 00 08; {path} does not")
    n_dims = content[3]
    shape = np.frombuffer(content, ">u4", count=n_dims, offset=4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * n_dims)
    if values.size != math.prod(map(int, shape)):
        raise ValueError(f"{path} states the shape {(*map(int, shape),)}, holds {values.size}")
    return values.reshape(shape)


def load_images(openml_name: str, folder: Path | str | None = DATA) -> Images:
    """Load a set from IDX files, or without a folder from OpenML.

    The files are in the folder itself, or in its folder ``mnist`` or ``fashion_mnist``.
    """
    if folder is None:
        print(f"downloading {openml_name} from OpenML (a later run uses scikit-learn's cache)")
        pixels, labels = fetch_openml(openml_name, version=1, as_frame=False, return_X_y=True)
        labels = labels.astype(np.int64)
        arrays = {
            "X_train": pixels[:N_TRAIN],
            "X_test": pixels[N_TRAIN:],
            "y_train": labels[:N_TRAIN],
            "y_test": labels[N_TRAIN:],
        }
    else:
        folder = Path(folder)
        if (folder / FOLDERS[openml_name]).is_dir():
            folder = folder / FOLDERS[openml_name]
        missing = [name for name in FILES.values() if not (folder / name).is_file()]
        if missing:
            raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}")
        arrays = {part: read_idx(folder / name) for part, name in FILES.items()}
    for part in ("X_train", "X_test"):
        arrays[part] = arrays[part].reshape(len(arrays[part]), -1).astype(np.float32) / 255
    return Images(**arrays)


def parse_arguments(description: str | None) -> argparse.Namespace:
    """Parse the options of these scripts."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        default=DATA,
        help="folder with the four IDX files, gzipped; default: the environment variable"
        " SKLEARN_MLP_DATA, and without it OpenML",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], metavar="SEED")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps, ...")
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "float64"])
    parser.add_argument(
        "--compare", action="store_true", help="also train scikit-learn's MLPClassifier"
    )
    return parser.parse_args()


def report(label: str, model: ClassifierMixin, images: Images) -> None:
    """Fit a model and print its test accuracy and fit time."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        # A few epochs are what was asked for: that they do not reach the minimum is no news.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(images.X_train, images.y_train)
    seconds = time.perf_counter() - start
    accuracy = model.score(images.X_test, images.y_test)
    print(f"{label:<28} test accuracy {accuracy:.4f}   fit time {seconds:6.1f} s", flush=True)
