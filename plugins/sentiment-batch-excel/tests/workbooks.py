"""Workbooks for tests, through the package as it registers itself."""

from __future__ import annotations

import openpyxl
import pyarrow as pa
import sentiment_batch_excel

from sentiment_batch import ReadOptions, WriteOptions


class Formats(dict):
    """Stands for the registry: takes what the plugin adds."""

    def add(self, name, open, **claims):
        self[name] = (open, claims)


def opened(register):
    formats = Formats()
    register(formats)
    return formats["excel"][0]


def save(path, *rows, sheets=("Sheet1",)):
    book = openpyxl.Workbook()
    book.active.title = sheets[0]
    for title in sheets[1:]:
        book.create_sheet(title)
    for row in rows:
        book.active.append(row)
    book.save(path)
    return str(path)


def read(path):
    found = opened(sentiment_batch_excel.register_readers)(str(path), ReadOptions())
    try:
        (split,) = found.splits()
        table = pa.Table.from_batches(list(found.batches(split)), found.schema)
        assert table.num_rows == split.num_rows == found.num_rows
        return table
    finally:
        found.close()
        found.close()


def write(path, table, **options):
    made = opened(sentiment_batch_excel.register_writers)(str(path), table.schema, WriteOptions(**options))
    try:
        for batch in table.to_batches():
            made.write(batch)
        made.commit()
    except BaseException:
        made.abort()
        raise


def values_in(path):
    return [[cell.value for cell in row] for row in openpyxl.load_workbook(path).active.iter_rows()]
