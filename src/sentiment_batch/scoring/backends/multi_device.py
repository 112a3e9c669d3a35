"""Scores blocks of rows with one model on several devices, a process for each device."""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from sentiment_batch.errors import DeviceError, UsageError, listed
from sentiment_batch.model.openmp import wait_passively
from sentiment_batch.records import Choice
from sentiment_batch.scoring.backends.base import MUST_COMPILE
from sentiment_batch.scoring.backends.prefetch import Stages
from sentiment_batch.scoring.backends.row_blocks import ScoredBlock, reuse_known_scores

if TYPE_CHECKING:
    from sentiment_batch.scoring.backends.base import Description, OnRows
    from sentiment_batch.scoring.backends.row_blocks import RowBlock
    from sentiment_batch.settings import ScoreSettings

Item = TypeVar("Item")
MAX_BLOCKS_PER_PROCESS = 3
"""Blocks that a process has at a time: one in its model, one in its tokenizer, one on the way."""
MAX_SECONDS_TO_END = 1.0
"""Seconds to wait for a process to end before it is killed."""


class MultiDeviceBackend:
    """A model in several processes, which get the blocks in turn.

    The blocks are those of a single process, and each is scored by one device alone. So the scores do not depend on the
    number of devices. Each process tokenizes its own texts; only texts and probabilities are sent.

    Args:
        model: a folder or Hub id.
        settings: how to load it; `device` names the devices, divided by commas.

    Raises:
        DeviceError: a device is not there, or the devices choose different dtypes.
        ModelError, UsageError: as `LocalBackend` raises them.
    """

    def __init__(self, model: str, settings: ScoreSettings) -> None:
        devices = [name.strip() for name in settings.device.split(",")]
        if not all(devices):
            raise UsageError(f'`device` is {settings.device!r}. Name devices as in `device="cuda:0,cuda:1"`.')
        self._model = model
        self._settings = settings
        self._devices = devices
        self._processes: list[_DeviceProcess] = []
        self.description = self._start()

    def score_blocks(
        self, blocks: Iterable[RowBlock], on_rows: OnRows | None = None, expected_rows: int | None = None
    ) -> Iterator[ScoredBlock]:
        """Score a stream of blocks, as `Backend.score_blocks` describes it.

        Raises:
            DeviceError: a process died.
        """
        if not self._processes:
            self._start()
        share = expected_rows
        # Each process decides alone whether to compile, so it must know the rows that it gets itself
        if expected_rows is not None and expected_rows != MUST_COMPILE:
            share = expected_rows // len(self._processes)
        done = False
        with Stages() as stages:
            try:
                # Blocks are dealt in turn and taken back in the same turn, so they come out in the order of the input
                shares = _deal(stages.run_ahead(blocks, "read"), len(self._processes))
                results = [
                    stages.run_ahead(process.score_blocks(own, share), f"device {process.device}")
                    for process, own in zip(self._processes, shares, strict=True)
                ]
                for scored in _take_in_turn(results):
                    if on_rows is not None:
                        on_rows(scored.counts.rows)
                    yield scored
                done = True
            finally:
                if not done:  # the results that the processes still work on must not reach the next stream
                    self.close()

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.end()
        self._processes = []

    def _start(self) -> Description:
        try:
            self._processes = [
                _DeviceProcess(
                    self._model, dataclasses.replace(self._settings, device=device), self._devices.count(device)
                )
                for device in self._devices
            ]
            # All processes load at the same time, because each began to load when it was made
            found = [process.receive_description() for process in self._processes]
        except BaseException:
            self.close()
            raise
        dtypes = sorted({one.dtype.value for one in found})
        # The dtype decides the last digits. Which device scores a row must not show in the output.
        if len(dtypes) > 1:
            self.close()
            raise DeviceError(f"the devices would score in different dtypes, {listed(dtypes)}. Name one with `dtype`.")
        devices = ",".join(one.device.value for one in found)
        reason = f"a process each; {found[0].device.reason}"
        return dataclasses.replace(found[0], device=Choice(value=devices, reason=reason), devices=len(found))


class _DeviceProcess:
    """A process that holds the model on one device. Objects travel through its standard input and output.

    It is a program of its own, not a fork or a spawn: CUDA does not survive a fork, and a spawn runs the user's script
    again.
    """

    def __init__(self, model: str, settings: ScoreSettings, sharing: int) -> None:
        self.device = settings.device
        with wait_passively():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sentiment_batch.scoring.backends.device_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        self._send((model, settings, sharing))

    def receive_description(self) -> Description:
        """Wait until the model is loaded, and give its description."""
        description: Description = self._receive()
        return description

    def score_blocks(self, blocks: Iterable[RowBlock], expected_rows: int | None) -> Iterator[ScoredBlock]:
        """Score a stream of blocks in the process; `expected_rows` counts the rows of this stream alone."""
        self._send(expected_rows)
        waiting: deque[RowBlock] = deque()
        for block in blocks:
            if block.known is None:
                self._send(block.pack_texts())
            waiting.append(block)
            if len(waiting) == MAX_BLOCKS_PER_PROCESS:
                yield self._receive_scores(waiting.popleft())
        # Tell the process that the stream ends. The results that it still has come after that.
        self._send(None)
        while waiting:
            yield self._receive_scores(waiting.popleft())

    def end(self) -> None:
        """Ask the process to end, and kill it if it does not."""
        self._process.terminate()
        try:
            self._process.wait(MAX_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):  # unsent data cannot be flushed any more
                stream.close()

    def _receive_scores(self, block: RowBlock) -> ScoredBlock:
        if block.known is not None:
            return reuse_known_scores(block)
        probabilities, counts, failures = self._receive()
        return ScoredBlock(block=block, probabilities=probabilities, counts=counts, failures=failures)

    def _send(self, message: object) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(message, self._process.stdin, protocol=5)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # the process has ended; the next `_receive` raises the reason

    def _receive(self) -> Any:
        assert self._process.stdout is not None
        try:
            message = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError, ValueError) as error:
            raise DeviceError(
                f"the process for {self.device} died (exit code {self._process.wait()}). If it was killed, the "
                "machine's memory was short: name fewer devices."
            ) from error
        if isinstance(message, BaseException):
            raise message
        return message


def _deal(items: Iterator[Item], number: int) -> list[Iterator[Item]]:
    """Deal `items` in turn to `number` iterators, each of which may be consumed by a thread of its own."""
    lock = threading.Lock()
    queues: list[deque[Item]] = [deque() for _ in range(number)]
    turn = 0

    def take(own: deque[Item]) -> Iterator[Item]:
        nonlocal turn
        while True:
            with lock:
                # Read on until an item falls to this iterator. Those before it wait for the other iterators.
                while not own:
                    item = next(items, None)
                    if item is None:
                        return
                    queues[turn].append(item)
                    turn = (turn + 1) % number
                item = own.popleft()
            yield item

    return [take(queue) for queue in queues]


def _take_in_turn(streams: list[Iterator[Item]]) -> Iterator[Item]:
    """The next item of each stream, one after the other, until the first stream that has none left."""
    while True:
        for stream in streams:
            item = next(stream, None)
            if item is None:
                return
            yield item
