"""The protocol of writers: they take Arrow record batches, and the destination appears completely or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, Protocol

import pyarrow as pa

from sentiment_batch.records import WriteOptions


class Writer(Protocol):
    """One output. Nobody sees it before `commit`. Writers raise `OutputError` for what the user can correct.

    A writer of files may also have a method `finish() -> FinishedFile`, as `FileWriter` has. It puts all bytes on disk
    and returns their digest, but publishes nothing. Only with this method does an output get a manifest, and can a
    resumed run find out whether the earlier run was interrupted before or after it published the output.
    """

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the next rows. Their schema is the one that the writer was opened with."""
        ...

    def commit(self) -> None:
        """Publish all rows at once, synced to disk, and close the writer."""
        ...

    def abort(self) -> None:
        """Remove what was written. It may be called at any time before `commit` has returned, and more than once."""
        ...


class FormatEncoder(Protocol):
    """Turns batches into the bytes of one file format. An `EncoderFactory` makes it."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Write the rows to the stream."""
        ...

    def close(self) -> None:
        """Write the end of the file. The stream itself stays open."""
        ...


EncoderFactory = Callable[[BinaryIO, pa.Schema, WriteOptions], FormatEncoder]
"""Called as `factory(stream, schema, options)`."""
