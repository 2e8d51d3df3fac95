"""
MNIST: what a hidden layer of 50 units gains
============================================

A network without a hidden layer, which is logistic regression, and one with 50 hidden units, on
60,000 handwritten digits for ten epochs. After each epoch both are scored twice: on the test
set, passed to ``fit`` as ``X_val`` and ``y_val``, and on the training set, by scikit-learn's
callback :class:`~sklearn.callback.ScoringMonitor`. It prints::

    no hidden layer: test accuracy 0.9245
    50 hidden units: test accuracy 0.9721

and draws

.. image:: /images/mnist_hidden_layer.png
   :alt: Loss and accuracy per epoch on training and test set; ten digits with their labels.

The data comes from the folder that the environment variable ``SKLEARN_MLP_DATA`` names, or else
from OpenML. Run it with ``python examples/mnist_hidden_layer.py``.
"""

# %%
# Fit
# ---
# Watching a test set is harmless if it decides nothing: without ``early_stopping`` neither the
# weights nor the end of training depend on it. Ten epochs are intended, so the warning that they
# do not reach the minimum is ignored.

import warnings

import matplotlib.pyplot as plt
from images import load_images
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import ConvergenceWarning

from sklearn_mlp import LossCurveDisplay, TorchMLPClassifier

images = load_images("mnist_784")
test = {"X_val": images.X_test, "y_val": images.y_test}
models, train_accuracy = {}, {}
for name, hidden_layer_sizes in [("no hidden layer", ()), ("50 hidden units", (50,))]:
    monitor = ScoringMonitor(scoring="accuracy")
    model = TorchMLPClassifier(hidden_layer_sizes, max_iter=10, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_callbacks(monitor).fit(images.X_train, images.y_train, **test)
    log = monitor.get_logs().data_as_pandas
    models[name] = model
    train_accuracy[name] = log.loc[log["task_name"] == "epoch", "accuracy"]
    print(f"{name}: test accuracy {model.score(images.X_test, images.y_test):.4f}")

# %%
# See
# ---
# The loss on the training set is computed during an epoch, the one on the test set after it. The
# ten digits are the first of the test set, with the labels predicted by the network with a hidden
# layer; wrong ones are red.

figure = plt.figure(figsize=(11, 6.4), layout="constrained")
halves = figure.subfigures(2, 1, height_ratios=[3, 1], squeeze=False)[:, 0]
left, right = halves[0].subplots(1, 2)
display = LossCurveDisplay.from_estimators(list(models.values()), names=list(models), ax=left)
for name, model in models.items():
    color = display.lines_[name][0].get_color()
    history = model.history_
    right.plot(history.index, train_accuracy[name], color=color, label=f"{name} training")
    right.plot(history.index, history["validation_score"], "--", color=color, label=f"{name} test")
left.legend([text.get_text().replace("validation", "test") for text in left.get_legend().texts])
right.set(xlabel="Epoch", ylabel="Accuracy")
right.legend()

shown = images.X_test[:10]
predicted = models["50 hidden units"].predict(shown)
panels = zip(halves[1].subplots(1, 10), shown, images.y_test[:10], predicted, strict=True)
for panel, pixels, true, guess in panels:
    panel.imshow(pixels.reshape(28, 28), cmap="gray_r")
    panel.set_axis_off()
    color = "black" if guess == true else "tab:red"
    panel.set_title(f"true {true}\npredicted {guess}", fontsize=9, color=color)
plt.show()
# sphinx_gallery_thumbnail_path = 'images/mnist_hidden_layer.png'
