"""What a database is to the reader, whichever it is: a connection with one view of the rows, and columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sentiment_batch import InputError
from sentiment_batch_sql.url import named

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from sentiment_batch import WriteOptions
    from sentiment_batch_sql.connection import Connection
    from sentiment_batch_sql.url import Place
    from sentiment_batch_sql.writer import Target

JSON = ((b"sentiment_batch.json", b"1"),)
"""Metadata of a column whose text is JSON: sentiment-batch writes it to JSON lines as it is."""
TYPE = b"sentiment_batch_sql.type"
"""Metadata key of a column that is text here and something else in its database; the value is `marked`."""


def marked(kind: str, type: str) -> tuple[tuple[bytes, bytes], ...]:
    """Metadata that say which type of which database a column of text had, so that it can have it again."""
    return ((TYPE, f"{kind}:{type}".encode()),)


def mark_of(field: pa.Field, kind: str) -> str | None:
    """The type that `marked` kept for this kind of database, or None."""
    database, _, type = (field.metadata or {}).get(TYPE, b"").decode(errors="replace").partition(":")
    return type if database == kind and type else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of a table or query, which SQL calls `q`."""

    name: str
    expression: str
    """What to select such that Arrow has a type for all its values."""
    type: str
    """Its type as SQL has it, or what takes its place."""
    metadata: tuple[tuple[bytes, bytes], ...] = ()


class Database(ABC):
    """A database that is read from.

    Args:
        place: which, and what in it.
    """

    rows_ahead: ClassVar[int] = 0
    """Rows before those of the table that `select` gives, for the driver to learn the types from."""

    def __init__(self, place: Place) -> None:
        self.place = place

    @abstractmethod
    def open(self) -> Connection:
        """Connect for reading alone, with one view of the data until the connection is closed."""

    @abstractmethod
    def columns(self, connection: Connection) -> list[Column]:
        """The columns; looks through the rows where types alone do not tell whether Arrow can have all values."""

    @abstractmethod
    def literal(self, column: Column, value: str) -> str:
        """SQL that gives the text of the literal that `value`, a value of the column, can be compared with."""

    @abstractmethod
    def checksum(self, columns: Sequence[Column]) -> str:
        """SQL for an aggregate that is another one when the rows of `q` are, whatever their order."""

    @abstractmethod
    def target(self, schema: pa.Schema, options: WriteOptions) -> Target:
        """A table to be."""

    def select(self, columns: Sequence[Column], rest: str = "") -> str:
        """The rows; `rest` is what comes after the source."""
        chosen = ", ".join(f"{column.expression} AS {named(column.name)}" for column in columns)
        return f"SELECT {chosen} FROM {self.place.source} AS q {rest}"

    def names(self, connection: Connection) -> list[str]:
        """The names of the columns.

        Raises:
            InputError: there are none, or two have the same.
        """
        names: list[str] = connection.schema(f"SELECT * FROM {self.place.source} AS q LIMIT 0").names
        if not names:
            raise InputError(f"{self.place.shown} has no columns. Name another table.")
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    f"{self.place.shown} has two columns named {name!r}. Rename one in the query, with AS."
                )
        return names


def columns_that(connection: Connection, place: Place, conditions: Iterable[tuple[str, str]]) -> set[str]:
    """The columns with a row for which a condition holds; looks through all rows, once.

    Args:
        connection: has the data.
        place: where they are.
        conditions: columns' names, and conditions of SQL, in which the source is `q`.
    """
    asked = list(conditions)
    if not asked:
        return set()
    counts = ", ".join(f"count(CASE WHEN {condition} THEN 1 END)" for _, condition in asked)
    (found,) = connection.rows(f"SELECT {counts} FROM {place.source} AS q")
    return {name for (name, _), rows in zip(asked, found, strict=True) if rows}


def database_of(place: Place) -> Database:
    """The database that a location is in."""
    if place.kind == "postgresql":
        from sentiment_batch_sql.postgresql import PostgreSQL

        return PostgreSQL(place)
    if place.kind == "sqlite":
        from sentiment_batch_sql.sqlite import SQLite

        return SQLite(place)
    from sentiment_batch_sql.duckdb import DuckDB

    return DuckDB(place)
