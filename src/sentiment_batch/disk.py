"""What it takes for files to survive a crash whole, and for two runs not to meet; it knows nothing of their content."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import platform
import shutil
import time
from pathlib import Path

from sentiment_batch.errors import OutputError

logger = logging.getLogger("sentiment_batch")

_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EROFS}
_HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}


def sync(descriptor: int) -> None:
    """Wait until the bytes are on disk, where the file system knows how.

    Raises:
        OSError: they are not.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def sync_folder(folder: str | Path) -> None:
    """Wait until the names in a folder are on disk; a rename survives a power cut only after this.

    Raises:
        OSError: they are not.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows, or a folder that may be written but not listed
        return
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Make `path` hold `data`, safe on disk: who looks, after whatever crash, sees all of it or what was before.

    Raises:
        OSError: it could not be written; what was there is as it was.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            sync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all in it, if it is there and can be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


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
