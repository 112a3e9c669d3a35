"""Object stores and other file systems of fsspec: gathered in a local file, sent in one upload when it is whole."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from typing import TYPE_CHECKING, Any, BinaryIO

from sentiment_batch.data.writers.local import Destination, LocalFile
from sentiment_batch.errors import OutputError, first_line
from sentiment_batch.locations import scheme_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

logger = logging.getLogger("sentiment_batch")

SENDING = "_SENDING"
"""The empty file that says that a folder is being sent, and by whom it was begun if it never ends."""


def at_url(location: str, overwrite: bool, scratch: str | None = None) -> Destination:
    """The destination that a URL names; `file://` is a local file.

    Raises:
        OutputError: no file system serves the scheme, its package is missing, or the storage refuses.
    """
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    try:
        file_system, path = url_to_fs(location)
    except ImportError as error:
        raise OutputError(f"{location} cannot be written: {first_line(error)}. Install that package.") from error
    except ValueError as error:
        raise OutputError(
            f"{location} cannot be written: no file system serves {scheme_of(location)}://. Install the fsspec package "
            "that does, or name a local path."
        ) from error
    except Exception as error:
        raise _refused(location, error) from error
    if isinstance(file_system, LocalFileSystem):
        return LocalFile(path, overwrite, scratch)
    return RemoteFile(location, file_system, path, overwrite, scratch)


class RemoteFile:
    """A file behind fsspec. It is gathered in `scratch` or the temporary folder, so no half upload is ever visible.

    Raises:
        OutputError: a folder is there, a file is there and `overwrite` is not set, or the storage refuses.
    """

    def __init__(self, location: str, file_system: Any, path: str, overwrite: bool, scratch: str | None = None) -> None:
        self._location = location
        self._file_system = file_system
        self._path = path
        self._overwrite = overwrite
        if location.endswith("/"):
            raise OutputError(f"{location} is a folder. Name a file in it.")
        self._check_free()
        descriptor, self._spool = tempfile.mkstemp(prefix="sentiment-batch-", dir=scratch)
        variable = "SENTIMENT_BATCH_CACHE" if scratch else "TMPDIR"
        self.place = f"{self._spool}, where {location} is gathered ({variable} names another folder),"
        self.file: BinaryIO = open(descriptor, "wb", buffering=1 << 20)  # noqa: SIM115 - closed by publish

    def _check_free(self) -> None:
        with self._storage_named():
            self._file_system.invalidate_cache()  # hours may lie between the first look and this one
            if self._file_system.exists(self._path):
                if not self._overwrite:
                    raise OutputError.exists(self._location)
                if self._file_system.isdir(self._path):
                    raise OutputError(f"{self._location} is a folder. Name a file in it.")

    def seal(self) -> None:
        """Close the local file."""
        self.file.close()

    def publish(self) -> None:
        """Upload, and remove the local file."""
        self._check_free()
        logger.info("sending %s bytes to %s", f"{os.path.getsize(self._spool):,}", self._location)
        with self._storage_named():
            self._file_system.put_file(self._spool, self._path)
        self.discard()

    def discard(self) -> None:
        """Remove the local file."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._spool)

    @contextlib.contextmanager
    def _storage_named(self) -> Iterator[None]:
        """Storage libraries raise errors of their own kinds: all become one that names the URL."""
        try:
            yield
        except OutputError:
            raise
        except Exception as error:
            raise _refused(self._location, error) from error


def _refused(location: str, error: Exception) -> OutputError:
    return OutputError(
        f"{location} cannot be written: {type(error).__name__}: {first_line(error)}. Check the address and your "
        "credentials for it."
    )


def send_file(file: Path, location: str) -> None:
    """Upload one file, over whatever is there.

    Raises:
        OutputError: the storage refuses.
    """
    from fsspec.core import url_to_fs

    try:
        file_system, path = url_to_fs(location)
        file_system.put_file(str(file), path)
    except Exception as error:
        raise _refused(location, error) from error


def remove_file(location: str) -> None:
    """Remove one file, if it is there.

    Raises:
        OutputError: the storage refuses.
    """
    from fsspec.core import url_to_fs

    try:
        file_system, path = url_to_fs(location)
        if file_system.exists(path):
            file_system.rm_file(path)
    except Exception as error:
        raise _refused(location, error) from error


def names_in(location: str) -> list[str]:
    """The files below a folder, by their names in it.

    Raises:
        OutputError: the storage refuses.
    """
    return _folder_at(location)[2]


def check_folder(location: str, last: str, *, overwrite: bool) -> None:
    """Look whether a folder may be written at a URL: one that is empty, whole and to be replaced, or half-sent by us.

    Raises:
        OutputError: other things are there, or a whole folder that may not be replaced; or the storage refuses.
    """
    names = names_in(location)
    if not names or SENDING in names:
        return
    if last not in names or not all(name == last or name.startswith("part-") for name in names):
        raise OutputError(
            f"{location} holds other things than a finished data set, so it is not replaced. Name another OUT."
        )
    if not overwrite:
        raise OutputError.exists(location)


def send_folder(folder: Path, names: Sequence[str], last: str, location: str, *, overwrite: bool) -> None:
    """Upload the files of a folder; `last` goes last and says that all are there.

    Args:
        folder: where they are on this machine.
        names: of the files.
        last: the name of the one that makes the folder whole.
        location: the URL of the folder.
        overwrite: replace a whole folder that is there.

    Raises:
        OutputError: as for `check_folder`.
    """
    check_folder(location, last, overwrite=overwrite)
    file_system, path, there = _folder_at(location)
    try:
        file_system.pipe_file(f"{path}/{SENDING}", b"")
        if last in there:
            file_system.rm_file(f"{path}/{last}")  # from here on the old one is no whole folder
        for name in names:
            file_system.put_file(str(folder / name), f"{path}/{name}")
        for name in there:  # parts of an older output that had more of them
            if name.startswith("part-") and "/" not in name and name not in names:
                file_system.rm_file(f"{path}/{name}")
        file_system.put_file(str(folder / last), f"{path}/{last}")
        file_system.rm_file(f"{path}/{SENDING}")
    except Exception as error:
        raise _refused(location, error) from error


def _folder_at(location: str) -> tuple[Any, str, list[str]]:
    """The file system, the path of the folder in it, and all files below, by their names in it."""
    from fsspec.core import url_to_fs

    try:
        file_system, path = url_to_fs(location)
        path = path.rstrip("/")
        file_system.invalidate_cache()
        found = file_system.find(path) if file_system.exists(path) else []
        return file_system, path, [str(one).removeprefix(path).lstrip("/") for one in found]
    except Exception as error:
        raise _refused(location, error) from error
