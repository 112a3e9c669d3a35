"""The time of optimiser steps, whoever takes them: torch tells of each, so that one clock times any loop."""

from __future__ import annotations

import time
from collections.abc import Collection
from types import TracebackType
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook


class Stopwatch:
    """Adds up the seconds of training alone while its block runs.

    It stops at each step that a validation follows, and goes on at the end of the next one: that step stands for the
    validation, saving and loading before it, and is not counted; nor is the first of all, before which things are made.

    Args:
        pauses: the steps, counted from 1 over the whole run, that a validation follows.
        device: waited for whenever the clock is read, and only then.
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
    """The clock, once the device has done what it was told."""
    if device != "cpu":
        torch.cuda.synchronize(device)
    return time.perf_counter()
