"""Identifies the state of an input without reading it: by sizes, times, inode numbers and Parquet footers."""

from __future__ import annotations

import hashlib
import os
import sys
from typing import Any

from sentiment_batch.files import filesystems
from sentiment_batch.locations import without_password

_FOOTER_END_BYTES = 8
"""Bytes at the end of a Parquet file: the length of the footer and the magic number."""
MACHINE_BOUND = ("changed", "inode")
"""The keys of values that a file has on one machine only. A copy of the file has other values."""


def identify_input(location: str) -> dict[str, Any] | None:
    """The current state of a file as plain values that can be compared later, or None for standard input and pipes.

    For a local file these are its real path, its size in bytes, the times of its last modification and change in
    nanoseconds, its inode number where that counts, and the SHA-256 of the footer of a Parquet file. For a URL they are
    the size and what the storage reports of the object.

    Args:
        location: a path or an fsspec URL of one file.

    Raises:
        InputError: the file is missing.
    """
    if filesystems.is_read_once(location):
        return None
    path = filesystems.local_path(location)
    if path is None:
        return _identify_remote(location)
    try:
        status = os.stat(path)
    except OSError as error:
        raise filesystems.make_unreachable_error(location, error) from error
    # The modification time can be set by anybody, so it does not suffice alone
    found = {"path": os.path.realpath(path), "bytes": status.st_size, "modified": status.st_mtime_ns}
    footer = _hash_footer(path, status.st_size)
    return found | ({"footer": footer} if footer else {}) | _identify_on_machine(path, status)


def drop_machine_bound(state: Any) -> Any:
    """The state of an input, as a list of what `identify_input` gives, without what only one machine can compare.

    What the reader of a plugin reports stays as it is.
    """
    if not isinstance(state, list):
        return state
    return [
        {name: value for name, value in file.items() if name not in MACHINE_BOUND} if isinstance(file, dict) else file
        for file in state
    ]


def _identify_on_machine(path: str, status: os.stat_result) -> dict[str, int]:
    """Values that show that a file was replaced, even if its size and modification time are the same.

    Unlike the modification time, nobody can set the change time. On Windows it is the time of creation, which a new
    file may inherit. An inode number counts only where the disk stores it: FAT, and file systems in user space or over
    a network, may give a file another number each time it is opened.
    """
    found = {"changed": status.st_ctime_ns}
    is_stored = sys.platform == "win32" or (os.major(status.st_dev) != 0 and os.statvfs(path).f_files > 0)
    return found | ({"inode": status.st_ino} if is_stored else {})


def _identify_remote(location: str) -> dict[str, Any]:
    filesystem, path = filesystems.open_filesystem(location)
    try:
        # fsspec remembers listings, but another program may have replaced the object since
        filesystem.invalidate_cache()
        state = without_password(str(filesystem.ukey(path)), location)
        return {"path": without_password(location), "bytes": filesystem.size(path), "state": state}
    except Exception as error:  # each file system has its own errors
        raise filesystems.make_unreachable_error(location, error) from error


def _hash_footer(path: str, size: int) -> str | None:
    """The SHA-256 of a Parquet file's footer, which lists the size of every column; None for other files."""
    with open(path, "rb") as file:
        # A Parquet file ends with the length of its footer in 4 bytes and the mark PAR1
        if size < 2 * _FOOTER_END_BYTES or file.read(4) != b"PAR1":
            return None
        file.seek(size - _FOOTER_END_BYTES)
        end = file.read(_FOOTER_END_BYTES)
        length = int.from_bytes(end[:4], "little")
        if not end.endswith(b"PAR1") or length > size - _FOOTER_END_BYTES:
            return None
        file.seek(size - _FOOTER_END_BYTES - length)
        return hashlib.sha256(file.read(length)).hexdigest()
