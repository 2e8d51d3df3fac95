"""torch's generators: what a fit draws, and that it leaves them alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_mlp import TorchMLPClassifier, fit_many
from sklearn_mlp.machine.random_numbers import is_seeding, may_draw, seeded_torch

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(1).normal(size=(60, 5))
Y = np.arange(60) % 3


class Noisy(nn.Module):
    """Draws from torch's global generator while it is trained."""

    def __init__(self, n_features_in, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_features_in, n_outputs)

    def forward(self, inputs):
        return self.layer(nn.functional.dropout(inputs, 0.3, self.training))


def classifier(**settings):
    settings = {"dropout": 0.3} | settings
    return TorchMLPClassifier((8,), max_iter=3, random_state=0, **settings)


@pytest.fixture
def never_seeded(monkeypatch):
    """Let it be an error to touch torch's global generator."""

    def refuse(*arguments):
        raise AssertionError("torch's global generator is touched")

    for name in ("_seed", "_set_state", "_get_state"):
        monkeypatch.setattr(f"sklearn_mlp.machine.random_numbers.{name}", refuse)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"backend": "skorch"},
        {"backend": "skorch", "backend_params": {"iterator_train__num_workers": 0}},
        {"normalization": "batch"},
        {"input_dropout": 0.1, "solver": "adamw"},
        {"weight_init": "orthogonal"},
        {"activation": nn.PReLU()},
        {"early_stopping": True},
    ],
)
@pytest.mark.usefixtures("never_seeded")
def test_networks_of_ours_leave_the_global_generator_alone(settings):
    state = torch.get_rng_state()
    model = classifier(**settings).fit(X, Y)
    if not settings.get("early_stopping"):
        model.partial_fit(X, Y)
    model.predict(X)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.usefixtures("by_torch")
@pytest.mark.usefixtures("never_seeded")
def test_many_fits_leave_it_alone():
    state = torch.get_rng_state()
    fit_many([classifier(alpha=alpha) for alpha in (0.1, 0.2)], X, Y)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "settings",
    [{}, {"backend": "skorch"}, {"normalization": "layer"}, {"weight_averaging": "ema"}],
)
def test_fits_in_threads_at_once_draw_what_each_draws_alone(settings):
    def fit(seed):
        model = classifier(**settings).set_params(random_state=seed).fit(X, Y)
        return model.partial_fit(X, Y).predict_proba(X)

    want = [fit(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(fit, range(4)))
    np.testing.assert_array_equal(got, want)


def test_numbers_of_another_thread_do_not_come_again():
    stopping = threading.Event()

    def fit_on():
        while not stopping.is_set():
            classifier(activation="tanh").fit(X, Y)

    thread = threading.Thread(target=fit_on)
    thread.start()
    drawn = [torch.rand(1, dtype=torch.float64).item() for _ in range(3000)]
    stopping.set()
    thread.join()
    assert len(set(drawn)) == len(drawn)


def test_a_users_module_is_settled_and_the_generator_as_it_was():
    def fit(seed=0):
        model = TorchMLPClassifier(module=Noisy, max_iter=3, random_state=seed)
        return model.fit(X, Y).predict_proba(X)

    torch.manual_seed(1)
    want = fit()
    state = torch.manual_seed(2).get_state()
    np.testing.assert_array_equal(fit(), want)
    assert torch.equal(torch.get_rng_state(), state)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(fit, range(6)))
    assert torch.equal(torch.get_rng_state(), state)


def test_seeding_within_seeding_and_in_two_threads():
    state = torch.get_rng_state()
    with seeded_torch(1):
        alone = torch.rand(3), torch.rand(3)
    with seeded_torch(1):
        first = torch.rand(3)
        with seeded_torch(5):
            torch.rand(3)
        assert torch.equal(first, alone[0])
        assert torch.equal(torch.rand(3), alone[1])
    inside, outside = threading.Event(), threading.Event()

    def other():
        with seeded_torch(2):
            inside.set()
            outside.wait(timeout=30)

    thread = threading.Thread(target=other)
    with seeded_torch(3):
        thread.start()
        assert inside.wait(timeout=30)
        assert is_seeding()
    assert not is_seeding()
    outside.set()
    thread.join()
    assert torch.equal(torch.get_rng_state(), state)


def test_which_activations_may_draw():
    assert may_draw(nn.functional.rrelu)
    assert may_draw(nn.RReLU())
    assert may_draw(nn.Sequential(nn.Tanh()))
    assert not may_draw(nn.PReLU())
    assert not may_draw("relu")
