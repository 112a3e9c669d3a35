"""Writes a table to a database."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pyarrow as pa

from sentiment_batch import OutputError, UsageError
from sentiment_batch.writing import is_bytes, not_json, refuse, repeated_name
from sentiment_batch_sql.conversions import decoded_type
from sentiment_batch_sql.databases import find_database
from sentiment_batch_sql.driver_errors import translate_errors
from sentiment_batch_sql.run_comments import read_comment
from sentiment_batch_sql.url import parse_url

if TYPE_CHECKING:
    from sentiment_batch import WriteOptions
    from sentiment_batch_sql.conversions import Conversion


class SqlWriter:
    """A writer of a table, which appears when it is complete and not before.

    Args:
        location: a URL with `?table=`.
        schema: the columns of every batch.
        options: the settings of the output.

    Raises:
        UsageError: the URL names no table, or a query or key, too.
        OutputError: the table exists and `options.overwrite` is False, a column has no type in the database, or the
            database cannot be written.
    """

    def __init__(self, location: str, schema: pa.Schema, options: WriteOptions) -> None:
        self._url = url = parse_url(location)
        if not url.table or url.query or url.key:
            raise UsageError(f"{url.shown} must name a table to write, without a query or key. Write ?table=NAME.")
        if (repeated := repeated_name(schema)) is not None:
            raise OutputError(f"a table cannot have two columns named {repeated!r}. Leave one out with `columns`.")
        refuse(schema, _not_in_databases, "a database", "Parquet")
        self._errors = functools.partial(translate_errors, url, OutputError)
        self._done = False
        with self._errors():
            self._target = find_database(url).target(schema, options)
        self._wire = pa.schema(
            [(name, column.wire) for name, column in zip(schema.names, self._target.columns, strict=True)]
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Send the rows."""
        with self._errors():
            columns_in = zip(batch.schema.names, self._target.columns, batch.columns, strict=True)
            columns = [_convert(name, conversion, column) for name, conversion, column in columns_in]
            self._target.write(pa.RecordBatch.from_arrays(columns, schema=self._wire))

    def commit(self) -> None:
        """Publish the table. After an error nothing of it is left."""
        try:
            with self._errors():
                self._target.publish()
        finally:
            self.abort()

    def abort(self) -> None:
        """Remove what was written. It does nothing after `commit`."""
        if not self._done:
            self._done = True
            self._target.discard()


def find_run_id(location: str) -> str | None:
    """The ID of the run that has written a table; None if there is no table, or its comment names no run.

    Args:
        location: a URL with `?table=`.

    Raises:
        UsageError: the URL is ambiguous.
        OutputError: the database cannot be read.
    """
    url = parse_url(location)
    with translate_errors(url, OutputError):
        return read_comment(find_database(url).find_comment()) if url.table else None


def _convert(name: str, conversion: Conversion, column: pa.Array) -> pa.Array:
    """A column in its wire type. The error for a value names the column."""
    try:
        return conversion.convert(column)
    except pa.ArrowInvalid as error:
        raise pa.ArrowInvalid(f"the column {name!r}: {error}") from error


def _not_in_databases(field: pa.Field) -> str | None:
    """Why a column has no form in a database; None if it has one."""
    if "\0" in field.name:
        return "its name has a NUL character"
    return None if is_bytes(decoded_type(field.type)) else not_json(field)
