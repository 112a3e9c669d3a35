"""The right to work on one destination, which one process holds at a time."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import platform
import time
from pathlib import Path

from sentiment_batch.errors import OutputError

logger = logging.getLogger("sentiment_batch")

_HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}


class Lock:
    """The right to work on one destination, held until `release` or the end of the process, however that comes.

    It is the operating system's lock on a file, so a crash leaves none behind.

    Args:
        path: the file; its folder must be there.
        what: what is being written, for the message.

    Raises:
        OutputError: another process holds it; the message says which.
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        while True:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if not _locked(self._descriptor):
                    raise OutputError(f"{what} is being written by {_holder(path)}. Wait for it, or end it first.")
                # Another run may have ended between the two calls, and taken the file with it: its lock is no lock.
                if _is_at(self._descriptor, path):
                    break
            except BaseException:
                os.close(self._descriptor)
                raise
            os.close(self._descriptor)
        about = {"process": os.getpid(), "machine": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        with contextlib.suppress(OSError):  # who holds it is for people only; a full disk does not weaken the lock
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, json.dumps(about).encode())

    def release(self) -> None:
        """Let others work; may be called twice. The file stays, for others may wait for it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _locked(descriptor: int) -> bool:
    """Whether the lock on the open file could be taken."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        logger.debug("this file system has no locks: %s", error)  # some network file systems
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    try:
        about = json.loads(path.read_bytes())
        return f"process {about['process']} on {about['machine']} since {about['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
