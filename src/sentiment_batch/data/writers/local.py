"""Where bytes end up on this machine: a file that appears whole, a device or pipe, standard output."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import secrets
import stat
import sys
from typing import BinaryIO, Protocol

from sentiment_batch.errors import OutputError
from sentiment_batch.files.atomic import sync, sync_folder

logger = logging.getLogger("sentiment_batch")

_DIRECT = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")


class Destination(Protocol):
    """An open binary file, and what makes it public or takes it away."""

    file: BinaryIO
    """Takes the bytes."""
    place: str
    """Where the bytes go until they are published, for messages."""

    def seal(self) -> None:
        """Make the bytes safe, not yet visible where that can be; nothing more is written."""
        ...

    def publish(self) -> None:
        """Make the sealed bytes visible; the file is closed."""
        ...

    def discard(self) -> None:
        """Close the file and remove what is not public; may be called twice, and never raises an `OSError`."""
        ...


class StandardOutput:
    """Standard output, which stays open; what was written cannot be taken back."""

    def __init__(self) -> None:
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None:
            raise OutputError("standard output takes no bytes here. Name a file as the destination.")
        sys.stdout.flush()  # text printed before must stay before
        if isinstance(buffer, io.RawIOBase):  # `python -u`: its writes may take only a part of the bytes
            buffer = open(buffer.fileno(), "wb", closefd=False)  # noqa: SIM115 - standard output stays open
        self.file: BinaryIO = buffer
        self.place = "standard output"

    def seal(self) -> None:
        """Flush."""
        self.file.flush()

    def publish(self) -> None:
        """Nothing more: who reads it has it already."""

    def discard(self) -> None:
        """Leave standard output as it is."""


class SpecialFile:
    """A device, a named pipe or `/dev/stdout`: written directly, since renaming over it would replace it."""

    def __init__(self, location: str) -> None:
        self.file: BinaryIO = open(location, "ab")  # noqa: SIM115 - appending: a shell may have written before us
        self.place = location

    def seal(self) -> None:
        """Flush."""
        self.file.flush()
        sync(self.file.fileno())

    def publish(self) -> None:
        """Close."""
        self.file.close()

    def discard(self) -> None:
        """Close."""
        with contextlib.suppress(OSError):
            self.file.close()


class LocalFile:
    """A regular file, written under another name on the same file system and renamed when it is whole and on disk.

    Args:
        location: its path.
        overwrite: replace what is there.
        scratch: the folder for it until then; None takes a hidden name beside the destination.

    Raises:
        OutputError: the folder is missing, a folder is there, or a file is there and `overwrite` is not set.
    """

    def __init__(self, location: str, overwrite: bool, scratch: str | None = None) -> None:
        self.place = location
        self._overwrite = overwrite
        self._path = os.path.realpath(location)  # a link stays: what it points to is replaced
        self._folder, name = os.path.split(self._path)
        if location.endswith((os.sep, "/")) or os.path.isdir(self._path):
            raise OutputError(f"{location} is a folder. Name a file in it.")
        if not os.path.isdir(self._folder):
            raise OutputError(
                f"{location} cannot be written: there is no folder {self._folder}. Create it, or name another "
                "destination."
            )
        if not overwrite and os.path.lexists(self._path):
            raise OutputError.exists(location)
        # 60 characters are 240 bytes at most, which leaves room for the rest in the 255 that file systems allow.
        hidden = f".{name[:60]}.{secrets.token_hex(4)}.part"
        self._part = os.path.join(scratch or self._folder, hidden)
        self.file: BinaryIO = self._create()

    def _create(self) -> BinaryIO:
        """Open the hidden file with the mode that the umask gives, or that of the file to be replaced."""
        descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        with contextlib.suppress(OSError, AttributeError):  # no such file yet, or no modes on this system
            os.fchmod(descriptor, stat.S_IMODE(os.stat(self._path).st_mode))
        return open(descriptor, "wb", buffering=1 << 20)

    def seal(self) -> None:
        """Sync and close."""
        self.file.flush()
        sync(self.file.fileno())
        self.file.close()

    def publish(self) -> None:
        """Rename, then sync the folder so that the name too survives a power cut."""
        if self._overwrite:
            os.replace(self._part, self._path)
        else:
            self._rename_to_new()
        self._sync_folder()

    def _rename_to_new(self) -> None:
        """Rename, but never over a file that appeared since we looked."""
        try:
            os.link(self._part, self._path)
        except FileExistsError:
            raise OutputError.exists(self.place) from None
        except OSError:  # file systems without hard links: look once more, then rename
            if os.path.lexists(self._path):
                raise OutputError.exists(self.place) from None
            os.replace(self._part, self._path)
        else:
            with contextlib.suppress(OSError):
                os.unlink(self._part)

    def _sync_folder(self) -> None:
        """Sync the folder; a failure is only worth a warning, for the whole file is there by now."""
        try:
            sync_folder(self._folder)
        except OSError as error:
            logger.warning("%s is written, but its folder could not be synced: %s", self.place, error.strerror)

    def discard(self) -> None:
        """Close and remove the hidden file."""
        with contextlib.suppress(OSError):
            self.file.close()  # may fail to flush, and has closed the file then all the same
        with contextlib.suppress(OSError):
            os.unlink(self._part)


def on_this_machine(location: str, overwrite: bool, scratch: str | None = None) -> Destination:
    """The destination that a path names, or `-`.

    Raises:
        OutputError: see `LocalFile`.
    """
    if location == "-":
        return StandardOutput()
    if is_special(location):
        return SpecialFile(location)
    return LocalFile(location, overwrite, scratch)


def is_special(location: str) -> bool:
    """Whether a path names a device, a named pipe or an open file of this process, which cannot be renamed over."""
    if location.startswith(_DIRECT):
        return True
    try:
        mode = os.stat(location).st_mode
    except OSError:  # not there; or what is wrong with the name, opening it will say
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
