"""A temporary copy of a stream that can be read only once, such as standard input or a pipe."""

from __future__ import annotations

import contextlib
import io
import tempfile
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from sentiment_batch.errors import InputError, reason

_CHUNK_BYTES = 1 << 20


class Spool:
    """A temporary copy of a stream that can be read only once; it grows as far as the stream was read.

    Nothing waits for the end of the stream, so the rows of a pipe are available as soon as they were sent.

    Args:
        stream: read once, from its current position; it is closed with the spool.
        name: what messages call it.
    """

    def __init__(self, stream: io.BufferedReader, name: str) -> None:
        self._stream = stream
        self._name = name
        with self._translate_errors():
            self._copy = cast(BinaryIO, tempfile.TemporaryFile(prefix="sentiment-batch-"))  # noqa: SIM115 - see close()
        self._size = 0
        self._complete = False
        self._lock = threading.Lock()

    def open(self) -> io.BufferedReader:
        """All bytes from the first one, as an independent stream that can seek."""
        return io.BufferedReader(_View(self), _CHUNK_BYTES)

    def read_at(self, position: int, size: int) -> bytes:
        """1 to `size` bytes from `position`; no bytes at the end of the stream."""
        # Several views share one file and its position, so seeking and reading must be one step
        with self._lock:
            # Fetch only as far as the reader has come, because the end of a pipe may be hours away
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
        with self._translate_errors():
            self._copy.seek(self._size)
            self._copy.write(chunk)
            # A full disk raises here, where the error is translated, and not at some later read
            self._copy.flush()
        self._size += len(chunk)

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self._name} cannot be copied to a temporary file: {reason(error)}. Set TMPDIR to a folder with room "
                "for all of it."
            ) from error

    def close(self) -> None:
        """Remove the copy and close the stream."""
        with contextlib.suppress(OSError):  # bytes that could not be written
            self._copy.close()
        self._stream.close()


class _View(io.RawIOBase):
    """A position in a spool, as a stream."""

    def __init__(self, spool: Spool) -> None:
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
