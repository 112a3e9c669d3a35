"""Opens the decompressed bytes of any location: a path, an fsspec URL or standard input."""

from __future__ import annotations

import io
import os
import tempfile
import threading
from typing import Any, BinaryIO, cast

import pyarrow as pa

from sentiment_batch.data.readers.compression import decompress
from sentiment_batch.data.readers.read_errors import buffer_stream
from sentiment_batch.data.readers.sniff import HEAD_BYTES
from sentiment_batch.errors import InputError, reason
from sentiment_batch.files import filesystems
from sentiment_batch.locations import compression_of

_CHUNK_BYTES = 1 << 20


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
        self._compression = compression_of(location)
        self._reads_once = filesystems.is_read_once(location)
        self._spool: _Spool | None = None
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
        path = filesystems.local_path(self.location)
        if self._reads_once or self._compression:
            return self._remember(pa.PythonFile(self._open_spool(), mode="r"))
        if path is not None:
            filesystems.open_raw(self.location).close()  # its errors are clearer than pyarrow's
            encoded = os.fsencode(path)
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

    def close(self) -> None:
        """Close all streams that are still open. It may be called twice."""
        for stream in self._opened:
            stream.close()
        self._opened.clear()
        if self._spool is not None:
            self._spool.close()

    def _open_stream(self) -> io.BufferedReader:
        if self.location == filesystems.STDIN:
            return buffer_stream(filesystems.standard_input(), self.name, closes=False)
        stream = buffer_stream(filesystems.open_raw(self.location), self.name)
        return decompress(stream, self._compression, self.name) if self._compression else stream

    def _open_spool(self) -> io.BufferedReader:
        with self._lock:
            if self._spool is None:
                self._spool = _Spool(self._open_stream(), self.name)
        return self._spool.open()

    def _remember(self, stream: Any) -> Any:
        """Add `stream` to those that `close` closes, and forget those that are closed already."""
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


class _Spool:
    """A temporary copy of a stream that can be read only once; it grows as far as the stream was read.

    Nothing waits for the end of the stream, so the rows of a pipe are available as soon as they were sent.

    Args:
        stream: read once, from its current position; it is closed with the spool.
        name: what messages call it.
    """

    def __init__(self, stream: io.BufferedReader, name: str) -> None:
        self._stream = stream
        self._name = name
        self._copy = cast(BinaryIO, tempfile.TemporaryFile(prefix="sentiment-batch-"))  # noqa: SIM115 - close() ends it
        self._size = 0
        self._complete = False
        self._lock = threading.Lock()

    def open(self) -> io.BufferedReader:
        """All bytes from the first one, as an independent stream that can seek."""
        return io.BufferedReader(_SpoolView(self), _CHUNK_BYTES)

    def read_at(self, position: int, size: int) -> bytes:
        """1 to `size` bytes from `position`; no bytes at the end of the stream."""
        with self._lock:
            while position >= self._size and not self._complete:
                self._fetch()
            self._copy.seek(position)
            return self._copy.read(size)

    def size(self) -> int:
        """The number of bytes in total; this waits for the end of the stream."""
        with self._lock:
            while not self._complete:
                self._fetch()
            return self._size

    def _fetch(self) -> None:
        chunk = self._stream.read1(_CHUNK_BYTES)
        self._complete = not chunk
        try:
            self._copy.seek(self._size)
            self._copy.write(chunk)
        except OSError as error:
            raise InputError(
                f"{self._name} cannot be copied to {tempfile.gettempdir()}: {reason(error)}. "
                "Set TMPDIR to a folder with room for all of it."
            ) from error
        self._size += len(chunk)

    def close(self) -> None:
        """Remove the copy and close the stream."""
        self._copy.close()
        self._stream.close()


class _SpoolView(io.RawIOBase):
    """A position in a spool, as a stream."""

    def __init__(self, spool: _Spool) -> None:
        self._spool = spool
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence)
        self._position = max(0, offset + (self._spool.size() if start is None else start))
        return self._position

    def readinto(self, buffer: Any) -> int:
        data = self._spool.read_at(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
