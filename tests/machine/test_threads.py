"""How many of torch's threads a fit takes."""

import threading

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from sklearn_mlp import TorchMLPRegressor
from sklearn_mlp.machine import kernels, threads
from sklearn_mlp.machine.threads import (
    THREADED_WORK,
    rebalance_threads,
    shared_threads,
    single_blas,
)


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


class Hold:
    """A callback that keeps a fit in its first epoch until it is let go."""

    def __init__(self, inside, outside):
        self.inside, self.outside = inside, outside

    def __deepcopy__(self, memo):
        return self

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        self.inside.set()
        self.outside.wait(timeout=30)


SAMPLES = np.random.default_rng(0).normal(size=(300, 30))


@pytest.mark.parametrize("units", [20, 700])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_other_threads_never_see_a_fits_share(units):
    inside, outside = threading.Event(), threading.Event()
    seen = [torch.get_num_threads()]

    def early():
        # Has a number before the fit begins.
        seen.append(torch.get_num_threads())
        inside.wait(timeout=30)
        seen.append(torch.get_num_threads())
        late = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        late.start()
        late.join()
        torch.set_num_threads(4)
        outside.set()

    thread = threading.Thread(target=early)
    thread.start()
    model = TorchMLPRegressor(hidden_layer_sizes=(units,), max_iter=2, random_state=0)
    model.set_callbacks(Hold(inside, outside)).fit(SAMPLES, SAMPLES[:, 0])
    thread.join()
    seen.append(torch.get_num_threads())
    after = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    after.start()
    after.join()
    assert seen == [4] * 6


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_threads_that_begin_while_others_fit_and_predict_have_torchs_number():
    model = TorchMLPRegressor(hidden_layer_sizes=(30,), max_iter=1, random_state=0)
    model.fit(SAMPLES, SAMPLES[:, 0])
    stopping, seen = threading.Event(), []

    def predict():
        while not stopping.is_set():
            model.predict(SAMPLES)

    predicting = threading.Thread(target=predict)
    predicting.start()
    for _ in range(100):
        thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        thread.start()
        thread.join()
    stopping.set()
    predicting.join()
    assert seen == [4] * 100
    assert threads._running == 0


def test_one_within_another_counts_once():
    with shared_threads(THREADED_WORK), shared_threads(THREADED_WORK + 1):
        assert threads._running == 1
        assert torch.get_num_threads() == 4
    assert threads._running == 0


def test_a_number_set_by_torch_holds_for_all_of_torch():
    torch.set_num_threads(3)
    before = kernels.own_threads()
    with shared_threads(THREADED_WORK - 1):
        assert kernels.own_threads() == (1, 1)
    assert kernels.own_threads() == before == (3, 3)


def test_where_openmp_is_out_of_reach_torch_is_asked(monkeypatch):
    monkeypatch.setattr(kernels, "_OPENMP", None)
    monkeypatch.setattr(kernels, "_HAS_MKL", False)
    with shared_threads(THREADED_WORK - 1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 4


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_blas_has_its_threads_again_when_the_last_of_two_has_ended():
    with threadpool_limits(limits=2, user_api="blas"):
        inside, outside = threading.Event(), threading.Event()

        def other():
            with single_blas():
                inside.set()
                outside.wait(timeout=30)

        before = blas_threads()
        thread = threading.Thread(target=other)
        with single_blas():
            thread.start()
            assert inside.wait(timeout=30)
            with single_blas():
                pass
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
        outside.set()
        thread.join()
        assert blas_threads() == before


def test_a_process_that_has_not_forked_is_taken_for_none():
    # One that imports torch first: test_forks.py.
    assert not threads._is_forked
