"""CSV and TSV: Arrow batches in, UTF-8 lines out, with quotes only where a reader needs them.

Text comes out byte for byte. A null and an empty text are both an empty field, which is all that CSV can say. Nested
values are JSON text, booleans `true` and `false`, dates and times ISO 8601, NaN and infinities `nan`, `inf` and `-inf`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.writers.json_text import json_text, marked
from sentiment_batch.data.writers.text_columns import ROWS_AT_ONCE, write_text
from sentiment_batch.data.writers.unsupported_types import not_json, refuse
from sentiment_batch.data.writers.value_text import TEXT, constant, decoded, is_text, joined, scalar_text
from sentiment_batch.errors import OutputError, UsageError

if TYPE_CHECKING:
    from sentiment_batch.records import WriteOptions


class CsvEncoder:
    r"""Encodes batches as CSV with a header, `\n` line ends and no byte order mark.

    Args:
        stream: takes the bytes.
        schema: the columns; names may repeat.
        options: `delimiter`, a comma by default; `escape_formulas`.

    Raises:
        UsageError: the delimiter is not one character, or would be mistaken for a quote or line end.
        OutputError: a column has no exact form as text; nothing is written.
    """

    def __init__(self, stream: BinaryIO, schema: pa.Schema, options: WriteOptions) -> None:
        self._delimiter = options.delimiter or ","
        if len(self._delimiter) != 1 or self._delimiter in '"\r\n\ufeff':
            raise UsageError(f"--delimiter takes one character that is no quote or line end, not {self._delimiter!r}.")
        if not schema.names:
            raise OutputError("CSV cannot hold a table without columns. Write Parquet or Arrow.")
        refuse(schema, not_json, "CSV", "Parquet or Arrow")
        self._stream = stream
        self._escape = options.escape_formulas
        self._needs_quotes = rf'["\r\n{re.escape(self._delimiter)}]'
        if len(schema) == 1:
            self._needs_quotes += r"|^[ \t]*$"  # many readers skip a blank line, and with it the row
        self._write_header(schema.names)

    def _write_header(self, names: list[str]) -> None:
        # A name that begins with U+FEFF would be taken for a byte order mark, and what may delimit for what does.
        quoted = rf"{self._needs_quotes}|^\x{{FEFF}}|[,;\t|]"
        columns = [pa.array([name], TEXT) for name in names]
        self._write_lines([self._field(_escaped(one) if self._escape else one, quoted) for one in columns])

    def write(self, batch: pa.RecordBatch) -> None:
        """Write the rows."""
        for start in range(0, batch.num_rows, ROWS_AT_ONCE):
            rows = batch.slice(start, ROWS_AT_ONCE)
            columns = [self._text(column, field) for column, field in zip(rows.columns, rows.schema, strict=True)]
            self._write_lines([self._field(column, self._needs_quotes) for column in columns])

    def close(self) -> None:
        """Nothing ends a CSV."""

    def _text(self, column: pa.Array, field: pa.Field) -> pa.Array:
        plain = decoded(column)
        if pa.types.is_nested(plain.type):
            return pc.if_else(plain.is_valid(), json_text(plain, field), pa.scalar(None, TEXT))
        text = scalar_text(plain, field.name)
        # A text that is JSON is in quotes there, or else a number or the like.
        return _escaped(text) if self._escape and is_text(plain.type) and not marked(field) else text

    def _field(self, column: pa.Array, needs_quotes: str) -> pa.Array:
        """The text in quotes where it needs them, and empty for null."""
        column = pc.fill_null(column, constant(""))
        special = pc.match_substring_regex(column, needs_quotes)
        if not pc.any(special).as_py():
            return column
        return pc.if_else(special, joined('"', pc.replace_substring(column, '"', '""'), '"'), column)

    def _write_lines(self, fields: list[pa.Array]) -> None:
        *first, last = fields
        lines = pc.binary_join_element_wise(*first, joined(last, "\n"), constant(self._delimiter))
        write_text(self._stream, lines)


def _escaped(text: pa.Array) -> pa.Array:
    """The text with an apostrophe where a spreadsheet would see a formula; see OWASP, "CSV Injection"."""
    formula = pc.match_substring_regex(text, r"\A[=+\-@\t\r]")
    return pc.if_else(formula, joined("'", text), text) if pc.any(formula).as_py() else text
