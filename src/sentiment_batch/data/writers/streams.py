"""Binary streams between an encoder and a destination: they count, compress and can be cut off; they know no table."""

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
"""What the gzip tool takes; Python's own default of 9 costs three times the time for one per cent less space."""


class CountingStream(io.BufferedIOBase):
    """A write-only stream that tells its position, even on a pipe, and never closes what is below it.

    Encoders of pyarrow close their stream, and write into it once more when they are collected after a failure; the
    first must not close the destination, and the second must not reach it.
    """

    def __init__(self, below: BinaryIO) -> None:
        self._below: BinaryIO | None = below
        self._position = 0

    def writable(self) -> bool:
        """Always true."""
        return True

    def tell(self) -> int:
        """Bytes taken so far."""
        return self._position

    def write(self, data: ReadableBuffer) -> int:
        """Hand `data` on, or swallow it after `cut`."""
        if self._below is not None:
            self._below.write(data)
        size = memoryview(data).nbytes
        self._position += size
        return size

    def flush(self) -> None:
        """Flush what is below."""
        if self._below is not None:
            self._below.flush()

    def close(self) -> None:
        """Do nothing: the publication closes what it opened."""

    def cut(self) -> None:
        """Let nothing through any more; later writes are swallowed."""
        self._below = None


class HashingStream(CountingStream):
    """A `CountingStream` that knows the digest of what went through it."""

    def __init__(self, below: BinaryIO) -> None:
        super().__init__(below)
        self._digest = hashlib.sha256()

    def write(self, data: ReadableBuffer) -> int:
        """Hand `data` on and count it into the digest."""
        size = super().write(data)
        self._digest.update(data)
        return size

    def sha256(self) -> str:
        """Of all bytes so far, in hexadecimal."""
        return self._digest.hexdigest()


def compressor(below: BinaryIO, compression: str | None) -> BinaryIO | None:
    """A stream that compresses into `below`, to be closed before `below` is; None where nothing is to be compressed.

    Args:
        below: takes the compressed bytes; it must ignore `close`.
        compression: `gzip`, `bz2`, `xz`, `zstd` or None.
    """
    made: Any = None
    if compression == "gzip":
        # No name and no time in the header: the same rows give the same bytes.
        made = gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=below, mtime=0)
    elif compression == "bz2":
        made = bz2.BZ2File(below, "wb")
    elif compression == "xz":
        made = lzma.LZMAFile(below, "wb")  # noqa: SIM115 - the publication closes it
    elif compression == "zstd":
        made = pa.CompressedOutputStream(pa.PythonFile(below, mode="w"), "zstd")
    return cast("BinaryIO | None", made)
