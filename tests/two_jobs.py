"""Cross-validations by two jobs beside those by one: a program, for ways that may hang.

    python tests/two_jobs.py multiprocessing threading

prints a line for each of joblib's backends and each of ours.
"""

import json
import random
import sys
import warnings

import joblib
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_validate
from sklearn.utils import check_random_state

from sklearn_mlp import TorchMLPClassifier

BACKENDS = ["torch", "skorch"]


def found():
    """What a fit must leave as it is: threads and generators."""
    numpy_state = check_random_state(None).get_state()
    states = [numpy_state[1].tolist(), numpy_state[2], random.getstate()]
    return [torch.get_num_threads(), torch.get_rng_state().tolist(), *states]


def scores(backend, n_jobs):
    """Test scores and loss curves of a cross-validation."""
    X, y = (part[:400] for part in load_digits(return_X_y=True))
    estimator = TorchMLPClassifier(
        (16, 16), max_iter=2, random_state=0, dtype="float64", backend=backend
    )
    results = cross_validate(estimator, X, y, cv=2, n_jobs=n_jobs, return_estimator=True)
    curves = [fitted.loss_curve_ for fitted in results["estimator"]]
    return [results["test_score"].tolist(), curves]


def results_of(*parallels):
    """Yield what one job and two have found, by some of joblib's backends.

    One job comes first: a process forked after torch has started its threads must not wait for
    them.
    """
    before = found()
    alone = {backend: scores(backend, n_jobs=1) for backend in BACKENDS}
    for parallel in parallels:
        for backend in BACKENDS:
            with joblib.parallel_config(parallel):
                together = scores(backend, n_jobs=2)
            result = {"alone": alone[backend], "together": together}
            named = {"parallel": parallel, "backend": backend}
            yield named | result | {"as_found": found() == before}


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking at all
    for result in results_of(*sys.argv[1:]):
        print(json.dumps(result), flush=True)
