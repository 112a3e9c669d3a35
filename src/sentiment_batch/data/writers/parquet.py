"""Parquet: Arrow batches in, row groups of bounded size out, compressed with zstd and with a checksum on every page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment_batch.data.writers.parquet_types import restored, spoiled, writable
from sentiment_batch.data.writers.row_groups import RowGroups
from sentiment_batch.data.writers.unsupported_types import refuse
from sentiment_batch.errors import first_line

if TYPE_CHECKING:
    from sentiment_batch.records import WriteOptions

ROWS_PER_GROUP = 1 << 16
BYTES_PER_GROUP = 64 << 20
"""A row group is written when it has this many rows or bytes in memory, whichever comes first."""


class ParquetEncoder:
    """Encodes batches as Parquet; the schema and its metadata are stored beside, so that types come back as they went.

    What the format and pyarrow force: seconds come back as milliseconds and `date64` as `date32`; a dictionary of
    anything but text or bytes comes back as plain values, one of large text or of views as one of text; what is in a
    list is called `element`, and in a map `key` and `value`; that a map's keys are sorted may be forgotten, and that a
    list of a fixed size within a struct is never null.

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
        self._schema = writable(schema)
        self._writer = _writer(stream, self._schema, restored(schema))
        self._groups = RowGroups(rows=ROWS_PER_GROUP, size=BYTES_PER_GROUP)

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the rows, and write a row group when enough have come."""
        for batches in self._groups.add(self._writable(batch)):
            self._write_group(batches)

    def close(self) -> None:
        """Write the last row group and the footer."""
        batches = self._groups.rest()
        if batches:
            self._write_group(batches)
        self._writer.close()

    def _writable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [
            column if column.type == kind else column.cast(kind)  # a cast to the same type spoils lists of nulls
            for column, kind in zip(batch.columns, self._schema.types, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _write_group(self, batches: list[pa.RecordBatch]) -> None:
        for table in _tables(batches, self._schema):
            self._writer.write_table(table.combine_chunks(), row_group_size=table.num_rows)


def _writer(stream: BinaryIO, schema: pa.Schema, promised: pa.Schema) -> pq.ParquetWriter:
    """A writer of columns of `schema`, which come back as those of `promised`."""
    same = schema.equals(promised)
    made = pq.ParquetWriter(stream, schema, compression="zstd", write_page_checksum=True, store_schema=same)
    if not same:  # as store_schema does it, but with another schema than the columns'
        stored = base64.b64encode(promised.serialize())
        made.add_key_value_metadata({**(promised.metadata or {}), b"ARROW:schema": stored})
    return made


def _tables(batches: list[pa.RecordBatch], schema: pa.Schema) -> list[pa.Table]:
    """The batches as one table, or one each where their dictionaries together outgrow the index type."""
    table = pa.Table.from_batches(batches, schema)
    try:
        return [table.unify_dictionaries()]
    except pa.ArrowNotImplementedError:  # dictionaries of other things than text: Parquet stores plain values anyway
        return [table]
    except pa.ArrowInvalid:  # pyarrow would write such a row group, but could not read it
        return [pa.Table.from_batches([batch], schema) for batch in batches]


def _cannot(field: pa.Field) -> str | None:
    """What pyarrow says when it writes one null of the field's type: it knows best what it cannot do."""
    if spoiled(field.type):
        return f"pyarrow casts no lists of nulls, which stand beside text in views within {field.type}"
    schema = writable(pa.schema([field.with_nullable(True)]))
    try:
        with pq.ParquetWriter(io.BytesIO(), schema) as writer:
            writer.write_table(pa.table([pa.nulls(1, schema.types[0])], schema=schema))
    except (pa.ArrowNotImplementedError, OSError) as error:  # the latter for a decimal with a negative scale
        return first_line(error).rstrip(".")
    except pa.ArrowInvalid:  # a struct whose fields may not be null says nothing about its type
        return None
    return None
