"""The base class of databases, the protocol of tables that are being written, and marks of column types."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from sentiment_batch import InputError
from sentiment_batch_sql.url import quote_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from sentiment_batch import WriteOptions
    from sentiment_batch_sql.connection import Connection
    from sentiment_batch_sql.conversions import Conversion
    from sentiment_batch_sql.url import DatabaseUrl

JSON = ((b"sentiment_batch.json", b"1"),)
"""Metadata of a column whose text is JSON. sentiment-batch writes such text to JSON lines unchanged."""
TYPE = b"sentiment_batch_sql.type"
"""Metadata key of a column that is text in Arrow and has another type in its database; `mark_type` makes the value."""


def mark_type(kind: str, type: str) -> tuple[tuple[bytes, bytes], ...]:
    """Metadata that store the type of a text column in its database, so that the writer can restore it."""
    return ((TYPE, f"{kind}:{type}".encode()),)


def read_mark(field: pa.Field, kind: str) -> str | None:
    """The type that `mark_type` stored for this kind of database, or None."""
    database, _, type = (field.metadata or {}).get(TYPE, b"").decode(errors="replace").partition(":")
    return type if database == kind and type else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of the table or query, which has the alias `q` in SQL."""

    name: str
    """Its name in the table or query."""
    expression: str
    """The SQL expression to select, for whose values Arrow has a type."""
    type: str
    """Its type in SQL. For a column without values it may be a placeholder."""
    metadata: tuple[tuple[bytes, bytes], ...] = ()
    """The metadata of its field in Arrow."""


class DatabaseTarget(Protocol):
    """A table that is being written to one of the databases."""

    @property
    def columns(self) -> Sequence[Conversion]:
        """The conversion of each column."""
        ...

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows in the wire types of the columns."""
        ...

    def publish(self) -> None:
        """Make the table visible, and put it on disk."""
        ...

    def discard(self) -> None:
        """Remove what was written. It may be called twice."""
        ...


class Database(ABC):
    """A database.

    Args:
        url: the database, and the table or query in it.
    """

    rows_ahead: ClassVar[int] = 0
    """Number of rows that `select` puts before those of the table, from which the driver learns the types."""

    def __init__(self, url: DatabaseUrl) -> None:
        self.url = url

    @abstractmethod
    def open(self) -> Connection:
        """Connect for reading only, with one snapshot of the data until the connection is closed."""

    @abstractmethod
    def columns(self, connection: Connection) -> list[Column]:
        """The columns. Reads the rows if the types do not show whether Arrow can represent all values."""

    @abstractmethod
    def sql_literal(self, column: Column, value: str) -> str:
        """SQL for the text of a literal that is equal to `value`, an expression for a value of the column."""

    @abstractmethod
    def checksum(self, columns: Sequence[Column]) -> str:
        """SQL for an aggregate that changes with the rows of `q`, but not with their order."""

    @abstractmethod
    def target(self, schema: pa.Schema, options: WriteOptions) -> DatabaseTarget:
        """Begin to write a table."""

    @abstractmethod
    def find_comment(self) -> str | None:
        """The comment of the table, or for SQLite the statement that has made it; None if there is none."""

    def select(self, columns: Sequence[Column], rest: str = "") -> str:
        """SQL for the rows; `rest` follows the source."""
        chosen = ", ".join(f"{column.expression} AS {quote_name(column.name)}" for column in columns)
        return f"SELECT {chosen} FROM {self.url.source} AS q {rest}"

    def names(self, connection: Connection) -> list[str]:
        """The names of the columns.

        Raises:
            InputError: there are no columns, or two have the same name.
        """
        names: list[str] = connection.schema(f"SELECT * FROM {self.url.source} AS q LIMIT 0").names
        if not names:
            raise InputError(f"{self.url.shown} has no columns. Name another table.")
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"{self.url.shown} has two columns named {name!r}. Rename one in the query, with AS.")
        return names


def find_columns(connection: Connection, url: DatabaseUrl, conditions: Iterable[tuple[str, str]]) -> set[str]:
    """The columns for which some row fulfils a condition. Reads all rows once.

    Args:
        connection: the connection to the database.
        url: the table or query.
        conditions: pairs of a column name and a condition in SQL, in which the source is `q`.
    """
    asked = list(conditions)
    if not asked:
        return set()
    counts = ", ".join(f"count(CASE WHEN {condition} THEN 1 END)" for _, condition in asked)
    (found,) = connection.rows(f"SELECT {counts} FROM {url.source} AS q")
    return {name for (name, _), rows in zip(asked, found, strict=True) if rows}
