"""One model on several devices, a process for each: windows are dealt to them in turn, and come back in their order."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from sentiment_batch.errors import DeviceError, UsageError, listed
from sentiment_batch.records import Choice
from sentiment_batch.scoring.backends.prefetch import Stages
from sentiment_batch.scoring.backends.results import Counts, Description, OnRows, Scored, passed

if TYPE_CHECKING:
    from sentiment_batch.scoring.backends.row_blocks import Window
    from sentiment_batch.settings import ScoreSettings

logger = logging.getLogger("sentiment_batch")

Item = TypeVar("Item")
AHEAD = 3
"""Windows that a process has at a time: one in its model, one in its tokeniser, one on the way."""
PATIENCE = 1.0
"""Seconds that a process has to end when it is asked to."""


class Fleet:
    """A model in several processes, which share the work window by window.

    The windows are those of one process, and each goes through one device alone; so the scores are the same wherever
    the devices are. Each process tokenises for itself, and only texts and probabilities travel.

    Args:
        model: a folder or Hub id.
        settings: how to load it; `device` names the devices, divided by commas.

    Raises:
        DeviceError: a device is not there, or the devices choose different dtypes.
        ModelError, UsageError: as `LocalEngine` raises them.
    """

    def __init__(self, model: str, settings: ScoreSettings) -> None:
        devices = [name.strip() for name in settings.device.split(",")]
        if not all(devices):
            raise UsageError(f"--device is {settings.device!r}; name devices like cuda:0,cuda:1.")
        self._model = model
        self._settings = settings
        self._devices = devices
        self._members: list[_Member] = []
        self.description = self._start()

    def scored(
        self, stream: Iterable[Window], on_rows: OnRows | None = None, expected_rows: int | None = None
    ) -> Iterator[Scored]:
        """The windows in their order, each with its probabilities.

        Raises:
            DeviceError: a process died.
        """
        if not self._members:
            self._start()
        share = None if expected_rows is None else expected_rows // len(self._members)
        done = False
        with Stages() as stages:
            try:
                hands = _dealt(stages.ahead(stream, "read"), len(self._members))
                results = [
                    stages.ahead(member.served(hand, share), f"device {member.device}")
                    for member, hand in zip(self._members, hands, strict=True)
                ]
                for scored in _in_turn(results):
                    if on_rows is not None:
                        on_rows(scored.counts.rows)
                    yield scored
                done = True
            finally:
                if not done:  # what is under way in the processes belongs to nobody now
                    self.close()

    def close(self) -> None:
        """End the processes."""
        for member in self._members:
            member.end()
        self._members = []

    def _start(self) -> Description:
        try:
            self._members = [
                _Member(self._model, dataclasses.replace(self._settings, device=device), self._devices.count(device))
                for device in self._devices
            ]
            found = [member.description() for member in self._members]
        except BaseException:
            self.close()
            raise
        dtypes = sorted({one.dtype.value for one in found})
        if len(dtypes) > 1:
            self.close()
            raise DeviceError(f"the devices would score in different dtypes, {listed(dtypes)}. Name one with --dtype.")
        devices = ",".join(one.device.value for one in found)
        reason = f"a process each; {found[0].device.reason}"
        return dataclasses.replace(found[0], device=Choice(value=devices, reason=reason), devices=len(found))


class _Member:
    """A process that holds the model on one device. Objects travel through its standard input and output.

    A program of its own rather than a fork or spawn: CUDA does not survive a fork, and a spawn runs the user's script
    again.
    """

    def __init__(self, model: str, settings: ScoreSettings, sharing: int) -> None:
        self.device = settings.device
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sentiment_batch.scoring.backends.device_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._send((model, settings, sharing))

    def description(self) -> Description:
        """What the model is, once it is loaded."""
        described: Description = self._receive()
        return described

    def served(self, windows: Iterable[Window], expected_rows: int | None) -> Iterator[Scored]:
        """The windows with their probabilities, from the process, which is to expect so many rows in all."""
        self._send(expected_rows)
        waiting: deque[Window] = deque()
        for window in windows:
            if window.known is None:
                self._send(window.pack_texts())
            waiting.append(window)
            if len(waiting) == AHEAD:
                yield self._reply(waiting.popleft())
        self._send(None)
        while waiting:
            yield self._reply(waiting.popleft())

    def end(self) -> None:
        """Ask the process to end, and see to it."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):  # what was not yet sent has nobody to go to
                stream.close()

    def _reply(self, window: Window) -> Scored:
        if window.known is not None:
            return passed(window)
        probabilities, counts, failures = self._receive()
        return Scored(window=window, probabilities=probabilities, counts=Counts(**counts), failures=failures)

    def _send(self, message: object) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(message, self._process.stdin, protocol=5)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # it is gone; why, the next `_receive` says

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


def _dealt(items: Iterator[Item], hands: int) -> list[Iterator[Item]]:
    """`items` dealt in turn to several iterators, which may be consumed by threads of their own."""
    lock = threading.Lock()
    queues: list[deque[Item]] = [deque() for _ in range(hands)]
    turn = 0

    def hand(own: deque[Item]) -> Iterator[Item]:
        nonlocal turn
        while True:
            with lock:
                while not own:
                    item = next(items, None)
                    if item is None:
                        return
                    queues[turn].append(item)
                    turn = (turn + 1) % hands
                item = own.popleft()
            yield item

    return [hand(queue) for queue in queues]


def _in_turn(streams: list[Iterator[Item]]) -> Iterator[Item]:
    """The next item of each stream, one after the other, until the first that has none."""
    while True:
        for stream in streams:
            item = next(stream, None)
            if item is None:
                return
            yield item
