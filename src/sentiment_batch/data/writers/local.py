"""Destinations on this machine: a file that appears complete, a device or pipe, and standard output."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO, Protocol

from sentiment_batch.errors import OutputError
from sentiment_batch.files.atomic import HiddenFile, sync, sync_folder
from sentiment_batch.files.windows import find_name_problem

logger = logging.getLogger("sentiment_batch")

_DIRECT = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")


class Destination(Protocol):
    """An open binary file that can be published or discarded."""

    file: BinaryIO
    """Takes the bytes."""
    shown: str
    """Where the bytes are until they are published, as messages name it."""

    def finish(self) -> None:
        """Put all bytes on disk, without publishing them where that is possible. Nothing is written afterwards."""
        ...

    def publish(self) -> None:
        """Make the finished bytes visible. The file is closed."""
        ...

    def discard(self) -> None:
        """Close the file and remove what is not published. It may be called twice, and never raises an `OSError`."""
        ...


class StandardOutput:
    """Standard output. It stays open, and nothing written to it can be removed."""

    def __init__(self) -> None:
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None:
            raise OutputError("standard output takes no bytes here. Name a file as the destination.")
        sys.stdout.flush()  # text printed before must stay before
        if isinstance(buffer, io.RawIOBase):  # `python -u`: its writes may take only a part of the bytes
            buffer = open(buffer.fileno(), "wb", closefd=False)  # noqa: SIM115 - standard output stays open
        self.file: BinaryIO = buffer
        self.shown = "standard output"

    def finish(self) -> None:
        """Flush the stream."""
        self.file.flush()

    def publish(self) -> None:
        """Do nothing: the reader of the stream has the bytes already."""

    def discard(self) -> None:
        """Leave standard output as it is."""


class SpecialFile:
    """A device, a named pipe or `/dev/stdout`. It is written directly, because a rename would replace it."""

    def __init__(self, location: str) -> None:
        self.file: BinaryIO = open(location, "ab")  # noqa: SIM115 - appending: a shell may have written before us
        self.shown = location

    def finish(self) -> None:
        """Flush the stream."""
        self.file.flush()
        sync(self.file.fileno())

    def publish(self) -> None:
        """Close the file."""
        self.file.close()

    def discard(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self.file.close()


class LocalFile:
    """A regular file, written under a hidden name on the same file system, and renamed when it is complete and on disk.

    Args:
        location: its path.
        overwrite: replace a file at that path.
        scratch: the folder for the hidden name. None: beside the destination.

    Raises:
        OutputError: the folder is missing, the path is a folder, or a file exists and `overwrite` is False.
    """

    def __init__(self, location: str, overwrite: bool, scratch: str | None = None) -> None:
        self.shown = location
        self._overwrite = overwrite
        path = Path(
            os.path.realpath(os.path.expanduser(location))
        )  # a link stays, and the file that it points to is replaced
        self._folder = path.parent
        if location.endswith((os.sep, "/")) or path.is_dir():
            raise OutputError(f"{location} is a folder. Name a file in it.")
        if problem := find_name_problem(path.name):
            raise OutputError(f"{location} cannot be written: {problem} on Windows. Choose another name.")
        if not self._folder.is_dir():
            raise OutputError(
                f"{location} cannot be written: there is no folder {self._folder}. Create it, or name another "
                "destination."
            )
        # A run of hours must not fail at its end, so this is checked at the start. `publish` checks it again.
        if not overwrite and os.path.lexists(path):
            raise OutputError.exists(location)
        self._part = HiddenFile(path, scratch=None if scratch is None else Path(scratch))
        self.file = self._part.file
        # A file that is replaced keeps its mode, as if it had been written in place
        with contextlib.suppress(OSError, AttributeError):  # there is no such file yet, or this system has no modes
            os.fchmod(self.file.fileno(), stat.S_IMODE(path.stat().st_mode))

    def finish(self) -> None:
        """Sync the bytes to disk, and close the file."""
        self._part.finish()

    def publish(self) -> None:
        """Rename the file, then sync the folder so that the new name, too, survives a power cut."""
        # The order matters. `finish` has put the bytes on disk, then the file gets its name, then the name is synced.
        try:
            self._part.publish(overwrite=self._overwrite)
        except FileExistsError:
            raise OutputError.exists(self.shown) from None
        try:
            sync_folder(self._folder)
        except OSError as error:  # by now the complete file has its name
            logger.warning("%s is written, but its folder could not be synced: %s", self.shown, error.strerror)

    def discard(self) -> None:
        """Close and remove the hidden file."""
        self._part.discard()


def is_special(location: str) -> bool:
    """True if a path names a device, a named pipe or an open file of this process: a rename must not replace these."""
    # `/dev/stdout` may lead to a regular file that a shell has opened. So its name decides, and not its kind.
    if location.startswith(_DIRECT):
        return True
    try:
        mode = os.stat(location).st_mode
    except OSError:  # a new file; opening it reports anything else
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
