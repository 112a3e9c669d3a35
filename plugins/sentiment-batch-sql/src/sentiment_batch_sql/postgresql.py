"""PostgreSQL, read: one snapshot, and each column as Arrow can have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import adbc_driver_postgresql

from sentiment_batch_sql.connection import Connection
from sentiment_batch_sql.database import JSON, Column, Database, columns_that, marked
from sentiment_batch_sql.url import literal, named

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sentiment_batch import WriteOptions
    from sentiment_batch_sql.url import Place
    from sentiment_batch_sql.writer import Target

SESSION = (
    "SET client_encoding = 'UTF8'",
    "SET application_name = 'sentiment-batch'",
    "SET datestyle = 'ISO'",
    "SET intervalstyle = 'iso_8601'",
    "SET timezone = 'UTC'",
    # A run takes the time it takes, with long pauses for the model.
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
)
_SIMPLE = ("bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar")
_PLAIN = (*_SIMPLE, "bpchar", "bytea", "date", "time", "timestamp", "timestamptz")
"""Types that the driver gives as they are."""
_BEYOND_ARROW = {
    "date": "NOT isfinite({0})",
    "timestamp": "NOT isfinite({0})",
    "timestamptz": "NOT isfinite({0})",
    "time": "{0} = '24:00'",
}
"""Values that the driver would give as others, or none at all."""
_BEYOND_LIST = "(array_ndims({0}) > 1 OR array_lower({0}, 1) <> 1)"


def connect(place: Place, *statements: str) -> Connection:
    """A connection whose texts are the same whatever the server's settings are."""
    driver = adbc_driver_postgresql._driver_path()
    return Connection(driver, *SESSION, *statements, uri=place.address)


class PostgreSQL(Database):
    """A PostgreSQL server."""

    def open(self) -> Connection:
        """Connect, and see what is there now until the connection is closed."""
        return connect(self.place, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def columns(self, connection: Connection) -> list[Column]:
        """The columns; what Arrow has no type for is text, as the server writes it."""
        names = self.names(connection)
        types = list(zip(names, self._types(connection, names), strict=True))
        conditions = [(name, _beyond_arrow(named("q", name), type, element)) for name, (type, _, element) in types]
        odd = columns_that(connection, self.place, [(name, text) for name, text in conditions if text])
        return [_column(name, type, full, element, exact=name not in odd) for name, (type, full, element) in types]

    def literal(self, column: Column, value: str) -> str:
        """A literal with its type, so that an index can be used."""
        return f"quote_literal({value}::text) || {literal('::' + column.type)}"

    def checksum(self, columns: Sequence[Column]) -> str:
        """The sum of a hash of each row's text."""
        row = ", ".join(named("q", column.name) for column in columns)
        return f"coalesce(sum(hashtextextended(ROW({row})::text, 0)), 0)::text"

    def target(self, schema: pa.Schema, options: WriteOptions) -> Target:
        """A table to be, in a transaction."""
        from sentiment_batch_sql.postgresql_target import PostgreSQLTarget

        return PostgreSQLTarget(self.place, schema, options)

    def _types(self, connection: Connection, names: list[str]) -> list[tuple[str, str, str]]:
        """Of each column its type, the same with its schema and as SQL has it, and the type of its elements if any.

        The planner knows the types without a row; a domain counts as what it is made of.
        """
        oids = ", ".join(f"pg_typeof({named('q', name)})::oid" for name in names)
        found = connection.rows(
            "SELECT t.typname::text, format('%I.%I', n.nspname, t.typname), coalesce(e.typname::text, '')"
            f" FROM (SELECT 1) AS one LEFT JOIN {self.place.source} AS q ON false"
            f" CROSS JOIN LATERAL unnest(ARRAY[{oids}]) WITH ORDINALITY AS o(type, place)"
            " JOIN pg_catalog.pg_type AS d ON d.oid = o.type"
            " JOIN pg_catalog.pg_type AS t ON t.oid = CASE d.typtype WHEN 'd' THEN d.typbasetype ELSE d.oid END"
            " JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace"
            " LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'"
            " ORDER BY o.place"
        )
        return [(type, full, element) for type, full, element in found]


def _beyond_arrow(column: str, type: str, element: str) -> str:
    """The condition for values of a column that Arrow cannot have; empty where it can have all."""
    return (_BEYOND_LIST if element else _BEYOND_ARROW.get(type, "")).format(column)


def _column(name: str, type: str, full: str, element: str, *, exact: bool) -> Column:
    """A column, by its type; `exact` says whether Arrow can have all its values."""
    plain, metadata = named("q", name), marked("postgresql", full)
    if exact and (type in _PLAIN or element in _SIMPLE):
        return Column(name=name, expression=plain, type=full)
    if exact and element:
        return Column(name=name, expression=f"{plain}::text[]", type=full, metadata=metadata)
    if type in ("json", "jsonb"):
        metadata += JSON
    return Column(name=name, expression=f"{plain}::text", type=full, metadata=metadata)
