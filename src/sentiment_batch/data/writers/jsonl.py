"""Encodes record batches as JSON lines: one JSON object on each line, in UTF-8, with the columns in order.

Numbers keep their digits. Dates and times are ISO 8601 text. Nested values are nested. NaN and infinities become null,
because JSON has no such values. In text that is not valid UTF-8, U+FFFD replaces the wrong bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from sentiment_batch.data.writers.json_text import json_text, object_text
from sentiment_batch.data.writers.unsupported_types import not_json, refuse, repeated_name
from sentiment_batch.data.writers.uuid_text import format_uuids, replace_uuid_types
from sentiment_batch.data.writers.value_text import MAX_ROWS_AT_ONCE, constant, write_lines
from sentiment_batch.errors import OutputError

if TYPE_CHECKING:
    from sentiment_batch.records import WriteOptions


class JsonLinesEncoder:
    """Encodes batches as JSON lines.

    Args:
        stream: takes the bytes.
        schema: the columns.
        options: the settings of the output. None concerns JSON lines.

    Raises:
        OutputError: a column has no exact form as text, or a name repeats. Nothing is written.
    """

    def __init__(self, stream: BinaryIO, schema: pa.Schema, options: WriteOptions) -> None:
        repeated = repeated_name(schema)
        if repeated is not None:
            raise OutputError(
                f"JSON lines cannot hold two columns named {repeated!r}. Rename one, or write CSV, Parquet or Arrow."
            )
        shown = replace_uuid_types(schema)
        self._has_uuids = shown != schema
        refuse(shown, not_json, "JSON lines", "Parquet or Arrow")
        self._stream = stream

    def write(self, batch: pa.RecordBatch) -> None:
        """Write the rows."""
        for start in range(0, batch.num_rows, MAX_ROWS_AT_ONCE):
            rows = batch.slice(start, MAX_ROWS_AT_ONCE)
            write_lines(self._stream, _make_lines(format_uuids(rows) if self._has_uuids else rows))

    def close(self) -> None:
        """Do nothing: JSON lines have no end mark."""


def _make_lines(batch: pa.RecordBatch) -> pa.Array:
    if not batch.num_columns:
        return pa.array(["{}\n"] * batch.num_rows, constant("").type)
    values = [json_text(column, field) for column, field in zip(batch.columns, batch.schema, strict=True)]
    return object_text(batch.schema.names, values, "}\n")
