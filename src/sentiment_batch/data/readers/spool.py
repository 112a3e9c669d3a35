"""Makes a stream that can be read only once readable again, by copying it to a temporary file as it is read."""

from __future__ import annotations

import io
import tempfile
import threading
from typing import Any, BinaryIO, cast

from sentiment_batch.errors import InputError, reason

CHUNK_BYTES = 1 << 20
"""Bytes that are asked for at once."""


class Spool:
    """The bytes of a stream, on disk as far as anybody has read them.

    Nothing waits for the end of the stream, so rows of a pipe are there as soon as they were sent.

    Args:
        stream: read once, from where it stands; it is closed with the spool.
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
        """All bytes from the first one, in a stream of its own that can seek."""
        return io.BufferedReader(_View(self), CHUNK_BYTES)

    def read_at(self, position: int, size: int) -> bytes:
        """At least one and at most `size` bytes from `position`; none only at the end."""
        with self._lock:
            while position >= self._size and not self._complete:
                self._fetch()
            self._copy.seek(position)
            return self._copy.read(size)

    def size(self) -> int:
        """Bytes in all; waits for the end of the stream."""
        with self._lock:
            while not self._complete:
                self._fetch()
            return self._size

    def _fetch(self) -> None:
        chunk = self._stream.read1(CHUNK_BYTES)
        self._complete = not chunk
        try:
            self._copy.seek(self._size)
            self._copy.write(chunk)
        except OSError as error:
            raise InputError(
                f"{self._name} cannot be kept in {tempfile.gettempdir()}: {reason(error)}. "
                "Set TMPDIR to a folder with room for all of it."
            ) from error
        self._size += len(chunk)

    def close(self) -> None:
        """Remove the copy and close the stream."""
        self._copy.close()
        self._stream.close()


class _View(io.RawIOBase):
    """One reader's position in a spool."""

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
