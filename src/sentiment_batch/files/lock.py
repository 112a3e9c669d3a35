"""The lock on a work folder: one process at a time works on one destination."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import platform
import stat
import time
from pathlib import Path

import filelock

from sentiment_batch.errors import OutputError
from sentiment_batch.files.atomic import make_folder
from sentiment_batch.files.checksums import read_regular

logger = logging.getLogger("sentiment_batch")

LOCK = "lock"
"""The file in the work folder that the operating system locks."""
HOLDER = "lock.holder"
"""The file beside it with the process, the machine and the start time of the holder."""
LOCK_FILES = {LOCK, HOLDER}
# A symbolic link could point to somebody else's file, and opening a named pipe could wait for ever.
_OPEN_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_MAX_ATTEMPTS = 100


class FolderLock:
    """Holds the lock of a work folder until `release` or the end of the process, whatever ends it.

    The operating system holds the lock, so a crash leaves none behind. The files stay after `release`, because
    another process may have opened them already.

    Args:
        folder: the work folder. It is created, with its parents, if it does not exist.
        destination: what is being written, for messages.

    Raises:
        OutputError: another process holds the lock, which the message names; or the lock file is a link, has a
            second hard link, or is no regular file.
        OSError: the folder or the lock file cannot be created.
    """

    def __init__(self, folder: Path, destination: str) -> None:
        self._descriptor = _locked_file(folder, destination)
        holder = {"process": os.getpid(), "machine": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        # The holder serves messages only: the lock holds on a full disk, too.
        with contextlib.suppress(OSError, OutputError), open(_open_lock_file(folder / HOLDER), "wb") as file:
            file.truncate()
            file.write(json.dumps(holder).encode())

    def release(self) -> None:
        """Release the lock. It may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            # The number may be given to another file soon, which a second call must not close
            self._descriptor = -1


def _locked_file(folder: Path, destination: str) -> int:
    """The descriptor of the folder's lock file, locked."""
    path = folder / LOCK
    for attempt in range(1, _MAX_ATTEMPTS + 1):
        make_folder(folder)  # what is finished in it is to survive a power cut
        try:
            descriptor = _open_lock_file(path)
        except FileNotFoundError:  # a run that ended has just removed the folder
            if attempt == _MAX_ATTEMPTS:
                raise
            continue
        try:
            if not _lock(descriptor):
                raise OutputError(f"{destination} is being written by {_holder(folder)}. Wait for it, or end it first.")
            # Between the two calls a run may have ended and removed the file. A lock on that file protects nothing.
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise OutputError(f"{path} was removed again and again while it was locked. Run the command again.")


def _open_lock_file(path: Path) -> int:
    """The descriptor of a regular file with one name, created if it does not exist."""
    if path.is_symlink():  # systems without O_NOFOLLOW
        raise _make_lock_file_error(path)
    try:
        descriptor = os.open(path, _OPEN_FLAGS, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _make_lock_file_error(path) from error
        raise
    # Ask the open file, not its path, which may have been replaced in between
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_nlink <= 1:
        return descriptor
    os.close(descriptor)
    raise _make_lock_file_error(path)


def _make_lock_file_error(path: Path) -> OutputError:
    return OutputError(f"{path} is a link or a special file, so it cannot be locked. Remove it, and run again.")


def _lock(descriptor: int) -> bool:
    """True if the lock could be taken. A file system without locks gives it to everybody."""
    try:
        return filelock.lock_descriptor(descriptor, blocking=False)
    except OSError as error:
        logger.debug("this file system has no locks: %s", error)  # some network file systems
        return True


def _is_at(descriptor: int, path: Path) -> bool:
    """True if the open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _holder(folder: Path) -> str:
    try:
        holder = json.loads(read_regular(folder / HOLDER))
        return f"process {holder['process']} on {holder['machine']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
