"""What the processes of `rank_processes.Ranks` are told to do."""

import os
import signal
import sys
import time
import warnings
from contextlib import contextmanager, nullcontext

import numpy as np
import pandas as pd
import scipy.sparse
import torch
import torch.distributed as dist

import sklearn_mlp
from sklearn_mlp import RowSource, TorchMLPClassifier, TorchMLPRegressor
from sklearn_mlp.sources import blocks


def data(n_samples=101, n_classes=3, kind="dense", seed=5):
    """Return samples, labels, numbers and weights."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n_samples, 6))
    if kind == "sparse":
        X = scipy.sparse.csr_matrix(np.where(rng.uniform(size=X.shape) < 0.07, X, 0))
    labels = np.arange(n_samples) % n_classes
    rng.shuffle(labels)
    numbers = rng.standard_normal((n_samples, 2))
    return X, labels, numbers, rng.uniform(1e-3, 1.0, size=n_samples)


def make(is_classifier=True, **parameters):
    """Return an estimator in float64."""
    given = {"hidden_layer_sizes": (7, 5), "max_iter": 6, "batch_size": 32, "random_state": 3}
    estimator = TorchMLPClassifier if is_classifier else TorchMLPRegressor
    return estimator(dtype="float64", **(given | parameters))


def numbers_of(estimator, X):
    """Return everything that a fit has learned, as arrays by name."""
    learned = {"weights": np.concatenate([part.ravel() for part in estimator.coefs_])}
    learned["biases"] = np.concatenate(estimator.intercepts_)
    predict = getattr(estimator, "predict_proba", None) or estimator.predict
    predictions = predict(X)
    learned["predictions"] = np.hstack(predictions) if type(predictions) is list else predictions
    for name in ("loss", "validation_loss", "validation_score", "learning_rate"):
        learned[name] = np.array(estimator.history_[name])
    learned["counts"] = np.array([estimator.n_iter_, estimator.t_, estimator.loss_])
    return learned


def assert_equal(learned, expected):
    """Compare what two fits have learned; sums are added up in another order."""
    assert learned.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(learned[name], values, rtol=1e-9, atol=1e-9, err_msg=name)


def assert_as_alone(two, case, own=None):
    """Fit a case by two processes, all of its rows or each its own, and here."""
    expected = fit(case)
    first, second = two.call(fit, case, own)
    for learned in (first, second):
        if isinstance(learned, BaseException):
            raise learned
        assert_equal(learned, expected)
    for name, values in first.items():
        # NaN is equal to itself here.
        np.testing.assert_array_equal(second[name], values, err_msg=name)


def fit(case, own=None):
    """Fit what a case says, quietly; return what was learned.

    With ``own`` on the rows, of all, that it has for this process.
    """
    case = dict(case)
    n_samples, kind = case.pop("n_samples", 101), case.pop("kind", "dense")
    is_weighted, n_calls = case.pop("weighted", False), case.pop("calls", 0)
    is_watched, is_classifier = case.pop("watched", False), case.get("is_classifier", True)
    X, labels, numbers, weights = data(n_samples, case.pop("n_classes", 3), kind)
    y = labels if is_classifier else numbers
    if is_weighted == "0 in the first part":
        weights[:30] = 0.0
    if is_weighted == "mostly 0":
        # Whole batches among them.
        weights[np.arange(n_samples) % 20 > 0] = 0.0
    arguments = {"sample_weight": weights} if is_weighted else {}
    if is_watched:
        X_val, labels_val, numbers_val, _ = data(23, seed=6)
        arguments |= {"X_val": X_val, "y_val": labels_val if is_classifier else numbers_val}
    form = case.pop("form", None)
    if form == "indicator":
        y = (np.arange(3) <= labels[:, np.newaxis]).astype(int)
    elif form == "columns":
        y = np.column_stack([labels, labels % 2])
    elif form == "words":
        y = np.array(["a", "bb", "ccc"])[labels]
    source, folder = case.pop("source", None), case.pop("folder", "")
    buffer_rows = case.pop("buffer_rows", 1000)
    estimator, given = make(**case), X
    if own is not None:
        rows = own[dist.get_rank()]
        X, y, weights = X[rows], y[rows], weights[rows]
        arguments |= {"sample_weight": weights} if is_weighted else {}
    if source is not None:
        X, y, named = as_source(source, folder, X, y, arguments.pop("sample_weight", None))
        arguments |= named
        if is_watched:
            arguments |= {"X_val": Blocks(arguments["X_val"], arguments.pop("y_val"))}
    how = {"timeout": 20, "rows": "own"}
    together = nullcontext() if own is None else sklearn_mlp.distributed(**how)
    with warnings.catch_warnings(), together, buffers_of(buffer_rows):
        warnings.simplefilter("ignore")
        if not n_calls:
            estimator.fit(X, y, **arguments)
        for _ in range(n_calls):
            classes = {"classes": np.arange(3)} if is_classifier else {}
            estimator.partial_fit(X, y, **classes, **arguments)
        return numbers_of(estimator, given)


class Blocks(RowSource):
    """Rows in blocks of nine, which can only be read one after the other."""

    def __init__(self, *arrays, first_block=9):
        self.arrays = arrays
        self.bounds = [0, *range(first_block, len(arrays[0]), 9), len(arrays[0])]

    @property
    def n_blocks(self):
        return len(self.bounds) - 1

    def read(self, block):
        start, stop = self.bounds[block : block + 2]
        for first in range(start, stop, 5):
            yield tuple(array[first : min(first + 5, stop)] for array in self.arrays)


class Items(torch.utils.data.Dataset):
    """Rows of torch's, in random access."""

    def __init__(self, *arrays):
        self.arrays = arrays

    def __len__(self):
        return len(self.arrays[0])

    def __getitem__(self, row):
        return tuple(array[row] for array in self.arrays)


def as_source(kind, folder, X, y, weights):
    """Return rows as something that is read by and by, with targets and names of columns."""
    arrays = [array for array in (X, y, weights) if array is not None]
    match kind:
        case "blocks":
            return Blocks(*arrays), None, {}
        case "blocks, the first one of 27":
            first_block = 27 if len(X) in (27, 101) else 9
            return Blocks(*arrays, first_block=first_block), None, {}
        case "items":
            return Items(*arrays), None, {}
        case "mapped":
            np.save(file := f"{folder}/{os.getpid()}.npy", X)
            given = {} if weights is None else {"sample_weight": weights}
            return np.load(file, mmap_mode="r"), y, given
    columns = {f"x{n}": column for n, column in enumerate(X.T)} | {"y": y, "weight": weights}
    frame = pd.DataFrame({name: column for name, column in columns.items() if column is not None})
    names = {} if weights is None else {"sample_weight": "weight"}
    if kind == "dask":
        import dask.dataframe

        return dask.dataframe.from_pandas(frame, 4), "y", names
    frame.to_parquet(file := f"{folder}/{os.getpid()}.parquet", row_group_size=9)
    return file, "y", names


@contextmanager
def buffers_of(n_rows):
    """Let so many rows be shuffled at a time; what has no more is read at once."""
    found, blocks.BUFFER_BYTES = blocks.BUFFER_BYTES, n_rows * 6 * 8
    try:
        yield
    finally:
        blocks.BUFFER_BYTES = found


def is_joined():
    """Tell whether a fit trains as one of several processes'."""
    from sklearn_mlp.ranks.context import joined_group

    with joined_group() as group:
        return group is not None


def fit_differently(rank, name, timeout=20.0):
    """Fit, with something about one process that the other has not."""
    X, y, _, weights = data()
    parameters, arguments = {}, {}
    if dist.get_rank() == rank:
        match name:
            case "parameter":
                parameters["hidden_layer_sizes"] = (4,)
            case "rows":
                X, y = X[:-1], y[:-1]
            case "value":
                X[3, 2] += 1e-9
            case "target":
                y[[0, -1]] = y[[-1, 0]] + 1 - y[0]
            case "weights":
                arguments["sample_weight"] = weights
            case "call":
                with sklearn_mlp.distributed(timeout=timeout):
                    make().partial_fit(X, y, classes=np.arange(3))
                return None
            case "error":
                X[0, 0] = np.nan
            case "generator":
                parameters["random_state"] = np.random.RandomState(8)
            case "names":
                X = pd.DataFrame(X, columns=list("abcdef"))
            case "what fit does not take":
                parameters["max_iter"] = -1
            case "late":
                time.sleep(4 * timeout)
            case "loss":
                parameters["activation"] = _failing
    if name == "generator" and not parameters:
        parameters["random_state"] = np.random.RandomState(9)
    if name == "loss" and not parameters:
        parameters["activation"] = _working
    with sklearn_mlp.distributed(timeout=timeout):
        make(**parameters).fit(X, y, **arguments)
    return None


def _working(values):
    return torch.tanh(values)


def _failing(values):
    if len(values) > 5:
        raise ArithmeticError("no numbers today")
    return torch.tanh(values)


# The agreement knows functions by their names.
_failing.__qualname__ = _working.__qualname__


def fit_generator(n_calls):
    """Fit by a generator that was drawn from by each fit before."""
    random_state = np.random.RandomState(7)
    X, y, _, _ = data()
    fits = [make(random_state=random_state, max_iter=2).fit(X, y) for _ in range(n_calls)]
    return numbers_of(fits[-1], X)


class Acting:
    """A scorer that does something at an epoch, in one process, and scores as usual."""

    def __init__(self, rank, epoch, act):
        self.rank, self.epoch, self.act, self.n_seen = rank, epoch, act, 0

    def __call__(self, estimator, X, y):
        self.n_seen += 1
        if self.n_seen == self.epoch and rank_of_this() == self.rank:
            act(self.act)
        return estimator.score(X, y)

    def __repr__(self):
        return "Acting()"


def rank_of_this():
    return int(os.environ["RANK"])


def act(what):
    """Do what ends training."""
    match what:
        case "signal":
            os.kill(os.getpid(), signal.SIGINT)
        case "raise":
            raise KeyboardInterrupt
        case "die":
            os._exit(3)
        case "sleep":
            time.sleep(0.3)


def fit_with_act(rank, what, **parameters):
    """Fit for many epochs, unless what happens in one process ends it."""
    X, y, _, _ = data()
    X_val, y_val, _, _ = data(23, seed=6)
    scorer = Acting(rank, 3, what)
    given = {"max_iter": 60, "scoring": scorer} | parameters
    found = signal.getsignal(signal.SIGINT)
    classifier = make(tol=0, n_iter_no_change=100, **given).fit(X, y, X_val=X_val, y_val=y_val)
    assert signal.getsignal(signal.SIGINT) is found
    return numbers_of(classifier, X)


def fit_alone(rank):
    """Fit in one process only, which says so."""
    if dist.get_rank() == rank:
        with sklearn_mlp.distributed(False):
            return numbers_of(make().fit(*data()[:2]), data()[0])
    return None


def search():
    """Search by scikit-learn's own means: each fit is all processes'."""
    from sklearn.model_selection import GridSearchCV

    X, y, _, _ = data()
    found = GridSearchCV(make(max_iter=2), {"alpha": [1e-4, 1.0]}, cv=2).fit(X, y)
    return found.cv_results_["mean_test_score"]


def fit_twice_within():
    """Join a group for two fits; return what was learned, and whether a group is left."""
    with sklearn_mlp.distributed(timeout=30):
        learned = [fit({}), fit({"calls": 2})]
    return learned, dist.is_initialized()


def die_while(rank):
    """Fit within a group of our own, until one process dies."""
    with sklearn_mlp.distributed(timeout=30):
        return fit_with_act(rank, "die")


def printed(verbose):
    """Return what fits write, of each process."""
    import contextlib
    import io

    text = io.StringIO()
    with contextlib.redirect_stdout(text), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make(max_iter=2, verbose=verbose).fit(*data()[:2])
    return text.getvalue()


def threads_of_fit():
    """Fit in a thread, which is alone."""
    import threading

    learned = []

    def join(is_told=True):
        with nullcontext() if is_told else sklearn_mlp.distributed(False):
            learned.append(is_joined())

    for is_told in (True, False):
        thread = threading.Thread(target=join, args=(is_told,))
        thread.start()
        thread.join()
    return *learned, is_joined()


def loaded(name):
    """Tell whether a module was imported."""
    return name in sys.modules


def fit_with_limit(limit):
    """Fit within the time that each process has."""
    return fit_with_act(0, "sleep", **limit)


def fit_interrupted(what, solver):
    """Fit until the second process is interrupted."""
    return fit_with_act(1, what, solver=solver)


def fit_own_differently(name):
    """Fit on rows of our own, with something about those of the second process that is amiss."""
    X, y, _, _ = data(40)
    parameters, rank = {}, dist.get_rank()
    if rank:
        match name:
            case "no rows":
                X, y = X[:0], y[:0]
            case "a value":
                X[2, 1] = np.inf
            case "columns":
                X = X[:, :4]
            case "names":
                X = pd.DataFrame(X, columns=list("abcdef"))
            case "type":
                X = X.astype(np.float32)
            case "kind":
                X = scipy.sparse.csr_matrix(X)
            case "labels":
                y = y.astype(str)
            case "form":
                y = np.column_stack([y, y])
            case "parameter":
                parameters = {"alpha": 0.3}
    rows = "same" if name == "rows" and rank else "own"
    if name == "stack":
        with sklearn_mlp.distributed(timeout=20, rows=rows):
            sklearn_mlp.fit_many([make(), make(alpha=0.1)], X, y)
    if name == "folds":
        with sklearn_mlp.distributed(timeout=20, rows=rows):
            sklearn_mlp.cross_validate_batched(make(), X, y, cv=2)
    with sklearn_mlp.distributed(timeout=20, rows=rows):
        make(**parameters).fit(X, y)
    return None


def fit_failing_source(rank, rows):
    """Fit on a source that has a number missing for one process."""
    X, y, _, _ = data()
    if dist.get_rank() == rank:
        X[50, 1] = np.nan
    with sklearn_mlp.distributed(timeout=20, rows=rows):
        make().fit(Blocks(X, y))


def fit_other_sources():
    """Fit on sources of as many rows, in other blocks."""
    X, y, _, _ = data()
    with sklearn_mlp.distributed(timeout=20), buffers_of(20):
        make().fit(Blocks(X, y, first_block=9 - dist.get_rank()))
