"""Reads a table that is already in memory, so that data frames are processed in the same way as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sentiment_batch.data.readers.base import MAX_ROWS_PER_BATCH
from sentiment_batch.records import Split

if TYPE_CHECKING:
    import pyarrow as pa


class TableReader:
    """A `Reader` of an Arrow table, in one split and without copies.

    Args:
        table: the table.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.schema: pa.Schema = table.schema
        self.num_rows: int | None = table.num_rows

    def splits(self) -> Sequence[Split]:
        """One split, the whole table."""
        return [Split(index=0, label="the table", num_rows=self._table.num_rows)]

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The table's rows."""
        return iter(self._table.to_batches(max_chunksize=MAX_ROWS_PER_BATCH))

    def close(self) -> None:
        """Do nothing, because nothing was opened."""
