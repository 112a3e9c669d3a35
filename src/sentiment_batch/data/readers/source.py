"""Opens the decompressed bytes of any location: a path, an fsspec URL or standard input.

Streams of gzip, bzip2, xz and zstd, and the only file of a ZIP archive, are decompressed. All errors while reading name
the source.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import threading
import zipfile
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from sentiment_batch.data.readers.sniff import HEAD_BYTES, detect_kind, refuse_other_formats
from sentiment_batch.data.readers.spool import Spool
from sentiment_batch.data.readers.stream_sequence import StreamSequence
from sentiment_batch.errors import InputError, listed, reason
from sentiment_batch.files import filesystems
from sentiment_batch.locations import compression_of

_BUFFER_BYTES = 1 << 20
# `StreamSequence`, because the file objects of Python ignore damage after the first stream of bzip2 or xz.
_OPENERS: dict[str, Callable[[io.BufferedReader], Any]] = {
    "gzip": lambda stream: gzip.GzipFile(fileobj=stream),
    "bz2": lambda stream: StreamSequence(stream, bz2.BZ2Decompressor),
    "xz": lambda stream: StreamSequence(stream, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ), padding=b"\0"),
    "zstd": lambda stream: pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd"),
}
# The first bytes of each format: RFC 1952 (gzip), RFC 8878 (zstd), the local file header of ZIP, and so on.
_SIGNATURES = {
    "gzip": (b"\x1f\x8b",),
    "bz2": (b"BZh",),
    "xz": (b"\xfd7zXZ\0",),
    "zip": (b"PK\x03\x04",),
    # The files of pzstd begin with a skippable frame, whose first byte lies between 0x50 and 0x5f.
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))),
}
_NO_MEMBER = re.compile(r"/$|(^|/)\.|^__MACOSX/")
"""The names of folders, of hidden files and of the metadata of macOS in a ZIP archive."""


class Source:
    """The decompressed bytes of one location. It can be opened any number of times, also from several threads.

    Standard input and pipes deliver their bytes only once, so these are copied to a temporary file while they are read.

    Args:
        location: a path, an fsspec URL, or `-` for standard input. Nothing is opened yet.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        self.name = "standard input" if location == filesystems.STDIN else location
        """What messages call the source."""
        self._path = filesystems.local_path(location)
        self._compression = compression_of(location)
        self._reads_once = filesystems.is_read_once(location)
        self._raw: Any = None
        self._spool: Spool | None = None
        self._opened: list[Any] = []
        self._lock = threading.Lock()

    def open(self) -> io.BufferedReader:
        """All bytes from the first one.

        Raises:
            InputError: the file is missing or cannot be read. Reading raises it if the file is damaged.
        """
        stream = self._open_spool() if self._reads_once else self._open_stream()
        self._remember(stream)
        return stream

    def open_random(self, *, memory_map: bool = False) -> Any:
        """The bytes as a `pyarrow.NativeFile` that can seek.

        Args:
            memory_map: map a local file into memory instead of reading it.

        Raises:
            InputError: as for `open`.
        """
        # Pipes and decompressed bytes cannot seek, so their temporary copy is opened in their place.
        if self._reads_once or self._compression:
            return self._remember(pa.PythonFile(self._open_spool(), mode="r"))
        if self._path is not None:
            self._open_raw().close()  # its errors are clearer than pyarrow's
            encoded = os.fsencode(self._path)
            return self._remember(pa.memory_map(encoded) if memory_map else pa.OSFile(encoded))
        stream = self._open_stream()
        if not _can_seek(stream):  # such as a web server without byte ranges
            stream.close()
            stream = self._open_spool()
        return self._remember(pa.PythonFile(stream, mode="r"))

    def head(self, size: int = HEAD_BYTES) -> bytes:
        """The first `size` bytes, or all if there are fewer."""
        with self.open() as stream:
            return stream.read(size)

    def member_name(self) -> str:
        """The name of the only file in a ZIP archive.

        Raises:
            InputError: it holds no file or several.
        """
        if self._compression != "zip":
            return ""
        stream = self._remember(_buffer_stream(self._open_raw(), self.name))
        return _find_member(_open_archive(stream, self.name), self.name).filename

    def share_read(self) -> float | None:
        """The share of the stored bytes that the latest stream has read, from 0 to 1; None if that is unknown."""
        # The position below the decompressor counts the stored bytes, so the share also holds for a compressed file.
        try:
            size = getattr(self._raw, "size", None) or os.fstat(self._raw.fileno()).st_size
            return min(1.0, float(self._raw.tell()) / size)
        except Exception:  # each file system has its own errors; an estimate is worth none of them
            return None

    def close(self) -> None:
        """Close all streams that are still open. It may be called twice."""
        for stream in self._opened:
            stream.close()
        self._opened.clear()
        if self._spool is not None:
            self._spool.close()

    def _open_stream(self) -> io.BufferedReader:
        if self.location == filesystems.STDIN:
            return _buffer_stream(filesystems.standard_input(), self.name, closes=False)
        self._raw = self._open_raw()
        stream = _buffer_stream(self._raw, self.name)
        return _decompress(stream, self._compression, self.name) if self._compression else stream

    def _open_raw(self) -> Any:
        """The bytes as they are stored; the path of a local file is known already."""
        if self._path is None:
            return filesystems.open_raw(self.location)
        try:
            return open(self._path, "rb", buffering=0)
        except Exception as error:
            raise filesystems.make_unreachable_error(self.location, error) from error

    def _open_spool(self) -> io.BufferedReader:
        # Two threads must share one copy, because the bytes of a pipe come only once.
        with self._lock:
            if self._spool is None:
                self._spool = Spool(self._open_stream(), self.name)
        return self._spool.open()

    def _remember(self, stream: Any) -> Any:
        """Add `stream` to those that `close` closes, and forget those that are closed already."""
        # Each pass over the file opens a stream, so closed ones must not pile up here.
        with self._lock:
            self._opened = [*(opened for opened in self._opened if not opened.closed), stream]
        return stream


def _can_seek(stream: io.BufferedReader) -> bool:
    try:
        stream.seek(0, os.SEEK_END)
        stream.seek(0)
    except Exception:  # each file system refuses with its own error
        return False
    return True


def _decompress(stream: io.BufferedReader, compression: str, name: str) -> io.BufferedReader:
    """The decompressed bytes of `stream`. Several compressed files one after the other are read as one.

    Args:
        stream: the compressed bytes from the first one; it is closed with the result.
        compression: one of the values of `sentiment_batch.locations.COMPRESSIONS`.
        name: what messages call the file.

    Raises:
        InputError: the file is not compressed in this way. Reading the result raises it if the data is damaged.
    """
    # The first bytes must fit the file ending. If they do not, the message can name what the file really is.
    head = stream.peek(_BUFFER_BYTES)
    if head and not head.startswith(_SIGNATURES[compression]):
        kind = detect_kind(head)
        what = kind.what if kind else f"not compressed with {compression}, although its file ending says so"
        stream.close()
        raise InputError(f"{name} is {what}; {kind.cure if kind else 'give it its right ending'}.")
    if compression == "zip":
        refuse_other_formats(name, head, own="zip")  # a workbook is a ZIP archive, too
        opened: Any = _open_member(_open_archive(stream, name), name)
    else:
        opened = _OPENERS[compression](stream)
    # Only one layer is unpacked, so a file that was compressed twice is refused by name.
    unpacked = _buffer_stream(opened, name, packed=stream)
    inside = detect_kind(unpacked.peek(_BUFFER_BYTES))
    if inside is not None and inside.name in _SIGNATURES:
        unpacked.close()
        raise InputError(f"{name} holds a file that is {inside.what} again. Unpack it first.")
    return unpacked


def _open_archive(stream: io.BufferedReader, name: str) -> zipfile.ZipFile:
    """A ZIP archive, which may be a stream that cannot seek."""
    try:
        return zipfile.ZipFile(stream if stream.seekable() else Spool(stream, name).open())
    except Exception as error:  # such as BadZipFile, ValueError and NotImplementedError
        raise _make_damage_error(name, error) from error


def _open_member(archive: zipfile.ZipFile, name: str) -> Any:
    """The bytes of the only file in a ZIP archive."""
    member = _find_member(archive, name)
    try:
        return archive.open(member)
    except NotImplementedError as error:  # a way of compression that Python lacks, such as Deflate64
        raise InputError(f"{name} cannot be unpacked here: {reason(error)}. Unpack it first.") from error
    except Exception as error:  # such as BadZipFile, and OSError where a damaged number leads before the beginning
        raise _make_damage_error(name, error) from error


def _make_damage_error(name: str, error: Exception) -> InputError:
    return InputError(f"{name} is damaged or incomplete: {reason(error)}. Get the file again.")


def _find_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The only file in a ZIP archive, apart from hidden files and the metadata of macOS."""
    found = [one for one in archive.infolist() if not _NO_MEMBER.search(one.filename)]
    if len(found) != 1:
        what = f"{len(found):,} files: {listed(one.filename for one in found)}" if found else "no file"
        raise InputError(f"{name} holds {what}. Unpack it first, and name one file.")
    if found[0].flag_bits & 1:  # bit 0 of the ZIP header: the file is encrypted
        raise InputError(f"{name} has a password. Unpack it first.")
    return found[0]


def _buffer_stream(stream: Any, name: str, *, packed: Any = None, closes: bool = True) -> io.BufferedReader:
    """A buffered stream whose errors while reading become an `InputError` that names the file.

    Args:
        stream: any object with `read`.
        name: what messages call the file.
        packed: the compressed stream below `stream`, if there is one.
        closes: close both streams with the result. False for standard input, which belongs to the process.
    """
    return io.BufferedReader(_InputStream(stream, name, packed, closes), _BUFFER_BYTES)


class _InputStream(io.RawIOBase):
    """A stream whose errors name its file."""

    def __init__(self, stream: Any, name: str, packed: Any, closes: bool) -> None:
        self._stream = stream
        self._name = name
        self._packed = packed
        self._closes = closes
        # `read1` returns what a slow pipe has sent so far, and does not wait for a full buffer.
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
        """Read bytes into `buffer`, and return their number.

        Raises:
            InputError: the bytes cannot be read, or their compression is damaged.
        """
        try:
            data = self._read(len(buffer))
        except InputError:
            raise
        except Exception as error:  # each network library and decompressor has its own errors
            trouble = "cannot be read" if self._packed is None else "is damaged or incomplete"
            raise InputError(f"{self._name} {trouble}: {reason(error)}. Get the file again.") from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if self._closes and not self.closed:
            # A decompressor does not close the stream that it was given.
            self._stream.close()
            if self._packed is not None:
                self._packed.close()
        super().close()
