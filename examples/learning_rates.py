"""
Four learning rates on one plot
===============================

The learning rate is the first thing to tune. Here are four of them on three classes, the digits
3, 5 and 8, with a validation set that is scored after each epoch. The best model is saved, and
another process loads and uses it.
"""

# %%
# Fit
# ---
# All four start from the same weights and see the same batches: ``random_state`` determines both.

import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sklearn_mlp import LossCurveDisplay, TorchMLPClassifier

X, y = load_digits(return_X_y=True)
is_chosen = np.isin(y, [3, 5, 8])
X_train, X_val, y_train, y_val = train_test_split(
    X[is_chosen] / 16, y[is_chosen], test_size=0.3, stratify=y[is_chosen], random_state=0
)
models = {}
for rate in [0.001, 0.01, 0.1, 1.0]:
    model = TorchMLPClassifier(
        hidden_layer_sizes=(20,),
        solver="sgd",
        learning_rate_init=rate,
        batch_size=32,
        max_iter=30,
        n_iter_no_change=30,
        scoring="loss",
        random_state=0,
    )
    with warnings.catch_warnings():
        # Thirty epochs are what was asked for, enough or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        models[rate] = model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    last = model.history_.iloc[-1]
    print(
        f"rate {rate:5}: loss {last['loss']:.4f} in training, {last['validation_loss']:.4f} after"
    )

# %%
# Compare
# -------
# Solid lines show the training set, dashed lines the validation set.

_, ax = plt.subplots(figsize=(9, 4.8), layout="constrained")
LossCurveDisplay.from_estimators(
    list(models.values()), names=[f"rate {rate}" for rate in models], ax=ax
)
ax.set(yscale="log", title="Digits 3, 5 and 8")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %%
# Save the best, use it elsewhere
# -------------------------------

best = min(models, key=lambda rate: models[rate].history_["validation_loss"].iloc[-1])
print(f"best: rate {best}")
with tempfile.TemporaryDirectory() as scratch:
    folder = Path(scratch)
    joblib.dump(models[best], folder / "best.joblib")
    np.save(folder / "X_new.npy", X_val)
    program = """
import joblib, numpy as np
model = joblib.load("best.joblib")
np.save("predicted.npy", model.predict(np.load("X_new.npy")))
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=folder)
    predicted = np.load(folder / "predicted.npy")
print(f"accuracy of the other process's predictions: {np.mean(predicted == y_val):.4f}")
