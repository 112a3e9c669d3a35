"""Parquet: Arrow batches in, row groups of bounded size out, compressed with zstd and with a checksum on every page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment_batch.errors import first_line
from sentiment_batch.writers.checks import refuse

if TYPE_CHECKING:
    from sentiment_batch.records import WriteOptions

ROWS_PER_GROUP = 1 << 16
BYTES_PER_GROUP = 64 << 20
"""A row group is written when it has this many rows or bytes in memory, whichever comes first."""


class ParquetEncoder:
    """Encodes batches as Parquet; the schema and its metadata are stored beside, so that types come back as they went.

    Small batches are gathered, for row groups of a few rows make a file slow to read and large on disk.

    Args:
        stream: takes the bytes; it need not seek.
        schema: the columns.
        options: none concerns Parquet.

    Raises:
        OutputError: Parquet cannot hold a column; nothing is written.
    """

    def __init__(self, stream: BinaryIO, schema: pa.Schema, options: WriteOptions) -> None:
        refuse(schema, _cannot, "Parquet", "Arrow")
        self._schema = schema
        self._writer = pq.ParquetWriter(stream, schema, compression="zstd", write_page_checksum=True, store_schema=True)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self._bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the rows, and write a row group when enough have come."""
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= ROWS_PER_GROUP or self._bytes >= BYTES_PER_GROUP:
            self._write_group()

    def close(self) -> None:
        """Write the last row group and the footer."""
        if self._rows:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        for table in _groups(self._waiting, self._schema):
            # A group may be a little larger, rather than be followed by one of a few rows.
            rows = table.num_rows if table.num_rows < 2 * ROWS_PER_GROUP else ROWS_PER_GROUP
            self._writer.write_table(table, row_group_size=rows)
        self._waiting, self._rows, self._bytes = [], 0, 0


def _groups(batches: list[pa.RecordBatch], schema: pa.Schema) -> list[pa.Table]:
    """The batches as one row group, or one each where their dictionaries together outgrow the index type."""
    table = pa.Table.from_batches(batches, schema)
    try:
        return [table.unify_dictionaries()]
    except pa.ArrowNotImplementedError:  # dictionaries of other things than text: Parquet stores plain values anyway
        return [table]
    except pa.ArrowInvalid:  # pyarrow would write such a row group, but could not read it
        return [pa.Table.from_batches([batch], schema) for batch in batches]


def _cannot(field: pa.Field) -> str | None:
    """What pyarrow says when it writes one null of the field's type: it knows best what it cannot do."""
    nullable = pa.schema([field.with_nullable(True)])
    try:
        pq.write_table(pa.table([pa.nulls(1, field.type)], schema=nullable), io.BytesIO())
    except pa.ArrowNotImplementedError as error:
        return first_line(error).rstrip(".")
    except pa.ArrowInvalid:  # a struct whose fields may not be null says nothing about its type
        return None
    return None
