"""Forked processes: they never wait for threads that the fork has not copied.

A program of its own on two threads forks; whoever waits is ended.
"""

import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

# torch divides work among threads from 32,768 numbers on.
PROGRAM = """
import multiprocessing, os, pickle, signal, sys, threading, warnings
import numpy as np
import scipy.sparse
import torch

# Python 3.12 and later warn of forks in a process with threads.
warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
warnings.filterwarnings("ignore", "(?s).*(Maximum iterations|max_iter|iteration)")

random = np.random.RandomState(0)
X, y = random.normal(size=(2000, 20)), np.arange(2000) % 3
large = dict(hidden_layer_sizes=(250, 250), max_iter=1, random_state=0)
small = dict(hidden_layer_sizes=(8,), max_iter=1, random_state=0)

def use_threads():
    (torch.ones(600, 600) + 1).sum()
    torch.ones(600, 600) @ torch.ones(600, 600)

def forked(call):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(60)
    status = 1
    try:
        call()
        status = 0
    finally:
        os._exit(status)

def failing(calls):
    return [name for name, call in calls.items() if not forked(call)]
"""


def run(code, timeout=200):
    """Run a program that must say nothing; end it, with all its children, if it never does."""
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM + code],
        env=os.environ | {"OMP_NUM_THREADS": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said = child.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        pytest.fail("a forked process waits for threads that are not there")
    assert (child.returncode, said) == (0, "")


IMPORTED_ONLY_IN_THE_FORK = """
use_threads()

def fit():
    from sklearn_mlp import TorchMLPClassifier
    TorchMLPClassifier(**large).fit(X, y).predict(torch.from_numpy(X))

assert "sklearn_mlp" not in sys.modules
# Only Linux tells of forks.
if os.path.exists("/proc/self/stat") and not forked(fit):
    print("waits when imported in the fork")
"""

POOLS_AND_JOBLIBS_PROCESSES_GIVE_THE_NUMBERS_OF_THIS_ONE = """
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import cross_val_score
from sklearn_mlp import TorchMLPRegressor

def score(units):
    model = TorchMLPRegressor(hidden_layer_sizes=(units,), max_iter=2, random_state=0)
    return model.fit(X, X[:, 0]).score(X, X[:, 0])

want = [score(400), score(30)]
use_threads()
with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
    assert np.allclose(pool.map(score, [400, 30], chunksize=1), want)
with parallel_config("multiprocessing", n_jobs=2):
    assert np.allclose(Parallel()(delayed(score)(units) for units in (400, 30)), want)
    model = TorchMLPRegressor(hidden_layer_sizes=(400,), max_iter=2, random_state=0)
    cross_val_score(model, X, X[:, 0], cv=2)
"""

ENTRY_POINTS = """
from sklearn.model_selection import GridSearchCV
from sklearn_mlp import (
    BatchedGridSearchCV, TorchMLPClassifier, TorchMLPRegressor, cross_validate_batched, fit_many
)

wide = TorchMLPClassifier(**large).fit(X, y)
saved, samples = pickle.dumps(wide), torch.from_numpy(X)
sparse = scipy.sparse.random(2000, 200, density=0.2, format="csr", random_state=0)
lbfgs = dict(large, solver="lbfgs")
TorchMLPRegressor(**lbfgs).fit(X, y)
skorch = TorchMLPClassifier(**large, backend="skorch").fit(X, y)
use_threads()
grid = {"alpha": [0.1, 1.0]}

def go_on(model, X):
    model.partial_fit(X, y)

def with_threads_of_its_own():
    torch.set_num_threads(2)
    TorchMLPClassifier(**small).fit(X, y)
    wide.predict(samples)

def in_another_thread():
    failed = []
    def fit():
        try:
            TorchMLPClassifier(**large).fit(X, y)
        except BaseException as error:
            failed.append(error)
    thread = threading.Thread(target=fit)
    thread.start()
    thread.join()
    assert not failed

bad = failing({
    "samples converted": lambda: TorchMLPClassifier(**small).fit(X, y),
    "early stopping": lambda: TorchMLPClassifier(**small, early_stopping=True).fit(X, y),
    "wide": lambda: TorchMLPRegressor(**large).fit(X, y).score(X, y),
    "partial_fit": lambda: go_on(wide, X),
    "sparse": lambda: go_on(TorchMLPClassifier(**small).fit(sparse, y), sparse),
    "warm start": lambda: wide.set_params(warm_start=True).fit(X, y),
    "predict": lambda: wide.predict(X),
    "a tensor": lambda: wide.predict_proba(samples),
    "fitted on a tensor": lambda: TorchMLPClassifier(**small).fit(samples, y),
    "hidden activations": lambda: wide.hidden_activations(X),
    "input gradients": lambda: wide.input_gradients(X[:10]),
    "lbfgs": lambda: TorchMLPRegressor(**lbfgs).fit(X, y),
    "autograd": lambda: TorchMLPClassifier(**small, normalization="layer").fit(X, y),
    "skorch": lambda: go_on(skorch, samples),
    "unpickled": lambda: go_on(pickle.loads(saved), X),
    "fit_many": lambda: fit_many([TorchMLPClassifier(**small) for _ in range(3)], X, y),
    "batched": lambda: cross_validate_batched(TorchMLPClassifier(**small), X, y, cv=3),
    "batched search": lambda: BatchedGridSearchCV(TorchMLPClassifier(**small), grid).fit(X, y),
    "search": lambda: GridSearchCV(TorchMLPClassifier(**small), grid, cv=2).fit(X, y),
    "threads of its own": with_threads_of_its_own,
    "another thread": in_another_thread,
    "a fork of the fork": lambda: forked(lambda: go_on(wide, X)) or sys.exit(1),
})
if bad or torch.get_num_threads() != 2:
    print(bad, torch.get_num_threads())
"""

ANOTHER_THREAD_FITS = """
from sklearn_mlp.machine import threads

assert not threads._is_forked
stopping = threading.Event()

def fit_on():
    while not stopping.is_set():
        TorchMLPClassifier(**large, dropout=0.1).fit(X, y)

wide = TorchMLPClassifier(**large).fit(X, y)
thread = threading.Thread(target=fit_on)
thread.start()

def fit_and_predict():
    assert threads._running == 0
    wide.partial_fit(X, y).predict(X)

bad = [number for number in range(4) if not forked(fit_and_predict)]
stopping.set()
thread.join()

class Fork:
    def setup(self, estimator, context): ...
    def teardown(self, estimator, context): ...
    def on_fit_task_begin(self, estimator, context): ...
    def on_fit_task_end(self, estimator, context):
        if not forked(lambda: TorchMLPClassifier(**large).fit(X, y).predict(X)):
            bad.append("within a fit")

TorchMLPClassifier(**large).set_callbacks(Fork()).fit(X, y)
if bad:
    print(bad)
"""


def test_nobody_waits():
    # All in one program: to import torch takes longer than any. The fork that is the first to
    # import the package comes before the package.
    run(
        IMPORTED_ONLY_IN_THE_FORK
        + POOLS_AND_JOBLIBS_PROCESSES_GIVE_THE_NUMBERS_OF_THIS_ONE
        + ENTRY_POINTS
        + ANOTHER_THREAD_FITS
    )
