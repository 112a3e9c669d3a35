"""Encodes record batches as CSV and TSV in UTF-8, with quotes only where a reader needs them.

Text stays the same byte for byte. A null and an empty text are both an empty field, because CSV cannot distinguish
them. Nested values are JSON text. Booleans are `true` and `false`. Dates and times are ISO 8601. NaN and infinities are
`nan`, `inf` and `-inf`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from sentiment_batch.data.writers.json_text import json_text, marked
from sentiment_batch.data.writers.unsupported_types import not_json, refuse
from sentiment_batch.data.writers.uuid_text import format_uuids, replace_uuid_types
from sentiment_batch.data.writers.value_text import (
    MAX_ROWS_AT_ONCE,
    TEXT,
    constant,
    decoded,
    is_text,
    joined,
    scalar_text,
    write_lines,
)
from sentiment_batch.errors import OutputError, UsageError

if TYPE_CHECKING:
    from sentiment_batch.records import WriteOptions

# What a spreadsheet takes for the start of a formula; see OWASP, "CSV Injection". The last four are the full-width
# forms of the first four, which some spreadsheets take for them.
_FORMULA = r"\A[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
_NUMBER = r"\A[+-](\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\z"


class CsvEncoder:
    r"""Encodes batches as CSV with a header, `\n` line ends and no byte order mark.

    Args:
        stream: takes the bytes.
        schema: the columns. Names may repeat.
        options: the settings `delimiter`, a comma by default, and `escape_formulas`.

    Raises:
        UsageError: the delimiter is not one character, or it is a quote or a line end.
        OutputError: a column has no exact form as text. Nothing is written.
    """

    def __init__(self, stream: BinaryIO, schema: pa.Schema, options: WriteOptions) -> None:
        self._delimiter = options.delimiter or ","
        if len(self._delimiter) != 1 or self._delimiter in '"\r\n\ufeff':
            raise UsageError(
                f"`delimiter` is {self._delimiter!r}; it must be one character that is no quote or line end."
            )
        if not schema.names:
            raise OutputError("CSV cannot hold a table without columns. Write Parquet or Arrow.")
        shown = replace_uuid_types(schema)
        self._has_uuids = shown != schema
        refuse(shown, not_json, "CSV", "Parquet or Arrow")
        self._stream = stream
        self._escape = options.escape_formulas
        self._needs_quotes = rf'["\r\n{re.escape(self._delimiter)}]'
        if len(schema) == 1:
            self._needs_quotes += r"|^[ \t]*$"  # many readers skip blank lines
        self._write_header(schema.names)

    def _write_header(self, names: list[str]) -> None:
        # Readers take U+FEFF at the start for a byte order mark. They may also take another delimiter in a name for
        # theirs.
        quoted = rf"{self._needs_quotes}|^\x{{FEFF}}|[,;\t|]"
        columns = [pa.array([name], TEXT) for name in names]
        self._write_lines([self._field(_escape_formulas(one) if self._escape else one, quoted) for one in columns])

    def write(self, batch: pa.RecordBatch) -> None:
        """Write the rows."""
        # A few rows at a time bound the memory that their text takes.
        for start in range(0, batch.num_rows, MAX_ROWS_AT_ONCE):
            rows = batch.slice(start, MAX_ROWS_AT_ONCE)
            rows = format_uuids(rows) if self._has_uuids else rows
            columns = [self._text(column, field) for column, field in zip(rows.columns, rows.schema, strict=True)]
            self._write_lines([self._field(column, self._needs_quotes) for column in columns])

    def close(self) -> None:
        """Do nothing: CSV has no end mark."""

    def _text(self, column: pa.Array, field: pa.Field) -> pa.Array:
        plain = decoded(column)
        if pa.types.is_nested(plain.type):
            return pc.if_else(plain.is_valid(), json_text(plain, field), pa.scalar(None, TEXT))
        text = scalar_text(plain, field.name)
        # JSON text begins with a quote, a bracket, a letter or a number, so it is never a formula.
        return _escape_formulas(text) if self._escape and is_text(plain.type) and not marked(field) else text

    def _field(self, column: pa.Array, needs_quotes: str) -> pa.Array:
        """The text in quotes where it needs them, and empty for null."""
        column = pc.fill_null(column, constant(""))
        # Most columns need no quotes anywhere, so replacing and choosing are spared
        special = pc.match_substring_regex(column, needs_quotes)
        if not pc.any(special).as_py():
            return column
        return pc.if_else(special, joined('"', pc.replace_substring(column, '"', '""'), '"'), column)

    def _write_lines(self, fields: list[pa.Array]) -> None:
        # The line end belongs to the last field, so one join makes whole lines
        *first, last = fields
        lines = pc.binary_join_element_wise(*first, joined(last, "\n"), constant(self._delimiter))
        write_lines(self._stream, lines)


def _escape_formulas(text: pa.Array) -> pa.Array:
    """`text` with an apostrophe before each value that a spreadsheet would take for a formula.

    A plain number, such as -5 or +3.5e2, is none, and stays a number. Cells of workbooks need no apostrophe, because
    they have a type.
    """
    begins = pc.match_substring_regex(text, _FORMULA)
    if not pc.any(begins).as_py():
        return text
    formula = pc.and_not(begins, pc.match_substring_regex(text, _NUMBER))
    return pc.if_else(formula, joined("'", text), text)
