"""Encodes record batches as Parquet: row groups of bounded size, zstd compression, and a checksum on every page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment_batch.data.columns import decode_dictionary
from sentiment_batch.data.writers.parquet_types import restored, spoiled, writable
from sentiment_batch.data.writers.row_groups import RowGroups
from sentiment_batch.data.writers.unsupported_types import refuse, refuse_out_of_range
from sentiment_batch.errors import reason

if TYPE_CHECKING:
    from sentiment_batch.records import WriteOptions

MAX_ROWS_PER_GROUP = 1 << 16
"""A row group is written when it has this many rows."""
MAX_BYTES_PER_GROUP = 64 << 20
"""A row group is written when its values have this many bytes in memory."""


class ParquetEncoder:
    """Encodes batches as Parquet. The Arrow schema is stored in the file, so that most types come back unchanged.

    The format and pyarrow force these changes:

    - Seconds come back as milliseconds, and `date64` as `date32`.
    - A dictionary of text in views or of large text comes back as a dictionary of text. Dictionaries of other values
      than text or bytes come back as plain values.
    - The values in a list are called `element`, those in a map `key` and `value`.
    - The mark that the keys of a map are sorted may be lost, and the mark that a list of fixed size in a struct is
      never null.

    Small batches are gathered, because row groups of a few rows make a file slow to read and large on disk.

    Args:
        stream: takes the bytes. It need not seek.
        schema: the columns.
        options: the settings of the output. None concerns Parquet.

    Raises:
        OutputError: Parquet cannot hold a column. Nothing is written.
    """

    def __init__(self, stream: BinaryIO, schema: pa.Schema, options: WriteOptions) -> None:
        # pyarrow would fail at the first row group, when much is computed already
        refuse(schema, _cannot, "Parquet", "Arrow")
        self._schema = writable(schema)
        self._writer = _open_writer(stream, self._schema, restored(schema))
        self._groups = RowGroups(max_rows=MAX_ROWS_PER_GROUP, max_bytes=MAX_BYTES_PER_GROUP)

    def write(self, batch: pa.RecordBatch) -> None:
        """Take the rows, and write each row group that they complete."""
        for batches in self._groups.add(self._writable(batch)):
            self._write_group(batches)

    def close(self) -> None:
        """Write the last row group and the footer."""
        batches = self._groups.take_rest()
        if batches:
            self._write_group(batches)
        self._writer.close()

    def _writable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        for column, field in zip(batch.columns, batch.schema, strict=True):
            if "decimal" in str(field.type):  # pyarrow would write other numbers
                refuse_out_of_range(column, field.name, "Parquet", "CSV or Arrow")
        columns = [
            column if column.type == kind else column.cast(kind)  # a cast to the same type damages lists of nulls
            for column, kind in zip(map(_drop_null_entry, batch.columns), self._schema.types, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _write_group(self, batches: list[pa.RecordBatch]) -> None:
        # One chunk for each row group, because pyarrow ends a page at the end of a chunk. Else batches would show.
        for table in _tables(batches, self._schema):
            self._writer.write_table(table.combine_chunks(), row_group_size=table.num_rows)


def _drop_null_entry(column: pa.Array) -> pa.Array:
    """A column without the null in its dictionary, which pyarrow does not write; other columns as they are."""
    if not pa.types.is_dictionary(column.type) or not column.dictionary.null_count:
        return column
    encoded, kind = decode_dictionary(column).dictionary_encode(), column.type
    indices = encoded.indices.cast(kind.index_type)
    return pa.DictionaryArray.from_arrays(indices, encoded.dictionary.cast(kind.value_type), ordered=kind.ordered)


def _open_writer(stream: BinaryIO, schema: pa.Schema, read_back: pa.Schema) -> pq.ParquetWriter:
    """A writer of columns of `schema`, which are read back with the types of `read_back`."""
    same = schema.equals(read_back)
    made = pq.ParquetWriter(stream, schema, compression="zstd", write_page_checksum=True, store_schema=same)
    if not same:  # as pyarrow does it for store_schema, but with the other schema
        stored = base64.b64encode(read_back.serialize())
        made.add_key_value_metadata({**(read_back.metadata or {}), b"ARROW:schema": stored})
    return made


def _tables(batches: list[pa.RecordBatch], schema: pa.Schema) -> list[pa.Table]:
    """The batches as one table; or as one each, if their joint dictionary outgrows the index type."""
    table = pa.Table.from_batches(batches, schema)
    try:
        return [table.unify_dictionaries()]
    except pa.ArrowNotImplementedError:  # dictionaries of other values than text: Parquet stores plain values anyway
        return [table]
    except pa.ArrowInvalid:  # pyarrow would write such a row group, but could not read it
        return [pa.Table.from_batches([batch], schema) for batch in batches]


def _cannot(field: pa.Field) -> str | None:
    """Why Parquet cannot hold the field, found by writing one null of its type with pyarrow; None if it can."""
    if spoiled(field.type):
        return f"pyarrow cannot cast the lists of nulls beside the text in views within {field.type}"
    # What pyarrow can write changes with its version, so this asks pyarrow instead of a list of types
    schema = writable(pa.schema([field.with_nullable(True)]))
    try:
        with pq.ParquetWriter(io.BytesIO(), schema) as writer:
            writer.write_table(pa.table([pa.nulls(1, schema.types[0])], schema=schema))
    except (pa.ArrowNotImplementedError, OSError) as error:  # OSError: a decimal with a negative scale
        return reason(error)
    except pa.ArrowInvalid:  # the error of a struct whose fields must not be null has nothing to do with its type
        pass
    return None
