"""Opens the bytes of any location, unpacked: a path, an fsspec URL or standard input; it knows nothing about tables."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch.data.readers.compression import name_errors, decompress
from sentiment_batch.data.readers.file_signatures import HEAD_BYTES
from sentiment_batch.data.readers.spool import Spool
from sentiment_batch.files import filesystems
from sentiment_batch.locations import compression_of

if TYPE_CHECKING:
    import io


class Source:
    """The bytes of one location, unpacked; opened any number of times, also from several threads.

    Standard input and pipes give their bytes only once: they are copied to a temporary file as they are read.

    Args:
        location: a path, an fsspec URL, or `-` for standard input. Nothing is opened yet.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        self.name = "standard input" if location == filesystems.STDIN else location
        """What messages call it."""
        self._compression = compression_of(location)
        self._read_once = filesystems.read_once(location)
        self._spool: Spool | None = None
        self._opened: list[Any] = []
        self._lock = threading.Lock()

    def open(self) -> io.BufferedReader:
        """All bytes from the first one.

        Raises:
            InputError: the file is not there, or cannot be read; reading raises it where the file is damaged.
        """
        stream = self._spooled() if self._read_once else self._stream()
        self._kept(stream)
        return stream

    def open_random(self, *, memory_map: bool = False) -> Any:
        """The bytes as a `pyarrow.NativeFile` that can seek.

        Args:
            memory_map: map a file of this machine's disk into memory instead of reading it.

        Raises:
            InputError: as for `open`.
        """
        path = filesystems.local_path(self.location)
        if self._read_once or self._compression:
            return self._kept(pa.PythonFile(self._spooled(), mode="r"))
        if path is not None:
            filesystems.open_raw(self.location).close()  # our own errors, where pyarrow's would be less clear
            encoded = os.fsencode(path)
            return self._kept(pa.memory_map(encoded) if memory_map else pa.OSFile(encoded))
        stream = self._stream()
        if not _can_seek(stream):  # a web server that serves no byte ranges
            stream.close()
            stream = self._spooled()
        return self._kept(pa.PythonFile(stream, mode="r"))

    def head(self, size: int = HEAD_BYTES) -> bytes:
        """The first `size` bytes, or all where there are fewer."""
        with self.open() as stream:
            return stream.read(size)

    def close(self) -> None:
        """Close whatever was opened and is still open; may be called twice."""
        for stream in self._opened:
            stream.close()
        self._opened.clear()
        if self._spool is not None:
            self._spool.close()

    def _stream(self) -> io.BufferedReader:
        if self.location == filesystems.STDIN:
            return name_errors(_Borrowed(filesystems.standard_input()), self.name)
        stream = name_errors(filesystems.open_raw(self.location), self.name)
        return decompress(stream, self._compression, self.name) if self._compression else stream

    def _spooled(self) -> io.BufferedReader:
        with self._lock:
            if self._spool is None:
                self._spool = Spool(self._stream(), self.name)
        return self._spool.open()

    def _kept(self, stream: Any) -> Any:
        """Remember `stream` for `close`, and forget those that are closed already."""
        with self._lock:
            self._opened = [*(opened for opened in self._opened if not opened.closed), stream]
        return stream


class _Borrowed:
    """Standard input, which belongs to the process: it is read, never closed."""

    def __init__(self, stream: Any) -> None:
        self.read = getattr(stream, "read1", stream.read)

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        pass


def _can_seek(stream: io.BufferedReader) -> bool:
    try:
        stream.seek(0, os.SEEK_END)
        stream.seek(0)
    except Exception:  # each file system has its own way to say no
        return False
    return True
