"""Writes a file that appears at its destination completely or not at all.

The encoder of a format makes the bytes. They pass through streams that count, compress and hash them.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa

from sentiment_batch.data.writers.local import Destination, LocalFile, SpecialFile, StandardOutput, is_special
from sentiment_batch.data.writers.remote import url_destination
from sentiment_batch.data.writers.write_errors import translate_write_errors
from sentiment_batch.locations import compression_of, scheme_of
from sentiment_batch.records import FinishedFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from _typeshed import ReadableBuffer

    from sentiment_batch.data.writers.base import EncoderFactory
    from sentiment_batch.records import WriteOptions

GZIP_LEVEL = 6
"""The default of the gzip tool. Python's default of 9 takes three times as long for one per cent less space."""


class FileWriter:
    """A `Writer` for any format that is a stream of bytes: an encoder makes the bytes, a `Publication` publishes them.

    Args:
        location: a path, an fsspec URL, or `-` for standard output. A suffix such as `.gz` compresses.
        schema: the columns of every batch.
        options: the settings of the output.
        encoder: makes the encoder of the format on an open binary stream.

    Raises:
        OutputError: the destination exists and `options.overwrite` is False, or it cannot be written.
    """

    def __init__(self, location: str, schema: pa.Schema, options: WriteOptions, encoder: EncoderFactory) -> None:
        # The destination is checked before the encoder writes its first bytes
        self._publication = Publication(location, overwrite=options.overwrite, scratch=options.scratch)
        self._ended = False
        try:
            with self._publication.translate_errors():
                self._encoder = encoder(self._publication.stream, schema, options)
        except BaseException:
            self._publication.abort()
            raise

    def write(self, batch: pa.RecordBatch) -> None:
        """Encode the rows."""
        with self._publication.translate_errors():
            self._encoder.write(batch)

    def finish(self) -> FinishedFile:
        """Write the end of the file and sync it, without publishing it."""
        # An encoder must not be closed twice, but both `finish` and `commit` come here
        if not self._ended:
            with self._publication.translate_errors():
                self._encoder.close()
            self._ended = True
        return self._publication.finish()

    def commit(self) -> None:
        """Finish the file and publish it."""
        self.finish()
        self._publication.commit()

    def abort(self) -> None:
        """Remove what was written."""
        self._publication.abort()


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
            self._destination = _open_destination(location, overwrite, scratch)
        # From the encoder down: count the bytes, compress them, hash the compressed ones, write them
        self._bottom = HashingStream(self._destination.file)
        self._compressor: BinaryIO | None = None
        below = cast(BinaryIO, self._bottom)
        try:
            with self.translate_errors():
                self._compressor = _open_compressor(below, compression_of(location))  # gzip writes its header at once
        except BaseException:
            self.abort()
            raise
        self.stream = cast(BinaryIO, CountingStream(self._compressor or below))
        """Takes the bytes. It cannot seek, but knows its position."""

    def translate_errors(self) -> AbstractContextManager[None]:
        """Turn failures to write into `OutputError`. On standard output a `BrokenPipeError` passes."""
        return translate_write_errors(self._destination.shown, keep_broken_pipe=self._location == "-")

    def finish(self) -> FinishedFile:
        """Put all bytes on disk without publishing them. A second call only returns the same record again.

        Raises:
            OutputError: the bytes could not be written. Nothing of them is left.
        """
        if self._finished is None:
            with self._abort_on_error():
                # From the top down, because a compressor still holds bytes and writes them when it is closed
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
        # First the way to the file is cut, so that nothing that is closed below can still write to it
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


def _open_destination(location: str, overwrite: bool, scratch: str | None) -> Destination:
    if location == "-":
        return StandardOutput()
    if scheme_of(location):
        return url_destination(location, overwrite, scratch)
    if is_special(location):
        return SpecialFile(location)
    return LocalFile(location, overwrite, scratch)


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
        # `len` counts the items of a buffer, which may have several bytes each
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


def _open_compressor(below: BinaryIO, compression: str | None) -> BinaryIO | None:
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
