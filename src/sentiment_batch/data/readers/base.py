"""The seam that every reader implements: a location in, Arrow record batches out; it knows nothing of sentiment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.records import Split


class Reader(Protocol):
    """A table that can be read in splits. Bad input is an `InputError` that names the file and the place in it.

    A reader may also have `identity()`, which gives plain values (as JSON has them) that differ when the rows may: a
    version, a snapshot, a time of change. With it a run that was cut off can be gone on with. A reader of a file needs
    none; one of many files may have their paths and URLs in `locations`.
    """

    schema: pa.Schema
    """The columns as they will come; every batch has exactly this schema, its metadata included."""

    @property
    def num_rows(self) -> int | None:
        """Rows in all where that is known without reading everything, else None; the run checks it at the end."""
        ...

    def splits(self) -> Sequence[Split]:
        """The units of reading, fixed for a given input; read in this order they give the input's rows in order."""
        ...

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The rows of one split in order, streamed: memory must not grow with the split. Any batch size is fine.

        It is iterated in one thread, which need not be the one that made this reader: what belongs to its thread, as a
        cursor of sqlite3 does, is best opened here. Several iterators of one reader do not disturb each other.

        Raises:
            InputError: the input is damaged; the message names the file and the row, line or row group.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections; may be called twice."""
        ...
