"""Binary streams between an encoder and a destination, which count, hash and compress bytes."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

GZIP_LEVEL = 6
"""The default of the gzip tool. Python's default of 9 takes three times as long for one per cent less space."""


class CountingStream(io.BufferedIOBase):
    """A write-only stream that knows its position, even on a pipe, and never closes the stream below it.

    Encoders of pyarrow close their stream, and write to it again when they are garbage-collected after a failure. The
    first must not close the destination, and the second must not reach it.
    """

    def __init__(self, below: BinaryIO) -> None:
        self._below: BinaryIO | None = below
        self._position = 0

    def writable(self) -> bool:
        """Always True."""
        return True

    def tell(self) -> int:
        """The number of bytes so far."""
        return self._position

    def write(self, data: ReadableBuffer) -> int:
        """Write `data` to the stream below, or drop it after `cut`."""
        if self._below is not None:
            self._below.write(data)
        size = memoryview(data).nbytes
        self._position += size
        return size

    def flush(self) -> None:
        """Flush the stream below."""
        if self._below is not None:
            self._below.flush()

    def close(self) -> None:
        """Do nothing: the publication closes the stream that it opened."""

    def cut(self) -> None:
        """Drop the bytes of all later writes."""
        self._below = None


class HashingStream(CountingStream):
    """A `CountingStream` that computes the digest of its bytes."""

    def __init__(self, below: BinaryIO) -> None:
        super().__init__(below)
        self._digest = hashlib.sha256()

    def write(self, data: ReadableBuffer) -> int:
        """Write `data` to the stream below, and add it to the digest."""
        size = super().write(data)
        self._digest.update(data)
        return size

    def sha256(self) -> str:
        """The SHA-256 of all bytes so far, in hexadecimal."""
        return self._digest.hexdigest()


def open_compressor(below: BinaryIO, compression: str | None) -> BinaryIO | None:
    """A stream that compresses into `below`; close it before `below`. None if `compression` is None.

    Args:
        below: takes the compressed bytes. It must ignore `close`.
        compression: `gzip`, `bz2`, `xz`, `zstd` or None.
    """
    made: Any = None
    if compression == "gzip":
        # Without a name and a time in the header, the same rows give the same bytes.
        made = gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=below, mtime=0)
    elif compression == "bz2":
        made = bz2.BZ2File(below, "wb")
    elif compression == "xz":
        made = lzma.LZMAFile(below, "wb")  # noqa: SIM115 - the publication closes it
    elif compression == "zstd":
        made = pa.CompressedOutputStream(pa.PythonFile(below, mode="w"), "zstd")
    return cast("BinaryIO | None", made)
