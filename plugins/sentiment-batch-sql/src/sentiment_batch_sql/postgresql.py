"""PostgreSQL: reads from one snapshot, and writes a table in one transaction."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

import adbc_driver_postgresql

from sentiment_batch import OutputError
from sentiment_batch_sql.connection import Connection
from sentiment_batch_sql.conversions import convert_for_postgresql
from sentiment_batch_sql.database import JSON, Column, Database, DatabaseTarget, find_columns, mark_type, read_mark
from sentiment_batch_sql.run_comments import write_comment
from sentiment_batch_sql.url import quote_name, quote_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from sentiment_batch import WriteOptions
    from sentiment_batch_sql.url import DatabaseUrl

SESSION = (
    "SET client_encoding = 'UTF8'",
    "SET application_name = 'sentiment-batch'",
    "SET datestyle = 'ISO'",
    "SET intervalstyle = 'iso_8601'",
    "SET timezone = 'UTC'",
    # A run may take long, with long pauses for the model.
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
)
_SIMPLE = ("bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar")
_PLAIN = (*_SIMPLE, "bpchar", "bytea", "date", "time", "timestamp", "timestamptz")
"""Types that the driver returns unchanged."""
_BEYOND_ARROW = {
    "date": "NOT isfinite({0})",
    "timestamp": "NOT isfinite({0})",
    "timestamptz": "NOT isfinite({0})",
    "time": "{0} = '24:00'",
}
"""Conditions for values that the driver changes or cannot return."""
_BEYOND_LIST = "(array_ndims({0}) > 1 OR array_lower({0}, 1) <> 1)"
MAX_NAME_BYTES = 63
"""Bytes of a name. PostgreSQL cuts longer names."""
_TABLES = ("r", "p")
"""The codes of tables and partitioned tables in `pg_class.relkind`."""
_KINDS = {"v": "view", "m": "materialized view", "f": "foreign table", "S": "sequence", "i": "index", "c": "type"}
"""The other codes, and what messages call them."""
_LOCK_TIMEOUT = "SET lock_timeout = '60s'"


def connect(url: DatabaseUrl, *statements: str) -> Connection:
    """A connection whose text formats do not depend on the settings of the server."""
    driver = adbc_driver_postgresql._driver_path()
    return Connection(driver, *SESSION, *statements, uri=url.address)


class PostgreSQL(Database):
    """A PostgreSQL server."""

    def open(self) -> Connection:
        """Connect, with a snapshot until the connection is closed."""
        return connect(self.url, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def columns(self, connection: Connection) -> list[Column]:
        """The columns. Values without a type in Arrow are text, as the server writes it."""
        names = self.names(connection)
        types = list(zip(names, self._types(connection, names), strict=True))
        conditions = [(name, _beyond_arrow(quote_name("q", name), type, element)) for name, (type, _, element) in types]
        odd = find_columns(connection, self.url, [(name, text) for name, text in conditions if text])
        return [_column(name, type, full, element, exact=name not in odd) for name, (type, full, element) in types]

    def sql_literal(self, column: Column, value: str) -> str:
        """A literal with its type, so that an index can be used."""
        return f"quote_literal({value}::text) || {quote_text('::' + column.type)}"

    def checksum(self, columns: Sequence[Column]) -> str:
        """The sum of a hash of each row's text."""
        row = ", ".join(quote_name("q", column.name) for column in columns)
        return f"coalesce(sum(hashtextextended(ROW({row})::text, 0)), 0)::text"

    def target(self, schema: pa.Schema, options: WriteOptions) -> DatabaseTarget:
        """Begin to write a table, in a transaction."""
        return PostgreSQLTarget(self.url, schema, options)

    def find_comment(self) -> str | None:
        """The comment of the table."""
        table = quote_text(quote_name(*self.url.table))
        with contextlib.closing(self.open()) as connection:
            ((comment,),) = connection.rows(f"SELECT obj_description(to_regclass({table}), 'pg_class')")
        return None if comment is None else str(comment)

    def _types(self, connection: Connection, names: list[str]) -> list[tuple[str, str, str]]:
        """For each column its type, its full SQL type with the schema, and the type of its elements or an empty text.

        The planner knows the types without reading a row. A domain counts as its base type.
        """
        oids = ", ".join(f"pg_typeof({quote_name('q', name)})::oid" for name in names)
        found = connection.rows(
            "SELECT t.typname::text, format('%I.%I', n.nspname, t.typname), coalesce(e.typname::text, '')"
            f" FROM (SELECT 1) AS one LEFT JOIN {self.url.source} AS q ON false"
            f" CROSS JOIN LATERAL unnest(ARRAY[{oids}]) WITH ORDINALITY AS o(type, place)"
            " JOIN pg_catalog.pg_type AS d ON d.oid = o.type"
            " JOIN pg_catalog.pg_type AS t ON t.oid = CASE d.typtype WHEN 'd' THEN d.typbasetype ELSE d.oid END"
            " JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace"
            " LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'"
            " ORDER BY o.place"
        )
        return [(type, full, element) for type, full, element in found]


def _beyond_arrow(column: str, type: str, element: str) -> str:
    """The condition for values that Arrow cannot represent; empty if it can represent all values."""
    return (_BEYOND_LIST if element else _BEYOND_ARROW.get(type, "")).format(column)


def _column(name: str, type: str, full: str, element: str, *, exact: bool) -> Column:
    """A column, by its type. `exact`: Arrow can represent all its values."""
    plain, metadata = quote_name("q", name), mark_type("postgresql", full)
    if exact and (type in _PLAIN or element in _SIMPLE):
        return Column(name=name, expression=plain, type=full)
    if exact and element:
        return Column(name=name, expression=f"{plain}::text[]", type=full, metadata=metadata)
    if type in ("json", "jsonb"):
        metadata += JSON
    return Column(name=name, expression=f"{plain}::text", type=full, metadata=metadata)


class PostgreSQLTarget:
    """A table that is being written to PostgreSQL, under another name that is changed at the end.

    Args:
        url: the server and the table.
        schema: the columns of the batches.
        options: the settings of the output.

    Raises:
        OutputError: the table exists and `overwrite` is False, it is no table, others need it, or a name is too long.
    """

    def __init__(self, url: DatabaseUrl, schema: pa.Schema, options: WriteOptions) -> None:
        self._url, self._overwrite = url, options.overwrite
        self._comment = None if options.run_id is None else write_comment(options.run_id)
        for name in (*url.table, *schema.names):
            if not 0 < len(name.encode("utf-8", "surrogatepass")) <= MAX_NAME_BYTES:
                raise OutputError(f"the name {name!r} must have 1 to {MAX_NAME_BYTES} bytes for PostgreSQL. Rename it.")
        self.columns = [convert_for_postgresql(field) for field in schema]
        self._connection = connect(url, "BEGIN", _LOCK_TIMEOUT)
        try:
            self._schema = self._schema_name()
            self._must_replace()
            self._types = [
                self._restored_type(field) or column.final for field, column in zip(schema, self.columns, strict=True)
            ]
            self._names = schema.names
            self._staged = f"sentiment_batch_{secrets.token_hex(8)}"
            staged = ", ".join(
                f"{quote_name(name)} {one.staged}" for name, one in zip(schema.names, self.columns, strict=True)
            )
            self._connection.run(f"CREATE TABLE {quote_name(self._schema, self._staged)} ({staged})")
        except BaseException:
            self.discard()
            raise

    def write(self, batch: pa.RecordBatch) -> None:
        """Copy rows in the wire types of the columns."""
        self._connection.ingest(batch, self._staged, self._schema)

    def publish(self) -> None:
        """Change the types and the name of the table, and commit."""
        staged, table = quote_name(self._schema, self._staged), self._url.table[-1]
        changes = [
            f"ALTER COLUMN {quote_name(name)} TYPE {type} USING {quote_name(name)}::{type}"
            for name, column, type in zip(self._names, self.columns, self._types, strict=True)
            if type != column.staged
        ]
        if changes:  # all changes in one pass over the rows
            self._connection.run(f"ALTER TABLE {staged} {', '.join(changes)}")
        if self._must_replace():
            self._connection.run(f"DROP TABLE {quote_name(self._schema, table)}")
        if self._comment is not None:
            self._connection.run(f"COMMENT ON TABLE {staged} IS {quote_text(self._comment)}")
        self._connection.run(f"ALTER TABLE {staged} RENAME TO {quote_name(table)}", "COMMIT")
        self._connection.close()

    def discard(self) -> None:
        """Disconnect. The server rolls the transaction back."""
        self._connection.close()

    def _schema_name(self) -> str:
        if len(self._url.table) == 2:
            return self._url.table[0]
        ((name,),) = self._connection.rows("SELECT current_schema()::text")
        if name is None:
            raise OutputError(f"{self._url.shown}: the user has no default schema. Write schema.table.")
        return str(name)

    def _must_replace(self) -> bool:
        """True if there is a table to replace.

        Raises:
            OutputError: there is a table that must not or cannot be replaced.
        """
        name = quote_text(quote_name(self._schema, self._url.table[-1]))
        found = self._connection.rows(f"SELECT relkind::text FROM pg_catalog.pg_class WHERE oid = to_regclass({name})")
        if not found:
            return False
        kind = found[0][0]
        if kind not in _TABLES:
            what = _KINDS.get(kind, "database object of another kind")
            raise OutputError(f"{self._url.shown} is a {what}, which is never replaced. Name another table.")
        if not self._overwrite:
            raise OutputError.exists(self._url.shown)
        self._check_no_dependents(name)
        return True

    def _check_no_dependents(self, name: str) -> None:
        """Refuse to replace a table that a view or a foreign key needs, before the first row is written."""
        needing = self._connection.rows(
            "SELECT r.ev_class::regclass::text FROM pg_catalog.pg_depend AS d"
            " JOIN pg_catalog.pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid"
            f" WHERE d.refobjid = to_regclass({name}) AND r.ev_class <> d.refobjid"
            " UNION ALL SELECT conrelid::regclass::text FROM pg_catalog.pg_constraint"
            f" WHERE contype = 'f' AND confrelid = to_regclass({name}) AND conrelid <> confrelid LIMIT 1"
        )
        if needing:
            raise OutputError(
                f"{self._url.shown} is needed by {needing[0][0]}, so it is not replaced. Name another table."
            )

    def _restored_type(self, field: pa.Field) -> str | None:
        """The type that a text column had when it was read from PostgreSQL, if this server has the type, too."""
        mark = read_mark(field, "postgresql")
        if mark is None:
            return None
        found = self._connection.rows(
            "SELECT format('%I.%I', n.nspname, t.typname) FROM pg_catalog.pg_type AS t"
            " JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace"
            f" WHERE format('%I.%I', n.nspname, t.typname) = {quote_text(mark)} AND t.typtype <> 'p'"
        )
        return found[0][0] if found else None
