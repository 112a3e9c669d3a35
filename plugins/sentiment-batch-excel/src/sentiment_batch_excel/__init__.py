"""Registers the format `excel` with sentiment-batch. openpyxl is imported when a workbook is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentiment_batch import hookimpl

if TYPE_CHECKING:
    import pyarrow as pa

    from sentiment_batch import Reader, ReadOptions, Registry, WriteOptions, Writer

SUFFIXES = (".xlsx", ".xlsm")


def _open_reader(location: str, options: ReadOptions) -> Reader:
    from sentiment_batch_excel.reader import ExcelReader

    return ExcelReader(location, options)


def _open_writer(location: str, schema: pa.Schema, options: WriteOptions) -> Writer:
    from sentiment_batch import FileWriter
    from sentiment_batch_excel.writer import ExcelEncoder

    return FileWriter(location, schema, options, ExcelEncoder)


@hookimpl
def register_readers(registry: Registry) -> None:
    """Add the reader of Excel workbooks."""
    registry.add(
        "excel",
        _open_reader,
        suffixes=SUFFIXES,
        description="Excel workbooks: one sheet",
        options=("header", "skip_rows", "comment", "sheet"),
    )


@hookimpl
def register_writers(registry: Registry) -> None:
    """Add the writer of Excel workbooks."""
    registry.add("excel", _open_writer, suffixes=SUFFIXES[:1], description="Excel workbooks: one sheet")
