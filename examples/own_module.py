"""
A network of your own, in scikit-learn's tools
==============================================

A small convolutional network as the ``module`` of :class:`~sklearn_mlp.TorchMLPClassifier`. It
works in a Pipeline and a grid search like any other estimator, and the grid reaches its own
parameters by name.
"""

# %%
# The module
# ----------
# It is called with ``n_features_in``, ``n_outputs`` and the ``module__...`` parameters. It takes
# rows of features, (n_samples, n_features_in), and returns the values before the output
# activation, (n_samples, n_outputs).

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from torch import nn

from sklearn_mlp import TorchMLPClassifier


class Convolutional(nn.Module):
    """One convolution of 3 x 3 pixels, then one dense layer."""

    def __init__(self, n_features_in: int, n_outputs: int, n_channels: int = 8) -> None:
        super().__init__()
        self.side = round(n_features_in**0.5)
        self.convolution = nn.Conv2d(1, n_channels, kernel_size=3)
        self.output = nn.Linear(n_channels * (self.side - 2) ** 2, n_outputs)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        images = inputs.reshape(len(inputs), 1, self.side, self.side)
        return self.output(torch.relu(self.convolution(images)).flatten(1))


# %%
# Search over its channels
# ------------------------

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

network = TorchMLPClassifier(
    module=Convolutional, learning_rate_init=0.01, tol=0.01, n_iter_no_change=5, random_state=0
)
grid = {"torchmlpclassifier__module__n_channels": [2, 8, 16]}
search = GridSearchCV(make_pipeline(MaxAbsScaler(), network), grid, cv=2).fit(X_train, y_train)
for params, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(f"{params['torchmlpclassifier__module__n_channels']:>3} channels: {score:.3f}")

best = search.best_estimator_[-1]
print(f"test accuracy {search.score(X_test, y_test):.3f}, gradients by {best.engine_}")

# %%
# What it has learnt
# ------------------
# ``module_`` is the fitted module itself, so its filters can be looked at.

filters = best.module_.convolution.weight.detach().cpu()
figure, panels = plt.subplots(1, len(filters), figsize=(10, 1.6), layout="constrained")
limit = filters.abs().max()
for panel, kernel in zip(panels, filters, strict=True):
    panel.imshow(kernel[0], cmap="RdBu", vmin=-limit, vmax=limit)
    panel.set_axis_off()
figure.suptitle("the filters; blue adds, red subtracts")
plt.show()
