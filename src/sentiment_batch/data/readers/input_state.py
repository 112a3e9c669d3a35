"""What tells one state of an input from another without reading it: sizes, times of change, and Parquet's footers."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from sentiment_batch.files import filesystems
from sentiment_batch.locations import without_password

_FOOTER_END = 8
"""Bytes at the end of a Parquet file: the footer's length and the magic number."""


def identify_input(location: str) -> dict[str, Any] | None:
    """What a file is now, as plain values that can be compared later; None where nothing can tell.

    Args:
        location: a path or an fsspec URL of one file. Of standard input and pipes nothing can be told.

    Raises:
        InputError: it is not there.
    """
    if filesystems.read_once(location):
        return None
    path = filesystems.local_path(location)
    if path is None:
        return _remote(location)
    try:
        status = os.stat(path)
    except OSError as error:
        raise filesystems.unreachable(location, error) from error
    found: dict[str, Any] = {
        "path": os.path.realpath(path),
        "bytes": status.st_size,
        "modified": status.st_mtime_ns,
    }
    footer = _footer(path, status.st_size)
    return found | ({"footer": footer} if footer else {})


def _remote(location: str) -> dict[str, Any]:
    filesystem, path = filesystems.remote(location)
    try:
        filesystem.invalidate_cache()
        return {"path": without_password(location), "bytes": filesystem.size(path), "state": str(filesystem.ukey(path))}
    except Exception as error:  # each file system has errors of its own
        raise filesystems.unreachable(location, error) from error


def _footer(path: str, size: int) -> str | None:
    """The SHA-256 of a Parquet file's footer, which lists every column of every row group and its size."""
    with open(path, "rb") as file:
        if size < 2 * _FOOTER_END or file.read(4) != b"PAR1":
            return None
        file.seek(size - _FOOTER_END)
        end = file.read(_FOOTER_END)
        length = int.from_bytes(end[:4], "little")
        if not end.endswith(b"PAR1") or length > size - _FOOTER_END:
            return None
        file.seek(size - _FOOTER_END - length)
        return hashlib.sha256(file.read(length)).hexdigest()
