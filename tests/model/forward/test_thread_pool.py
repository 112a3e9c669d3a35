"""The threads of a CPU: one core for each, and whoever calls keeps what he had."""

from __future__ import annotations

import threading

import pytest
import torch

from sentiment_batch.model.forward import batches as module
from sentiment_batch.model.forward.batches import open_thread_pool


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def in_each(pool):
    """How many threads torch takes in each of the workers, by the name of the worker."""
    together = threading.Barrier(pool.count, timeout=30)

    def ask(number):
        together.wait()
        return threading.current_thread().name, torch.get_num_threads()

    return dict(pool.executor.map(ask, range(pool.count)))


def in_a_new_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize(
    ("threads", "most", "single", "count", "each"),
    [
        (1, 16, False, 1, 1),
        (2, 16, False, 2, 1),
        (3, 16, True, 3, 1),
        (4, 2, False, 2, 2),
        (4, 2, True, 2, 1),
        (5, 2, False, 2, 2),
    ],
)
def test_there_is_a_thread_for_each_core_up_to_a_limit(monkeypatch, threads, most, single, count, each):
    monkeypatch.setattr(module, "MAX_POOL_THREADS", most)
    torch.set_num_threads(threads)
    with open_thread_pool("cpu", single=single) as pool:
        assert pool.count == count
        found = in_each(pool)
        assert list(found.values()) == [each] * count
        assert all(name.startswith("model") for name in found)
        assert torch.get_num_threads() == in_a_new_thread() == threads
    assert torch.get_num_threads() == in_a_new_thread() == threads


def test_cuda_has_none():
    with open_thread_pool("cuda:0", single=False) as pool:
        assert pool is None


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt(), GeneratorExit()])
def test_an_error_ends_the_threads_and_cancels_waiting_work(error):
    torch.set_num_threads(2)
    begun, release = threading.Barrier(3, timeout=30), threading.Event()
    done = []

    def work(number):
        begun.wait() if number < 2 else None
        release.wait(30)
        done.append(number)

    def use():
        with open_thread_pool("cpu", single=False) as pool:
            futures = [pool.executor.submit(work, number) for number in range(50)]
            begun.wait()
            threading.Timer(0.05, release.set).start()  # those that have begun end; the pool waits for them
            use.futures = futures
            raise error

    with pytest.raises(type(error)):
        use()
    assert sorted(done) == [0, 1]
    assert [future.cancelled() for future in use.futures] == [False] * 2 + [True] * 48
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("model")]
    assert torch.get_num_threads() == 2


def test_a_thread_that_cannot_start_leaves_none_waiting(monkeypatch):
    start = threading.Thread.start

    def refuse_second(thread):
        if thread.name == "model_1":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_second)
    torch.set_num_threads(2)
    with pytest.raises(RuntimeError, match="can't start new thread"), open_thread_pool("cpu", single=False):
        pytest.fail("a pool lacks a thread")
    assert torch.get_num_threads() == 2
    for thread in [thread for thread in threading.enumerate() if thread.name == "model_0"]:
        thread.join(30)  # Python does the same at its end, without a limit
        assert not thread.is_alive()
