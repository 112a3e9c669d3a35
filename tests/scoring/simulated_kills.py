"""Ends a scoring run in this process at its n-th change of a file, as SIGKILL would, in a few milliseconds.

The change is not made. From then on nothing can be changed any more, so that whatever the run tries to clear up is lost
as after a real kill. The locks of the run are released, as the operating system does it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from sentiment_batch.files.lock import FolderLock

CHANGES = ("fsync", "replace", "rename", "link", "unlink", "mkdir", "rmdir", "truncate", "open")
"""The functions of `os` that count; `open` only if it may write. None of them waits for the disk."""


class SimulatedKill(BaseException):
    """Nobody catches it."""


class ChangeCounter:
    """Counts the changes of files, and ends the run at one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self.count = 0
        self._kill_at = kill_at

    def step(self) -> None:
        """Called before each change."""
        self.count += 1
        if self._kill_at is not None and self.count >= self._kill_at:
            raise SimulatedKill


@contextlib.contextmanager
def killed_at(kill_at: int | None) -> Iterator[ChangeCounter]:
    """Within it, the run dies before its change number `kill_at`; None only counts the changes."""
    counter, locks = ChangeCounter(kill_at), []
    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, _counted(name, getattr(os, name), counter))
        take = FolderLock.__init__

        def noted(self, *arguments, **options):
            locks.append(self)
            take(self, *arguments, **options)

        patch.setattr(FolderLock, "__init__", noted)
        try:
            yield counter
        finally:
            for lock in locks:
                if hasattr(lock, "_descriptor"):
                    lock.release()


def _counted(name, real, counter):
    def counted(*arguments, **options):
        writes = name != "open" or (len(arguments) > 1 and arguments[1] & (os.O_CREAT | os.O_WRONLY | os.O_RDWR))
        if writes:
            counter.step()
        return None if name == "fsync" else real(*arguments, **options)

    return counted
