"""Writes files so that a reader sees the old content or the new, never half of it, whenever the process or power dies.

Every file goes through the same four steps: write it under a hidden name, sync its bytes to disk, rename it, and sync
the folder that holds the new name. This module knows nothing of the content.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sentiment_batch.files.windows import replace_patiently

_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EROFS}
"""Errors of `fsync` if the file, such as a pipe, or its file system cannot be synced. Others are failed writes."""
_MAX_NAME_CHARACTERS = 60
"""Characters of the final name that the hidden name keeps: in UTF-8 at most 240 of the 255 bytes that are allowed."""


class HiddenFile:
    """A new file under a hidden name, which gets its final name when it is complete and on disk.

    Call `finish`, then `publish`; or `discard` at any time before.

    Args:
        path: the final name.
        scratch: the folder for the hidden name. It must be on the same file system. None: the folder of `path`.

    Raises:
        OSError: the file cannot be created.
    """

    def __init__(self, path: Path, *, scratch: Path | None = None) -> None:
        self._path = path
        # The random part keeps two writers of one file apart
        hidden = f".{path.name[:_MAX_NAME_CHARACTERS]}.{secrets.token_hex(4)}.part"
        self._part = (scratch or path.parent) / hidden
        self.file = self._create()
        """Takes the bytes."""

    def _create(self) -> BinaryIO:
        """Open a new file with the mode that the umask gives."""
        # O_EXCL: nothing that lies there is followed or overwritten, not even a link of the same name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        return open(os.open(self._part, flags, 0o666), "wb", buffering=1 << 20)

    def finish(self) -> None:
        """Sync the bytes to disk and close the file."""
        # The rename may reach the disk before the bytes do. Then a loss of power would leave an empty file.
        self.file.flush()
        sync(self.file.fileno())
        self.file.close()

    def publish(self, *, overwrite: bool = True) -> None:
        """Rename the file. The caller syncs the folder.

        Args:
            overwrite: replace a file of the final name.

        Raises:
            FileExistsError: `overwrite` is False, and a file of that name exists by now.
        """
        if overwrite:
            replace_patiently(self._part, self._path)
            return
        try:
            os.link(self._part, self._path)  # unlike a rename, this never replaces a file that has just appeared
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            # Another program may still create the file before the rename. Such file systems offer nothing safer.
            if os.path.lexists(self._path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self._path)) from None
            replace_patiently(self._part, self._path)
        else:
            with contextlib.suppress(OSError):
                os.unlink(self._part)

    def discard(self) -> None:
        """Close and remove the hidden file. It may be called twice, and never raises an `OSError`."""
        with contextlib.suppress(OSError):
            self.file.close()  # The flush may fail. The file is closed in any case.
        with contextlib.suppress(OSError):
            os.unlink(self._part)


@contextlib.contextmanager
def replace_file(path: Path, *, scratch: Path | None = None) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` when the block ends without an error.

    Args:
        path: the file to create or replace.
        scratch: the folder for the hidden name until then, as for `HiddenFile`.

    Raises:
        OSError: the file could not be written. What was at `path` is unchanged.
    """
    part = HiddenFile(path, scratch=scratch)
    try:
        yield part.file
        part.finish()
        part.publish()
    except BaseException:
        part.discard()
        raise
    sync_folder(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Make `data` the content of `path`, by the steps of `replace_file`.

    Raises:
        OSError: the file could not be written. What was at `path` is unchanged.
    """
    with replace_file(path) as file:
        file.write(data)


def sync(descriptor: int) -> None:
    """Wait until the bytes of an open file are on disk, if the file system supports that.

    Raises:
        OSError: the bytes could not be written.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def sync_file(path: Path) -> None:
    """Wait until the bytes of a file are on disk.

    Raises:
        OSError: the bytes could not be written.
    """
    with path.open("rb+") as file:  # Windows syncs only files that are open for writing
        sync(file.fileno())


def sync_folder(folder: str | Path) -> None:
    """Wait until the names in a folder are on disk. A rename survives a power cut only after this.

    Raises:
        OSError: the names could not be written.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows, or a folder that may be written but not listed
        return
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync_path(path: str | Path) -> None:
    """Wait until the bytes of a file, or the names in a folder, are on disk.

    Raises:
        OSError: they could not be written.
    """
    if os.path.isdir(path):
        sync_folder(path)
    else:
        sync_file(Path(path))


def make_folder(folder: Path) -> None:
    """Create a folder and the missing ones above it, and wait until their names are on disk. It may exist already.

    Raises:
        OSError: it cannot be created.
    """
    # Each new name lies in the folder above it, so those folders are synced, from the top down
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in reversed(missing):
        sync_folder(one.parent)


def remove(path: Path) -> None:
    """Remove a file, or a folder with its content. A missing path, or one that cannot be removed, is no error."""
    # Of a link only the link is removed, never what it points to
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
