"""Encodes Arrow batches as a workbook of one sheet, row by row; publication is left to sentiment-batch's FileWriter."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import functools
import json
import math
from typing import TYPE_CHECKING, Any, BinaryIO

import openpyxl
import pyarrow as pa
import pyarrow.compute as pc
from openpyxl.cell import WriteOnlyCell

from sentiment_batch import OutputError
from sentiment_batch_excel.cells import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sentiment_batch import WriteOptions

MOST_CHARACTERS = 32_767
MOST_ROWS = 1_048_576
MOST_COLUMNS = 16_384
"""What Excel has room for; see "Excel specifications and limits" in its manual."""
EXACT_DIGITS = 15
"""Excel keeps numbers as doubles and shows this many digits."""
_FIRST_DATE = datetime.datetime(1900, 3, 1)
"""Excel takes 1900 for a leap year, so that earlier dates mean different days to different programs."""


class ExcelEncoder:
    """Encodes batches as an Excel workbook.

    Args:
        stream: takes the bytes; it need not seek.
        schema: the columns.
        options: none concerns workbooks.

    Raises:
        OutputError: a column is of a type without a form in a cell, or there are more columns than Excel has.
    """

    def __init__(self, stream: BinaryIO, schema: pa.Schema, options: WriteOptions) -> None:
        if len(schema) > MOST_COLUMNS:
            raise OutputError(f"Excel has {MOST_COLUMNS:,} columns, not {len(schema):,}. Write Parquet or CSV.")
        for field in schema:
            _check_type(field.name, field.type)
        self._stream = stream
        self._names = schema.names
        self._book = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet("Sheet1")
        self._rows = 0
        self._append([self._text_cell(name, name) for name in schema.names])

    def write(self, batch: pa.RecordBatch) -> None:
        """Add the rows.

        Raises:
            OutputError: a text is too long for a cell, or the rows are too many for a sheet.
        """
        if self._rows + batch.num_rows > MOST_ROWS:
            raise OutputError(f"Excel has {MOST_ROWS:,} rows, the header's among them. Write Parquet or CSV.")
        columns = [self._cells(name, column) for name, column in zip(self._names, batch.columns, strict=True)]
        for row in zip(*columns, strict=True):
            self._append(row)

    def close(self) -> None:
        """Write the workbook."""
        self._book.save(self._stream)

    def __del__(self) -> None:
        # An output given up halfway: openpyxl's sheet would complain on standard error when it is collected.
        with contextlib.suppress(Exception):
            self._sheet.close()

    def _append(self, row: Iterable[Any]) -> None:
        self._sheet.append(row)
        self._rows += 1

    def _cells(self, name: str, column: pa.Array) -> list[Any]:
        column = _decoded(column)
        to_text = functools.partial(self._text_cell, name)
        make = _maker(column.type, to_text, self._number_cell)
        if pa.types.is_float32(column.type):  # the shortest text that is the same float32, not the widened double's
            column = column.cast(pa.string()).cast(pa.float64())
        return [None if value is None else make(value) for value in _values(column)]

    def _text_cell(self, name: str, text: str) -> Any:
        if not text:
            return None
        kept = escaped(text)
        # Excel counts UTF-16 units; openpyxl would cut what is too long without a word.
        if len(kept) > MOST_CHARACTERS or len(text.encode("utf-16-le")) // 2 > MOST_CHARACTERS:
            raise OutputError(
                f"the column {name!r} holds a text of {len(text):,} characters in row {self._rows:,} or later, and "
                f"Excel's cells hold {MOST_CHARACTERS:,}. Write CSV or Parquet."
            )
        return self._cell(kept, "s")  # said outright, or "=1+1" would be a formula and "#N/A" an error

    def _number_cell(self, digits: str) -> Any:
        return self._cell(digits, "n")  # as text, since openpyxl rounds floats to 16 digits

    def _cell(self, value: str, kind: str) -> Any:
        cell = WriteOnlyCell(self._sheet, value)
        cell.data_type = kind
        return cell


def _check_type(name: str, kind: pa.DataType) -> None:
    if isinstance(kind, pa.BaseExtensionType):
        return _check_type(name, kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _check_type(name, kind.value_type)
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    if any(check(kind) for check in (*binary, pa.types.is_union, pa.types.is_interval)):
        raise OutputError(
            f"Excel has no cell for {kind} in the column {name!r}. Leave it out with --columns, or write Parquet."
        )
    for index in range(kind.num_fields if pa.types.is_nested(kind) else 0):
        _check_type(name, kind.field(index).type)
    return None


def _decoded(column: pa.Array) -> pa.Array:
    if isinstance(column.type, pa.BaseExtensionType):
        return _decoded(column.storage)
    if pa.types.is_dictionary(column.type):
        return _decoded(column.dictionary.take(column.indices))
    if pa.types.is_run_end_encoded(column.type):
        return _decoded(pc.run_end_decode(column))
    return column


def _values(column: pa.Array) -> list[Any]:
    """Python values; the text of what Python's types are too coarse for."""
    kind = column.type
    if pa.types.is_duration(kind):
        return [None if ticks is None else _iso_duration(ticks, kind.unit) for ticks in _ticks(column)]
    if pa.types.is_time(kind) or (pa.types.is_timestamp(kind) and kind.tz is not None):
        return _iso_texts(column)
    try:
        values: list[Any] = (column.cast(pa.timestamp("us")) if pa.types.is_timestamp(kind) else column).to_pylist()
        return values
    except UnicodeDecodeError:
        return [value and value.decode(errors="replace") for value in column.cast(pa.large_binary()).to_pylist()]
    except (pa.ArrowInvalid, OverflowError):  # nanoseconds, or a year that Python does not count
        return _iso_texts(column)


def _ticks(column: pa.Array) -> list[int | None]:
    ticks: list[int | None] = column.cast(pa.int64()).to_pylist()
    return ticks


def _iso_texts(column: pa.Array) -> list[str | None]:
    """ISO 8601; an instant before 1972 in UTC, since Arrow drops the seconds that offsets had then."""
    kind = column.type
    if (
        pa.types.is_timestamp(kind)
        and kind.tz is not None
        and any(tick is not None and tick < 0 for tick in _ticks(column))
    ):
        column = column.cast(pa.timestamp(kind.unit, "UTC"))
    text = pc.replace_substring(column.cast(pa.string()), " ", "T", max_replacements=1)
    texts: list[str | None] = pc.replace_substring_regex(text, r"([+-]\d\d)(\d\d)$", r"\1:\2").to_pylist()
    return texts


def _iso_duration(ticks: int, unit: str) -> str:
    seconds = decimal.Decimal(abs(ticks)).scaleb(-3 * ["s", "ms", "us", "ns"].index(unit))
    return f"{'-' if ticks < 0 else ''}PT{seconds:f}S"


def _maker(kind: pa.DataType, text: Callable[[str], Any], number: Callable[[str], Any]) -> Callable[[Any], Any]:
    """What makes a cell of one value of a column of the type `kind`."""
    if pa.types.is_boolean(kind):
        return lambda value: value
    if pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return lambda value: (number if _is_exact(value) else text)(str(value))
    if pa.types.is_floating(kind):
        return lambda value: number(repr(float(value))) if math.isfinite(value) else None
    if pa.types.is_temporal(kind):
        return lambda value: _date_cell(value, text)
    if pa.types.is_nested(kind):
        return lambda value: text(json.dumps(_finite(value), ensure_ascii=False, default=str))
    return lambda value: text(str(value))


def _finite(value: Any) -> Any:
    """The same nested value with null for the numbers that JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_exact(value: int | decimal.Decimal) -> bool:
    return len(decimal.Decimal(value).as_tuple().digits) <= EXACT_DIGITS


def _date_cell(value: Any, text: Callable[[str], Any]) -> Any:
    if isinstance(value, datetime.datetime):
        whole = value.microsecond % 1000 == 0  # Excel counts milliseconds
        return value if whole and value >= _FIRST_DATE else text(value.isoformat())
    if isinstance(value, datetime.date):
        return value if value >= _FIRST_DATE.date() else text(value.isoformat())
    return text(str(value))
