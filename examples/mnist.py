"""
MNIST: the published accuracy, and the time
===========================================

One hidden layer of 128 units, Adam, batches of 64, 5 epochs.

A plain PyTorch loop reaches about 0.975 with this network. Run it with::

    python examples/mnist.py --data FOLDER --compare

FOLDER holds the four IDX files, gzipped. Without it the data comes from OpenML.
"""

from typing import Any

from images import load_images, parse_arguments, report
from sklearn.neural_network import MLPClassifier

from sklearn_mlp import TorchMLPClassifier

SETTINGS: dict[str, Any] = {
    "hidden_layer_sizes": (128,),
    "batch_size": 64,
    "max_iter": 5,
}


def main() -> None:
    """Train with each seed and report."""
    options = parse_arguments("MNIST: one hidden layer of 128 units.")
    images = load_images("mnist_784", options.data)
    for seed in options.seeds:
        ours = TorchMLPClassifier(
            **SETTINGS, random_state=seed, device=options.device, dtype=options.dtype
        )
        report(f"sklearn_mlp, seed {seed}", ours, images)
        if options.compare:
            theirs = MLPClassifier(**SETTINGS, random_state=seed)
            report(f"scikit-learn, seed {seed}", theirs, images)


if __name__ == "__main__":
    main()
# sphinx_gallery_thumbnail_path = 'images/mnist.svg'
