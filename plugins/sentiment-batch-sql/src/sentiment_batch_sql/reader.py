"""Reads a table or a query: one snapshot of the rows, streamed, in ranges of a key if one is named."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch import InputError, Split, UsageError
from sentiment_batch_sql.databases import find_database
from sentiment_batch_sql.driver_errors import translate_errors
from sentiment_batch_sql.key_ranges import Ranges, find_ranges, make_condition
from sentiment_batch_sql.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentiment_batch import ReadOptions
    from sentiment_batch_sql.connection import Connection
    from sentiment_batch_sql.database import Column


@dataclass(frozen=True, kw_only=True, slots=True)
class _TableState:
    """The columns of a table and the ranges of its key."""

    columns: tuple[Column, ...]
    key: Column | None
    ranges: Ranges | None


class SqlReader:
    """A reader of a table or of the rows of a query.

    Args:
        location: a URL; see `parse_url`.
        options: the settings `query` and `key`.

    Raises:
        UsageError: the URL cannot be read.
        InputError: the database cannot be reached or read, has no such table, or the query or the key is invalid.
    """

    def __init__(self, location: str, options: ReadOptions) -> None:
        self._url = url = parse_url(location, options.query, options.key)
        if not url.table and not url.query:
            raise UsageError(f"{url.shown} names no table. Add ?table=NAME, or set `query`.")
        self._database = find_database(url)
        self._errors = functools.partial(translate_errors, url, InputError)
        self._idle: Connection | None = None
        with self._errors():
            self._idle = connection = self._database.open()
            try:
                self._state = self._read_state(connection)
                self.schema = self._read_schema(connection)
            except BaseException:
                self.close()
                raise
        ranges = self._state.ranges
        self.num_rows: int | None = None if ranges is None else ranges.rows
        self._splits = [Split(index=0, label=url.shown)] if ranges is None else ranges.splits(url.shown)
        if ranges is not None:
            self.identity = self._identity
        if not self._splits:
            self.close()  # nothing will be read, and the output may be the same table or file

    def splits(self) -> Sequence[Split]:
        """The ranges of the key; one split with all rows if there is no key."""
        return self._splits

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The rows in the order of the key, or in that of the database.

        Raises:
            InputError: the connection broke, or the table has changed.
        """
        with self._errors():
            connection = self._take_connection()
            complete = False
            try:
                rest = "" if self._state.key is None else make_condition(split, self._state.key)
                ahead = self._database.rows_ahead
                with connection.batches(self._database.select(self._state.columns, rest)) as batches:
                    for batch in batches:
                        if batch.num_rows > ahead:
                            yield pa.RecordBatch.from_arrays(batch.slice(ahead).columns, schema=self.schema)
                        ahead = max(0, ahead - batch.num_rows)
                complete = True
            finally:
                # After the last row the connection is closed, because the output may be the same table or file.
                if complete and split.index < len(self._splits) - 1 and self._idle is None:
                    self._idle = connection
                else:
                    connection.close()

    def close(self) -> None:
        """Disconnect."""
        if self._idle is not None:
            self._idle.close()
            self._idle = None

    def _identity(self) -> dict[str, Any]:
        url, ranges = self._url, self._state.ranges
        assert ranges is not None
        return {
            "database": f"{url.kind}: {url.database}",
            "table": list(url.table) or url.query,
            "key": url.key,
            "rows": ranges.rows,
            "first": ranges.starts[0] if ranges.starts else "",
            "last": ranges.last,
            "checksum": ranges.checksum,
        }

    def _take_connection(self) -> Connection:
        """The connection with the snapshot; or a new one, if the table is unchanged."""
        connection, self._idle = self._idle, None
        if connection is not None:
            return connection
        connection = self._database.open()
        try:
            if self._read_state(connection) != self._state:
                raise InputError(f"{self._url.shown} was changed while it was read. Read it when nobody writes to it.")
        except BaseException:
            connection.close()
            raise
        return connection

    def _read_state(self, connection: Connection) -> _TableState:
        columns = self._database.columns(connection)
        names = [column.name for column in columns]
        if self._url.key is None:
            return _TableState(columns=tuple(columns), key=None, ranges=None)
        if self._url.key not in names:
            raise InputError.no_column(self._url.key, names, "key")
        key = columns[names.index(self._url.key)]
        return _TableState(
            columns=tuple(columns), key=key, ranges=find_ranges(connection, self._database, columns, key)
        )

    def _read_schema(self, connection: Connection) -> pa.Schema:
        """The columns with the types of the driver and our metadata."""
        given = connection.schema(self._database.select(self._state.columns, "WHERE false"))
        fields = zip(self._state.columns, given.types, strict=True)
        return pa.schema([pa.field(column.name, type, metadata=dict(column.metadata)) for column, type in fields])
