"""Processes that train together have the numbers of one that trains alone."""

import numpy as np
import pytest
import rank_jobs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iter")

CASES = {
    "batches that do not divide": {},
    "a last batch of one": {"n_samples": 97},
    "batches of one": {"n_samples": 5, "batch_size": 1},
    "one sample": {"n_samples": 1, "is_classifier": False},
    "one batch": {"batch_size": 1000},
    "weights": {"weighted": True, "alpha": 0.1},
    "weights mostly 0": {"weighted": "mostly 0", "alpha": 0.1, "batch_size": 9},
    "weights of numbers": {"weighted": True, "is_classifier": False, "alpha": 0.1},
    "classes weighed": {"class_weight": "balanced"},
    "a part held out": {"early_stopping": True, "n_iter_no_change": 1, "tol": 0.1},
    "a part held out of weighted": {"early_stopping": True, "weighted": True},
    "a validation set": {"watched": True, "scoring": "loss"},
    "a scorer": {"watched": True, "scoring": "balanced_accuracy"},
    "dropout": {"dropout": 0.3, "input_dropout": 0.2, "n_samples": 97},
    "dropout by autograd": {"dropout": [0.3, 0.0], "normalization": "layer"},
    "sparse": {"kind": "sparse"},
    "sparse, dropped": {"kind": "sparse", "input_dropout": 0.2},
    "lbfgs": {"solver": "lbfgs"},
    "lbfgs, weighted": {"solver": "lbfgs", "weighted": True, "is_classifier": False},
    "lbfgs, watched": {"solver": "lbfgs", "watched": True},
    "lbfgs, one sample": {"solver": "lbfgs", "n_samples": 1, "is_classifier": False},
    "an epoch at a time": {"calls": 4},
    "an epoch at a time, watched": {"calls": 4, "watched": True, "early_stopping": True},
    "not shuffled": {"shuffle": False, "solver": "nadam"},
    "rates that adapt": {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0},
    "a plan of rates": {"learning_rate": "cosine", "warmup": 2},
    "clipped and averaged": {"gradient_clip": 0.1, "weight_averaging": "ema"},
    "averages of epochs": {"weight_averaging": "swa", "solver": "adamw"},
    "muon": {"solver": "muon"},
    "residual": {"residual": True, "hidden_layer_sizes": (6, 6), "activation": "gelu"},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "a loss of its own": {"is_classifier": False, "loss": "huber"},
}


@pytest.mark.parametrize("name", CASES)
def test_two_processes_have_the_numbers_of_one(two, name):
    rank_jobs.assert_as_alone(two, CASES[name])


def test_fits_from_one_generator(two):
    expected = rank_jobs.fit_generator(2)
    for learned in two.call(rank_jobs.fit_generator, 2):
        rank_jobs.assert_equal(learned, expected)


def test_a_random_state_of_none_is_the_same_for_all(two):
    first, second = two.call(rank_jobs.fit, {"random_state": None})
    rank_jobs.assert_equal(second, first)


SETTINGS = st.fixed_dictionaries(
    {
        "n_samples": st.integers(12, 70),
        "is_classifier": st.booleans(),
        "weighted": st.booleans(),
        "batch_size": st.integers(1, 80),
        "solver": st.sampled_from(["adam", "sgd", "rmsprop", "lbfgs"]),
        "activation": st.sampled_from(["relu", "tanh", "silu"]),
        "alpha": st.sampled_from([0.0, 1e-4, 0.1]),
        "early_stopping": st.booleans(),
        "shuffle": st.booleans(),
        "max_iter": st.integers(1, 4),
        "hidden_layer_sizes": st.sampled_from([(), (1,), (5, 4)]),
        "random_state": st.integers(0, 1000),
    }
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(case=SETTINGS)
def test_any_settings(two, case):
    rank_jobs.assert_as_alone(two, case)


def test_a_search_is_every_process_own(two):
    expected = rank_jobs.search()
    for scores in two.call(rank_jobs.search):
        np.testing.assert_allclose(scores, expected)


def test_one_process_prints(two):
    first, second = two.call(rank_jobs.printed, True)
    assert first == rank_jobs.printed(True)
    assert not second


def test_a_thread_is_alone_and_says_so(two):
    for rank in range(2):
        two.tell(rank, rank_jobs.threads_of_fit)
    for rank in range(2):
        are_joined, texts = two.hear(rank)
        assert are_joined == (False, False, True)
        assert [text.partition(",")[0] for text in texts] == [
            "a fit in a thread is this process's alone"
        ]
    assert not rank_jobs.is_joined()
