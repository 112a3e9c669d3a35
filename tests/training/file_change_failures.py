"""Ends a run at its n-th change of a file: as a killed process does, or with an error of the disk."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

import pytest

CHANGES = ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir")
WRITES = ("fsync", "replace", "rename", "mkdir")
"""Those that a disk can be too full for."""


class Killed(BaseException):
    """Nobody catches it, and after it nothing is changed any more: what a clean-up tries is lost as after SIGKILL."""


class Changes:
    """Counts the changes of files; `count` tells how many there were."""

    def __init__(self, end: int | None, error: bool) -> None:
        self.count = 0
        self._end = end
        self._error = error

    def step(self) -> None:
        """Called before each change."""
        self.count += 1
        if self._end is None or self.count < self._end:
            return
        if not self._error:
            raise Killed
        if self.count == self._end:
            raise OSError(errno.ENOSPC, "No space left on device")


@contextlib.contextmanager
def ending_at(end: int | None, *, error: bool = False) -> Iterator[Changes]:
    """Within it, the change number `end` fails: by death before it is done, or by a full disk; None only counts."""
    changes = Changes(end, error)
    with pytest.MonkeyPatch.context() as patch:
        for name in WRITES if error else CHANGES:
            patch.setattr(os, name, _counted(getattr(os, name), changes))
        yield changes


def _counted(function, changes):
    def counted(*arguments, **options):
        changes.step()
        return function(*arguments, **options)

    return counted
