"""Decompresses streams of gzip, bzip2, xz and zstd."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.readers.read_errors import buffer_stream
from sentiment_batch.data.readers.sniff import detect_kind
from sentiment_batch.errors import InputError

if TYPE_CHECKING:
    import io


_OPENERS: dict[str, Callable[[io.BufferedReader], Any]] = {
    "gzip": lambda stream: gzip.GzipFile(fileobj=stream),
    "bz2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "zstd": lambda stream: pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd"),
}
_SIGNATURES = {
    "gzip": (b"\x1f\x8b",),
    "bz2": (b"BZh",),
    "xz": (b"\xfd7zXZ\0",),
    # The files of pzstd begin with a skippable frame, whose first byte lies between 0x50 and 0x5f.
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))),
}
_PEEKED_BYTES = 1 << 20


def decompress(stream: io.BufferedReader, compression: str, name: str) -> io.BufferedReader:
    """The decompressed bytes of `stream`. Several compressed files one after the other are read as one.

    Args:
        stream: the compressed bytes from the first one; it is closed with the result.
        compression: one of the values of `sentiment_batch.locations.COMPRESSIONS`.
        name: what messages call the file.

    Raises:
        InputError: the file is not compressed in this way. Reading the result raises it if the data is damaged.
    """
    head = stream.peek(_PEEKED_BYTES)
    if head and not head.startswith(_SIGNATURES[compression]):
        kind = detect_kind(head)
        what = kind.what if kind else f"not compressed with {compression}, although its file ending says so"
        stream.close()
        raise InputError(f"{name} is {what}; {kind.cure if kind else 'give it its right ending'}.")
    return buffer_stream(_OPENERS[compression](stream), name, packed=stream)
