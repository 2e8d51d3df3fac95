"""
Fashion-MNIST with one hidden layer
===================================

60,000 pictures of clothes to train on and 10,000 to test on, of 28 x 28 grey pixels, in ten
classes. One hidden layer of 256 units, SGD in batches of 256, ten epochs.

A plain PyTorch loop without momentum reaches 0.83 to 0.85 with this network; here it has
scikit-learn's default, Nesterov momentum of 0.9. It prints::

    test accuracy 0.8785

and draws

.. image:: /images/fashion_mnist.png
   :alt: The training loss over ten epochs; ten pictures of clothes with true and predicted class.

The data comes from the folder that the environment variable ``SKLEARN_MLP_DATA`` names, or else
from OpenML. Run it with ``python examples/fashion_mnist.py``.
"""

# %%
# Fit
# ---
# Pixels are float32 between 0 and 1, and used without a copy. Ten epochs are intended, so the
# warning that they do not reach the minimum is ignored.

import warnings

import matplotlib.pyplot as plt
from images import load_images
from sklearn.exceptions import ConvergenceWarning

from sklearn_mlp import TorchMLPClassifier

images = load_images("Fashion-MNIST")
model = TorchMLPClassifier(
    hidden_layer_sizes=(256,),
    solver="sgd",
    learning_rate_init=0.1,
    batch_size=256,
    max_iter=10,
    random_state=0,
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    model.fit(images.X_train, images.y_train)
print(f"test accuracy {model.score(images.X_test, images.y_test):.4f}")

# %%
# See
# ---

CLOTHES = (
    *("T-shirt", "trousers", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "boot"),
)

shown = images.X_test[:10]
predicted = model.predict(shown)

figure = plt.figure(figsize=(12, 3.4), layout="constrained")
grid = figure.add_gridspec(2, 9)
curve = figure.add_subplot(grid[:, :4])
curve.plot(range(1, 11), model.loss_curve_, marker="o")
curve.set(xlabel="epoch", ylabel="training loss")
for place, (pixels, true, guess) in enumerate(
    zip(shown, images.y_test[:10], predicted, strict=True)
):
    panel = figure.add_subplot(grid[place // 5, 4 + place % 5])
    panel.imshow(pixels.reshape(28, 28), cmap="gray_r")
    panel.set_axis_off()
    verdict = CLOTHES[guess] if guess == true else f"{CLOTHES[guess]}\n(is {CLOTHES[true]})"
    panel.set_title(verdict, fontsize=9, color="black" if guess == true else "tab:red")
plt.show()
# sphinx_gallery_thumbnail_path = 'images/fashion_mnist.png'
