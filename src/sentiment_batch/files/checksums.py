"""SHA-256 digests of files, and JSON files that hold their own digest, so that damage is always detected."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

MAX_JSON_BYTES = 128 * 2**20
"""Bytes of the largest file that is read as JSON: the manifest of about 700,000 files."""


def open_regular(path: Path) -> BufferedReader:
    """A regular file, open for reading; opening a named pipe could wait for ever.

    Raises:
        OSError: the file cannot be opened, or is no regular file.
    """
    # O_NONBLOCK opens a pipe at once, so that its kind can be asked
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is no regular file", str(path))


def read_regular(path: Path) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: as for `open_regular`; or it has more than `MAX_JSON_BYTES`.
    """
    with open_regular(path) as file:
        # One byte more than allowed shows a file that is too large, without reading the rest
        data = file.read(MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


def hash_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: the file cannot be read.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_json(content: dict[str, Any]) -> bytes:
    """JSON text with the plain values of `content` and their digest."""
    text = json.dumps({"content": content, "sha256": hash_json(content)}, indent=1)
    return f"{text}\n".encode()


def read_checked_json(path: Path) -> dict[str, Any] | None:
    """The content of a file that `checked_json` made; None if the file is missing or damaged."""
    try:
        return parse_checked_json(read_regular(path))
    except OSError:
        return None


def parse_checked_json(data: bytes) -> dict[str, Any] | None:
    """The content of bytes that `checked_json` made; None if they are damaged."""
    try:
        read = json.loads(data)
        content: dict[str, Any] = read["content"]
        # Without this check, a flipped bit in a number would pass as another number
        return content if isinstance(content, dict) and hash_json(content) == read["sha256"] else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def hash_json(content: dict[str, Any]) -> str:
    """The SHA-256 of plain values, in hexadecimal. The order of keys does not matter."""
    # Sorted keys and no blanks: equal values have one text only, and so one digest
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
