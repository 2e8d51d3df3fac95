"""
Save a model here, load it in another process
=============================================

A Pipeline with a fitted :class:`~sklearn_mlp.TorchMLPClassifier` is saved with joblib. A second
Python process loads the file and predicts. Its probabilities are the same to the last bit.
"""

# %%
# Fit and save
# ------------

import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import TorchMLPClassifier

X, y = load_digits(return_X_y=True)
network = TorchMLPClassifier(hidden_layer_sizes=(30,), tol=1e-3, random_state=0)
model = make_pipeline(StandardScaler(), network).fit(X[:1200], y[:1200])

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
joblib.dump(model, folder / "model.joblib")
np.save(folder / "X_new.npy", X[1200:])
n_weights = sum(weight.size for weight in network.coefs_ + network.intercepts_)
print(f"{n_weights} weights, {(folder / 'model.joblib').stat().st_size / 1024:.0f} KiB on disk")

# %%
# Load and predict elsewhere
# --------------------------
# The other process needs the package, but nothing else from this program. A model fitted on a GPU
# would open there, too, on the CPU if there is no GPU.

program = """
import joblib, numpy as np
model = joblib.load("model.joblib")
np.save("probabilities.npy", model.predict_proba(np.load("X_new.npy")))
"""
subprocess.run([sys.executable, "-c", program], check=True, cwd=folder)

theirs = np.load(folder / "probabilities.npy")
print("the same to the last bit:", np.array_equal(theirs, model.predict_proba(X[1200:])))

# %%
# Train on with a loaded model
# ----------------------------
# The solver's state is saved, too, so ``partial_fit`` continues as if nothing had happened.

X_scaled = model[:-1].transform(X)
loaded = joblib.load(folder / "model.joblib")[-1]
print(f"loss after one more epoch: {network.partial_fit(X_scaled, y).loss_:.8f}")
print(f"of the loaded model:       {loaded.partial_fit(X_scaled, y).loss_:.8f}")
scratch.cleanup()
# sphinx_gallery_thumbnail_path = 'images/save_and_load.svg'
