"""What sentiment-batch reads a table with: one view of the rows, streamed, in ranges of a key if there is one."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sentiment_batch import InputError, Split, UsageError
from sentiment_batch_sql.database import database_of
from sentiment_batch_sql.failures import failures_named
from sentiment_batch_sql.keys import Ranges, condition, ranges_of
from sentiment_batch_sql.url import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sentiment_batch import ReadOptions
    from sentiment_batch_sql.connection import Connection
    from sentiment_batch_sql.database import Column


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """What a table is found to be."""

    columns: tuple[Column, ...]
    key: Column | None
    ranges: Ranges | None


class SqlReader:
    """A table or the rows of a query.

    Args:
        location: a URL; see `place_of`.
        options: `query` and `key`.

    Raises:
        UsageError: the URL is none that can be read.
        InputError: the database cannot be reached or read, or has no such table; the query or the key is no good.
    """

    def __init__(self, location: str, options: ReadOptions) -> None:
        self._place = place = place_of(location, options.query, options.key)
        if not place.table and not place.query:
            raise UsageError(f"{place.shown} names no table. Write ?table=NAME behind it, or give --query.")
        self._database = database_of(place)
        self._failures = functools.partial(failures_named, place, InputError)
        self._kept: Connection | None = None
        with self._failures():
            self._kept = connection = self._database.open()
            try:
                self._seen = self._look(connection)
                self.schema = self._schema(connection)
            except BaseException:
                self.close()
                raise
        ranges = self._seen.ranges
        self.num_rows: int | None = None if ranges is None else ranges.rows
        self._splits = [Split(index=0, label=place.shown)] if ranges is None else ranges.splits(place.shown)
        if ranges is not None:
            self.identity = self._identity
        if not self._splits:
            self.close()  # nothing will be read, and the same table or file may be written

    def splits(self) -> Sequence[Split]:
        """The ranges of the key; all rows at once where there is none."""
        return self._splits

    def batches(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The rows in the order of the key, or else as the database gives them.

        Raises:
            InputError: the database went away, or what it holds is not what it was.
        """
        with self._failures():
            connection = self._taken()
            whole = False
            try:
                rest = "" if self._seen.key is None else condition(split, self._seen.key)
                ahead = self._database.rows_ahead
                with connection.batches(self._database.select(self._seen.columns, rest)) as batches:
                    for batch in batches:
                        if batch.num_rows > ahead:
                            yield pa.RecordBatch.from_arrays(batch.slice(ahead).columns, schema=self.schema)
                        ahead = max(0, ahead - batch.num_rows)
                whole = True
            finally:
                # After the last row nothing is held, so that the same table or file can be written.
                if whole and split.index < len(self._splits) - 1 and self._kept is None:
                    self._kept = connection
                else:
                    connection.close()

    def close(self) -> None:
        """Disconnect."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _identity(self) -> dict[str, Any]:
        place, ranges = self._place, self._seen.ranges
        assert ranges is not None
        return {
            "database": f"{place.kind}: {place.database}",
            "table": list(place.table) or place.query,
            "key": place.key,
            "rows": ranges.rows,
            "first": ranges.starts[0] if ranges.starts else "",
            "last": ranges.last,
            "checksum": ranges.checksum,
        }

    def _taken(self) -> Connection:
        """The connection that has the view of the rows; or a new one, if that still shows the same table."""
        connection, self._kept = self._kept, None
        if connection is not None:
            return connection
        connection = self._database.open()
        try:
            if self._look(connection) != self._seen:
                raise InputError(
                    f"{self._place.shown} was changed while it was read. Read it when nobody writes to it."
                )
        except BaseException:
            connection.close()
            raise
        return connection

    def _look(self, connection: Connection) -> _Look:
        columns = self._database.columns(connection)
        names = [column.name for column in columns]
        if self._place.key is None:
            return _Look(columns=tuple(columns), key=None, ranges=None)
        if self._place.key not in names:
            raise InputError.no_column(self._place.key, names, "key")
        key = columns[names.index(self._place.key)]
        return _Look(columns=tuple(columns), key=key, ranges=ranges_of(connection, self._database, columns, key))

    def _schema(self, connection: Connection) -> pa.Schema:
        """The columns as the driver gives them, with our metadata in place of its own."""
        given = connection.schema(self._database.select(self._seen.columns, "WHERE false"))
        fields = zip(self._seen.columns, given.types, strict=True)
        return pa.schema([pa.field(column.name, type, metadata=dict(column.metadata)) for column, type in fields])
