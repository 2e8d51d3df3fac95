"""
One network trained by several processes
========================================

Run directly, this trains on handwritten digits in one process. Started with ``torchrun``, two or
more processes train the same network together, each on its part of every mini-batch::

    torchrun --nproc-per-node 2 examples/processes.py

The script and its output are the same for both: the processes exchange sums, and end with the
numbers of a single one.
"""

# %%
# Fit
# ---
#
# Each process reads the same data and calls `fit` with the same parameters. The ``with`` opens one
# group for all fits in its body; without it each fit would open its own.

import os
import warnings
from contextlib import nullcontext

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

import sklearn_mlp
from sklearn_mlp import TorchMLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)
X, y = load_digits(return_X_y=True)
classifier = TorchMLPClassifier(
    hidden_layer_sizes=(64,), max_iter=20, dtype="float64", random_state=0
)
is_one_of_many = "RANK" in os.environ
with sklearn_mlp.distributed(timeout=120) if is_one_of_many else nullcontext():
    classifier.fit(X[:1400], y[:1400])

# %%
# What came of it
# ---------------
#
# All processes have the same fitted classifier. One of them prints, saves or serves it.

if os.environ.get("RANK", "0") == "0":
    print(f"{os.environ.get('WORLD_SIZE', '1')} processes, {classifier.n_iter_} epochs")
    print(f"loss {classifier.loss_:.9f}")
    print(f"accuracy on new digits {classifier.score(X[1400:], y[1400:]):.3f}")
# sphinx_gallery_thumbnail_path = 'images/processes.svg'
