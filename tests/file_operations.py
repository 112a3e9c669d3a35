"""The operations of a command on files, as the C library sees them: they are numbered, recorded, and one is the last.

`build_library` compiles `file_operations.c`. A process that is started with `LD_PRELOAD` set to it calls `watch`.
"""

from __future__ import annotations

import ctypes
import itertools
import shutil
import struct
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
_HEADER = struct.Struct("<BIIQqQ")
KINDS = {
    "c": "create",
    "w": "write",
    "t": "truncate",
    "s": "fsync",
    "S": "fsync of a folder",
    "l": "link",
    "r": "rename",
    "u": "unlink",
    "m": "mkdir",
    "d": "rmdir",
    "n": "send",
    "#": "note",
    "?": "unknown",
}
"""The letters of the library, and what they mean."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation that succeeded."""

    kind: str
    """One of the words of `KINDS`."""
    path: str
    """The path; of a note its text."""
    other: str
    """The new path of a link or rename."""
    inode: int
    offset: int
    """Where bytes were written, the new length of a truncated file, or the number of operations before a note."""
    data: bytes


def find_compiler() -> str | None:
    """The C compiler for the library; None if there is none, or this system has no LD_PRELOAD of this kind."""
    return (shutil.which("cc") or shutil.which("gcc")) if sys.platform == "linux" else None


def build_library(folder: Path) -> Path:
    """Compile the library into a folder; its path."""
    library = folder / "file_operations.so"
    command = [find_compiler(), "-shared", "-fPIC", "-O1", "-Wall", "-o", library, SOURCE, "-ldl", "-lpthread"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return library


def watch(folder: str, *, kill_at: int = 0, record: str = "", sends: bool = False) -> None:
    """Begin to count in this process, which was started with the library.

    Args:
        folder: the operations on what lies in it count.
        kill_at: kill this process just before this operation; the first is 1.
        record: append the operations to this file, which lies elsewhere.
        sends: count what is sent to sockets, too.
    """
    ctypes.CDLL(None).watch(folder.encode(), ctypes.c_long(kill_at), record.encode(), int(sends))


def count_operations() -> int:
    """The number of operations since `watch`."""
    function = ctypes.CDLL(None).watched_operations
    function.restype = ctypes.c_long
    return int(function())


def add_note(text: str) -> None:
    """Put a note into the record."""
    ctypes.CDLL(None).note(text.encode())


def read_operations(record: Path) -> list[Operation]:
    """The operations in a record."""
    data, place, found = record.read_bytes(), 0, []
    while place < len(data):
        kind, path, other, inode, offset, length = _HEADER.unpack_from(data, place)
        ends = [place := place + size for size in (_HEADER.size, path, other, length)]
        pieces = [data[start:end] for start, end in itertools.pairwise(ends)]
        names = [piece.decode(errors="surrogateescape") for piece in pieces[:2]]
        found.append(Operation(KINDS[chr(kind)], *names, inode, offset, pieces[2]))
    return found


def format_counts(operations: list[Operation]) -> str:
    """How many operations of each kind there are, most first."""
    counts = Counter(operation.kind for operation in operations if operation.kind != "note")
    return ", ".join(f"{number} {kind}" for kind, number in counts.most_common())
