"""A loss of the user's: what is no loss is told apart, and what to do is said."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def squares(output, target):
    """The squared error of each sample."""
    return (output - target).square().sum(1)


@pytest.mark.parametrize(
    ("loss", "advice"),
    [
        (nn.L1Loss, r"loss=L1Loss is a class; .*, loss=L1Loss\(reduction='none'\)"),
        (nn.CrossEntropyLoss, "loss=CrossEntropyLoss is a class; .*, or loss='log_loss'"),
        (np.ndarray, "loss=ndarray is a class; pass an instance"),
        (nn.L1Loss(), r"has reduction='mean' .* pass L1Loss\(reduction='none'\)"),
        (nn.HuberLoss(reduction="sum"), r"reduction='sum'.*HuberLoss\(reduction='none'\)"),
        (nn.functional.l1_loss, r"a value per sample, .* got shape \(\). Do not average"),
        (
            lambda output: output.sum(1),
            r"two arguments, outputs and targets, but takes \(output\)",
        ),
        (lambda output, target, rate: output, "missing a required argument: 'rate'"),
        (nn.CosineEmbeddingLoss(reduction="none"), "must take two arguments"),
        (lambda output, target: output @ output @ output, "loss=<lambda> must take .* it raised"),
        (
            lambda output, target: output.sub_(target).sum(1),
            "it raised RuntimeError|leave the out",
        ),
        (lambda output, target: None, "got NoneType"),
        (lambda output, target: 1.5, "got float"),
        (lambda output, target: squares(output, target).long(), "got a tensor of torch.int64"),
        (lambda output, target: squares(output, target) * 1j, "got a tensor of torch.complex"),
        (lambda output, target: squares(output, target).to_sparse(), "torch.sparse_coo"),
        (lambda output, target: squares(output.detach(), target), "so that autograd can follow"),
        (lambda output, target: squares(output, target) * np.nan, "non-finite .* loss=<function"),
    ],
)
def test_what_is_no_loss_of_each_sample(make_classifier, make_regressor, iris, loss, advice):
    X, y = iris
    for make, targets in ((make_classifier, y), (make_regressor, X[:, :2])):
        estimator = make(loss=loss)
        with pytest.raises(ValueError, match=f"(?s)loss.*{advice}|{advice}"):
            estimator.fit(X, targets)
        assert not hasattr(estimator, "module_")


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(),
        nn.CrossEntropyLoss(weight=torch.ones(3), reduction="none"),
        nn.BCEWithLogitsLoss(reduction="none"),
        nn.functional.cross_entropy,
        partial(nn.functional.cross_entropy, reduction="none"),
    ],
)
def test_losses_of_logits_are_not_given_probabilities(make_classifier, iris, loss):
    with pytest.raises(ValueError, match=r"takes logits, .* Use loss='log_loss'.*class_weight"):
        make_classifier(loss=loss).fit(*iris)


def test_losses_of_torch_train(make_classifier, make_regressor, iris):
    X, y = iris
    ours = make_regressor(loss=lambda output, target: (output - target).square()).fit(X, X[:, 0])
    theirs = make_regressor(loss=nn.MSELoss(reduction="none")).fit(X, X[:, 0])
    assert_array_equal(theirs.loss_curve_, ours.loss_curve_)
    logits = make_classifier(
        loss=nn.CrossEntropyLoss(reduction="none"), output_activation="identity", alpha=0.0
    ).fit(X, y)
    plain = make_classifier(alpha=0.0).fit(X, y)
    assert logits.score(X, y) == plain.score(X, y)


def test_a_loss_may_change_its_copy_of_the_targets(make_regressor, iris):
    X, _ = iris

    def in_place(output, target):
        """Change the targets in place."""
        return target.sub_(output).square().sum(1)

    changing = make_regressor(loss=in_place, early_stopping=True, scoring="loss")
    plain = make_regressor(loss=squares, early_stopping=True, scoring="loss")
    changing.fit(X, X[:, 1:])
    plain.fit(X, X[:, 1:])
    assert changing.loss_curve_ == plain.loss_curve_
    assert changing.validation_scores_ == plain.validation_scores_


def test_an_error_of_the_users_own_comes_through(make_regressor, iris):
    class Stop(Exception):
        """What a caller waits for."""

    def stop(output, target):
        """End training."""
        raise Stop

    with pytest.raises(Stop):
        make_regressor(loss=stop).fit(iris[0], iris[1] * 1.0)


def broken(output, target):
    """A loss with a mistake of its own in it."""
    raise RuntimeError("a mistake")


def test_an_error_in_a_loss_names_it_and_stays_of_its_kind(iris, make_classifier):
    X, y = iris
    for kind in (ValueError, RuntimeError):
        with pytest.raises(
            kind, match=r"loss=broken .* it raised RuntimeError: a mistake"
        ) as told:
            make_classifier(loss=broken, max_iter=1).fit(X, y)
    again = pickle.loads(pickle.dumps(told.value))
    assert type(again) is type(told.value)
    assert str(again) == str(told.value)
