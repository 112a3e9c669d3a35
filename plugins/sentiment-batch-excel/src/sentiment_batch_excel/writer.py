"""Encodes Arrow batches as a workbook of one sheet, row by row. The FileWriter of sentiment-batch publishes it.

Values without a cell type become text, in the form of the CSV of sentiment-batch.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
from typing import TYPE_CHECKING, Any, BinaryIO

import openpyxl
import pyarrow as pa
from openpyxl.cell import WriteOnlyCell

from sentiment_batch import OutputError
from sentiment_batch.writing import decoded, json_text, not_json, refuse, scalar_text
from sentiment_batch_excel.archive import save
from sentiment_batch_excel.cells import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentiment_batch import WriteOptions

MAX_CELL_CHARACTERS = 32_767
MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
"""The limits of Excel; see "Excel specifications and limits" in its manual."""
EXACT_DIGITS = 15
"""Excel stores numbers as doubles and shows this many digits."""
_EPOCH = datetime.datetime(1970, 1, 1)
_FIRST_DATE = datetime.datetime(1900, 3, 1)
"""Excel counts 1900 as a leap year, so earlier dates are different days in different programs."""
_TICKS_PER_MILLISECOND = {"ms": 1, "us": 1_000, "ns": 1_000_000}


class ExcelEncoder:
    """Encodes batches as an Excel workbook.

    Args:
        stream: takes the bytes. It need not seek.
        schema: the columns.
        options: the settings of the output. None concerns workbooks, because their text is never a formula.

    Raises:
        OutputError: a column has a type that no cell can hold, or there are too many columns.
    """

    def __init__(self, stream: BinaryIO, schema: pa.Schema, options: WriteOptions) -> None:
        if len(schema) > MAX_COLUMNS:
            raise OutputError(
                f"there are {len(schema):,} columns, but Excel allows {MAX_COLUMNS:,}. Write Parquet or CSV."
            )
        refuse(schema, not_json, "Excel", "Parquet")
        self._stream = stream
        self._book = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet("Sheet1")
        self._rows = 0
        self._append([self._text_cell(name, name) for name in schema.names])

    def write(self, batch: pa.RecordBatch) -> None:
        """Add the rows.

        Raises:
            OutputError: a text is too long for a cell, or the rows are too many for a sheet.
        """
        if self._rows + batch.num_rows > MAX_ROWS:
            raise OutputError(
                f"there are too many rows: Excel allows {MAX_ROWS:,} with the header. Write Parquet or CSV."
            )
        columns = [self._cells(column, field) for column, field in zip(batch.columns, batch.schema, strict=True)]
        for row in zip(*columns, strict=True):
            self._append(row)

    def close(self) -> None:
        """Write the workbook."""
        save(self._book, self._stream)

    def __del__(self) -> None:
        # After an aborted output, the sheet of openpyxl would print a warning when it is garbage-collected, and leave
        # its temporary file until the process ends.
        with contextlib.suppress(Exception):
            self._sheet.close()
        with contextlib.suppress(Exception):
            self._sheet._writer.cleanup()

    def _append(self, row: Iterable[Any]) -> None:
        self._sheet.append(row)
        self._rows += 1

    def _cells(self, column: pa.Array, field: pa.Field) -> list[Any]:
        column = decoded(column)
        kind = column.type
        if pa.types.is_boolean(kind):
            return list(column.to_pylist())
        texts = _texts(column, field)
        if pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None):
            dates = _dates(column)
            return [date or self._text_cell(field.name, text) for date, text in zip(dates, texts, strict=True)]
        if pa.types.is_floating(kind):
            return [None if text is None or "n" in text else self._cell(text, "n") for text in texts]  # nan, inf
        if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
            return [self._number_cell(field.name, text) for text in texts]
        return [self._text_cell(field.name, text) for text in texts]

    def _number_cell(self, name: str, text: str | None) -> Any:
        if text is None or len(decimal.Decimal(text).as_tuple().digits) > EXACT_DIGITS:
            return self._text_cell(name, text)
        return self._cell(text, "n")  # as text, because openpyxl rounds floats to 16 digits

    def _text_cell(self, name: str, text: str | None) -> Any:
        if not text:
            return None
        stored = escape(text)
        # Excel counts UTF-16 units. openpyxl would cut longer texts without an error.
        if len(stored) > MAX_CELL_CHARACTERS or len(text.encode("utf-16-le")) // 2 > MAX_CELL_CHARACTERS:
            raise OutputError(
                f"the column {name!r} holds a text of {len(text):,} characters in row {self._rows:,} or later, but "
                f"a cell of Excel can hold {MAX_CELL_CHARACTERS:,}. Write CSV or Parquet."
            )
        return self._cell(stored, "s")  # without the type, "=1+1" would be a formula and "#N/A" an error

    def _cell(self, value: str, kind: str) -> Any:
        cell = WriteOnlyCell(self._sheet, value)
        cell.data_type = kind
        return cell


def _texts(column: pa.Array, field: pa.Field) -> list[str | None]:
    """The text of each value, in the form of CSV."""
    if pa.types.is_nested(column.type):
        texts: list[str | None] = json_text(column, field).to_pylist()
        valid = column.is_valid().to_pylist()
        return [text if there else None for text, there in zip(texts, valid, strict=True)]
    try:
        plain: list[str | None] = scalar_text(column, field.name).to_pylist()
    except UnicodeDecodeError:
        values = column.cast(pa.large_binary()).to_pylist()
        return [None if value is None else value.decode(errors="replace") for value in values]
    return plain


def _dates(column: pa.Array) -> list[datetime.date | None]:
    """The dates and times that Excel can store: whole milliseconds since its first date. None for all others."""
    if pa.types.is_date(column.type):
        days = column.cast(pa.date32()).cast(pa.int32()).to_pylist()
        moments = [None if day is None else _EPOCH + datetime.timedelta(days=day) for day in days]
        return [moment.date() if moment and moment >= _FIRST_DATE else None for moment in moments]
    ticks = column.cast(pa.int64()).to_pylist()
    return [None if tick is None else _moment(tick, column.type.unit) for tick in ticks]


def _moment(ticks: int, unit: str) -> datetime.datetime | None:
    milliseconds, rest = (1_000 * ticks, 0) if unit == "s" else divmod(ticks, _TICKS_PER_MILLISECOND[unit])
    moment = _EPOCH + datetime.timedelta(milliseconds=milliseconds)
    return moment if rest == 0 and moment >= _FIRST_DATE else None
