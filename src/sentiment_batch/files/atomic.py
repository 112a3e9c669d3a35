"""What it takes for files to survive a crash whole, and for two runs not to meet; it knows nothing of their content."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
from pathlib import Path

logger = logging.getLogger("sentiment_batch")

_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EROFS}


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
