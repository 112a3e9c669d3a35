"""Publishes a stream of bytes at a destination, completely or not at all. It knows nothing of tables."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, BinaryIO, cast

from sentiment_batch.data.writers.local import Destination, local_destination
from sentiment_batch.data.writers.streams import CountingStream, HashingStream, open_compressor
from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.locations import compression_of, scheme_of
from sentiment_batch.records import FinishedFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


class Publication:
    """One output: write to `stream`, then call `commit` or `abort`. `finish` gives its size and digest before `commit`.

    A local file is written under a hidden name beside its destination, synced and renamed. For a URL the bytes are
    gathered in a local file and uploaded once. Standard output, devices and pipes get the bytes at once.

    Args:
        location: a path, an fsspec URL, or `-` for standard output; `.gz`, `.bz2`, `.xz` and `.zst` compress.
        overwrite: replace what is at the destination.
        scratch: a folder for the hidden file, on the same file system as a local destination.

    Raises:
        OutputError: the destination exists and `overwrite` is False, its folder is missing, or it cannot be written.
    """

    def __init__(self, location: str, *, overwrite: bool = False, scratch: str | None = None) -> None:
        self._location = location
        self._done = False
        self._finished: FinishedFile | None = None
        with translate_write_errors(location):
            self._destination = _destination(location, overwrite, scratch)
        self._bottom = HashingStream(self._destination.file)
        self._compressor: BinaryIO | None = None
        below = cast(BinaryIO, self._bottom)
        try:
            with self.translate_errors():
                self._compressor = open_compressor(below, compression_of(location))  # gzip writes its header at once
        except BaseException:
            self.abort()
            raise
        self.stream = cast(BinaryIO, CountingStream(self._compressor or below))
        """Takes the bytes. It cannot seek, but knows its position."""

    def translate_errors(self) -> AbstractContextManager[None]:
        """Turn failures to write into `OutputError`. On standard output a `BrokenPipeError` passes."""
        return translate_write_errors(self._destination.place, keep_broken_pipe=self._location == "-")

    def finish(self) -> FinishedFile:
        """Put all bytes on disk without publishing them. A second call only returns the same record again.

        Raises:
            OutputError: the bytes could not be written. Nothing of them is left.
        """
        if self._finished is None:
            with self._abort_on_error():
                if self._compressor is not None:
                    self._compressor.close()
                self._bottom.flush()
                self._destination.finish()
            self._finished = FinishedFile(bytes=self._bottom.tell(), sha256=self._bottom.sha256())
        return self._finished

    def commit(self) -> None:
        """Publish the bytes.

        Raises:
            OutputError: the bytes could not be written, or a file appeared at the destination meanwhile. Nothing of
                the bytes is left.
        """
        self.finish()
        with self._abort_on_error():
            self._destination.publish()
        self._done = True

    def abort(self) -> None:
        """Remove what was written. It does nothing after `commit`, or if it is called again."""
        if self._done:
            return
        self._done = True
        self._bottom.cut()
        if self._compressor is not None:
            self._compressor.close()  # its bytes go nowhere; an open one would write when it is garbage-collected
        self._destination.discard()

    @contextlib.contextmanager
    def _abort_on_error(self) -> Iterator[None]:
        try:
            with self.translate_errors():
                yield
        except BaseException:
            self.abort()
            raise


def _destination(location: str, overwrite: bool, scratch: str | None) -> Destination:
    if scheme_of(location):
        from sentiment_batch.data.writers.remote import url_destination  # fsspec is imported only for a URL

        return url_destination(location, overwrite, scratch)
    return local_destination(location, overwrite, scratch)
