"""How many of torch's threads a fit takes."""

import threading

import pytest
import torch

from sklearn_mlp import threads
from sklearn_mlp.threads import THREADED_WORK, rebalance_threads, shared_threads


@pytest.fixture(autouse=True)
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_a_large_fit_takes_all_and_a_small_one_a_single_thread():
    with shared_threads(THREADED_WORK):
        assert torch.get_num_threads() == 4
    with shared_threads(THREADED_WORK - 1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 4


def test_the_number_is_left_as_found_after_an_error():
    with pytest.raises(KeyError), shared_threads(THREADED_WORK - 1):
        raise KeyError
    assert torch.get_num_threads() == 4


def test_two_at_a_time_share():
    inside, outside = threading.Event(), threading.Event()
    seen = []

    def other():
        with shared_threads(THREADED_WORK):
            seen.append(torch.get_num_threads())
            inside.set()
            outside.wait(timeout=30)

    with shared_threads(THREADED_WORK):
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(timeout=30)
        rebalance_threads()
        seen.append(torch.get_num_threads())
        outside.set()
        thread.join()
        rebalance_threads()
        seen.append(torch.get_num_threads())
    assert seen == [2, 2, 4]


def test_a_forked_process_takes_one(monkeypatch):
    monkeypatch.setattr(threads, "_is_forked", True)
    with shared_threads(THREADED_WORK):
        assert torch.get_num_threads() == 1


def test_trivial_work_changes_nothing():
    with shared_threads(1):
        assert torch.get_num_threads() == 4
        rebalance_threads()
        assert torch.get_num_threads() == 4
    assert torch.get_num_threads() == 4


def test_one_within_another_gives_the_outer_its_share_back():
    with shared_threads(THREADED_WORK - 1):
        with shared_threads(THREADED_WORK - 1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 4
