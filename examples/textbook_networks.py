"""
Textbook networks: sigmoid outputs and mean squared error on MNIST
==================================================================

The first network of many textbooks, as they state it: sigmoid units, a sigmoid output per
digit, the mean squared error to one-hot targets, plain gradient descent at a rate of 0.5 on
batches of 64, 10 epochs; without a hidden layer, and with one of 50 units. A plain PyTorch loop
with `torch.nn.MSELoss` is published to reach 0.900 and 0.896 of the training images. It prints::

    no hidden layer, seed 0   training accuracy 0.9005   test accuracy 0.9082
    no hidden layer, seed 1   training accuracy 0.9004   test accuracy 0.9086
    50 sigmoid units, seed 0  training accuracy 0.9002   test accuracy 0.9049
    50 sigmoid units, seed 1  training accuracy 0.9009   test accuracy 0.9063

and draws

.. image:: /images/textbook_networks.png
   :alt: The loss of four fits over ten epochs; the weights of the ten outputs as images.

The data comes from the folder that the environment variable ``SKLEARN_MLP_DATA`` names, or else
from OpenML. Run it with ``python examples/textbook_networks.py``.
"""

# %%
# Fit
# ---
# Ten epochs are intended, so the warning that they do not reach the minimum is ignored.

import warnings

import matplotlib.pyplot as plt
from images import load_images
from sklearn.exceptions import ConvergenceWarning

from sklearn_mlp import LossCurveDisplay, TorchMLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)

images = load_images("mnist_784")
networks = {}
for name, units in (("no hidden layer", ()), ("50 sigmoid units", (50,))):
    for seed in (0, 1):
        network = TorchMLPClassifier(
            units,
            activation="logistic",
            loss="squared_error",
            output_activation="logistic",
            solver="sgd",
            learning_rate_init=0.5,
            momentum=0,
            alpha=0,
            batch_size=64,
            max_iter=10,
            random_state=seed,
        ).fit(images.X_train, images.y_train)
        label = f"{name}, seed {seed}"
        networks[label] = network
        train = network.score(images.X_train, images.y_train)
        test = network.score(images.X_test, images.y_test)
        print(f"{label:<25} training accuracy {train:.4f}   test accuracy {test:.4f}")

# %%
# See
# ---
# Without a hidden layer the weights of an output have the shape of a digit: blue pixels speak for
# it, red ones against it.

figure = plt.figure(figsize=(11, 3.6), layout="constrained")
grid = figure.add_gridspec(2, 9)
curves = figure.add_subplot(grid[:, :4])
LossCurveDisplay.from_estimators(list(networks.values()), names=list(networks), ax=curves)
weights = networks["no hidden layer, seed 0"].coefs_[0].T
limit = abs(weights).max() / 2
for digit in range(10):
    panel = figure.add_subplot(grid[digit // 5, 4 + digit % 5])
    panel.imshow(weights[digit].reshape(28, 28), cmap="RdBu", vmin=-limit, vmax=limit)
    panel.set_title(str(digit))
    panel.set_axis_off()
plt.show()
# sphinx_gallery_thumbnail_path = 'images/textbook_networks.png'
