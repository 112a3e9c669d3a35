"""Runs a forward strategy over segments: ragged tokens in, logits out, batch by batch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from sentiment_batch.errors import DeviceError

if TYPE_CHECKING:
    import numpy.typing as npt

    from sentiment_batch.model.forward.strategies import ForwardStrategy
    from sentiment_batch.model.forward.thread_pool import ThreadPool
    from sentiment_batch.model.probabilities import Floats
    from sentiment_batch.tokenization.packing import Rows
    from sentiment_batch.tokenization.ragged import Tokens

logger = logging.getLogger("sentiment_batch")


@dataclass(slots=True)
class Budget:
    """Tokens per batch; halved for good when the device's memory runs out."""

    tokens: int


def compute_segment_logits(
    strategy: ForwardStrategy,
    tokens: Tokens,
    budget: Budget,
    workers: ThreadPool | None = None,
    on_tokens: Callable[[int], object] | None = None,
) -> Floats:
    """Logits (S, K) of the S segments of `tokens`; arguments as `launch` has them.

    Raises:
        DeviceError: as `launch`; or one text alone does not fit into the device's memory.
    """
    launched = launch_batches(strategy, tokens, budget, workers, on_tokens)
    for why in launched.refused.values():
        raise DeviceError(f"{why}. Take a smaller --max-length, or --device cpu.")
    return launched.logits()


@dataclass(kw_only=True, slots=True)
class LaunchedBatches:
    """Batches that the device may still be working on."""

    order: list[Rows]
    results: list[torch.Tensor]
    refused: dict[int, str]
    """Segments that do not fit into the device's memory even alone, and how that is said; their logits are NaN."""
    classes: int
    seconds: Callable[[], float]

    def logits(self) -> Floats:
        """Wait, then the logits (S, K); one copy back for all batches."""
        if not self.order:
            return np.empty((0, self.classes), dtype=np.float32)
        together: Floats = torch.cat(self.results).cpu().numpy()
        logits_SK = np.empty_like(together)
        logits_SK[np.concatenate(self.order)] = together
        return logits_SK


def launch_batches(
    strategy: ForwardStrategy,
    tokens: Tokens,
    budget: Budget,
    workers: ThreadPool | None = None,
    on_tokens: Callable[[int], object] | None = None,
) -> LaunchedBatches:
    """Send the segments of `tokens` through the model; on CUDA it comes back while the device still works.

    Args:
        strategy: the way through the model.
        tokens: the segments.
        budget: tokens per batch, padding included.
        workers: threads of a CPU, each computing a batch of its own; None computes in this one.
        on_tokens: told after each batch how many tokens it held; may raise to end the work.

    Raises:
        DeviceError: the device's memory does not hold the shape of a deterministic run's batches.
    """
    clock = _clock(strategy.device)
    order, results = [], []
    refused: dict[int, str] = {}
    for rows, logits_BK in _batches(strategy, tokens, budget, workers, refused):
        order.append(rows)
        results.append(logits_BK)
        if on_tokens is not None:
            on_tokens(int(tokens.lengths[rows].sum()))
    return LaunchedBatches(order=order, results=results, refused=refused, classes=strategy.classes, seconds=clock())


def _batches(
    strategy: ForwardStrategy, tokens: Tokens, budget: Budget, workers: ThreadPool | None, refused: dict[int, str]
) -> Iterator[tuple[Rows, torch.Tensor]]:
    lengths = tokens.lengths
    if workers is not None:
        batches = strategy.plan(lengths, budget.tokens, workers.count)
        yield from zip(batches, workers.executor.map(lambda rows: strategy.logits(tokens, rows), batches), strict=True)
        return
    batches = strategy.plan(lengths, budget.tokens)
    while batches:
        rows = batches.pop(0)
        try:
            logits_BK = strategy.logits(tokens, rows)
        except torch.OutOfMemoryError as error:
            alone = len(rows) == 1 and strategy.shape is None
            if not alone:
                _halve(budget, strategy, lengths[rows], error)
        else:
            yield rows, logits_BK
            continue
        if alone:
            refused[int(rows[0])] = (
                f"the memory of {strategy.device} does not hold one text of {lengths[rows[0]]:,} tokens"
            )
            yield rows, torch.full((1, strategy.classes), torch.nan, device=strategy.device)
            torch.cuda.empty_cache()
            continue
        # Outside the handler: its traceback would keep the failed pass's tensors alive.
        torch.cuda.empty_cache()
        left = np.concatenate([rows, *batches])
        batches = [left[some] for some in strategy.plan(lengths[left], budget.tokens)]


def _halve(
    budget: Budget, strategy: ForwardStrategy, lengths: npt.NDArray[np.int64], error: torch.OutOfMemoryError
) -> None:
    if strategy.shape is not None:
        raise DeviceError(
            f"the memory of {strategy.device} does not hold the {strategy.shape.tokens:,} tokens of a deterministic "
            "run's batch. Score without --deterministic, or on a device with more memory."
        ) from error
    budget.tokens = max(1, min(budget.tokens, int(lengths.sum())) // 2)
    logger.warning(
        "out of memory: a batch of %s texts is done again, and from here on batches hold %s tokens",
        len(lengths),
        budget.tokens,
    )


def _clock(device: str) -> Callable[[], Callable[[], float]]:
    """Measures how long the device works: to call after the last batch, and its outcome when the results are there."""
    if device == "cpu":
        started = time.perf_counter()

        def stop() -> Callable[[], float]:
            seconds = time.perf_counter() - started
            return lambda: seconds

        return stop
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    begin.record(torch.cuda.current_stream(device))

    def record() -> Callable[[], float]:
        end.record(torch.cuda.current_stream(device))
        return seconds

    def seconds() -> float:
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1_000

    return record
