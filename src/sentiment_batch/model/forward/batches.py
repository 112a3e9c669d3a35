"""Runs a forward strategy over many segments, batch by batch; on a CPU in several threads, each with its own batch.

Small products on one core waste less time than one product on all cores.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from sentiment_batch.errors import DeviceError
from sentiment_batch.memory import advise
from sentiment_batch.model.memory import unify_memory_errors

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.model.forward.strategies import ForwardStrategy
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.tokenization.packing import SegmentNumbers, Tokens

logger = logging.getLogger("sentiment_batch")

# S segments, B of them in a batch, K labels.

MAX_POOL_THREADS = 16
"""With more threads, waiting for the interpreter lock begins to count. Further cores help inside each thread."""


@dataclass(slots=True)
class Budget:
    """The size of batches. It is halved for the rest of the run if the device's memory runs out."""

    tokens: int
    """Most tokens of a batch, padding included. A longer segment forms a batch of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadPool:
    """Threads that compute one batch each."""

    executor: Executor
    count: int
    """The number of threads."""


def compute_segment_logits(
    strategy: ForwardStrategy,
    tokens: Tokens,
    budget: Budget,
    pool: ThreadPool | None = None,
    on_tokens: Callable[[int], object] | None = None,
) -> Floats:
    """Logits (S, K) of the S segments of `tokens`; for the arguments see `launch_batches`.

    Raises:
        DeviceError: see `launch_batches`; or one text alone does not fit into the device's memory.
    """
    launched = launch_batches(strategy, tokens, budget, pool, on_tokens)
    for why in launched.refused.values():
        raise DeviceError(f"{why}. {advise('a smaller `max_length`', strategy.device)}")
    return launched.logits()


class _Stopwatch:
    """Measures how long a device computes: CUDA by events, which the host need not wait for, a CPU by the clock."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._seconds = 0.0
        self._started = time.perf_counter()
        if device != "cpu":
            self._begin, self._end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            self._begin.record(torch.cuda.current_stream(device))

    def stop(self) -> None:
        """Call this after the last batch is launched."""
        self._seconds = time.perf_counter() - self._started
        if self._device != "cpu":
            self._end.record(torch.cuda.current_stream(self._device))

    def seconds(self) -> float:
        """Wait until the device is done, and return the seconds from the start to the stop."""
        if self._device == "cpu":
            return self._seconds
        self._end.synchronize()
        return float(self._begin.elapsed_time(self._end)) / 1_000


@dataclass(kw_only=True, slots=True)
class LaunchedBatches:
    """Batches that the device may still be computing."""

    order: list[SegmentNumbers]
    """The segments of each batch."""
    result: torch.Tensor
    """The logits (S, K) in that order, on the host. The device copies them after the last batch; `logits` waits."""
    refused: dict[int, str]
    """Segments that do not fit into the device's memory even alone, each with the reason; their logits are NaN."""
    stopwatch: _Stopwatch
    """It has stopped after the last batch."""
    scored_twice: int = 0
    """Texts that were scored in int8 and again in float32."""

    def seconds(self) -> float:
        """Wait, then return how long the device computed."""
        return self.stopwatch.seconds()

    def logits(self) -> Floats:
        """Wait, then return the logits (S, K) in the order of the segments."""
        self.seconds()
        # The batches hold the segments by length. Here they get back to their places.
        together: Floats = self.result.numpy()
        logits_SK = np.empty_like(together)
        if self.order:
            logits_SK[np.concatenate(self.order)] = together
        return logits_SK


def launch_batches(
    strategy: ForwardStrategy,
    tokens: Tokens,
    budget: Budget,
    pool: ThreadPool | None = None,
    on_tokens: Callable[[int], object] | None = None,
) -> LaunchedBatches:
    """Send the segments of `tokens` through the model. On CUDA this returns while the device still computes.

    Args:
        strategy: how the segments are grouped and computed.
        tokens: the segments.
        budget: tokens per batch, padding included.
        pool: threads of a CPU; None computes in the calling thread.
        on_tokens: called after each batch with its number of tokens; it may raise an error to end the work.

    Raises:
        DeviceError: a batch of a deterministic run does not fit into the device's memory.
    """
    stopwatch = _Stopwatch(strategy.device)
    order, results = [], []
    refused: dict[int, str] = {}
    for rows, logits_BK in _compute_batches(strategy, tokens, budget, pool, refused):
        order.append(rows)
        results.append(logits_BK)
        if on_tokens is not None:
            on_tokens(int(tokens.lengths[rows].sum()))
    # Copied right after the last batch, so that a caller of `logits` does not wait for later launches.
    result = torch.cat(results).to("cpu", non_blocking=True) if results else torch.empty(0, strategy.classes)
    stopwatch.stop()
    return LaunchedBatches(order=order, result=result, refused=refused, stopwatch=stopwatch)


def _compute_batches(
    strategy: ForwardStrategy, tokens: Tokens, budget: Budget, pool: ThreadPool | None, refused: dict[int, str]
) -> Iterator[tuple[SegmentNumbers, torch.Tensor]]:
    """The segments of each batch with its logits (B, K), in the order in which they were planned.

    If the memory runs out, the batches that are left are planned anew with half the tokens, one at a time.
    """
    lengths = tokens.lengths
    if pool is not None:
        done = 0
        batches = strategy.plan(lengths, budget.tokens, pool.count)
        try:
            # `map` yields in the order of the batches, so `done` counts those whose logits are out.
            for logits_BK in pool.executor.map(lambda rows: _compute(strategy, tokens, rows), batches):
                yield batches[done], logits_BK
                done += 1
            return
        except torch.OutOfMemoryError as error:
            rows = batches[done]
            _halve(budget, strategy, lengths[rows], error)
        # One batch at a time takes less memory, too.
        left = np.concatenate(batches[done:])
        batches = [left[some] for some in strategy.plan(lengths[left], budget.tokens)]
    else:
        batches = strategy.plan(lengths, budget.tokens)
    while batches:
        rows = batches.pop(0)
        try:
            logits_BK = _compute(strategy, tokens, rows)
        except torch.OutOfMemoryError as error:
            # A single segment cannot be split. A deterministic run raises an error in `_halve` instead.
            alone = len(rows) == 1 and strategy.shape is None
            if not alone:
                _halve(budget, strategy, lengths[rows], error)
        else:
            yield rows, logits_BK
            continue
        if alone:
            length = int(lengths[rows[0]])
            refused[int(rows[0])] = f"the memory of {strategy.device} does not hold one text of {length:,} tokens"
            # NaN marks a text without scores. The other texts of the run still get theirs.
            yield rows, torch.full((1, strategy.classes), torch.nan, device=strategy.device)
            torch.cuda.empty_cache()
            continue
        # Outside the handler, because its traceback would keep the failed pass's tensors alive.
        torch.cuda.empty_cache()
        left = np.concatenate([rows, *batches])
        batches = [left[some] for some in strategy.plan(lengths[left], budget.tokens)]


def _compute(strategy: ForwardStrategy, tokens: Tokens, rows: SegmentNumbers) -> torch.Tensor:
    """Logits (B, K) of one batch; a lack of memory is a `torch.OutOfMemoryError` on every device."""
    with unify_memory_errors():
        return strategy.logits(tokens, rows)


def _halve(
    budget: Budget, strategy: ForwardStrategy, lengths: npt.NDArray[np.int64], error: torch.OutOfMemoryError
) -> None:
    """Halve the budget after a batch of segments of these lengths (B,) did not fit into the memory.

    Raises:
        DeviceError: the run is deterministic, so that its batches may not shrink.
    """
    if strategy.shape is not None:
        raise DeviceError(
            f"the memory of {strategy.device} does not hold the {strategy.shape.tokens:,} tokens of a deterministic "
            "run's batch. Score without `deterministic=True`, or on a device with more memory."
        ) from error
    # Half of what failed. A batch may be far smaller than the budget, and half of the budget might not split it.
    budget.tokens = max(1, min(budget.tokens, int(lengths.sum())) // 2)
    logger.warning(
        "out of memory: a batch of %s texts is computed again, and from now on batches hold %s tokens",
        len(lengths),
        budget.tokens,
    )


_starting = threading.Lock()
"""Held while threads start, because meanwhile the default number of threads is theirs, and other code could read it."""


@contextlib.contextmanager
def open_thread_pool(device: str, *, single: bool) -> Iterator[ThreadPool | None]:
    """The threads that compute batches on `device`.

    Args:
        device: where the model is. On CUDA there is no pool (None), because one thread keeps the device busy. On a
            CPU there are as many threads as torch may use.
        single: use one core in each thread, so that sums do not depend on the number of cores.
    """
    if device != "cpu":
        yield None
        return
    with _starting:
        threads = torch.get_num_threads()
        count = min(threads, MAX_POOL_THREADS)
        executor = ThreadPoolExecutor(count, "model", _set_threads, (1 if single else threads // count,))
        try:
            _start_threads(executor, count)
        finally:
            torch.set_num_threads(threads)  # what a thread sets for itself becomes the default of later threads
    try:
        yield ThreadPool(executor=executor, count=count)
    finally:
        executor.shutdown(cancel_futures=True)


def _set_threads(threads: int) -> None:
    torch.get_num_threads()  # first, because a thread's first question sets its number to the default of all threads
    torch.set_num_threads(threads)


def _start_threads(executor: Executor, count: int) -> None:
    """Start all threads now. Each waits for the others, so that no thread takes two of the tasks.

    Raises:
        RuntimeError: the system gives no more threads, such as under a limit of memory.
    """
    barrier = threading.Barrier(count)
    try:
        for future in [executor.submit(barrier.wait) for _ in range(count)]:
            future.result()
    except RuntimeError:
        barrier.abort()  # else the threads that did start would wait for ever, and Python for them at its end
        raise
