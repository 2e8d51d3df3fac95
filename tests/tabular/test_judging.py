"""What outputs of rows not seen say of each class."""

import numpy as np
import pytest
import torch

from sklearn_mlp import TabularMLPClassifier
from sklearn_mlp.losses import choose_classifier_loss
from sklearn_mlp.tabular.judging import Mixture, Task, combine
from sklearn_mlp.targets.label_codecs import read_labels


def task_of(y, weights=None, is_calibrated=True):
    """Return the task of learning labels."""
    y = y[:, 0] if y.shape[1] == 1 else y
    codec = read_labels(y, has_output_per_class=True)
    loss = choose_classifier_loss("log_loss", codec.kind, codec.sizes, "auto", 0, 0)
    targets = torch.from_numpy(np.ascontiguousarray(codec.encode(y).T))
    # As `BaseTabularMLP._task` has them.
    targets = targets if targets.dtype == torch.int64 else targets.float()
    weights = None if weights is None else torch.from_numpy(weights)
    return Task(loss, targets, weights, codec.n_outputs, True, is_calibrated)


LABELS = {
    "two classes": lambda rng: rng.permutation(np.arange(300) % 5 == 0)[:, None].astype(int),
    "three classes": lambda rng: rng.permutation(np.arange(300) % 7 % 3)[:, None],
    "multilabel": lambda rng: (rng.uniform(size=(300, 3)) < [0.1, 0.5, 0.8]).astype(int),
    "two columns": lambda rng: rng.integers(0, [3, 4], (300, 2)),
}


@pytest.mark.parametrize("kind", LABELS)
def test_biases_are_where_the_penalised_loss_is_least(kind):
    rng = np.random.default_rng(0)
    task = task_of(LABELS[kind](rng))
    logits = torch.from_numpy(rng.normal(size=(task.n_logits, 300)))
    biases = torch.tensor(task.biases_of(logits), dtype=torch.float64, requires_grad=True)
    # By autograd: what the loss says, and 20 rows against it.
    probability = task.loss.activate(logits + biases[:, None], 0)
    codes, n_columns = task.targets, len(task.targets)
    if kind == "multilabel":
        said = torch.where(codes > 0.5, probability, 1 - probability)
    else:
        first = torch.tensor([[0], [3]])[:n_columns]
        said = probability.gather(0, codes + first)
    (-said.log().sum() + 10 * (biases**2).sum()).backward()
    assert biases.abs().max() > 0.1
    assert biases.grad.abs().max() < 0.05


def test_a_weight_is_a_row_repeated():
    rng = np.random.default_rng(0)
    y, counts = np.arange(90)[:, None] % 3, rng.integers(1, 4, 90)
    logits = torch.from_numpy(rng.normal(size=(3, 90)))
    repeated = np.repeat(np.arange(90), counts)
    weighted = task_of(y, counts.astype(float)).biases_of(logits)
    expected = task_of(y[repeated]).biases_of(logits[:, repeated])
    np.testing.assert_allclose(weighted, expected, rtol=1e-4)


def test_a_class_thought_of_too_seldom_is_thought_of_more():
    rng = np.random.default_rng(0)
    y = (rng.uniform(size=(2000, 1)) < 0.4).astype(int)
    # As they should be, but for the second class.
    right = torch.tensor([[0.6], [0.4]], dtype=torch.float64).log()
    logits = right + torch.tensor([[0.0], [-1.0]]) + 0 * torch.from_numpy(y.T)
    mixture = combine(task_of(y), [logits, logits], [1.0, 1.0], 4)
    mean = mixture.mix(task_of(y).loss, [logits.softmax(0)] * 2, mixture.temperature_of_two)
    assert float(mean[1].mean()) == pytest.approx(y.mean(), abs=0.01)


def test_one_group_has_biases_and_none_without_calibration():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, (60, 1))
    logits = torch.from_numpy(rng.normal(size=(3, 60))).float()
    alone = combine(task_of(y), [logits], [2.0], 4)
    assert alone.biases == pytest.approx(task_of(y).biases_of(logits.double() / 2))
    assert combine(task_of(y, is_calibrated=False), [logits], [1.0], 4) == Mixture((1.0,), (1.0,))


def test_a_group_that_counts_nothing_leaves_the_other_as_sure_as_it_is_alone():
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(scale=3, size=(3, 2000)))
    # Labels as often as the first group says; the second one knows nothing, or worse.
    draws = rng.gumbel(size=(3, 2000))
    y = (logits.numpy() + draws).argmax(0)[:, None]
    task = task_of(y)
    for bad in (0 * logits, -logits):
        for place in (0, 1):
            groups = [logits, bad] if place == 0 else [bad, logits]
            mixture = combine(task, groups, [1.0, 1.0], 4)
            assert mixture.weights[place] == 1
            assert mixture.temperature == mixture.temperature_of_two == 1
            alone = combine(task, [logits], [1.0], 4)
            assert mixture.biases == pytest.approx(alone.biases, abs=1e-4)


def test_biases_count_in_all_that_a_classifier_says():
    X = np.random.default_rng(0).normal(size=(200, 3))
    y = (X[:, 0] > 1).astype(int)
    model = TabularMLPClassifier((8,), max_iter=4, random_state=0).fit(X, y)
    seen = model.oof_prediction_, model.predict_proba(X)
    mixture = model._ensemble.mixture
    assert len(mixture.biases) == 2
    object.__setattr__(mixture, "biases", (0.0, 3.0))
    assert (model.predict_proba(X)[:, 1] > seen[1][:, 1]).all()
