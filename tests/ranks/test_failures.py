"""Whatever happens to one process, each of them ends, soon, and says why."""

import socket

import numpy as np
import pytest
import rank_jobs
from rank_processes import Ranks

import sklearn_mlp
from sklearn_mlp.ranks.context import joined_group
from sklearn_mlp.ranks.group import LostRankError

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iter")


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("parameter", r"the same hidden_layer_sizes, but rank 0 has \(.*\) and rank 1 has \("),
        ("rows", r"the same X.shape, but rank 0 has \(10"),
        ("value", "the same X, but rank 0 has"),
        ("target", "the same (y|targets)"),
        ("weights", "the same weights of X, but rank 0 has (some|none) and rank 1 has"),
        ("call", "the same call, but rank 0 has (partial_)?fit and rank 1 has"),
        ("generator", "the same random_state"),
        ("names", "the same names of the features of X, but rank 0 has"),
    ],
    ids=lambda value: value if value.isalpha() else "",
)
def test_what_is_not_the_same_is_named(two, rank, name, message):
    for error in two.call(rank_jobs.fit_differently, rank, name):
        assert isinstance(error, ValueError)
        assert "all processes that train together must be given " in str(error)
        with pytest.raises(ValueError, match=message):
            raise error


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(
    ("name", "its_own", "message"),
    [
        ("error", ValueError, "NaN"),
        ("what fit does not take", ValueError, "The 'max_iter' parameter"),
        ("loss", ArithmeticError, "no numbers today"),
    ],
)
def test_an_error_in_one_process_ends_the_others(two, rank, name, its_own, message):
    answers = two.call(rank_jobs.fit_differently, rank, name)
    assert isinstance(answers[rank], its_own)
    assert message in str(answers[rank])
    assert isinstance(answers[1 - rank], LostRankError)
    assert "another process has failed or is gone" in str(answers[1 - rank])
    # The user's group is whole, and the next fit finds one another.
    assert two.call(rank_jobs.is_joined) == [True, True]


def test_a_process_that_comes_too_late_is_not_waited_for(two):
    for error in two.call(rank_jobs.fit_differently, 1, "late", 0.5):
        assert isinstance(error, LostRankError)
        assert "did not call fit as this one did within timeout=0.5 s" in str(error)


@pytest.mark.parametrize("what", ["signal", "raise"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_interrupt_of_one_process_ends_training_for_all(two, what, solver):
    for rank in range(2):
        two.tell(rank, rank_jobs.fit_interrupted, what, solver)
    (first, texts), (second, other_texts) = two.hear(0), two.hear(1)
    assert "Training interrupted by user." in texts
    assert "Training interrupted by user." in other_texts
    assert 2 <= first["counts"][0] <= 4
    for name, values in first.items():
        np.testing.assert_array_equal(second[name], values)


def test_the_first_whose_time_is_over_ends_training(two):
    for rank in range(2):
        limit = {"max_time": 0.2 if rank else None}
        two.tell(rank, rank_jobs.fit_with_limit, limit)
    (first, _), (second, texts) = two.hear(0), two.hear(1)
    assert any("Maximum time" in text for text in texts)
    assert first["counts"][0] == second["counts"][0] < 60


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"backend": "skorch"}, "backend='skorch' is trained by one process, not by 2 together"),
        ({"normalization": "batch"}, "statistics of whole batches"),
    ],
    ids=["skorch", "batch normalization"],
)
def test_what_only_one_process_can_train(two, parameters, message):
    for error in two.call(rank_jobs.fit, parameters):
        assert message in str(error)
        assert "with sklearn_mlp.distributed(False):" in str(error)


@pytest.mark.parametrize("rank", [0, 1])
def test_one_process_may_fit_by_itself(two, rank):
    answers = two.call(rank_jobs.fit_alone, rank)
    assert answers[1 - rank] is None
    expected = rank_jobs.fit({})
    np.testing.assert_allclose(answers[rank]["weights"], expected["weights"], rtol=1e-9)


@pytest.fixture(scope="module")
def port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_a_group_of_our_own_is_initialised_and_destroyed(port):
    ranks = Ranks(2, MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    try:
        expected = rank_jobs.fit({}), rank_jobs.fit({"calls": 2})
        for _ in range(2):
            for learned, is_left in ranks.call(rank_jobs.fit_twice_within):
                assert not is_left
                for one, other in zip(learned, expected, strict=True):
                    np.testing.assert_allclose(one["weights"], other["weights"], rtol=1e-9)
        # Without being asked, a process that torchrun has not started is alone.
        assert ranks.call(rank_jobs.is_joined) == [False, False]
        for rank in range(2):
            ranks.tell(rank, rank_jobs.die_while, 1)
        error, _ = ranks.hear(0)
        assert isinstance(error, LostRankError)
        assert "another process has failed or is gone" in str(error)
    finally:
        ranks.close()
    assert [process.exitcode for process in ranks.processes] == [0, 3]


def test_nobody_at_the_port(port, monkeypatch):
    with pytest.raises(ValueError, match=r"start the script by torchrun.*got no RANK"):
        sklearn_mlp.distributed().__enter__()
    for name, value in {
        "RANK": "1",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }.items():
        monkeypatch.setenv(name, value)
    message = f"rank 1 of 2 processes could not reach the others at 127.0.0.1:{port} within "
    with pytest.raises(LostRankError, match=message), sklearn_mlp.distributed(timeout=1.0):
        pass


def test_arguments():
    with pytest.raises(ValueError, match=r"timeout must be a number of seconds above 0. Got 0"):
        sklearn_mlp.distributed(timeout=0).__enter__()
    with sklearn_mlp.distributed(False), joined_group() as group:
        assert group is None
