"""Processes that read their rows from a source have the numbers of one that reads all of it."""

import pytest
import rank_jobs
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iter")

# Where a block of nine begins.
OWN = [slice(0, 27), slice(27, None)]
CASES = {
    "in memory": {"buffer_rows": 1000},
    "a single batch": {"batch_size": 1000},
    "a part held out": {"early_stopping": True, "class_weight": "balanced", "dropout": 0.2},
    "weights": {"weighted": True, "batch_size": 7, "early_stopping": True},
    "not shuffled": {"shuffle": False, "weighted": "mostly 0", "watched": True},
    "lbfgs": {"solver": "lbfgs", "weighted": True},
    "an epoch at a time": {"calls": 3},
}


@pytest.mark.parametrize("own", [None, OWN], ids=["same", "own"])
@pytest.mark.parametrize("source", ["blocks", "items", "mapped", "parquet"])
def test_sources(two, tmp_path, source, own):
    for name in CASES if source == "blocks" else ["weights"]:
        case = {"buffer_rows": 20, "max_iter": 3, "source": source, "folder": str(tmp_path)}
        rank_jobs.assert_as_alone(two, case | CASES[name], own)


def test_a_part_in_memory_is_a_block(two):
    """The part of the first process is small enough to be kept, that of the second is not."""
    case = {"source": "blocks, the first one of 27", "buffer_rows": 40, "max_iter": 3}
    rank_jobs.assert_as_alone(two, case, OWN)


SETTINGS = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["blocks", "items", "mapped"]),
        "n_samples": st.integers(29, 70),
        "buffer_rows": st.integers(1, 60),
        "batch_size": st.integers(1, 80),
        "is_classifier": st.booleans(),
        "weighted": st.booleans(),
        "solver": st.sampled_from(["adam", "sgd", "lbfgs"]),
        "early_stopping": st.booleans(),
        "shuffle": st.booleans(),
        "max_iter": st.integers(1, 3),
        "random_state": st.integers(0, 1000),
    }
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(case=SETTINGS, is_own=st.booleans())
def test_any_settings(two, tmp_path, case, is_own):
    n_samples, n_buffer = case["n_samples"], case["buffer_rows"]
    # Where each part is kept in memory, all rows are shuffled.
    assume(not is_own or not n_samples - 9 <= n_buffer < n_samples)
    own = [slice(0, 9), slice(9, None)] if is_own else None
    rank_jobs.assert_as_alone(two, {**case, "folder": str(tmp_path)}, own)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("rows", ["same", "own"])
def test_a_source_that_cannot_be_read_ends_all(two, rank, rows):
    answers = two.call(rank_jobs.fit_failing_source, rank, rows)
    assert isinstance(answers[rank], ValueError)
    assert "Input X contains NaN" in str(answers[rank])
    assert "another process has failed or is gone" in str(answers[1 - rank])


def test_sources_that_differ_are_told(two):
    for error in two.call(rank_jobs.fit_other_sources):
        assert isinstance(error, ValueError)
        assert "must be given the same X, but rank 0 has" in str(error)
