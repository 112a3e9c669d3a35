"""What sentiment-batch writes a table with: columns in their wire types, and failures in one line."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from sentiment_batch import OutputError, UsageError
from sentiment_batch.writing import not_json, refuse, repeated_name
from sentiment_batch_sql.database import database_of
from sentiment_batch_sql.failures import failures_named
from sentiment_batch_sql.outgoing import Outgoing, is_bytes, plain_type
from sentiment_batch_sql.url import place_of

if TYPE_CHECKING:
    from sentiment_batch import WriteOptions


class Target(Protocol):
    """A table to be, in one of the databases."""

    @property
    def columns(self) -> Sequence[Outgoing]:
        """How each column goes to the database."""
        ...

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows, of the columns' wire types."""
        ...

    def publish(self) -> None:
        """Let everybody see the table, which is safe on disk then."""
        ...

    def discard(self) -> None:
        """Leave no trace; may be called twice."""
        ...


class SqlWriter:
    """A table that is there when it is whole, and not before.

    Args:
        location: a URL with `?table=`.
        schema: the columns of every batch.
        options: what the user said.

    Raises:
        UsageError: the URL names no table, or more than that.
        OutputError: the table exists and `options.overwrite` is not set, a column has no type in the database, or the
            database cannot be written.
    """

    def __init__(self, location: str, schema: pa.Schema, options: WriteOptions) -> None:
        self._place = place = place_of(location)
        if not place.table or place.query or place.key:
            raise UsageError(f"{place.shown} is to be written, which takes a table alone. Write ?table=NAME.")
        if (twice := repeated_name(schema)) is not None:
            raise OutputError(f"a database's table has no two columns named {twice!r}. Choose some with --columns.")
        refuse(schema, _not_in_databases, "a database", "Parquet")
        self._failures = functools.partial(failures_named, place, OutputError)
        self._done = False
        with self._failures():
            self._target = database_of(place).target(schema, options)
        self._wire = pa.schema(
            [(name, column.wire) for name, column in zip(schema.names, self._target.columns, strict=True)]
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Send the rows."""
        with self._failures():
            named = zip(batch.schema.names, self._target.columns, batch.columns, strict=True)
            columns = [_converted(name, outgoing, column) for name, outgoing, column in named]
            self._target.write(pa.RecordBatch.from_arrays(columns, schema=self._wire))

    def commit(self) -> None:
        """Publish the table; a failure leaves no trace."""
        try:
            with self._failures():
                self._target.publish()
        finally:
            self.abort()

    def abort(self) -> None:
        """Leave no trace; does nothing after `commit`."""
        if not self._done:
            self._done = True
            self._target.discard()


def _converted(name: str, outgoing: Outgoing, column: pa.Array) -> pa.Array:
    """A column in its wire type; what is wrong with a value is told with the column's name."""
    try:
        return outgoing.convert(column)
    except pa.ArrowInvalid as error:
        raise pa.ArrowInvalid(f"the column {name!r}: {error}") from error


def _not_in_databases(field: pa.Field) -> str | None:
    """Why a column has no form in a database; None where it has."""
    return None if is_bytes(plain_type(field.type)) else not_json(field)
