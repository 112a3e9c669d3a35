"""Opens files on the local disk and behind fsspec URLs, and reports which locations can be read only once."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from typing import Any

from sentiment_batch.errors import InputError, OutputError, SentimentBatchError, reason, refuse_ambiguous_url
from sentiment_batch.files import windows
from sentiment_batch.locations import scheme_of

STDIN = "-"
"""The location of standard input."""
PACKAGES_OF_SCHEMES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "http": "aiohttp",
    "https": "aiohttp",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "smb": "smbprotocol",
    "webdav": "webdav4",
    "oci": "ocifs",
    "oss": "ossfs",
    "dropbox": "dropboxdrivefs",
    "github": "requests",
}
"""The package of PyPI that serves each of these schemes; fsspec itself serves others, such as memory."""


def local_path(location: str) -> str | None:
    """The path on this machine's disk that `location` names, or None if it is a URL of another place.

    A leading `~` is the home folder, also where no shell has replaced it: in Python, in quotes and in
    sentiment-batch.toml.
    """
    scheme = scheme_of(location)
    if not scheme:
        return os.path.expanduser(location)
    if scheme not in ("file", "local"):
        return None
    path = location.partition("://")[2]
    return path[1:] if windows.IS_WINDOWS and re.match("/[A-Za-z]:", path) else path  # file:///C:/reviews.csv


def is_same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """True if both exist on this machine's disk and are one file, also through links, or where case does not matter."""
    # A file may be named by its path and by a file:// URL
    first, second = (local_path(os.fspath(place)) for place in (one, other))
    try:
        return first is not None and second is not None and os.path.samefile(first, second)
    except (OSError, ValueError):  # one does not exist, or is no name of a file
        return False


def open_filesystem(location: str, kind: type[SentimentBatchError] = InputError) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it.

    Args:
        location: the URL.
        kind: the error to raise: `InputError` to read, `OutputError` to write.

    Raises:
        SentimentBatchError: of that kind: the scheme is unknown, its package is not installed, or the file system
            cannot be opened.
        UsageError: the URL is ambiguous.
    """
    import fsspec

    refuse_ambiguous_url(location)

    refusal = f"{location} cannot be {'written' if issubclass(kind, OutputError) else 'opened'}"
    # Schemes of fsspec may be chained, as in simplecache::s3://bucket/file
    scheme = scheme_of(location).rpartition("::")[2]
    try:
        filesystem, path = fsspec.core.url_to_fs(location)
    except ImportError as error:
        package = PACKAGES_OF_SCHEMES.get(scheme)
        cure = f"Install it with: pip install {package}" if package else f"fsspec reports: {reason(error)}"
        raise kind(f"{refusal}, because the package for {scheme}:// is not installed. {cure}.") from error
    except Exception as error:  # each file system has errors of its own, such as for wrong credentials
        if scheme not in fsspec.available_protocols():
            raise kind(
                f"{refusal}: no file system serves {scheme}://. Install the fsspec package that does, or name a "
                "local path."
            ) from error
        raise kind(f"{refusal}: {reason(error)}. Check the address, your credentials and the connection.") from error
    return filesystem, str(path)


def open_raw(location: str) -> Any:
    """An unbuffered stream of the bytes of a file, as they are stored.

    Raises:
        InputError: the file does not exist, is a folder, or must not be read.
    """
    path = local_path(location)
    try:
        if path is not None:
            return open(path, "rb", buffering=0)
        filesystem, path = open_filesystem(location)
        return filesystem.open(path, "rb")
    # `open_filesystem` has said what is wrong, and how to mend it
    except InputError:
        raise
    except Exception as error:
        raise make_unreachable_error(location, error) from error


def standard_input() -> Any:
    """The binary stream of standard input.

    Raises:
        InputError: this process has no standard input.
    """
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise InputError("there is no standard input to read. Name a file instead of -.")
    return stream


def is_read_once(location: str) -> bool:
    """True if the bytes of `location` can be read only once, because it is a pipe, a socket or standard input."""
    if location == STDIN:
        return True
    path = local_path(location)
    try:
        # A URL counts as a regular file: its storage can be read again
        mode = os.stat(path).st_mode if path is not None else stat.S_IFREG
    except (OSError, ValueError):
        return False  # opening it reports what is wrong
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def make_unreachable_error(location: str, error: Exception) -> InputError:
    """The error to raise if a location cannot be opened."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{location} is not there. Check the path.")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{location} is a folder. Name a file in it, or a pattern such as *.csv in quotes.")
    if isinstance(error, PermissionError):
        return InputError(f"{location} may not be read. Check its permissions, and your credentials if it is remote.")
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return InputError(
            f"{location} cannot be opened: {reason(error)}. Raise the limit of open files (ulimit -n), or close files "
            "that this process holds open."
        )
    cure = "Check the path." if local_path(location) is not None else "Check the address, credentials and connection."
    return InputError(f"{location} cannot be opened: {reason(error)}. {cure}")
