"""Reads and writes workbooks through the functions that the plugin registers."""

from __future__ import annotations

import openpyxl
import pyarrow as pa
import sentiment_batch_excel

from sentiment_batch import ReadOptions, Registry, WriteOptions


def find_format(register):
    """The format that the plugin registers."""
    registry = Registry()
    register(registry)
    return registry.named("excel")


def save(path, *rows, sheets=("Sheet1",)):
    book = openpyxl.Workbook()
    book.active.title = sheets[0]
    for title in sheets[1:]:
        book.create_sheet(title)
    for row in rows:
        book.active.append(row)
    book.save(path)
    return str(path)


def read(path, **options):
    found = find_format(sentiment_batch_excel.register_readers).open(str(path), ReadOptions(**options))
    try:
        (split,) = found.splits()
        table = pa.Table.from_batches(list(found.batches(split)), found.schema)
        assert table.num_rows == split.num_rows == found.num_rows
        return table
    finally:
        found.close()
        found.close()


def write(path, table, **options):
    made = find_format(sentiment_batch_excel.register_writers).open(str(path), table.schema, WriteOptions(**options))
    try:
        for batch in table.to_batches():
            made.write(batch)
        made.commit()
    except BaseException:
        made.abort()
        raise


def values_in(path):
    return [[cell.value for cell in row] for row in openpyxl.load_workbook(path).active.iter_rows()]
