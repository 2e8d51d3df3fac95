"""
Train through skorch, with its callbacks
========================================

``backend="skorch"`` trains the same network in skorch's loop, so that its callbacks can watch.
Here are two: one of skorch's, which computes the accuracy on the training images after each epoch,
and one of our own, which records the norm of the gradient.
"""

# %%
# Two callbacks
# -------------

from typing import Any

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback, EpochScoring

from sklearn_mlp import TorchMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)


class GradientNorm(Callback):
    """Record the mean norm of the gradient in each epoch."""

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.norms: list[float] = []

    def on_grad_computed(self, net: Any, named_parameters: Any, **kwargs: Any) -> None:
        squares = [p.grad.square().sum() for _, p in named_parameters]
        self.norms.append(float(sum(squares)) ** 0.5)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        net.history.record("gradient_norm", sum(self.norms) / len(self.norms))


accuracy = EpochScoring("accuracy", name="accuracy", on_train=True, lower_is_better=False)
model = TorchMLPClassifier(
    hidden_layer_sizes=(50,),
    tol=1e-3,
    random_state=0,
    backend="skorch",
    backend_params={"callbacks": [("accuracy", accuracy), ("gradient", GradientNorm())]},
).fit(X_train, y_train)
print(f"{model.n_iter_} epochs, test accuracy {model.score(X_test, y_test):.3f}")

# %%
# What they saw
# -------------
# ``net_`` is the fitted skorch net; its ``history`` has the records of the callbacks.

history = model.net_.history
epochs = history[:, "epoch"]

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.5), layout="constrained")
left.plot(epochs, model.loss_curve_)
left.set(xlabel="epoch", ylabel="training loss")
middle.plot(epochs, history[:, "accuracy"])
middle.set(xlabel="epoch", ylabel="training accuracy")
right.plot(epochs, history[:, "gradient_norm"])
right.set(xlabel="epoch", ylabel="mean norm of the gradient")
plt.show()

# %%
# The same numbers without skorch
# -------------------------------

native = TorchMLPClassifier(hidden_layer_sizes=(50,), tol=1e-3, random_state=0)
native.fit(X_train, y_train)
apart = max(
    abs(a / b - 1) for a, b in zip(model.loss_curve_[:20], native.loss_curve_[:20], strict=True)
)
print(f"loss curves differ by at most {apart:.0e} of the loss in 20 epochs, in float32")
