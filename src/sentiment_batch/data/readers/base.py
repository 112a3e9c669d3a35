"""The protocol that every reader implements: it opens a location and returns Arrow record batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch.records import Split

MAX_ROWS_PER_BATCH = 8192
"""Largest number of rows in a batch of the built-in readers."""


class Reader(Protocol):
    """A table that is read in splits. Damaged input raises an `InputError` that names the file and the place in it.

    A reader may have five more members:

    - `identity()` returns plain JSON values that change whenever the rows may have changed, such as a version, a
      snapshot or a modification time. It makes an interrupted run resumable. Readers of files need none.
    - `dialect` is a `Dialect`: the delimiter, the header and so on, and which of them the reader assumed.
    - `estimate_rows()` estimates the number of rows while they are read; None if nothing is known yet. It is for the
      progress of a table whose `num_rows` is None.
    - `locations` lists the paths and URLs of the files, if there are several.
    - `select_columns(names)` makes all later batches null in the other columns, which need not be read.
    """

    schema: pa.Schema
    """The columns; every batch has exactly this schema, including its metadata."""

    @property
    def num_rows(self) -> int | None:
        """The number of rows, or None if it is unknown before everything is read. The run checks it at the end."""
        ...

    def splits(self) -> Sequence[Split]:
        """The units of reading, fixed for a given input. Read in this order, they give the input's rows in order."""
        ...

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The rows of one split in order, in batches of any size. Memory must not grow with the split.

        The iterator is used in one thread, which need not be the thread that made this reader. Open objects that
        belong to their thread here, such as a cursor of sqlite3. Several iterators of one reader are independent.

        Raises:
            InputError: the input is damaged; the message names the file and the row, line or row group.
        """
        ...

    def close(self) -> None:
        """Close files and connections. It may be called twice."""
        ...


def stream_batches(reader: Reader) -> Iterator[pa.RecordBatch]:
    """All rows of a table in order. May be called again, because splits can be read several times."""
    for split in reader.splits():
        yield from reader.batches(split)
