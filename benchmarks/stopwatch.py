"""Measures the time of optimizer steps of any loop, by a hook that torch calls at each step."""

from __future__ import annotations

import time
from collections.abc import Collection
from types import TracebackType
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook


class Stopwatch:
    """Adds up the seconds of training alone while its block runs.

    It stops at each step that a validation follows, and starts again at the end of the next step. So that next step is
    not counted, because its time includes validation, saving and loading. The first step of all is not counted either,
    because its time includes preparations.

    Args:
        pauses: the steps, counted from 1 over the whole run, that a validation follows.
        device: the clock waits for it when it is read, and only then.
    """

    def __init__(self, pauses: Collection[int], device: str) -> None:
        self.steps = 0
        """All that were taken."""
        self.counted = 0
        """Those that `seconds` are of."""
        self.seconds = 0.0
        self._pauses, self._device = set(pauses), device
        self._started: tuple[int, float] | None = None

    def __enter__(self) -> Stopwatch:
        self._hook = register_optimizer_step_post_hook(self._stepped)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hook.remove()

    def _stepped(self, *_: Any) -> None:
        self.steps += 1
        if self._started is None:
            self._started = self.steps, now(self._device)
        if self.steps in self._pauses:
            step, since = self._started
            self.counted += self.steps - step
            self.seconds += now(self._device) - since
            self._started = None


def now(device: str) -> float:
    """The time, after the device has finished its work."""
    if device != "cpu":
        torch.cuda.synchronize(device)
    return time.perf_counter()
