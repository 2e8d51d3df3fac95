"""The losses: their values per sample, and their gradients with respect to the logits.

A loss knows the output activation that it goes with. Logits are feature-major,
``(..., n_outputs, n_samples)``, as the engine keeps them; targets are class codes,
``(..., 1, n_samples)``, for classes that exclude each other, and values,
``(..., n_outputs, n_samples)``, for the rest. Leading dimensions, where there are any, count
blocks of samples or stacked networks.

Where scikit-learn has the loss (`sklearn.neural_network`, version 1.9) the values are its own, its
clipping included, so that ``loss_curve_`` can be compared number by number.

======================  ==========================================================================
`base`                  `Loss`, what the engine calls
`classification`        log losses and focal losses, fused with softmax or logistic function
`regression`            losses of numbers, fused or with outputs of their own
`outputs`, `errors`     any error of the outputs, after any output activation: the chain rule
`custom`                a user's function, by autograd
`labels`                class codes to values, outputs to probabilities, blocks of outputs
`choice`                from the estimators' parameters to one of these
`metrics`               the scores that early stopping watches
======================  ==========================================================================

May import `machine`.
"""

from sklearn_mlp.losses.base import Loss
from sklearn_mlp.losses.choice import choose_classifier_loss, choose_regressor_loss
from sklearn_mlp.losses.classification import BinaryLogLoss, MulticlassLogLoss
from sklearn_mlp.losses.regression import GaussianNLL, Poisson, Quantiles, SquaredError

__all__ = [
    "BinaryLogLoss",
    "GaussianNLL",
    "Loss",
    "MulticlassLogLoss",
    "Poisson",
    "Quantiles",
    "SquaredError",
    "choose_classifier_loss",
    "choose_regressor_loss",
]
