"""Writes a new table, replaces the rows of a table, or adds rows to it. The rows appear in one commit."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import pyarrow as pa

from sentiment_batch import OutputError, UsageError
from sentiment_batch.writing import refuse
from sentiment_batch_delta.commits import TakenError, add_files, create_table, replace_files
from sentiment_batch_delta.data_files import DataFiles
from sentiment_batch_delta.delta_errors import translate_errors
from sentiment_batch_delta.storage_types import convert, explain_no_type, find_shared_name, find_storage_type
from sentiment_batch_delta.table_columns import check_same_columns, check_timestamps
from sentiment_batch_delta.tables import LOG, check_writable, find_table
from sentiment_batch_delta.url import parse_url

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from sentiment_batch import WriteOptions


class DeltaWriter:
    """A writer of rows that all appear in one version of a table, and not before.

    Args:
        location: a URL; see `parse_url`.
        schema: the columns of every batch.
        options: the settings of the output.

    Raises:
        UsageError: the URL is invalid, names a version, or contradicts the settings.
        OutputError: the table exists and the settings neither replace it nor add to it, a column has no type in Delta
            Lake or another one than in the table, or the table cannot be written.
    """

    def __init__(self, location: str, schema: pa.Schema, options: WriteOptions) -> None:
        self._url = url = parse_url(location)
        if url.version is not None:
            raise UsageError(f"{url.shown} names a version, which can only be read. Leave it out.")
        if url.appends and options.overwrite:
            raise UsageError(f"{url.shown} adds rows, but `overwrite=True` replaces them. Leave one of them out.")
        if (shared := find_shared_name(schema)) is not None:
            raise OutputError(
                f"Delta Lake ignores the case of names, so {shared!r} is there twice. Leave one out with `columns`."
            )
        refuse(schema, explain_no_type, "Delta Lake", "Parquet")
        self._stored = pa.schema([(field.name, find_storage_type(field.type)) for field in schema])
        self._overwrite, self._run_id = options.overwrite, options.run_id
        self._with_nulls: set[str] = set()
        """The names of the columns in which a row has a null."""
        self._errors = functools.partial(translate_errors, url, OutputError)
        with self._errors():
            table = find_table(url, OutputError)
            self._version = None if table is None else table.version()
            """The version of the table when the run began; None if there was no table."""
            home = self._find_home() if table is None else self._check_table(table)
            self._files = DataFiles(home, options.scratch, self._stored)

    def write(self, batch: pa.RecordBatch) -> None:
        """Put rows into files that belong to no table yet."""
        with self._errors():
            columns = [_convert(column, field) for column, field in zip(batch.columns, self._stored, strict=True)]
            stored = pa.RecordBatch.from_arrays(columns, schema=self._stored)
            self._with_nulls |= {name for name in self._stored.names if stored.column(name).null_count}
            self._files.write(stored)

    def commit(self) -> None:
        """Publish the rows. After an error nothing of them is left."""
        try:
            with self._errors():
                self._files.end_file()
                self._publish()
        finally:
            self.abort()

    def abort(self) -> None:
        """Remove what was written. It does nothing after `commit`."""
        self._files.discard()

    def _publish(self) -> None:
        arguments = (self._url, self._files, self._stored, self._run_id)
        try:
            if self._version is None:
                create_table(*arguments)
            elif self._url.appends:
                add_files(*arguments, self._check_fits)
            else:
                replace_files(*arguments, self._check_unchanged)
        except TakenError:
            if self._version is not None or self._overwrite:
                raise self._make_changed_error() from None
            if find_table(self._url, OutputError) is None or not self._url.appends:
                raise self._make_exists_error() from None
            add_files(*arguments, self._check_fits)  # another run has just made the table

    def _find_home(self) -> str:
        """The folder in which a new table will appear."""
        path, home = self._url.path, os.path.dirname(self._url.path)
        if not os.path.isdir(home):
            raise OutputError(f"{self._url.shown} cannot be written: there is no folder {home}. Create it.")
        if os.path.lexists(path) and not (os.path.isdir(path) and not os.listdir(path)):
            raise OutputError(
                f"{self._url.shown} cannot be written: {path} holds other things than a Delta Lake table. Name "
                "another folder."
            )
        return home

    def _check_table(self, table: DeltaTable) -> str:
        """Check that the table may be changed; returns its folder."""
        if not self._overwrite and not self._url.appends:
            raise self._make_exists_error()
        for folder in (self._url.path, os.path.join(self._url.path, LOG)):
            if not os.access(folder, os.W_OK):  # Otherwise the run would fail only at its end.
                raise OutputError(f"{self._url.shown} cannot be written: you must not write to {folder}. Name another.")
        self._check_fits(table)
        return self._url.path

    def _check_fits(self, table: DeltaTable) -> None:
        check_writable(table, self._url, overwrite=self._overwrite)
        if self._url.appends:
            check_same_columns(table, self._stored, self._url, with_nulls=self._with_nulls)
        check_timestamps(table, self._stored, self._url)

    def _check_unchanged(self, table: DeltaTable) -> None:
        if table.version() != self._version:
            raise self._make_changed_error()
        self._check_fits(table)

    def _make_exists_error(self) -> OutputError:
        return OutputError(
            f"{self._url.shown} exists already. Replace it with `overwrite=True`, add rows with ?mode=append, or "
            "name another destination."
        )

    def _make_changed_error(self) -> OutputError:
        change = "made by another program meanwhile"
        if self._version is not None:
            change = f"changed by another program since version {self._version}"
        return OutputError(
            f"{self._url.shown} was {change}, so it is not replaced. Run the same command again, if it is to be "
            "replaced in spite of that."
        )


def _convert(column: pa.Array, field: pa.Field) -> pa.Array:
    """A column in its storage type. The error for a value names the column."""
    try:
        return convert(column, field.type)
    except pa.ArrowException as error:
        raise pa.ArrowInvalid(f"the column {field.name!r}: {error}") from error
