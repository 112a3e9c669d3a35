"""Finds what a location names, on the local disk or behind an fsspec URL, and opens its bytes as they are stored."""

from __future__ import annotations

import os
import stat
import sys
from typing import Any

from sentiment_batch.errors import InputError, reason
from sentiment_batch.locations import scheme_of

STDIN = "-"
_PACKAGES = {
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


def local_path(location: str) -> str | None:
    """The path on this machine's disk that `location` names, or None where it is a URL of another place."""
    scheme = scheme_of(location)
    if not scheme:
        return location
    return location.partition("://")[2] if scheme in ("file", "local") else None


def remote(location: str) -> tuple[Any, str]:
    """The fsspec file system of the URL `location`, and the path in it.

    Raises:
        InputError: nothing knows the scheme, or the package that does is not installed.
    """
    import fsspec

    scheme = scheme_of(location).rpartition("::")[2]
    try:
        filesystem, path = fsspec.core.url_to_fs(location)
    except ImportError as error:
        package = _PACKAGES.get(scheme)
        cure = f"install it with: pip install {package}" if package else reason(error)
        raise InputError(f"{location}: the package for {scheme}:// is not installed; {cure}.") from error
    except Exception as error:  # each file system has errors of its own, for credentials and the like
        raise unreachable(location, error) from error
    return filesystem, str(path)


def open_raw(location: str) -> Any:
    """The bytes of a file as they are stored, unbuffered.

    Raises:
        InputError: it is not there, is a folder, or may not be read.
    """
    path = local_path(location)
    try:
        if path is not None:
            return open(path, "rb", buffering=0)
        filesystem, path = remote(location)
        return filesystem.open(path, "rb")
    except InputError:
        raise
    except Exception as error:
        raise unreachable(location, error) from error


def standard_input() -> Any:
    """The bytes of standard input.

    Raises:
        InputError: this process has none.
    """
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise InputError("there is no standard input to read; name a file instead of -.")
    return stream


def read_once(location: str) -> bool:
    """Whether `location` is a pipe, a socket or standard input, whose bytes come only once."""
    if location == STDIN:
        return True
    path = local_path(location)
    try:
        mode = os.stat(path).st_mode if path is not None else stat.S_IFREG
    except (OSError, ValueError):
        return False  # opening it will say what is wrong
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def unreachable(location: str, error: Exception) -> InputError:
    """The error for a location that cannot be opened, with what to do about it."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{location} is not there. Check the path.")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{location} is a folder. Name a file in it; only Parquet is read from whole folders.")
    if isinstance(error, PermissionError):
        return InputError(f"{location} may not be read. Check its permissions, and your credentials if it is remote.")
    cure = "Check the path." if local_path(location) is not None else "Check the address, credentials and connection."
    return InputError(f"{location} cannot be opened: {reason(error)}. {cure}")
