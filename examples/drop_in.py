"""
One import changed: scikit-learn's MLP beside this one
======================================================

The same Pipeline on the breast-cancer data, once with scikit-learn's
`sklearn.neural_network.MLPClassifier` and once with
:class:`~sklearn_mlp.TorchMLPClassifier`. In float64 they take the same path: the same batches, the
same updates, the same end. In float32, the default, it is the same path up to float32 rounding.
"""

# %%
# Three models
# ------------
# Parameters, methods and attributes have the same names. ``dtype`` does not exist in scikit-learn.

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mlp import TorchMLPClassifier

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

settings: dict[str, Any] = {
    "hidden_layer_sizes": (100,),
    "tol": 1e-3,
    "max_iter": 400,
    "random_state": 0,
}
networks = {
    "scikit-learn": MLPClassifier(**settings),
    "sklearn_mlp, float64": TorchMLPClassifier(**settings, device="cpu", dtype="float64"),
    "sklearn_mlp, default": TorchMLPClassifier(**settings),
}
for name, network in networks.items():
    model = make_pipeline(StandardScaler(), network).fit(X_train, y_train)
    accuracy = model.score(X_test, y_test)
    print(f"{name:<22} {network.n_iter_} epochs, test accuracy {accuracy:.4f}")

# %%
# The loss, epoch by epoch
# ------------------------
# On the left, scikit-learn's curve lies under ours. On the right is their difference relative to
# the loss: in float64 some units in the sixteenth digit. Where there is no point, the two are
# equal.

theirs = np.array(networks["scikit-learn"].loss_curve_)
ours = np.array(networks["sklearn_mlp, float64"].loss_curve_)
default = np.array(networks["sklearn_mlp, default"].loss_curve_)
epochs = np.arange(1, len(theirs) + 1)
n_both = min(len(theirs), len(default))

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot(epochs, theirs, color="#9ecae1", linewidth=7, label="scikit-learn")
left.plot(epochs, ours, color="#08306b", label="sklearn_mlp, float64")
left.set(xlabel="epoch", ylabel="training loss", yscale="log")
left.legend()

right.plot(epochs, np.abs(ours / theirs - 1), ".", color="#08306b", label="float64")
right.plot(
    epochs[:n_both],
    np.abs(default[:n_both] / theirs[:n_both] - 1),
    ".",
    color="#ff7f0e",
    label="float32, the default",
)
right.set(xlabel="epoch", ylabel="relative difference from scikit-learn", yscale="log")
right.set_ylim(1e-17, 1e-3)
right.legend()
plt.show()

# %%
# Every prediction is the same, too.

probabilities = [
    network.predict_proba(StandardScaler().fit(X_train).transform(X_test))
    for network in networks.values()
]
print(f"float64: {np.abs(probabilities[1] - probabilities[0]).max():.1e}")
print(f"float32: {np.abs(probabilities[2] - probabilities[0]).max():.1e}")
