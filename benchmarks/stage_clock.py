"""Measures how long each stage of scoring works, which the stages of `scoring/backends/prefetch.py` do side by side.

A stage works while it makes an item, less the time in which it waits for an item of the stage before. The main thread
is a stage, too: it finishes blocks and writes them.
"""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from sentiment_batch.model.forward.batches import LaunchedBatches
from sentiment_batch.scoring.backends.prefetch import Stages

NAMES = {"read": "read", "tokenize": "tokenize", "model": "launch"}
"""By the name of a thread, what its stage does."""


class StageClock:
    """Seconds of work by stage: `read`, `tokenize`, `launch`, `wait for the device`, `write`."""

    def __init__(self) -> None:
        self._working: collections.Counter[str] = collections.Counter()
        self._waiting: collections.Counter[str] = collections.Counter()

    @contextlib.contextmanager
    def measure(self) -> Iterator[None]:
        """Add the stages of all scoring inside of the block."""
        run_ahead, logits = Stages.run_ahead, LaunchedBatches.logits

        def timed_run_ahead(stages: Stages, items: Iterable[Any], name: str, depth: int = 1) -> Iterator[Any]:
            return self._time_waits(run_ahead(stages, self._time_work(items, name), name, depth))

        def timed_logits(batches: LaunchedBatches) -> Any:
            if threading.current_thread().name in NAMES:  # int8 looks at its logits while it launches
                return logits(batches)
            with _adding(self._working, "wait for the device"):
                return logits(batches)

        Stages.run_ahead, LaunchedBatches.logits = timed_run_ahead, timed_logits  # type: ignore[method-assign]
        try:
            with _adding(self._working, threading.current_thread().name):
                yield
        finally:
            Stages.run_ahead, LaunchedBatches.logits = run_ahead, logits  # type: ignore[method-assign]

    def seconds(self) -> dict[str, float]:
        """The seconds of work of each stage."""
        main = threading.current_thread().name
        found = {done: self._working[name] - self._waiting[name] for name, done in NAMES.items()}
        device = self._working["wait for the device"]
        return found | {"wait for the device": device, "write": self._working[main] - self._waiting[main] - device}

    def _time_work(self, items: Iterable[Any], name: str) -> Iterator[Any]:
        iterator = iter(items)
        try:
            while True:
                with _adding(self._working, name):
                    item = next(iterator, self)
                if item is self:
                    return
                yield item
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _time_waits(self, items: Iterator[Any]) -> Iterator[Any]:
        while True:
            with _adding(self._waiting, threading.current_thread().name):
                item = next(items, self)
            if item is self:
                return
            yield item


@contextlib.contextmanager
def _adding(seconds: collections.Counter[str], name: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] += time.perf_counter() - started  # type: ignore[assignment]
