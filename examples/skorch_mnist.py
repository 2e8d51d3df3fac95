"""
MNIST through skorch, and a pitfall of plain skorch
===================================================

The tutorial's network with its pitfall, and the same without it.

784-128-10 with Adam at 0.001, batches of 128, 5 epochs, shuffled. Plain skorch's classifier takes
the logarithm of the network's output; if the network returns logits, as most do, the training
loss is NaN. Run it with::

    python examples/skorch_mnist.py --data FOLDER --seeds 0

    plain skorch, default loss   epoch 1, training loss nan
    sklearn_mlp, seed 0          test accuracy 0.9731   fit time    3.2 s
                                 training accuracy 0.9780, from skorch's history

FOLDER holds the four IDX files, gzipped. Without it the data comes from OpenML.
"""

from typing import Any

import torch
from images import Images, load_images, parse_arguments, report
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochScoring
from torch import nn

from sklearn_mlp import TorchMLPClassifier

SETTINGS: dict[str, Any] = {
    "hidden_layer_sizes": (128,),
    "batch_size": 128,
    "max_iter": 5,
}


def show_the_pitfall(images: Images) -> None:
    """Train plain skorch for an epoch on logits with its default loss, and print that loss."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    net = NeuralNetClassifier(
        network,
        optimizer=torch.optim.Adam,
        lr=0.001,
        batch_size=128,
        max_epochs=1,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    net.fit(images.X_train, images.y_train)
    loss = net.history[-1, "train_loss"]
    print(f"{'plain skorch, default loss':<28} epoch 1, training loss {loss:.4f}", flush=True)


def main() -> None:
    """Show the pitfall, then train with each seed and report."""
    options = parse_arguments("MNIST through skorch.")
    images = load_images("mnist_784", options.data)
    show_the_pitfall(images)
    for seed in options.seeds:
        accuracy = EpochScoring("accuracy", on_train=True, name="train_acc", lower_is_better=False)
        ours = TorchMLPClassifier(
            **SETTINGS,
            random_state=seed,
            device=options.device,
            dtype=options.dtype,
            backend="skorch",
            backend_params={"callbacks": [accuracy]},
        )
        report(f"sklearn_mlp, seed {seed}", ours, images)
        train_accuracy = ours.net_.history[-1, "train_acc"]
        print(f"{'':<28} training accuracy {train_accuracy:.4f}, from skorch's history")
        if options.compare:
            theirs = MLPClassifier(**SETTINGS, random_state=seed)
            report(f"scikit-learn, seed {seed}", theirs, images)


if __name__ == "__main__":
    main()
# sphinx_gallery_thumbnail_path = 'images/skorch_mnist.svg'
