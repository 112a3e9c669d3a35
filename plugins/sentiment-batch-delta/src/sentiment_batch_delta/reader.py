"""Reads one version of a table, file by file."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch import InputError, Split, UsageError
from sentiment_batch.reading import ParquetReader
from sentiment_batch_delta.delta_errors import translate_errors
from sentiment_batch_delta.table_files import list_files
from sentiment_batch_delta.tables import check_readable, find_table
from sentiment_batch_delta.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentiment_batch import Problem, ReadOptions
    from sentiment_batch_delta.table_files import TableFile


class DeltaReader:
    """A reader of one version of a table. Later versions do not change what it reads.

    Args:
        location: a URL; see `parse_url`.
        options: the function that is called for rows with strings that are not UTF-8.

    Raises:
        UsageError: the URL cannot be read.
        InputError: there is no such table or version, its log is damaged, or it needs a feature that is not supported.
    """

    def __init__(self, location: str, options: ReadOptions) -> None:
        self._url = url = parse_url(location)
        if url.appends:
            raise UsageError(f"{url.shown} has a mode, which is for an output. Leave it out.")
        table = find_table(url, InputError)
        if table is None:
            raise InputError(f"{url.shown} is no Delta Lake table: {_describe_missing(url.path)}. Check the path.")
        with translate_errors(url, InputError):
            check_readable(table, url)
            self.schema = pa.schema(table.schema().to_arrow())
            self._files = list_files(table, url)
            self._state = {"table": str(table.metadata().id), "path": url.path, "version": table.version()}
        self._options = options
        counts = [file.rows for file in self._files]
        self.num_rows: int | None = None if None in counts else sum(count for count in counts if count is not None)

    def splits(self) -> Sequence[Split]:
        """The files, those of earlier commits first."""
        return [
            Split(index=index, label=f"{self._url.shown}, file {file.name}", num_rows=file.rows)
            for index, file in enumerate(self._files)
        ]

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The rows of one file in order.

        Raises:
            InputError: the file is damaged or gone, or has a column of another type.
        """
        file = self._files[split.index]
        if not os.path.isfile(file.path):
            raise InputError(
                f"{split.label} is gone, perhaps because old files were removed (VACUUM). Read a newer version."
            )
        rows = 0

        def report(problem: Problem) -> None:
            assert self._options.on_bad_row is not None
            self._options.on_bad_row(dataclasses.replace(problem, row=problem.row + before))

        options = dataclasses.replace(self._options, on_bad_row=report if self._options.on_bad_row else None)
        # Spark stores moments in 96 bits. Nanoseconds would wrap around outside of the years 1677 to 2262.
        with contextlib.closing(ParquetReader(file.path, options, int96_unit="us")) as reader:
            for group in reader.splits():
                before = rows
                for batch in reader.batches(group):
                    rows += batch.num_rows
                    yield _adapt(batch, self.schema, file, split.label)
        if file.rows not in (None, rows):
            raise InputError(f"{split.label} holds {rows:,} rows, but the log announces {file.rows:,}. Get it again.")

    def close(self) -> None:
        """Do nothing: a file is open only while it is read."""

    def identity(self) -> dict[str, Any]:
        """The table and its version, whose rows never change."""
        return self._state


def _adapt(batch: pa.RecordBatch, schema: pa.Schema, file: TableFile, label: str) -> pa.RecordBatch:
    """The rows of a file with the columns of the table."""
    columns = [_adapt_column(batch, field, file, label) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _adapt_column(batch: pa.RecordBatch, field: pa.Field, file: TableFile, label: str) -> pa.Array:
    """A column with the type of the table; one that the file lacks is constant or null."""
    if field.name in file.partition:
        return pa.repeat(file.partition[field.name], batch.num_rows)
    index = batch.schema.get_field_index(field.name)
    if index < 0:
        return pa.nulls(batch.num_rows, field.type)
    column = batch.column(index)
    try:
        return column if column.type == field.type else column.cast(field.type)
    except pa.ArrowException as error:
        raise InputError(
            f"{label}, column {field.name!r}: {' '.join(str(error).split())}. Rewrite the table with one type there."
        ) from error


def _describe_missing(path: str) -> str:
    if not os.path.exists(path):
        return f"there is no folder {path}"
    return f"{path} has no log of commits" if os.path.isdir(path) else f"{path} is a file"
