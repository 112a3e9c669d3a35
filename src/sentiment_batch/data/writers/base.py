"""The seam that every writer implements: Arrow record batches in, a destination that appears whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Protocol

import pyarrow as pa

from sentiment_batch.data.writers.publish import Publication
from sentiment_batch.records import Sealed, WriteOptions


class Writer(Protocol):
    """One output under way. Nobody sees it before `commit`. Writers raise `OutputError` on what the user can mend.

    A writer of files may also have `seal() -> Sealed`, which `FileWriter` has: all bytes are safe on disk and their
    digest is known, but nobody sees them yet. With it an output has a manifest, and a crash in the moment of
    publication can be told from one before it.
    """

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the next rows; their schema is the one the writer was opened with."""
        ...

    def commit(self) -> None:
        """Publish everything at once, safely on disk; afterwards the writer is closed."""
        ...

    def abort(self) -> None:
        """Leave no trace; may be called at any time before `commit` has returned, also after a failure, also twice."""
        ...


class Encoder(Protocol):
    """Turns batches into the bytes of one file format; made by `factory(stream, schema, options)`."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Write the rows to the stream."""
        ...

    def close(self) -> None:
        """Write what ends the file; the stream itself stays open."""
        ...


EncoderFactory = Callable[[BinaryIO, pa.Schema, WriteOptions], Encoder]


class FileWriter:
    """A `Writer` for any format that is a stream of bytes: the format encodes, the publication makes it atomic.

    Args:
        location: a path, an fsspec URL, or `-` for standard output; a compression's suffix is honoured.
        schema: the columns of every batch.
        options: what the user said.
        encoder: makes the format's encoder on an open binary stream.

    Raises:
        OutputError: the destination exists and `options.overwrite` is not set, or it cannot be written.
    """

    def __init__(self, location: str, schema: pa.Schema, options: WriteOptions, encoder: EncoderFactory) -> None:
        self._publication = Publication(location, overwrite=options.overwrite, scratch=options.scratch)
        self._ended = False
        try:
            with self._publication.failures_named():
                self._encoder = encoder(self._publication.stream, schema, options)
        except BaseException:
            self._publication.abort()
            raise

    def write(self, batch: pa.RecordBatch) -> None:
        """Encode the rows."""
        with self._publication.failures_named():
            self._encoder.write(batch)

    def seal(self) -> Sealed:
        """End the file and sync it; it is not visible yet."""
        if not self._ended:
            with self._publication.failures_named():
                self._encoder.close()
            self._ended = True
        return self._publication.seal()

    def commit(self) -> None:
        """End the file, sync it, and rename it to its destination."""
        self.seal()
        self._publication.commit()

    def abort(self) -> None:
        """Remove what was written."""
        self._publication.abort()
