"""Threads of a CPU that compute one batch each: small products on one core waste less than one product on all."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import torch

MAX_POOL_THREADS = 16
"""With more workers the interpreter lock begins to count; further cores help inside each."""
_starting = threading.Lock()
"""While threads start, the default that others would read is theirs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadPool:
    """A pool and its size."""

    executor: Executor
    count: int


@contextlib.contextmanager
def open_thread_pool(device: str, *, single: bool) -> Iterator[ThreadPool | None]:
    """The threads for `device`: as many as torch may use on a CPU, none on CUDA, which one thread keeps busy.

    Args:
        device: where the model is.
        single: one core for each, whatever there is, so that sums do not depend on how many there are.
    """
    if device != "cpu":
        yield None
        return
    with _starting:
        threads = torch.get_num_threads()
        count = min(threads, MAX_POOL_THREADS)
        executor = ThreadPoolExecutor(count, "model", _take, (1 if single else threads // count,))
        _start(executor, count)
        torch.set_num_threads(threads)  # what a worker sets for itself is also the default of threads to come
    try:
        yield ThreadPool(executor=executor, count=count)
    finally:
        executor.shutdown(cancel_futures=True)


def _take(threads: int) -> None:
    torch.get_num_threads()  # first, for a thread's first question sets it to the default of all threads
    torch.set_num_threads(threads)


def _start(executor: Executor, count: int) -> None:
    """Start all threads now: each waits for the others, so that none takes two of the tasks."""
    barrier = threading.Barrier(count)
    for future in [executor.submit(barrier.wait) for _ in range(count)]:
        future.result()
