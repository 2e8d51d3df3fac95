"""Steps of stacks of networks: by torch, by compiled code, and by autograd the same."""

import threading
import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification, make_regression
from threadpoolctl import threadpool_info, threadpool_limits

from sklearn_mlp import TabularMLPClassifier, TabularMLPRegressor
from sklearn_mlp.compiled.library import why_not_here
from sklearn_mlp.compiled.plan import CompiledPlan
from sklearn_mlp.losses import SquaredError
from sklearn_mlp.tabular import coded_rows, training
from sklearn_mlp.tabular.batches import Batches, Stretch
from sklearn_mlp.tabular.coded_rows import Part
from sklearn_mlp.tabular.folds import Folds
from sklearn_mlp.tabular.judging import Task
from sklearn_mlp.tabular.masks import Masks
from sklearn_mlp.tabular.members import RATE_OF_BIASES, RATE_OF_SCALES, Members
from sklearn_mlp.tabular.plan import Plan, Settings
from sklearn_mlp.tabular.torch_steps import TorchSteps

CPU = torch.device("cpu")
IS_COMPILED = pytest.mark.skipif(why_not_here() is not None, reason="nothing is compiled here")
SMALL = {"hidden_layer_sizes": (16, 9), "max_iter": 6, "random_state": 0, "dtype": "float64"}


class PlainRows:
    """Coded rows that are the code itself."""

    device = CPU

    def __init__(self, inputs):
        self.inputs = inputs

    def pick(self, rows, part):
        return self.inputs[rows]


class GivenMasks:
    """Masks that are known, of layers of 5 and 4 units and batches of 7."""

    def __init__(self, masks):
        self.masks = masks

    def draw(self, first, n_steps):
        return self.masks

    def by_layer(self, masks=None):
        return [[mask.view(-1, 7) for mask in step.split([35, 28])] for step in self.masks]


def test_a_gradient_is_that_of_autograd():
    generator = torch.Generator().manual_seed(0)
    members = Members(2, [3, 5, 4, 1], torch.float64, generator, CPU, is_apart=False)
    members.values.add_(torch.randn(len(members.values), generator=generator, dtype=torch.float64))
    inputs = torch.randn(14, 3, generator=generator, dtype=torch.float64)
    targets = torch.randn(1, 14, generator=generator, dtype=torch.float64)
    masks = GivenMasks(torch.rand(1, 63, generator=generator, dtype=torch.float64))
    task = Task(SquaredError(), targets, None, 1, False, False)
    steps = TorchSteps(members, PlainRows(inputs), Part(True, True), task, (0.9, 0.95), masks)

    leaves = [p.clone().requires_grad_() for p in (*members.weights, *members.biases)]
    scales = members.scales.clone().requires_grad_()
    rows = torch.arange(14).view(2, 7)
    values = inputs[rows].transpose(1, 2)
    for layer in range(3):
        weight = leaves[layer] * scales if layer == 0 else leaves[layer]
        values = weight @ values / values.shape[1] ** 0.5 + leaves[3 + layer]
        if layer < 2:
            values = torch.nn.functional.silu(values) * masks.by_layer()[0][layer]
    ((values - targets[:, rows].transpose(0, 1)) ** 2 / 14).sum().backward()

    before = members.values.clone()
    steps.take(Stretch(rows.unsqueeze(1), None, False), [0.0])
    torch.testing.assert_close(members.values, before)
    found = [*steps._weight_gradients, *steps._bias_gradients, steps._scale_gradient]
    for leaf, gradient in zip([*leaves, scales], found, strict=True):
        torch.testing.assert_close(leaf.grad, gradient)


@pytest.mark.parametrize("is_apart", [False, True])
def test_networks_begin_with_the_same_weights_however_they_lie(is_apart):
    units = [3, 5, 2]
    generator = torch.Generator().manual_seed(1)
    members = Members(4, units, torch.float32, generator, CPU, is_apart=is_apart)
    drawn = torch.Generator().manual_seed(1)
    expected = torch.randn(4, 5, 3, dtype=torch.float64, generator=drawn).float()
    torch.testing.assert_close(members.weights[0], expected, rtol=0, atol=0)
    assert not members.weights[1].any()
    np.testing.assert_allclose(members.frozen().weights[0], expected / 3**0.5, rtol=1e-6)
    of_one = members.values.view(4, -1)[2] if is_apart else None
    if is_apart:
        torch.testing.assert_close(of_one[:15].view(5, 3), members.weights[0][2])
        assert (of_one[32:35] == 1).all()
        # The next one begins with a line of the cache.
        assert len(of_one) == 48


def fit_both(model, X, y, monkeypatch, **given):
    """Return what networks say that took compiled steps, and that took torch's."""
    monkeypatch.delenv("SKLEARN_MLP_COMPILED", raising=False)
    compiled = model.fit(X, y, **given).predict_members(X)
    monkeypatch.setenv("SKLEARN_MLP_COMPILED", "0")
    return compiled, model.fit(X, y, **given).predict_members(X)


@IS_COMPILED
def test_compiled_steps_of_many_inputs_are_those_of_torch(monkeypatch):
    # The first weights are changed some units at a time, and the scales with them.
    X, y = make_classification(300, 40, random_state=0)
    model = TabularMLPClassifier(cv=2, batch_size=64, **{**SMALL, "hidden_layer_sizes": (40,)})
    np.testing.assert_allclose(*fit_both(model, X, y, monkeypatch), rtol=1e-6, atol=1e-9)


@IS_COMPILED
@pytest.mark.parametrize("n_rows", [60, 300])
@pytest.mark.parametrize("n_features", [4, 40])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_compiled_steps_of_classes_are_those_of_torch(
    n_rows, n_features, n_classes, is_weighted, monkeypatch
):
    X, y = make_classification(n_rows, n_features, n_informative=4, n_redundant=0,
                               n_classes=n_classes, random_state=0)  # fmt: skip
    weights = np.random.default_rng(0).integers(0, 3, n_rows) if is_weighted else None
    model = TabularMLPClassifier(cv=3, **SMALL)
    compiled, by_torch = fit_both(model, X, y, monkeypatch, sample_weight=weights)
    np.testing.assert_allclose(compiled, by_torch, rtol=1e-6, atol=1e-9)


@IS_COMPILED
@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma"]
)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_compiled_steps_of_numbers_are_those_of_torch(loss, dropout, monkeypatch):
    X, y = make_regression(250, 5, random_state=0)
    model = TabularMLPRegressor(loss=loss, dropout=dropout, cv=3, **SMALL)
    compiled, by_torch = fit_both(model, X, np.exp(y / 300), monkeypatch)
    np.testing.assert_allclose(compiled, by_torch, rtol=1e-6)


@IS_COMPILED
@pytest.mark.parametrize("hidden_layer_sizes", [(), (7,), (8, 8, 8, 8)])
def test_compiled_steps_of_any_depth_are_those_of_torch(hidden_layer_sizes, monkeypatch):
    X, y = make_regression(250, 5, n_targets=2, random_state=0)
    settings = {**SMALL, "hidden_layer_sizes": hidden_layer_sizes}
    compiled, by_torch = fit_both(TabularMLPRegressor(cv=3, **settings), X, y, monkeypatch)
    np.testing.assert_allclose(compiled, by_torch, rtol=1e-6, atol=1e-6 * y.std())


@IS_COMPILED
def test_several_labels_at_once_take_steps_of_torch_and_others_do_not(monkeypatch):
    def fail(*_):
        raise AssertionError("a step by torch")

    monkeypatch.setattr(training.TorchSteps, "take", fail)
    X, y = make_classification(80, random_state=0)
    TabularMLPClassifier(cv=3, **SMALL).fit(X, y)
    TabularMLPClassifier(cv=3, **SMALL).fit(X, np.column_stack([y, 1 - y]))
    TabularMLPRegressor(cv=3, **SMALL).fit(X, y)
    with pytest.raises(AssertionError, match="a step by torch"):
        TabularMLPClassifier(cv=3, **SMALL).fit(X, np.column_stack([y, y + 2 * (X[:, 0] > 0)]))
    monkeypatch.setenv("SKLEARN_MLP_COMPILED", "0")
    with pytest.raises(AssertionError, match="a step by torch"):
        TabularMLPRegressor(cv=3, **SMALL).fit(X, y)


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_products_of_training_are_on_one_thread(monkeypatch):
    seen = set()

    def take(self, *given):
        seen.update(blas_threads(), [torch.get_num_threads()])
        found.take(self, *given)

    found = training.TorchSteps if why_not_here() else training.CompiledSteps
    monkeypatch.setattr(training, found.__name__, type("Seen", (found,), {"take": take}))
    X, y = make_regression(100, 3, random_state=0)
    with threadpool_limits(limits=2):
        before = blas_threads()
        TabularMLPRegressor(cv=3, **SMALL).fit(X, y)
        assert blas_threads() == before
    assert seen == {1}


@IS_COMPILED
@pytest.mark.parametrize("is_kept", [True, False])
def test_threads_share_the_networks_of_a_group(is_kept, monkeypatch):
    if not is_kept:
        monkeypatch.setattr(coded_rows, "_MOST_KEPT", 100)
    X, y = make_classification(300, random_state=0)
    threads = set()
    run = CompiledPlan.run

    def noting(self, *args, **kwargs):
        threads.add(threading.get_ident())
        time.sleep(0.001)
        return run(self, *args, **kwargs)

    monkeypatch.setattr(CompiledPlan, "run", noting)
    model = TabularMLPClassifier(**SMALL)
    alone = model.fit(X, y).predict_members(X)
    assert threads == {threading.get_ident()}
    threads.clear()
    shared = model.set_params(n_jobs=3).fit(X, y).predict_members(X)
    assert len(threads) == 3
    assert threading.get_ident() not in threads
    np.testing.assert_array_equal(shared, alone)


@IS_COMPILED
def test_an_error_of_a_thread_is_raised_when_no_other_is_at_work(monkeypatch):
    at_work = []

    def failing(self, *args, **kwargs):
        at_work.append(1)
        try:
            if len(at_work) == 2:
                raise MemoryError("no more")
            time.sleep(0.05)
        finally:
            at_work.pop()

    monkeypatch.setattr(CompiledPlan, "run", failing)
    X, y = make_regression(100, 3, random_state=0)
    with pytest.raises(MemoryError, match="no more"):
        TabularMLPRegressor(n_jobs=2, **SMALL).fit(X, y)
    assert not at_work
    assert not [one for one in threading.enumerate() if "ThreadPool" in one.name]


@IS_COMPILED
def test_compiled_steps_read_rows_that_are_coded_as_they_come(monkeypatch):
    X, y = make_regression(300, 6, random_state=0)
    model = TabularMLPRegressor(cv=3, **SMALL)
    whole = model.fit(X, y).predict(X)
    monkeypatch.setattr(coded_rows, "_MOST_KEPT", 100)
    np.testing.assert_allclose(model.fit(X, y).predict(X), whole, rtol=1e-9)


def plan_of(n_rows, k, max_iter, batch_size=None, dropout=0.3):
    """Return folds of so many networks, how they are trained, and in which steps."""
    parts = np.array_split(np.arange(n_rows), k)
    learned = [np.setdiff1d(np.arange(n_rows), part) for part in parts]
    chosen = Settings(
        [8, 5], 0.1, (0.9, 0.95), dropout, max_iter, 4, batch_size, torch.float32, CPU
    )
    folds = Folds(learned, parts)
    return folds, chosen, Plan.of(n_rows, folds, chosen)


@settings(deadline=None)
@given(
    n_rows=st.integers(6, 400),
    k=st.integers(2, 4),
    max_iter=st.integers(1, 20),
    most_steps=st.integers(1, 40),
)
def test_stretches_hold_all_steps_and_end_where_networks_are_judged(
    n_rows, k, max_iter, most_steps
):
    folds, _, plan = plan_of(n_rows, k, max_iter)

    def stretches(most):
        generator = torch.Generator().manual_seed(0)
        return list(Batches(plan, folds, None, torch.float32, generator).stretches(most))

    cut, uncut = stretches(most_steps), stretches(10**6)
    ends = np.cumsum([stretch.n_steps for stretch in cut])
    assert ends[-1] == plan.n_steps
    assert max(stretch.n_steps for stretch in cut) <= most_steps
    assert {step for step in plan.judged_after if step <= plan.n_steps} <= set(ends)
    rows = torch.cat([stretch.rows for stretch in cut], dim=1)
    assert torch.equal(rows, torch.cat([stretch.rows for stretch in uncut], dim=1))
    for member, held in enumerate(folds.held):
        counted = rows[member]
        if plan.is_whole:
            weights = torch.cat([stretch.weights for stretch in cut], dim=1)
            counted = counted[weights[member] > 0]
        assert not np.isin(held, counted.numpy()).any()
        if not plan.is_whole:
            # No row comes twice in an epoch before all of them have come.
            for first, last in pairwise(range(0, plan.n_steps + 1, plan.steps_an_epoch)):
                epoch = rows[member, first:last].flatten()
                assert len(epoch.unique()) == min(len(epoch), len(folds.learned[member]))


@pytest.mark.parametrize("n_rows", [100, 400])
def test_masks_of_many_steps_are_those_drawn_one_by_one(n_rows):
    _, chosen, plan = plan_of(n_rows, 4, 15)

    def masks():
        return Masks(chosen, plan, torch.Generator().manual_seed(0))

    at_once = masks().draw(0, plan.n_steps)
    drawing = masks()
    one_by_one = [drawing.draw(step, 1) for step in range(plan.n_steps)]
    for step, found in enumerate(one_by_one):
        expected = torch.ones_like(at_once[step]) if found is None else found[0]
        assert torch.equal(at_once[step], expected)
    # Less and less is dropped, in the end nothing; what is kept makes up for it.
    assert (at_once[0] == 0).float().mean() == pytest.approx(0.3, abs=0.08)
    assert (at_once[-1] == 1).all()
    assert at_once.mean() == pytest.approx(1, abs=0.02)
    first = masks().by_layer(at_once)[0]
    assert [len(mask) for mask in first] == [8, 5]
    of_rows = masks().for_each_row(at_once)
    assert of_rows.shape[1] == 13 * plan.batch_size


@pytest.mark.parametrize("n_rows", [100, 300])
def test_what_is_dropped_is_never_everything(n_rows):
    X, y = make_classification(n_rows, random_state=0)
    model = TabularMLPClassifier(dropout=0.999, cv=3, **SMALL).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()
    assert np.isfinite(model.history_["loss"]).all()


@pytest.mark.parametrize("switch", ["", "0"])
@pytest.mark.parametrize("Estimator", [TabularMLPClassifier, TabularMLPRegressor])
def test_training_that_diverges_says_so(Estimator, switch, monkeypatch):
    monkeypatch.setenv("SKLEARN_MLP_COMPILED", switch)
    X, y = make_classification(120, random_state=0)
    settings = {**SMALL, "dtype": "float32"}
    with pytest.raises(ValueError, match=r"diverged.*Lower learning_rate_init=1e\+30"):
        Estimator(learning_rate_init=1e30, **settings).fit(X, y)
    model = Estimator(learning_rate_init=1e-30, **settings).fit(X, y)
    assert np.isfinite(model.oof_prediction_).all()


def test_biases_and_scales_have_rates_of_their_own():
    generator = torch.Generator().manual_seed(0)
    members = Members(1, [4, 3, 1], torch.float64, generator, CPU, is_apart=False)
    members.weights[-1].add_(1)
    _, chosen, plan = plan_of(20, 2, 1, dropout=0.0)
    no_masks = Masks(chosen, plan, generator)
    before = members.values.clone()
    inputs = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    task = Task(SquaredError(), torch.ones(1, 9, dtype=torch.float64), None, 1, False, False)
    steps = TorchSteps(members, PlainRows(inputs), Part(True, True), task, (0.9, 0.99), no_masks)
    steps.take(Stretch(torch.arange(9).view(1, 1, 9), None, False), [0.01])
    moved = members.parts_of((members.values - before).abs())
    # Adam's first step is the rate, whatever the gradient.
    torch.testing.assert_close(
        moved[1][0],
        torch.full((1, 3, 1), 0.01 * RATE_OF_BIASES, dtype=torch.float64),
        rtol=1e-4,
        atol=0,
    )
    torch.testing.assert_close(
        moved[2],
        torch.full((1, 1, 4), 0.01 * RATE_OF_SCALES, dtype=torch.float64),
        rtol=1e-4,
        atol=0,
    )
