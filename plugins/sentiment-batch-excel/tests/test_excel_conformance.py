"""The suites of sentiment-batch for readers and writers, on workbooks."""

from __future__ import annotations

import openpyxl
import pyarrow as pa
import pytest
import sentiment_batch_excel
from openpyxl.cell import WriteOnlyCell
from sentiment_batch_excel import reader
from sentiment_batch_excel.cells import escape
from sentiment_batch_excel.writer import MAX_CELL_CHARACTERS

from sentiment_batch.testing import ReaderSuite, WriterSuite, sample_types

BINARY = {pa.binary(), pa.large_binary(), pa.binary(3)}


class Workbooks:
    """The attributes of Excel for both suites."""

    plugin = sentiment_batch_excel
    null_is_empty = True
    many_rows = 600

    @pytest.fixture(autouse=True)
    def _small_batches(self, monkeypatch):
        monkeypatch.setattr(reader, "ROWS_PER_BATCH", 200)  # because cells are slow

    def holds(self, text):
        return len(text) <= MAX_CELL_CHARACTERS


class TestExcelReader(Workbooks, ReaderSuite):
    types = (pa.bool_(), pa.int8(), pa.float64(), pa.string(), pa.timestamp("ms"))
    keeps_types = False
    checksums = True
    large_rows = 2_000

    def location(self, table, folder):
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet()
        for row in (table.schema.names, *zip(*(column.to_pylist() for column in table.columns), strict=True)):
            sheet.append([self._cell(sheet, value) for value in row])
        book.save(folder / "reviews.xlsx")
        return folder / "reviews.xlsx"

    def _cell(self, sheet, value):
        cell = WriteOnlyCell(sheet, escape(value) if isinstance(value, str) else value)
        if isinstance(value, str):
            cell.data_type = "s"  # or "=1+1" would be a formula
        return cell


class TestExcelWriter(Workbooks, WriterSuite):
    types = tuple(kind for kind in sample_types() if kind not in BINARY)
    keeps_types = False

    def location(self, folder):
        return folder / "scored.xlsx"
