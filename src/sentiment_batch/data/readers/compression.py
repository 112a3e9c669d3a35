"""Unpacks streams that are compressed, and gives every failure of a stream the name of its file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.readers.file_signatures import detect_kind
from sentiment_batch.errors import InputError, reason

if TYPE_CHECKING:
    from collections.abc import Callable

BUFFER_BYTES = 1 << 20
"""Bytes that are read at once."""


def _zstd(stream: io.BufferedReader) -> Any:
    return pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd")


def _gzip(stream: io.BufferedReader) -> Any:
    return gzip.GzipFile(fileobj=stream)


_UNPACKERS: dict[str, Callable[[io.BufferedReader], Any]] = {
    "gzip": _gzip,
    "bz2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "zstd": _zstd,
}
_STARTS = {
    "gzip": (b"\x1f\x8b",),
    "bz2": (b"BZh",),
    "xz": (b"\xfd7zXZ\0",),
    # The second is a frame to skip, with which pzstd begins; its first byte counts from 0x50 to 0x5f.
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))),
}


def decompress(stream: io.BufferedReader, compression: str, name: str) -> io.BufferedReader:
    """The bytes that `stream` holds compressed; several compressed files in a row are read as one.

    Args:
        stream: the packed bytes, from the first one; it is closed with the result.
        compression: a value of `sentiment_batch.plugins.manager.COMPRESSIONS`.
        name: what messages call the file.

    Raises:
        InputError: the file is not compressed in this way; reading the result raises it where the data is damaged.
    """
    head = stream.peek(BUFFER_BYTES)
    if head and not head.startswith(_STARTS[compression]):
        kind = detect_kind(head)
        what = kind.what if kind else f"not compressed with {compression}, whatever its ending says"
        stream.close()
        raise InputError(f"{name} is {what}; {kind.cure if kind else 'give it its right ending'}.")
    trouble = "is damaged or incomplete"
    return name_errors(_UNPACKERS[compression](stream), name, closes=(stream,), trouble=trouble)


def name_errors(
    stream: Any, name: str, *, closes: tuple[Any, ...] = (), trouble: str = "cannot be read"
) -> io.BufferedReader:
    """`stream` with a buffer; whatever goes wrong in reading it becomes an `InputError` that names the file.

    Args:
        stream: anything with `read`.
        name: what messages call it.
        closes: what to close after it; the stream itself is closed too.
        trouble: what the message says about it.
    """
    return io.BufferedReader(_Named(stream, name, closes, trouble), BUFFER_BYTES)


class _Named(io.RawIOBase):
    """A stream whose failures name it."""

    def __init__(self, stream: Any, name: str, closes: tuple[Any, ...], trouble: str) -> None:
        self._stream = stream
        self._name = name
        self._closes = closes
        self._trouble = trouble
        # read1 gives what a slow pipe has sent so far instead of waiting for a full buffer.
        self._read = getattr(stream, "read1", stream.read)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._stream.seekable())

    def tell(self) -> int:
        return int(self._stream.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._stream.seek(offset, whence))

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._read(len(buffer))
        except InputError:
            raise
        except Exception as error:  # network libraries and decompressors each have errors of their own
            raise InputError(f"{self._name} {self._trouble}: {reason(error)}. Get the file again.") from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            for stream in (self._stream, *self._closes):
                stream.close()
        super().close()
