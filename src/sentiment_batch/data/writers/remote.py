"""Destinations behind fsspec URLs: a file is gathered on this machine and uploaded once, when it is complete."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import tempfile
from typing import TYPE_CHECKING, Any

from sentiment_batch.data.writers.local import Destination, LocalFile
from sentiment_batch.data.writers.object_store import create_object, replace_object
from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.errors import OutputError
from sentiment_batch.files.filesystems import open_filesystem
from sentiment_batch.locations import without_password

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

logger = logging.getLogger("sentiment_batch")
_storage_errors = functools.partial(translate_write_errors, storage=True)

_PART = re.compile(r"part-\d{5,}\.[^/]+")
"""The files of the parts of a data set."""


def url_destination(location: str, overwrite: bool, scratch: str | None = None) -> Destination:
    """The destination that a URL names; `file://` is a local file.

    Raises:
        OutputError: no file system serves the scheme, its package is missing, or the storage refuses.
    """
    from fsspec.implementations.local import LocalFileSystem

    file_system, path = open_filesystem(location, OutputError)
    # A `file://` URL is published by a rename, as a path is
    if isinstance(file_system, LocalFileSystem):
        return LocalFile(path, overwrite, scratch)
    return RemoteFile(location, file_system, path, overwrite, scratch)


class RemoteFile:
    """A file behind fsspec. It is gathered on this machine, so that nobody ever sees half an upload.

    Args:
        location: its URL.
        file_system: the fsspec file system of the URL.
        path: its path there.
        overwrite: replace a file at that path.
        scratch: the folder to gather the bytes in. None: the temporary folder.

    Raises:
        OutputError: the path is a folder, a file exists and `overwrite` is False, or the storage refuses.
    """

    def __init__(self, location: str, file_system: Any, path: str, overwrite: bool, scratch: str | None = None) -> None:
        self._location = location
        self._file_system = file_system
        self._path = path
        self._overwrite = overwrite
        if location.endswith("/"):
            raise OutputError(f"{location} is a folder. Name a file in it.")
        self._check_replaceable()
        descriptor, self._spool = tempfile.mkstemp(prefix="sentiment-batch-", dir=scratch)
        variable = "SENTIMENT_BATCH_CACHE" if scratch else "TMPDIR"
        self.shown = f"{self._spool}, where {location} is gathered (set {variable} to use another folder),"
        self.file = open(descriptor, "wb", buffering=1 << 20)  # noqa: SIM115 - closed by `finish`

    def _check_replaceable(self) -> None:
        with _storage_errors(self._location):
            self._file_system.invalidate_cache()  # hours may lie between two looks
            # One request for the usual case, in which no object is there
            if self._file_system.exists(self._path):
                if not self._overwrite:
                    raise OutputError.exists(self._location)
                if self._file_system.isdir(self._path):
                    raise OutputError(f"{self._location} is a folder. Name a file in it.")

    def finish(self) -> None:
        """Close the local file."""
        self.file.close()

    def publish(self) -> None:
        """Upload the local file, and remove it."""
        # Another run may have written the object since this one began
        self._check_replaceable()
        size = os.path.getsize(self._spool)
        logger.info("sending %s bytes to %s", f"{size:,}", without_password(self._location))
        with _storage_errors(self._location):
            if self._overwrite:
                replace_object(self._file_system, self._spool, self._path)
            else:
                self._create()
        self.discard()

    def _create(self) -> None:
        """Upload the local file, unless another run was faster."""
        try:
            create_object(self._file_system, self._spool, self._path)
        except FileExistsError:
            raise OutputError.exists(self._location) from None

    def discard(self) -> None:
        """Remove the local file."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._spool)


def send_file(file: Path, location: str) -> None:
    """Upload one file, and replace what is there.

    Raises:
        OutputError: the storage refuses.
    """
    file_system, path = open_filesystem(location, OutputError)
    with _storage_errors(location):
        replace_object(file_system, str(file), path)


def remove_file(location: str) -> None:
    """Remove one file, if it exists.

    Raises:
        OutputError: the storage refuses.
    """
    file_system, path = open_filesystem(location, OutputError)
    with _storage_errors(location):
        if file_system.exists(path):
            file_system.rm_file(path)


def list_names(location: str) -> list[str]:
    """The files below a folder, by their paths relative to it.

    Raises:
        OutputError: the storage refuses.
    """
    return _folder_at(location)[2]


def send_folder(folder: Path, names: Sequence[str], last: str, location: str) -> None:
    """Upload the files of a folder that is claimed. The file `last` goes last and shows that all others have arrived.

    Args:
        folder: the folder on this machine.
        names: the names of its files.
        last: the name of the file that marks a finished data set.
        location: the URL of the folder. What an older output left there is replaced.

    Raises:
        OutputError: the storage refuses.
    """
    file_system, path, there = _folder_at(location)
    # A run that is killed in between leaves a folder without `last`, so the folder never looks finished too early.
    with _storage_errors(location):
        if last in there:
            file_system.rm_file(f"{path}/{last}")  # from here on the old data set is unfinished
        for name in names:
            replace_object(file_system, str(folder / name), f"{path}/{name}")
        for name in there:  # parts of an older output that had more of them
            if _PART.fullmatch(name) and name not in names:
                file_system.rm_file(f"{path}/{name}")
        replace_object(file_system, str(folder / last), f"{path}/{last}")


def _folder_at(location: str) -> tuple[Any, str, list[str]]:
    """The file system, the path of the folder in it, and all files below by their relative paths."""
    file_system, path = open_filesystem(location, OutputError)
    path = path.rstrip("/")
    with _storage_errors(location):
        file_system.invalidate_cache()
        found = file_system.find(path) if file_system.exists(path) else []
    return file_system, path, [str(file).removeprefix(path).lstrip("/") for file in found]
